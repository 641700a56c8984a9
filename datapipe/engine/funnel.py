"""The funnel: how many documents, bytes and tokens each stage took in, removed for which reason, and passed on.

Counted afterwards from the columns themselves, so that it cannot drift from what the stages wrote.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.engine.leaks import LeakCount, Levels, count_leaks, count_levels
from datapipe.store.corpus import CUT, MASKED, REASON, Corpus, Part, first_reasons
from datapipe.store.record import Done, Skipped

RULES_REMOVED, RULES_FAILED = "rules_reason", "rules_failed"  # the columns of the stage `rules`


@dataclasses.dataclass(frozen=True)
class Totals:
    """Documents, their UTF-8 bytes and their tokens (None where no stage has counted those of every document)."""

    documents: int = 0
    bytes: int = 0
    tokens: int | None = 0

    def __add__(self, other: "Totals") -> "Totals":
        tokens = None if self.tokens is None or other.tokens is None else self.tokens + other.tokens
        return Totals(self.documents + other.documents, self.bytes + other.bytes, tokens)


@dataclasses.dataclass(frozen=True)
class Step:
    """One deciding stage: what came in, what it removed for each reason, what went on.

    In bytes, what went on is less by what the stage cut out of texts that stayed.
    """

    stage: str
    entered: Totals
    removed: dict[str, Totals]
    left: Totals
    cut_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class RuleCount:
    """Of the documents that reached the stage `rules`: how many fail a rule, fail it first, and fail no other."""

    failed: int = 0
    first: int = 0
    only: int = 0

    def __add__(self, other: "RuleCount") -> "RuleCount":
        return RuleCount(self.failed + other.failed, self.first + other.first, self.only + other.only)


@dataclasses.dataclass(frozen=True)
class Funnel:
    """All steps in order.

    Attributes:
        read: what the reading stages made documents of.
        rejects: input records that were no documents, for each reading stage by reason.
        steps: the deciding stages.
        kept: what no stage removed; each document counted once.
        copies: the same with each document as often as the mixture takes it: what the shards hold.
        rules: each rule's count, for what a rule alone removes; rules that no document fails are absent.
        masked: how often each entity of personal data was masked, in the documents that reached the stage that masks;
            those that never were are absent.
        leaks: the count of each evaluation file of which something was found; which record in which document stands in
            `leaks/documents.parquet`.
        levels: of each evaluation file how much of its records was seen, if `contaminated_tokens` ran.
    """

    read: Totals
    rejects: dict[str, dict[str, int]]
    steps: tuple[Step, ...]
    kept: Totals
    copies: Totals
    rules: dict[str, RuleCount]
    masked: dict[str, int]
    leaks: dict[str, LeakCount]
    levels: dict[str, Levels]

    def as_json(self) -> dict[str, Any]:
        """The funnel as plain values."""
        return dataclasses.asdict(self)


def count_funnel(corpus: Corpus, stages: Mapping[str, Done | Skipped]) -> Funnel:
    """Count the funnel of a corpus.

    Args:
        corpus: with all its columns.
        stages: the stages' entries in `run.json`, in the order in which they ran.
    """
    removed: dict[str, dict[str, Totals]] = {
        name.removesuffix(REASON): {}
        for stage in stages.values()
        if isinstance(stage, Done)
        for name in stage.columns
        if name.endswith(REASON)
    }
    masking = [
        name
        for stage in stages.values()
        if isinstance(stage, Done) and not stage.source
        for name in stage.columns
        if name.startswith(MASKED)
    ]
    read = kept = copies = Totals()
    rules: dict[str, RuleCount] = {}
    masked: dict[str, int] = {}
    cut_bytes: Counter[str] = Counter()
    for part in corpus.parts:
        stage_of, reasons = first_reasons(part)
        sizes, tokens = _sizes(part)
        read += _totals(sizes, tokens)
        alive = stage_of < 0
        before = sizes  # as each stage found them
        for place, decision in enumerate(part.decisions):
            here = stage_of == place
            name = decision.removesuffix(REASON)
            by_reason = removed[name]
            for reason in sorted(set(reasons.filter(pa.array(here)).to_pylist())):
                rows = here & pc.equal(reasons, reason).fill_null(False).to_numpy(zero_copy_only=False)
                amount = _totals(before[rows], tokens.filter(pa.array(rows)))
                by_reason[reason] = by_reason.get(reason, Totals()) + amount
            if name + CUT in part.columns:
                cut = part.column(name + CUT).fill_null(0).to_numpy() * (alive | (stage_of > place))
                cut_bytes[name] += int(cut.sum())
                before = before - cut
        kept += _totals(before[alive], tokens.filter(pa.array(alive)))
        copies += _copies(part, alive, before, tokens)
        for column in masking:
            times = pc.sum(part.column(column)).as_py() if column in part.columns else 0
            if times:
                entity = column.removeprefix(MASKED)
                masked[entity] = masked.get(entity, 0) + times
        if RULES_REMOVED in part.decisions:
            reached = alive | (stage_of >= part.decisions.index(RULES_REMOVED))
            failed = part.column(RULES_FAILED).filter(pa.array(reached)).drop_null()  # null: `only` others were judged
            for name, counts in count_rules(failed).items():
                rules[name] = rules.get(name, RuleCount()) + counts
    steps: list[Step] = []
    left = kept  # from the end: the tokens of what is removed early are never counted
    for stage, by_reason in reversed(removed.items()):
        entered = left
        for amount in by_reason.values():
            entered += amount
        entered = dataclasses.replace(entered, bytes=entered.bytes + cut_bytes[stage])
        steps.insert(0, Step(stage, entered, dict(sorted(by_reason.items())), left, cut_bytes[stage]))
        left = entered
    rejects = {
        name: dict(stage.source.rejects_by_reason)
        for name, stage in stages.items()
        if isinstance(stage, Done) and stage.source
    }
    leaks, levels = count_leaks(corpus, stages), count_levels(corpus, stages)
    return Funnel(read, rejects, tuple(steps), kept, copies, dict(sorted(rules.items())), masked, leaks, levels)


def count_rules(failed: pa.Array) -> dict[str, RuleCount]:
    """How many documents each rule fails, given the column `rules_failed`; rules that none fails are absent.

    >>> count_rules(pa.array([["a", "b"], ["b"], [], ["b", "a"]]))["b"]
    RuleCount(failed=3, first=2, only=1)
    """
    lengths = pc.list_value_length(failed).fill_null(0).to_numpy()
    names = pc.list_flatten(failed).dictionary_encode()
    codes = names.indices.to_numpy()
    starts = np.cumsum(lengths) - lengths
    of_each = (codes, codes[starts[lengths > 0]], codes[starts[lengths == 1]])
    counts = zip(*(np.bincount(some, minlength=len(names.dictionary)).tolist() for some in of_each), strict=True)
    return {name: RuleCount(*count) for name, count in sorted(zip(names.dictionary.to_pylist(), counts, strict=True))}


_Sizes = npt.NDArray[np.int64]


def _sizes(part: Part) -> tuple[_Sizes, pa.Array]:
    """The bytes of each row of a part, and its tokens, null where they were not counted."""
    sizes = part.column("bytes").to_numpy().astype(np.int64)
    tokens = part.column("tokens") if "tokens" in part.columns else pa.nulls(part.rows)
    return sizes, tokens.cast(pa.int64())


def _totals(sizes: _Sizes, tokens: pa.Array) -> Totals:
    return Totals(len(sizes), int(sizes.sum()), None if tokens.null_count else pc.sum(tokens, min_count=0).as_py())


def _copies(part: Part, alive: npt.NDArray[np.bool_], sizes: _Sizes, tokens: pa.Array) -> Totals:
    tokens = tokens.filter(pa.array(alive))
    if "mixture_copies" not in part.columns:
        return _totals(sizes[alive], tokens)
    copies = part.column("mixture_copies").fill_null(0).to_numpy().astype(np.int64)[alive]
    total = None if tokens.null_count else int(tokens.to_numpy() @ copies)
    return Totals(int(copies.sum()), int(sizes[alive] @ copies), total)


def render_funnel(funnel: Funnel) -> str:
    """The funnel as a table for a terminal."""
    rows = [("stage", "reason", "documents", "bytes", "tokens")]

    def add(stage: str, reason: str, amount: Totals) -> None:
        tokens = "-" if amount.tokens is None else f"{amount.tokens:,}"
        rows.append((stage, reason, f"{amount.documents:,}", f"{amount.bytes:,}", tokens))

    for stage, reasons in funnel.rejects.items():
        rows += [(stage, f"rejected: {reason}", f"{count:,}", "-", "-") for reason, count in reasons.items()]
    add("documents", "read", funnel.read)
    for step in funnel.steps:
        add(step.stage, "in", step.entered)
        for reason, amount in step.removed.items():
            add("", f"- {reason}", amount)
        if step.cut_bytes:
            rows.append(("", "- cut out of texts", "-", f"{step.cut_bytes:,}", "-"))
        add("", "out", step.left)
    add("kept", "each once", funnel.kept)
    add("shards", "with copies", funnel.copies)
    table = _table(rows, 2)
    if funnel.rules:
        header = ("rule", "fails", "first failure", "only failure")
        counts = [
            (name, f"{rule.failed:,}", f"{rule.first:,}", f"{rule.only:,}") for name, rule in funnel.rules.items()
        ]
        table += "\n\n" + _table([header, *counts], 1)
    if funnel.masked:
        times = [(entity, f"{count:,}") for entity, count in funnel.masked.items()]
        table += "\n\n" + _table([("personal data", "masked"), *times], 1)
    if funnel.leaks:
        found = [(file, f"{leak.documents:,}", f"{leak.records:,}") for file, leak in funnel.leaks.items()]
        table += "\n\n" + _table([("evaluation file", "documents", "records found"), *found], 1)
    if funnel.levels:
        by_level = [(file, *(f"{n:,}" for n in dataclasses.astuple(levels))) for file, levels in funnel.levels.items()]
        table += "\n\n" + _table([("evaluation file", *Levels.__annotations__), *by_level], 1)
    return table


def _table(rows: Sequence[tuple[str, ...]], names: int) -> str:
    """Rows with their columns in line: the first few to the left, the numbers after them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < names else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
