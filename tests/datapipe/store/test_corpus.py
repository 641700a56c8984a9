"""The corpus store: rows line up over column files, nothing is lost, nothing is left half written."""

import pathlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.store import files
from datapipe.store.corpus import (
    first_reasons,
    part_path,
    write_columns,
    write_verdicts,
)
from tests.helpers import CorpusOf

REMOVED = pa.schema([("toy_reason", pa.string())])


def remove(part, tmp_path: pathlib.Path, reasons: list[str | None], name: str = "toy"):  # type: ignore[no-untyped-def]
    schema = pa.schema([(f"{name}_reason", pa.string())])
    path = str(tmp_path / f"{name}-{part.number}.parquet")
    write_columns(part, path, schema, iter([pa.record_batch([pa.array(reasons, pa.string())], schema=schema)]))
    return part.with_stage(schema.names, path)


def test_read_joins_columns_of_files_with_other_row_groups(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of([f"document {i}" for i in range(10)])
    path = str(tmp_path / "numbers.parquet")
    with files.whole_file(path) as sink:
        pq.write_table(pa.table({"number": list(range(10))}), sink, row_group_size=3)
    part = part.with_stage(["number"], path)
    text_first = pa.Table.from_batches(part.read(["text", "number"]))
    number_first = list(part.read(["number", "text"]))
    assert text_first.column("text").to_pylist() == [f"document {i}" for i in range(10)]
    assert text_first.column("number").to_pylist() == list(range(10))
    assert [len(batch) for batch in number_first] == [3, 3, 3, 1]
    assert pa.Table.from_batches(number_first).select(["id", "text", "number"]).equals(text_first)


@pytest.mark.parametrize("groups", [[10], [1] * 10, [4, 3, 3], [1, 8, 1]])
@pytest.mark.parametrize("pieces", [1, 2, 3, 20])
def test_pieces_of_a_part_are_its_rows(
    groups: list[int], pieces: int, corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    (part,) = corpus_of([f"document {i}" for i in range(10)])
    path = str(tmp_path / "texts.parquet")
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        for start, rows in zip(np.cumsum([0, *groups[:-1]]), groups, strict=True):
            writer.write_table(pa.table({"text": [f"document {i}" for i in range(start, start + rows)]}))
    numbers = str(tmp_path / "numbers.parquet")
    pq.write_table(pa.table({"number": list(range(10))}), numbers, row_group_size=3)
    part = part.with_stage(["text"], path).with_stage(["number"], numbers)
    part = remove(part, tmp_path, [None, "x", *[None] * 7, "x"])
    cut = part.cut(pieces)
    assert len(cut) == min(pieces, len(groups))
    assert [piece.name for piece in cut] == sorted({piece.name for piece in cut})
    for columns in (["text", "number"], ["number", "text"]):
        read = pa.Table.from_batches([batch for piece in cut for batch in piece.read(columns)])
        assert read.equals(pa.Table.from_batches(part.read(columns)))
    assert np.concatenate([piece.ids for piece in cut]).tolist() == part.ids.tolist()
    assert np.concatenate([piece.kept() for piece in cut]).tolist() == part.kept().tolist()
    assert [n for piece in cut for n in piece.column("number").to_pylist()] == list(range(10))


def test_ids_are_part_and_row(corpus_of: CorpusOf) -> None:
    _, second = corpus_of(["a", "b", "c"], rows_per_part=2)
    assert [batch.column("id").to_pylist() for batch in second.read(["text"])] == [[1 << 32]]


def test_removed_rows_are_not_read_unless_asked(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "b", "c"])
    part = remove(part, tmp_path, [None, "too_short", None])
    assert pa.Table.from_batches(part.read(["text"])).column("text").to_pylist() == ["a", "c"]
    assert pa.Table.from_batches(part.read(["text"], kept_only=False)).column("text").to_pylist() == ["a", "b", "c"]


def test_rows_removed_for_one_reason_are_read_if_asked(corpus_of: CorpusOf) -> None:
    reasons = {"one_reason": ["a", None, "b", "a", None], "two_reason": [None, None, "a", "b", "a"]}
    (part,) = corpus_of(list("vwxyz"), **reasons)
    read = [text for batch in part.read(["text"], despite="a") for text in batch.column("text").to_pylist()]
    assert read == ["v", "w", "z"]
    assert part.kept().tolist() == [False, True, False, False, False]


def test_a_decision_written_again_is_one_decision(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of(["a"], toy_reason=["spam"])
    again = part.with_stage(["toy_reason", "length"], "elsewhere")
    assert again.decisions == ("toy_reason",)
    assert again.columns["toy_reason"] == again.columns["length"] == "elsewhere"


def test_first_reasons_names_the_first_stage(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "b", "c"])
    part = remove(part, tmp_path, [None, "one", None], "first")
    part = remove(part, tmp_path, [None, "two", "three"], "second")
    stages, reasons = first_reasons(part)
    assert stages.tolist() == [-1, 0, 1]
    assert reasons.to_pylist() == [None, "one", "three"]


def test_unknown_column_is_named(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of(["a"])
    with pytest.raises(ValueError, match="column 'embedding'"):
        next(part.read(["embedding"]))
    assert next(part.read(["text"], optional=["embedding", "text"])).schema.names == ["id", "text"]


def test_a_column_that_an_option_names_is_null_where_a_part_has_none(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of(["a", "b"], stars=[1, 2])
    assert next(part.read(["text"], named=["stars"])).column("stars").to_pylist() == [1, 2]
    assert next(part.read(["text"], named=["moons"])).column("moons").to_pylist() == [None, None]
    assert next(part.read([], named=["moons"])).to_pydict() == {"id": [0, 1], "moons": [None, None]}


def test_verdicts_touch_only_their_rows(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    _, part = corpus_of(["a", "b", "c", "d"], rows_per_part=2)
    path = part_path(str(tmp_path), 1)
    verdict = pa.record_batch({"id": pa.array([(1 << 32) + 1], pa.uint64()), "toy_reason": ["same"]})
    write_verdicts(part, path, REMOVED, [verdict])
    assert pq.read_table(path).column("toy_reason").to_pylist() == [None, "same"]
    write_verdicts(part, path, REMOVED, [])
    assert pq.read_table(path).column("toy_reason").to_pylist() == [None, None]
    with pytest.raises(ValueError, match="two verdicts"):
        write_verdicts(part, path, REMOVED, [verdict, verdict])


def test_a_file_that_fails_leaves_nothing(tmp_path: pathlib.Path) -> None:
    def write_half() -> None:
        with files.whole_file(str(tmp_path / "file")) as sink:
            sink.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_empty_part(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of([])
    assert part.rows == 0
    assert list(part.read(["text"])) == []
    assert np.array_equal(part.kept(), np.ones(0, bool))


def test_an_error_names_the_file_and_the_column(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of([f"text {number}" * 200 for number in range(50)], stars=list(range(50)))
    path = pathlib.Path(part.columns["text"])
    whole = path.read_bytes()
    for content in (whole[:200], b"", bytes(200) + whole[200:]):
        path.write_bytes(content)
        with pytest.raises(OSError, match=rf"cannot read columns? text(, stars)? of {re.escape(str(path))}: "):
            list(part.read(["text", "stars"]))
        with pytest.raises(OSError, match=rf"cannot read column text of {re.escape(str(path))}: "):
            part.column("text")
    path.unlink()
    with pytest.raises(OSError, match=re.escape(str(path))):
        list(part.read(["text"]))


@pytest.mark.parametrize("rows", [[], [0], [9, 2, 2], list(range(10))])
def test_some_rows_are_picked_in_order_removed_or_not(
    rows: list[int], corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    (part,) = corpus_of([f"document {i}" for i in range(10)])
    path = str(tmp_path / "texts.parquet")
    pq.write_table(pa.table({"text": [f"document {i}" for i in range(10)]}), path, row_group_size=4)
    part = remove(part.with_stage(["text"], path), tmp_path, [None, "x", *[None] * 7, "x"])
    batches = list(part.pick(["text"], rows, optional=["toy_reason", "absent"]))
    assert [name for batch in batches for name in batch.column("text").to_pylist()] == [
        f"document {i}" for i in sorted(set(rows))
    ]
    assert [id_ for batch in batches for id_ in batch.column("id").to_pylist()] == sorted(set(rows))
    assert len(batches) == len({row // 4 for row in rows})
    assert all(batch.schema.names == ["id", "text", "toy_reason"] for batch in batches)
