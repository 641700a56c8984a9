"""The rules of a run: what each measures and asks for, in which language, and what it did; and what others would do.

Other thresholds are tried on the columns that the run has written, in seconds. What no column holds is not guessed:
rows that an earlier stage took were not measured, and of rows that would come back later stages have judged none.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.engine.verdicts import RULES, published
from datapipe.filters.judging import judge
from datapipe.filters.rule_sets import DOCUMENT_RULES, Thresholds
from datapipe.store.corpus import REASON, Corpus, Part, first_reasons
from datapipe.text import words

FAILED, REMOVED = "rules_failed", f"{RULES}{REASON}"
_Options = Mapping[str, Any]  # of the stage `rules`


@dataclasses.dataclass(frozen=True)
class RuleOf:
    """A rule as it judges a language.

    Attributes:
        language, rule, measurement, side: what it is.
        threshold: as asked for.
        published: the source's own, where another is asked for.
        source: who published it.
        judged: documents of the language that the rules have seen.
        fails, first, only: of them: those that fail it, that fail it before all others, and that fail no other.
    """

    language: str
    rule: str
    measurement: str
    side: str
    threshold: float
    published: float | None
    source: str
    judged: int = 0
    fails: int = 0
    first: int = 0
    only: int = 0


def rules_of(language: str, options: _Options) -> list[RuleOf]:
    """The rules that judge a language under the options of the stage `rules`, in order."""
    rule_sets = options.get("rule_sets", {})
    rules = DOCUMENT_RULES.rules_of(language, rule_sets, options.get("thresholds", {}))
    return [
        RuleOf(language, name, rule.measurement, rule.side, rule.threshold, *published(name, rule, language, rule_sets))
        for name, rule in rules.items()
    ]


def count_rules_by_language(corpus: Corpus, options: _Options) -> list[RuleOf]:
    """The rules of every language that the run has judged, with what each did; languages with most documents first."""
    judged: Counter[str] = Counter()
    counts: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ("fails", "first", "only")}
    for part in _judged_parts(corpus):
        rows = reached(part)
        languages = part.column("language").filter(pa.array(rows)).to_pylist()
        for language, failed in zip(languages, part.column(FAILED).filter(pa.array(rows)).to_pylist(), strict=True):
            code = words.primary(language)
            judged[code] += 1
            counts["fails"].update((code, name) for name in failed or ())
            if failed:
                counts["first"][code, failed[0]] += 1
                counts["only"][code, failed[0]] += len(failed) == 1
    return [
        dataclasses.replace(rule, judged=judged[code], fails=fails, first=first, only=only)
        for code, _ in judged.most_common()
        for rule in rules_of(code, options)
        for fails, first, only in [[counts[name][code, rule.rule] for name in ("fails", "first", "only")]]
    ]


@dataclasses.dataclass(frozen=True)
class WhatIf:
    """What other thresholds would do.

    Attributes:
        reached: documents that the rules have seen.
        not_measured: those that an earlier stage took: nothing is known of them.
        removed_before, removed_after: of those reached.
        back: documents that the rules would no longer remove; what later stages would say of them is not known.
        gone: documents that the rules would remove now.
        gone_kept, gone_tokens: those of them that the run kept, and their tokens: what is lost for certain.
        first_before, first_after: by rule, how many documents fail it first.
    """

    reached: int
    not_measured: int
    removed_before: int
    removed_after: int
    back: int
    gone: int
    gone_kept: int
    gone_tokens: int
    first_before: dict[str, int]
    first_after: dict[str, int]


def try_thresholds(corpus: Corpus, options: _Options, thresholds: Thresholds) -> WhatIf:
    """Judge the documents of a run by other thresholds, from what was measured of them.

    Args:
        corpus: of a run with the stages `measurements` and `rules`.
        options: of its stage `rules`.
        thresholds: in place of the options' own, by language and rule; null switches a rule off.

    Raises:
        ValueError: if a language or rule is unknown.
    """
    rule_sets = options.get("rule_sets", {})
    both = dict(options.get("thresholds", {}))
    for language, own in thresholds.items():
        both[language] = both.get(language, {}) | own
    DOCUMENT_RULES.check(rule_sets, both)
    columns = sorted({rule.measurement for rules in DOCUMENT_RULES.sets.values() for rule in rules.values()})
    reached_ = not_measured = back = gone = gone_kept = gone_tokens = 0
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for part in _judged_parts(corpus):
        rows = reached(part)
        reached_ += int(rows.sum())
        not_measured += int((~rows).sum())
        kept = part.kept()
        start = 0
        optional = ["language_score", "language_mixed", "tokens"]
        for batch in part.read(["language", REMOVED, *columns], optional=optional, kept_only=False):
            here = rows[start : start + len(batch)]
            kept_here = kept[start : start + len(batch)][here]
            start += len(batch)
            seen = batch.filter(pa.array(here))
            if not len(seen):
                continue
            was = seen.column(REMOVED).to_pylist()
            failed = judge(seen, rule_sets, both, options.get("min_language_score", 0.65))
            now = [names[0] if names else None for names in failed]
            before.update(filter(None, was))
            after.update(filter(None, now))
            back += sum(bool(old and not new) for old, new in zip(was, now, strict=True))
            lost = np.array([bool(new and not old) for old, new in zip(was, now, strict=True)])
            gone += int(lost.sum())
            gone_kept += int((lost & kept_here).sum())
            if "tokens" in seen.schema.names:
                tokens = seen.column("tokens").fill_null(0).to_numpy()
                gone_tokens += int(tokens[lost & kept_here].sum())
    return WhatIf(
        reached_, not_measured, before.total(), after.total(), back, gone, gone_kept, gone_tokens,
        dict(before.most_common()), dict(after.most_common()),
    )  # fmt: skip


def parse_thresholds(settings: Sequence[str]) -> Thresholds:
    """Thresholds written as `language.rule=value`, the value a number or null.

    Raises:
        ValueError: if one is written otherwise.
    """
    thresholds: Thresholds = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        language, dot, rule = path.partition(".")
        try:
            number = None if value in ("null", "off") else float(value)
        except ValueError:
            equals = ""
        if not (equals and dot and language and rule):
            raise ValueError(f"thresholds are written language.rule=value, as en.gopher_min_words=30, got {setting!r}")
        thresholds.setdefault(language, {})[rule] = number
    return thresholds


def reached(part: Part) -> npt.NDArray[np.bool_]:
    """Which rows the stage `rules` has seen, shape (rows,)."""
    stage, _ = first_reasons(part)
    seen: npt.NDArray[np.bool_] = (stage < 0) | (stage >= part.decisions.index(REMOVED))
    return seen


def _judged_parts(corpus: Corpus) -> Iterator[Part]:
    found = [part for part in corpus.parts if REMOVED in part.decisions]
    if not found:
        raise ValueError(f"the run has no stage {RULES!r}")
    yield from found
