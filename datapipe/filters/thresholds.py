"""Fit the thresholds of rules to a language, from documents that are trusted to be good.

`rule_sets.py` has the thresholds that its sources publish, most of them for English. FineWeb-2 (Penedo et al. 2025)
instead takes quantiles of each measurement over a trusted sample in the language, such as Wikipedia: `fit_thresholds`.
What depends on the language alone, the number and length of words, one text tells that is there in each language:
`scale_thresholds`. The result is what `ApplyRules` takes as `thresholds`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import yaml

from datapipe.checks import check_known
from datapipe.filters.rule_sets import MAX, Rule
from datapipe.filters.rules import ApplyRules
from datapipe.text import words

_DECIMALS = 4  # of a fitted share


def fit_thresholds(
    batches: Iterable[pa.RecordBatch],
    removed_share: float = 0.01,
    removed_shares: Mapping[str, float] | None = None,
    rules: ApplyRules | None = None,
    min_documents: int = 100,
) -> dict[str, dict[str, float | None]]:
    """The thresholds at which each rule removes a given share of the trusted documents, by language.

    Args:
        batches: trusted documents with the columns of `MeasureText` and `language`.
        removed_share: the share of a language's documents that a rule may remove, at most.
        removed_shares: other shares for some rules, by their names.
        rules: the stage whose rules to fit, by its sets of each language; by default those of `ApplyRules()`.
        min_documents: a language with fewer documents is left out.

    Returns:
        Thresholds by language and rule, rounded so as to remove no more; null where the rule can only keep to the share
        by never firing.

    Raises:
        ValueError: if a share is not between 0 and 1, `removed_shares` names a rule that no language takes, or no
            language has enough documents.
    """
    rules = rules or ApplyRules()
    shares = dict(removed_shares or {})
    for field, share in {"removed_share": removed_share, **shares}.items():
        if not 0 <= share < 1:
            raise ValueError(f"thresholds: {field} must be at least 0 and less than 1, got {share!r}")
    values: dict[str, dict[str, list[np.ndarray]]] = {}
    documents: Counter[str] = Counter()
    for batch in batches:
        codes = np.array([words.primary(code) for code in batch.column("language").to_pylist()], object)
        for code in sorted(set(codes)):
            rows = codes == code
            documents[code] += int(rows.sum())
            columns = values.setdefault(code, {})
            for measurement in {rule.measurement for rule in rules.rules_of(code).values()}:
                measured = batch.column(measurement).cast(pa.float64()).to_numpy(zero_copy_only=False)[rows]
                columns.setdefault(measurement, []).append(measured[~np.isnan(measured)])
    fitted = sorted(code for code, number in documents.items() if number >= min_documents)
    if not fitted:
        found = ", ".join(f"{code}: {number}" for code, number in documents.most_common()) or "none"
        raise ValueError(f"thresholds: no language has {min_documents} documents, found {found}")
    known = {name for code in fitted for name in rules.rules_of(code)}
    for name in shares:
        check_known("thresholds: removed_shares: unknown rule", name, sorted(known))
    thresholds: dict[str, dict[str, float | None]] = {}
    for code in fitted:
        thresholds[code] = {}
        for name, rule in rules.rules_of(code).items():
            measured = np.concatenate(values[code][rule.measurement])
            if len(measured):
                thresholds[code][name] = _quantile(rule, measured, shares.get(name, removed_share))
    return thresholds


_OF_WORDS = ("words", "mean_word_length", "median_word_length")  # which depend on the language more than on the text


def scale_thresholds(
    batches: Iterable[pa.RecordBatch], reference: str = "en", rules: ApplyRules | None = None
) -> dict[str, dict[str, float | None]]:
    """The thresholds on numbers and lengths of words that ask of each language what they ask of the reference.

    Fifty words are a paragraph in English, and half as much again in Finnish. Where the same text is there in each
    language, such as the declaration of human rights, that is known without a sample: a threshold on the number of
    words, or on their mean length, is scaled by what the text has of them in the language and in the reference.

    Args:
        batches: the same documents in each language, with the columns of `MeasureText` and `language`.
        reference: the language for which the thresholds hold.
        rules: the stage whose rules to scale; by default `ApplyRules()`.

    Returns:
        Thresholds by language and rule, of the languages that are judged by the same rules as the reference.

    Raises:
        ValueError: if there is no document in the reference.
    """
    rules = rules or ApplyRules()
    published = {name: rule for name, rule in rules.rules_of(reference).items() if rule.measurement in _OF_WORDS}
    words_of: Counter[str] = Counter()
    characters_of: Counter[str] = Counter()
    for batch in batches:
        codes = [words.primary(code) for code in batch.column("language").to_pylist()]
        numbers, lengths = batch.column("words").to_pylist(), batch.column("mean_word_length").to_pylist()
        for code, number, length in zip(codes, numbers, lengths, strict=True):
            words_of[code] += number
            characters_of[code] += number * length
    if not words_of[reference]:
        raise ValueError(f"thresholds: no document is in {reference!r}, found {', '.join(sorted(words_of)) or 'none'}")
    scaled: dict[str, dict[str, float | None]] = {}
    for code in sorted(code for code, number in words_of.items() if number):
        if not set(published) <= set(rules.rules_of(code)):
            continue
        more = words_of[code] / words_of[reference]
        longer = characters_of[code] / characters_of[reference] / more
        scaled[code] = {
            name: round(rule.threshold * more) if rule.measurement == "words" else round(rule.threshold * longer, 1)
            for name, rule in published.items()
        }
    return scaled


def _quantile(rule: Rule, measured: np.ndarray, share: float) -> float | None:
    """The tightest threshold of the rule that at most the share of the values fails."""
    scale = 10**_DECIMALS
    if rule.side == MAX:
        quantile = np.quantile(measured, 1 - share, method="higher")
        threshold = math.ceil(quantile * scale - 1e-9) / scale
    else:
        quantile = np.quantile(measured, share, method="lower")
        threshold = math.floor(quantile * scale + 1e-9) / scale
    if not rule.can_fire(threshold):
        return None
    return int(threshold) if threshold == int(threshold) else threshold


def thresholds_yaml(thresholds: Mapping[str, Mapping[str, float | None]]) -> str:
    """The thresholds as the options of the stage `rules` in a recipe."""
    plain = {code: dict(rules) for code, rules in thresholds.items()}
    return yaml.safe_dump({"thresholds": plain}, sort_keys=False, allow_unicode=True)
