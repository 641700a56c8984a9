"""What decided on a document, in numbers: the stage, what it had measured, the threshold, and who published that.

Pure functions on one row of columns that the stages wrote, and on the options that `run.json` holds: no text is
measured again, and neither Beam nor numba is needed.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from datapipe.filters.rule_sets import DOCUMENT_RULES, MIN, SOURCES, Rule
from datapipe.store.corpus import LEAKS, REASON, ROW_BITS
from datapipe.text import words

Row = Mapping[str, Any]  # the columns of one document, by name, as plain values
Options = Mapping[str, Mapping[str, Any]]  # those of each stage, by its name

RULES = "rules"
_SHOWN_CHARACTERS = 80


@dataclasses.dataclass(frozen=True)
class Failure:
    """A rule that a document fails.

    Attributes:
        rule: its name.
        measurement: the column that it judges.
        value: of the document; None where the run did not keep it.
        side: "min" or "max".
        threshold: that the run asked for.
        published: that of the source, where the run asked for another.
        source: who published it.
    """

    rule: str
    measurement: str
    value: float | None
    side: str
    threshold: float
    published: float | None
    source: str

    def __str__(self) -> str:
        needs = f"needs {'>=' if self.side == MIN else '<='} {number(self.threshold)}"
        source = self.source if self.published is None else f"{self.source} has {number(self.published)}"
        value = number(self.value)
        if self.value is not None and value == number(self.threshold):  # by so little that it would not show
            value = f"{self.value:.6g}"
        return f"{readable(self.measurement)} {value}, {needs} ({source})"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a document is in, and if not, what took it out.

    Attributes:
        stage: the first that removed it; empty: none did.
        reason: as in its column.
        because: in numbers; empty where the stage wrote none down.
        partner: the id of the document that it duplicates.
        copies: how often the mixture takes it; None where there is no mixture.
    """

    stage: str
    reason: str
    because: str
    partner: int | None
    copies: int | None

    @property
    def kept(self) -> bool:
        """Whether no stage removed it."""
        return not self.stage

    def __str__(self) -> str:
        if self.stage:
            said = self.because if self.stage == RULES else ": ".join(filter(None, (self.reason, self.because)))
            return f"removed by {self.stage}: {said or self.reason}"
        if self.copies is None:
            return "kept"
        return f"kept, {'once' if self.copies == 1 else f'{self.copies} times'} in the mixture"


def verdict(row: Row, decisions: tuple[str, ...], options: Options) -> Verdict:
    """The verdict on one document.

    Args:
        row: all of its columns.
        decisions: the `<stage>_reason` columns, in the order of the stages; see `Part.decisions`.
        options: of the stages of the run.
    """
    copies = row.get("mixture_copies")
    for column in decisions:
        reason = row[column]
        if reason is not None:
            stage = column.removesuffix(REASON)
            why = because(stage, reason, row, options.get(stage, {}))
            return Verdict(stage, reason, why, partner(stage, row), copies)
    return Verdict("", "", "", None, copies)


def because(stage: str, reason: str, row: Row, options: Mapping[str, Any]) -> str:
    """Why a stage decided as it did, from the numbers that it went by; empty where it has written none down."""
    if stage == RULES:
        first = next((failure for failure in failures(row, options) if failure.rule == reason), None)
        return str(first) if first else ""
    if stage == "language_filter":
        return _of_language(reason, row, options)
    if stage == "quality_filter":
        return _of_quality(row, options)
    if stage == "perplexity_filter" and row.get("perplexity") is not None:
        return f"perplexity {number(row['perplexity'])}, kept are {', '.join(options.get('keep', ()))}"
    if stage == "safety_filter":
        limits = (
            ("flagged_words_per_line", "safety_words_per_line", "max_words_per_line"),
            ("flagged_share", "safety_flagged_share", "max_flagged_share"),
            ("offensive", "safety_score", "max_score"),
        )
        _, column, option = next(limit for limit in limits if limit[0] == reason)
        return f"{readable(column)} {number(row[column])}, needs <= {number(options.get(option))}"
    of = partner(stage, row)
    if of is not None:
        similarity = row.get(f"{stage}_similarity")
        threshold = options.get("threshold")
        asked = f", duplicates from {number(threshold)} on" if isinstance(threshold, int | float) else ""
        return f"of {document_id(of)}" + (f", similarity {number(similarity)}{asked}" if similarity is not None else "")
    leaks = row.get(f"{stage}{LEAKS}")
    if leaks:
        return f"holds {leaks[0]['record']}: {shown(leaks[0]['text'])}"
    return ""


