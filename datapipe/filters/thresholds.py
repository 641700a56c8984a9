"""Fit the thresholds of rules to a language, from documents that are trusted to be good.

`rule_sets.py` has the thresholds that its sources publish, most of them for English. FineWeb-2 (Penedo et al. 2025)
instead takes quantiles of each measurement over a trusted sample in the language, such as Wikipedia. The result is what
`ApplyRules` takes as `thresholds`.
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
