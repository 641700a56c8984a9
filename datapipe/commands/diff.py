"""`datapipe diff`: which documents met another fate in a second run over the same data, for which reason."""

import json
from typing import Any

import pyarrow as pa

from datapipe.commands.console import BAD, GOOD, QUIET, STRONG, say, say_json, say_table
from datapipe.commands.inspection import open_run
from datapipe.engine.fates import PLACE, all_fates, compare_fates, count_changes
from datapipe.engine.verdicts import Options, document_id
from datapipe.store.corpus import Corpus
from datapipe.store.record import RunRecord

LISTED = 20
EXAMPLES = 3


def diff(before: str, after: str, *, as_json: bool = False) -> None:
    """Print what became of documents in one run and in another.

    Args:
        before, after: the output folders.
        as_json: for programs: the counts and every document that changed.

    Raises:
        ValueError: if there is no run in one of them.
    """
    (first, old), (second, new) = open_run(before), open_run(after)
    by = ["id"] if _same_documents(old, new) else list(PLACE)
    changed = compare_fates(_table(first, by), _table(second, by), by)
    counts = count_changes(changed).to_pylist()
    options = _other_options(old.options, json.loads(json.dumps(new.options).replace(after, before)))
    if as_json:
        documents = [_plain(row) for row in changed.to_pylist()]
        say_json({"changes": counts, "documents": documents, "options": options})
        return
    for line in options:
        say((line, QUIET))
    if not counts:
        say(("every document met the same fate", GOOD))
        return
    say((f"{sum(row['documents'] for row in counts):,} documents changed their fate", STRONG))
    rows: list[tuple[str, ...]] = [(f"in {before}", f"in {after}", "documents", "bytes", "tokens", "such as")]
    styles = []
    for row in counts[:LISTED]:
        tokens = "-" if row["tokens"] is None else f"{row['tokens']:+,}"
        fates = [row[side] or "not there" for side in ("before", "after")]
        rows.append((*fates, f"{row['documents']:,}", f"{row['bytes'] or 0:+,}", tokens, _examples(changed, row)))
        styles.append(GOOD if row["after"] == "kept" else BAD if row["before"] == "kept" else "")
    say_table(rows, left=(0, 1, 5), styles=styles)
    if len(counts) > LISTED:
        say((f"and {len(counts) - LISTED:,} more kinds of change; --json has all", QUIET))
    for name in ("documents", "bytes", "tokens"):
        kept = [(record.funnel or {}).get("kept", {}).get(name) for record in (old, new)]
        if None not in kept:
            say(f"{name} kept: {kept[0]:,}, then {kept[1]:,} ({kept[1] - kept[0]:+,})")


def _same_documents(old: RunRecord, new: RunRecord) -> bool:
    """Whether both have read the same into the same rows."""
    first, second = (
        {name: done.key for name in record.stages if (done := record.done(name)) and done.source}
        for record in (old, new)
    )
    return first == second


def _table(corpus: Corpus, by: list[str]) -> pa.Table:
    return pa.concat_tables(list(all_fates(corpus, [] if by == ["id"] else by)), promote_options="default")


def _other_options(old: Options, new: Options) -> list[str]:
    """The options in which the recipes differ, a line each."""
    lines = []
    for stage in dict.fromkeys([*old, *new]):
        before, after = old.get(stage), new.get(stage)
        if before is None or after is None:
            lines.append(f"{'+' if before is None else '-'} {stage}")
            continue
        lines += [
            f"{stage}.{option}: {before.get(option)!r} -> {after.get(option)!r}"
            for option in dict.fromkeys([*before, *after])
            if before.get(option) != after.get(option)
        ]
    return lines


def _examples(changed: pa.Table, row: dict[str, Any]) -> str:
    found: list[str] = []
    for before, after, old, new in zip(
        *(changed.column(name).to_pylist() for name in ("before", "after", "before_id", "after_id")), strict=True
    ):
        if (before, after) == (row["before"], row["after"]) and len(found) < EXAMPLES:
            found.append(document_id(new if new is not None else old))
    return ", ".join(found)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    ids = {side: None if row[side] is None else document_id(row[side]) for side in ("before_id", "after_id")}
    return {name: value for name, value in row.items() if name != "id"} | ids