def _of_language(reason: str, row: Row, options: Mapping[str, Any]) -> str:
    language = row.get("language")
    if reason == "language_uncertain":
        least = options.get("thresholds", {}).get(language, options.get("min_score"))
        return f"{language} with score {number(row.get('language_score'))}, needs >= {number(least)}"
    if reason == "language_mixed":
        return f"{language} and {row.get('language_second')} ({number(row.get('language_second_share'))} of it)"
    return f"{language}, wanted are {', '.join(options.get('keep', ()))}"


def _of_quality(row: Row, options: Mapping[str, Any]) -> str:
    said = f"score {number(row.get('quality_filter_score'))}"
    if options.get("keep_rate") is not None:
        return f"{said}, not among the best {number(options['keep_rate'])} of the documents"
    if options.get("pareto_alpha") is not None:
        return f"{said}, not drawn with pareto_alpha {number(options['pareto_alpha'])}"
    return f"{said}, needs >= {number(options.get('min_score'))}"


def partner(stage: str, row: Row) -> int | None:
    """The id of the document that a stage of deduplication names beside this one."""
    of = row.get(f"{stage}_of")
    return of if isinstance(of, int) else None


def failures(row: Row, options: Mapping[str, Any]) -> list[Failure]:
    """All rules that a document fails, in the order of the rules.

    Args:
        row: its columns, `rules_failed` and `language` among them.
        options: of the stage `rules`, as the run had them.
    """
    language = words.primary(row.get("language"))
    rule_sets, thresholds = options.get("rule_sets", {}), options.get("thresholds", {})
    rules = DOCUMENT_RULES.rules_of(language, rule_sets, thresholds)
    return [
        Failure(name, *_asked(rules[name], row), *published(name, rules[name], language, rule_sets))
        for name in row.get("rules_failed") or ()
        if name in rules
    ]


def _asked(rule: Rule, row: Row) -> tuple[str, float | None, str, float]:
    return rule.measurement, row.get(rule.measurement), rule.side, rule.threshold


def published(name: str, rule: Rule, language: str, rule_sets: Mapping[str, Any]) -> tuple[float | None, str]:
    """The published threshold of a rule, None where it is the rule's own; and who published it."""
    set_name = DOCUMENT_RULES.sets_of(language, dict(rule_sets))[name]
    theirs = DOCUMENT_RULES.sets[set_name][name].threshold
    return (None if theirs == rule.threshold else theirs), SOURCES[set_name]


def document_id(id_: int) -> str:
    """An id as people write it.

    >>> document_id(3 << 32 | 1207)
    '3-1207'
    """
    return f"{id_ >> ROW_BITS}-{id_ & (1 << ROW_BITS) - 1}"


def readable(column: str) -> str:
    """The name of a measurement for a sentence.

    >>> readable("terminal_punctuation_line_share"), readable("words")
    ('terminal punctuation lines', 'words')
    """
    return re.sub("_(line|paragraph|character|word)$", r"_\1s", column.removesuffix("_share")).replace("_", " ")


def number(value: Any) -> str:
    """A number with as many digits as are worth reading.

    >>> number(0.0562341), number(1207), number(0.12), number(None)
    ('0.0562', '1,207', '0.12', 'not measured')
    """
    if value is None:
        return "not measured"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def shown(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    """The beginning of a text in one line, in quotes."""
    line = " ".join(text[: 4 * characters].split())
    return f"“{line[:characters]}…”" if len(line) > characters or len(text) > 4 * characters else f"“{line}”"
