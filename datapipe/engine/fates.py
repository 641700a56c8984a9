"""What became of each document, run by run: the columns that comparisons of two runs and counts by group begin with."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.store.corpus import REASON, Corpus, Part, first_reasons

KEPT = "kept"
# Where a document comes from: the same in every run over the same files.
PLACE = ("path", "position")


def fates(part: Part, columns: Sequence[str] = ()) -> pa.Table:
    """A row for each document of a part: `id`, `stage` and `reason` ("kept" and null), `bytes`, `tokens`, and columns.

    Args:
        part: the part.
        columns: that come along; null where the part has none of that name.
    """
    stages, reasons = first_reasons(part)
    names = pa.array([*(decision.removesuffix(REASON) for decision in part.decisions), KEPT])
    wanted = dict.fromkeys(("bytes", "tokens", *columns))
    found = {name: part.column(name) if name in part.columns else pa.nulls(part.rows) for name in wanted}
    table = {
        "id": pa.array(part.ids),
        "stage": names.take(pa.array(np.where(stages < 0, len(names) - 1, stages))),
        "reason": reasons,
    }
    found["tokens"] = found["tokens"].cast(pa.int64())
    return pa.table(table | found)


def all_fates(corpus: Corpus, columns: Sequence[str] = ()) -> Iterator[pa.Table]:
    """The fates of all documents, part by part."""
    for part in corpus.parts:
        yield fates(part, columns)


def compare_fates(before: pa.Table, after: pa.Table, by: Sequence[str]) -> pa.Table:
    """The documents of two runs, side by side, that one of them does not have or that met another fate in it.

    Args:
        before, after: of `fates`, with the columns `by`.
        by: what tells a document in both: its id, where both have read the same, or `PLACE`.

    Returns:
        The columns `by`, then `before`, `after` ("rules: gopher_min_words", "kept", or null: not in that run),
        `before_id`, `after_id`, `bytes`, and `tokens` as far as either run has counted them.
    """
    left, right = (_named(table, by, side) for table, side in ((before, "before"), (after, "after")))
    both = left.join(right, keys=list(by), join_type="full outer")
    changed = both.filter(pc.invert(pc.equal(both.column("before"), both.column("after")).fill_null(False)))
    for name in ("bytes", "tokens"):
        either = pc.coalesce(changed.column(f"after_{name}"), changed.column(f"before_{name}"))
        changed = changed.append_column(name, either).drop_columns([f"after_{name}", f"before_{name}"])
    return changed.sort_by([(name, "ascending") for name in by])


def _named(table: pa.Table, by: Sequence[str], side: str) -> pa.Table:
    said = pc.if_else(
        pc.is_null(table.column("reason")),
        table.column("stage"),
        pc.binary_join_element_wise(table.column("stage"), table.column("reason").cast(pa.string()), ": "),
    )
    columns = {name: table.column(name) for name in by}
    columns |= {side: said, f"{side}_id": table.column("id")}
    columns |= {f"{side}_{name}": table.column(name) for name in ("bytes", "tokens")}
    return pa.table(columns)


def count_changes(changed: pa.Table) -> pa.Table:
    """How many documents went from one fate to another: `before`, `after`, `documents`, `bytes`, `tokens`; most first.

    Bytes and tokens are what the second run has more: below 0 where it keeps less.
    """
    gained = pc.equal(changed.column("after"), KEPT).fill_null(False).cast(pa.int64())
    lost = pc.equal(changed.column("before"), KEPT).fill_null(False).cast(pa.int64())
    sign = pc.subtract(gained, lost)
    amounts = {name: pc.multiply(changed.column(name).cast(pa.int64()), sign) for name in ("bytes", "tokens")}
    table = pa.table({"before": changed.column("before"), "after": changed.column("after"), **amounts})
    counted = table.group_by(["before", "after"]).aggregate([([], "count_all"), ("bytes", "sum"), ("tokens", "sum")])
    names = {"count_all": "documents", "bytes_sum": "bytes", "tokens_sum": "tokens"}
    counted = counted.rename_columns([names.get(name, name) for name in counted.column_names])
    return counted.sort_by([("documents", "descending"), ("before", "ascending"), ("after", "ascending")])


def count_groups(tables: Iterator[pa.Table], by: Sequence[str]) -> pa.Table:
    """Documents, bytes and tokens of each group, and how many and how much of them are kept; most documents first.

    Args:
        tables: of `fates`, with the columns `by`. Memory grows with the groups.
        by: columns; null is a group of its own.
    """
    counted = []
    for table in tables:
        kept = pc.equal(table.column("stage"), KEPT)
        rows = pa.table(
            {
                **{name: table.column(name).cast(pa.string()) for name in by},
                "documents": pa.repeat(pa.scalar(1, pa.int64()), len(table)),
                "bytes": table.column("bytes"),
                "kept": kept.cast(pa.int64()),
                "kept_bytes": pc.multiply(table.column("bytes"), kept.cast(pa.int64())),
                "tokens": pc.if_else(kept, table.column("tokens"), pa.scalar(None, pa.int64())),
            }
        )
        counted.append(_summed(rows, by))
    total = _summed(pa.concat_tables(counted), by)
    return total.sort_by([("documents", "descending"), *((name, "ascending") for name in by)])


_AMOUNTS = ("documents", "bytes", "kept", "kept_bytes", "tokens")


def _summed(table: pa.Table, by: Sequence[str]) -> pa.Table:
    summed = table.group_by(list(by)).aggregate([(name, "sum") for name in _AMOUNTS])
    return summed.select([*by, *(f"{name}_sum" for name in _AMOUNTS)]).rename_columns([*by, *_AMOUNTS])
