"""The rules of a run: what each measures and asks for, in which language, and what it did."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.engine.verdicts import RULES, published
from datapipe.filters.rule_sets import DOCUMENT_RULES
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
