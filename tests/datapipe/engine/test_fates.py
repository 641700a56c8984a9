"""What became of documents, compared over two runs and counted by group."""

import pyarrow as pa

from datapipe.engine.fates import PLACE, compare_fates, count_changes, count_groups, fates
from tests.helpers import CorpusOf

KEPT = ("kept", None)
TEXTS = ["a", "bb", "ccc", "dddd"]


def test_a_row_for_each_document_with_what_took_it_first(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of(
        TEXTS,
        bytes=[1, 2, 3, 4],
        first_reason=[None, "one", None, None],
        second_reason=[None, "two", "three", None],
        source=["web", "web", "book", None],
    )
    table = fates(part, ["source", "absent"])
    assert table.column("stage").to_pylist() == ["kept", "first", "second", "kept"]
    assert table.column("reason").to_pylist() == [None, "one", "three", None]
    assert table.column("tokens").to_pylist() == table.column("absent").to_pylist() == [None] * 4
    groups = count_groups(iter([table]), ["source"]).to_pylist()
    assert [(g["source"], g["documents"], g["kept"], g["bytes"], g["kept_bytes"]) for g in groups] == [
        ("web", 2, 1, 3, 1),
        ("book", 1, 0, 3, 0),
        (None, 1, 1, 4, 4),
    ]


def table(*rows: tuple[int, str, str | None, int, int | None]) -> pa.Table:
    names = ("id", "stage", "reason", "bytes", "tokens")
    types = (pa.uint64(), pa.string(), pa.string(), pa.int64(), pa.int64())
    return pa.table([pa.array(c, t) for c, t in zip(zip(*rows, strict=True), types, strict=True)], names=names)


def test_documents_that_changed_their_fate_with_what_that_costs() -> None:
    short = ("rules", "short")
    before = table((0, *KEPT, 10, 3), (1, *short, 20, None), (2, *KEPT, 30, 9), (3, *short, 5, None))
    after = table((0, *KEPT, 10, 3), (1, *KEPT, 20, 6), (2, "quality", "low", 30, None), (4, *KEPT, 7, 2))
    changed = compare_fates(before, after, ["id"])
    assert changed.column("id").to_pylist() == [1, 2, 3, 4]
    rows = count_changes(changed).to_pylist()
    counts = {(row["before"], row["after"]): (row["documents"], row["bytes"], row["tokens"]) for row in rows}
    assert counts == {
        ("rules: short", "kept"): (1, 20, 6),
        ("kept", "quality: low"): (1, -30, -9),
        ("rules: short", None): (1, 0, None),
        (None, "kept"): (1, 7, 2),
    }
    assert len(compare_fates(before, before, ["id"])) == 0


def test_runs_that_number_documents_otherwise_are_compared_by_place() -> None:
    one, other = (
        made.append_column("path", [["a", "a"]]).append_column("position", [[0, 5]])
        for made in (
            table((0, *KEPT, 1, None), (1, *KEPT, 1, None)),
            table((7, *KEPT, 1, None), (8, "rules", "x", 1, None)),
        )
    )
    (changed,) = compare_fates(one, other, PLACE).to_pylist()
    assert (changed["position"], changed["before_id"], changed["after_id"]) == (5, 1, 8)
