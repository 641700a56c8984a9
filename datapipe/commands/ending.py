"""How a run ends: what came in and what is left, what took most, where the products are; and last, the warnings.

In at most `MAX_LINES` lines, with at most `MAX_WARNINGS` blocks of `WARNING_LINES` lines below: more than that nobody
reads, and `datapipe report` and `report.html` have it all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from datapipe.engine.funnel import Funnel, Step
from datapipe.read.reject_summary import summarize_rejects
from datapipe.store import files
from datapipe.store.corpus import REJECTS
from datapipe.store.record import Done, RunRecord, SourceResult

MAX_LINES = 25
MAX_WARNINGS, WARNING_LINES = 3, 8
STEPS_SHOWN = 10
REASONS_SHOWN = 3
MOST_LOST = 0.5  # of all records: when more are gone, a run says so
PRODUCTS = ("shards", "tokenizer/tokenizer.json", "rejects", "run.json", "report.html")

Block = list[str]  # a warning: the count and the cause, details, and last what to paste or type


def headline(funnel: Funnel) -> str:
    """What came in and what is left, in a line."""
    rejects = sum(count for by_reason in funnel.rejects.values() for count in by_reason.values())
    came = f"{funnel.read.documents:,} documents read" + (f", {rejects:,} records rejected" if rejects else "")
    tokens = "" if funnel.copies.tokens is None else f", {funnel.copies.tokens:,} tokens"
    thousandths = 1000 * funnel.kept.documents // max(1, funnel.read.documents)  # rounded down: all is 100 % alone
    left = f"{funnel.kept.documents:,} kept ({thousandths / 10:g}%)"
    rows = f"; {funnel.copies.documents:,} rows with copies{tokens}"
    return f"{came}; {left}{rows}"


def steps_table(funnel: Funnel) -> list[tuple[str, str, str, str]]:
    """The stages that removed documents, as rows for a table: at most `STEPS_SHOWN`, the least of them summed up."""
    steps = [step for step in funnel.steps if step.removed]
    shown = sorted(steps, key=_removed, reverse=True)[:STEPS_SHOWN]
    rows = [("stage", "removed", "left", "most of them")]
    for step in steps:
        if step in shown:
            reasons = sorted(step.removed.items(), key=lambda item: (-item[1].documents, item[0]))
            said = [f"{amount.documents:,} {reason}" for reason, amount in reasons[:REASONS_SHOWN]]
            said += [f"{len(reasons) - REASONS_SHOWN} more reasons"] if len(reasons) > REASONS_SHOWN else []
            rows.append((step.stage, f"{_removed(step):,}", f"{step.left.documents:,}", ", ".join(said)))
    others = [step for step in steps if step not in shown]
    if others:
        rows.append(("others", f"{sum(map(_removed, others)):,}", "", ", ".join(step.stage for step in others)))
    return rows if len(rows) > 1 else []


def _removed(step: Step) -> int:
    return sum(amount.documents for amount in step.removed.values())


def products(output: str) -> list[str]:
    """Where the products lie that are there."""
    return [path for name in PRODUCTS if files.exists(path := files.join(output, name))]


def warnings_of(
    record: RunRecord | None, output: str, rejecting: Mapping[str, SourceResult], funnel: Funnel | None = None
) -> list[Block]:
    """What a user should look at first: sources that rejected much, and sources and languages that lost most.

    Args:
        record: of the run, if it came to have one.
        output: its folder.
        rejecting: sources that failed for it, and so stand in no record.
        funnel: of a run that came to its end.
    """
    if record is None:
        return []
    done = {name: stage.source for name, stage in record.stages.items() if isinstance(stage, Done) and stage.source}
    blocks = []
    for name, source in {**done, **rejecting}.items():
        folder = files.join(output, REJECTS)
        lines = summarize_rejects(folder, name, source.records, source.rejects, record.options.get(name, {}))
        blocks.append([*lines[:1], *_shortened(lines[1:])])
    if record.warnings:
        count = len(record.warnings)
        many = (
            f"{count:,} sources or languages lost most of their"
            if count > 1
            else "a source or language lost most of its"
        )
        listed = record.warnings[: WARNING_LINES - 3]
        more = len(record.warnings) - len(listed)
        block = [f"WARNING: {many} documents", *(f"  {line}" for line in listed)]
        block += [f"  and {more:,} more: see report.html"] if more else []
        blocks.append([*block, f"  to see some of them: datapipe sample {output} --reason {_first_stage(record)}"])
    elif funnel and funnel.kept.documents < (1 - MOST_LOST) * funnel.read.documents:
        lost = funnel.read.documents - funnel.kept.documents
        worst = max(funnel.steps, key=_removed)
        share = f"{lost:,} of {funnel.read.documents:,} documents removed ({lost / funnel.read.documents:.0%})"
        see = f"  to see some of them: datapipe sample {output} --reason {worst.stage}"
        blocks.append([f"WARNING: {share}, {_removed(worst):,} by {worst.stage}", see])
    return [block for block in blocks if block][:MAX_WARNINGS]


def _first_stage(record: RunRecord) -> str:
    """The stage that the first of the losses names."""
    funnel: dict[str, Any] = record.funnel or {}
    stages = [step["stage"] for step in funnel.get("steps", ())]
    return next((stage for stage in stages if f"by {stage}:" in record.warnings[0]), stages[-1] if stages else "")


def _shortened(lines: Sequence[str]) -> list[str]:
    """Lines of a warning, the details cut so that what is to be pasted stays whole."""
    begin = next((at for at, line in enumerate(lines) if "paste" in line), len(lines))
    details, paste = lines[:begin], [line for line in lines[begin:] if line]
    shown = details[: max(0, WARNING_LINES - 1 - len(paste))]
    while shown and not shown[-1].startswith("    "):  # a title below which nothing is left
        shown = shown[:-1]
    return [*shown, *paste]
