"""Shards: every kept row as often as the mixture says, shuffled, the same bytes whatever the order of the parts."""

import collections
import json
import pathlib
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.mix.shards import Amount, WriteShards, row_ids, shard_bounds, shuffle_copies, total
from datapipe.store import files
from datapipe.store.corpus import Part
from datapipe.store.schemas import marked_schema
from tests.helpers import CorpusOf, digests


def write(parts: list[Part], folder: pathlib.Path, **options: Any) -> tuple[pa.Table, list[dict[str, Any]]]:
    """All rows of the shards, in order, and the summaries; what the driver removes is gone."""
    folder.mkdir(exist_ok=True)
    stage = WriteShards(**options).ready(folder=str(folder))
    summaries = parts | stage
    for path in stage.leftovers(str(folder)):
        files.remove(path)
    return pa.concat_tables([pq.read_table(folder / shard["file"]) for shard in summaries]), summaries


def test_kept_rows_are_written_as_often_as_they_have_copies(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(
        [f"document {i}" for i in range(6)],
        rows_per_part=4,
        source=["s"] * 6,
        tokens=[2] * 6,
        mixture_copies=pa.array([1, 0, 2, 3, 1, 1], pa.int32()),
        toy_reason=[None, None, None, None, "spam", None],
    )
    table, _ = write(parts, tmp_path / "shards")
    rows = collections.Counter(zip(table.column("text").to_pylist(), table.column("id").to_pylist(), strict=True))
    assert rows == {
        ("document 0", "0-0"): 1,
        ("document 2", "0-2"): 2,
        ("document 3", "0-3"): 3,
        ("document 5", "1-1"): 1,
    }
    manifest = json.loads((tmp_path / "shards" / "_manifest.json").read_text())
    assert manifest == {
        "rows": 7,
        "bytes": 70,
        "tokens": 14,
        "files": [{"file": "train-00000.parquet", "rows": 7, "bytes": 70, "tokens": 14}],
    }
    names = [".train-00000.parquet.sum", "_manifest.json", "train-00000.parquet"]
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == names


def test_columns_of_the_user_and_of_the_option_are_written(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    documents = corpus_of(
        ["a", "b"],
        source=["s", "s"],
        url=["x", "y"],
        year=[1999, 2001],
        shuffle_position=[2, 1],
        language=["en", "zh"],
        user_columns=["url", "year", "shuffle_position"],
    )
    scores = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"score": [0.5, 0.25], "hidden": [1, 2]}), scores)
    documents = [documents[0].with_stage(["score", "hidden"], str(scores))]
    instructions = corpus_of(["c"], source=["i"], year=["unknown"], user_columns=["year"], kind="instruction", first=1)
    table, _ = write(documents + instructions, tmp_path / "shards", columns=["score"])
    assert table.column_names == [
        "text",
        "source",
        "language",
        "tokens",
        "id",
        "score",
        "shuffle_position",
        "url",
        "year",
    ]
    assert sorted(table.to_pylist(), key=lambda row: row["text"]) == [
        dict(zip(table.column_names, row, strict=True))
        for row in (
            ("a", "s", "en", None, "0-0", 0.5, 2, "x", "1999"),
            ("b", "s", "zh", None, "0-1", 0.25, 1, "y", "2001"),
            ("c", "i", None, None, "1-0", None, None, None, "unknown"),
        )
    ]


def test_rows_that_the_mixture_does_not_name_are_not_written(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    copies = pa.array([1, None, 0], pa.int32())
    table, _ = write(corpus_of(["a", "b", "c"], mixture_copies=copies), tmp_path / "shards")
    assert table.column("text").to_pylist() == ["a"]
    # Tokens that nobody has counted are not none.
    assert json.loads((tmp_path / "shards" / "_manifest.json").read_text())["tokens"] is None


@pytest.fixture
def parts(corpus_of: CorpusOf) -> list[Part]:
    texts = [f"text {i} " + "x" * (i % 97) for i in range(3000)]
    return corpus_of(texts, rows_per_part=700, tokens=list(range(3000)), mixture_copies=pa.array([1, 2, 1] * 1000))


def test_shards_are_about_as_large_as_asked(parts: list[Part], tmp_path: pathlib.Path) -> None:
    table, summaries = write(parts, tmp_path / "shards", shard_bytes=20_000)
    size = sum(len(text) for text in table.column("text").to_pylist())
    assert len(summaries) == -(-size // 20_000)
    assert all(14_000 < shard["bytes"] < 26_000 for shard in summaries)
    assert sum(shard["bytes"] for shard in summaries) == size
    assert sum(shard["rows"] for shard in summaries) == len(table) == 4000
    assert sum(shard["tokens"] for shard in summaries) == sum(table.column("tokens").to_pylist())


def test_the_shuffle_is_global_and_the_seed_sets_it(parts: list[Part], tmp_path: pathlib.Path) -> None:
    table, _ = write(parts, tmp_path / "one", shard_bytes=20_000)
    place = np.array([int(text.split()[1]) for text in table.column("text").to_pylist()])
    assert abs(np.corrcoef(place, np.arange(4000))[0, 1]) < 0.05
    assert abs(place[:400].mean() - 1500) < 150
    other, _ = write(parts, tmp_path / "two", shard_bytes=20_000, seed=1)
    assert sorted(other.column("id").to_pylist()) == sorted(table.column("id").to_pylist())
    assert other.column("id").to_pylist() != table.column("id").to_pylist()


def test_the_same_bytes_whatever_the_order_of_the_parts(parts: list[Part], tmp_path: pathlib.Path) -> None:
    for name, order in (("one", parts), ("two", parts[::-1])):
        write(order, tmp_path / name, shard_bytes=50_000)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_an_interrupted_run_leaves_nothing_behind(parts: list[Part], tmp_path: pathlib.Path) -> None:
    write(parts, tmp_path / "whole")
    (tmp_path / "again" / "spill").mkdir(parents=True)
    (tmp_path / "again" / "spill" / "part-00001.arrow").write_bytes(b"half")
    (tmp_path / "again" / "spill" / "part-00009.arrow").write_bytes(b"of an older corpus")
    write(parts, tmp_path / "again")
    assert digests(tmp_path / "again") == digests(tmp_path / "whole")


def test_row_groups_and_compression_follow_the_options(parts: list[Part], tmp_path: pathlib.Path) -> None:
    write(parts, tmp_path / "one", row_group_rows=1000, compression_level=1)
    write(parts, tmp_path / "two", row_group_rows=1000, compression_level=19)
    first, second = (tmp_path / name / "train-00000.parquet" for name in ("one", "two"))
    metadata = pq.ParquetFile(first).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1000] * 4
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert second.stat().st_size < first.stat().st_size


def test_an_empty_corpus_gives_one_empty_shard(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    for name, parts in (("no-parts", []), ("no-rows", corpus_of([]))):
        table, summaries = write(parts, tmp_path / name)
        assert [shard["rows"] for shard in summaries] == [0]
        assert table.schema.names == ["text", "source", "language", "tokens", "id"]
        assert table.schema.field("text").type == pa.string()
        assert json.loads((tmp_path / name / "_manifest.json").read_text())["rows"] == 0


def test_no_shard_is_without_rows(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["x" * 100_000, "a", "b", "c"], rows_per_part=1)
    table, summaries = write(parts, tmp_path / "shards", shard_bytes=1024)
    assert sorted(map(len, table.column("text").to_pylist())) == [1, 1, 1, 100_000]
    assert [shard["file"] for shard in summaries] == [f"train-{number:05d}.parquet" for number in range(len(summaries))]
    assert all(shard["rows"] > 0 for shard in summaries)


def test_each_phase_has_its_own_shards_in_order(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    phases = [[1, 0, 2], [0, 0, 1], None, [2, 0, 0]] * 250
    parts = corpus_of(
        [f"document {i:04d}" for i in range(1000)],
        rows_per_part=300,
        mixture_copies=pa.array([sum(of or [0]) for of in phases], pa.int32()),
        mixture_phases=pa.array(phases, pa.list_(pa.int32())),
    )
    # Of a part of which nothing is taken nobody knows the phases.
    parts += corpus_of(
        ["none"],
        kind="instruction",
        first=len(parts),
        mixture_copies=pa.array([0], pa.int32()),
        mixture_phases=pa.array([None], pa.list_(pa.int32())),
    )
    table, summaries = write(parts, tmp_path / "shards", shard_bytes=4000)
    assert [shard["phase"] for shard in summaries] == [0, 0, 0, 2, 2, 2]
    wanted: list[collections.Counter[str]] = [collections.Counter() for _ in range(3)]
    for row, of in enumerate(phases):
        for phase, copies in enumerate(of or []):
            wanted[phase][f"document {row:04d}"] += copies
    start = 0
    for shard in summaries:
        found = table.slice(start, shard["rows"]).column("text").to_pylist()
        wanted[shard["phase"]].subtract(found)
        start += shard["rows"]
        place = np.array([int(text.split()[1]) for text in found])
        assert abs(np.corrcoef(place, np.arange(len(place)))[0, 1]) < 0.2
    assert not any(count for phase in wanted for count in phase.values())
    write(parts[::-1], tmp_path / "again", shard_bytes=4000)
    assert digests(tmp_path / "shards") == digests(tmp_path / "again")


def test_any_parquet_reader_loads_them(parts: list[Part], tmp_path: pathlib.Path) -> None:
    table, _ = write(parts, tmp_path / "shards", shard_bytes=50_000)
    pattern = str(tmp_path / "shards" / "train-*.parquet")
    assert pl.read_parquet(pattern).get_column("id").to_list() == table.column("id").to_pylist()
    assert pa.dataset.dataset(tmp_path / "shards").count_rows() == 4000


def test_rows_lost_are_an_error() -> None:
    stage = WriteShards()
    with pytest.raises(ValueError, match="5 rows to write, 3 written"):
        stage._finish([{"file": "a", "rows": 3, "bytes": 1, "tokens": None}], Amount(5, (1,), pa.schema([])))


IDS = st.lists(st.integers(0, 2**64 - 1), max_size=30, unique=True)


@given(IDS, st.data(), st.integers(0, 3), st.integers(1, 7))
def test_positions_and_bounds(ids: list[int], data: st.DataObject, seed: int, shards: int) -> None:
    copies = [data.draw(st.integers(0, 4)) for _ in ids]
    rows, positions = shuffle_copies(
        np.array(ids, np.uint64), np.array(copies, np.int32), np.zeros(len(ids), np.int32), seed
    )
    assert np.bincount(rows, minlength=len(ids)).tolist() == copies
    assert (positions[1:] >= positions[:-1]).all()
    assert len(set(positions.tolist())) == len(positions)
    bounds = shard_bounds(positions, shards)
    assert len(bounds) == shards + 1
    expected = [position * shards >> 64 for position in positions.tolist()]
    assert np.repeat(np.arange(shards), np.diff(bounds)).tolist() == expected


def test_row_ids_read_part_and_row() -> None:
    assert row_ids(pa.array([0, (3 << 32) + 1207], pa.uint64())).to_pylist() == ["0-0", "3-1207"]


def test_total_does_not_depend_on_the_order() -> None:
    amounts = [
        Amount(1, (10,), pa.schema([("text", pa.string()), ("year", pa.int64()), ("b", pa.null())])),
        Amount(2, (20, 3), pa.schema([("text", pa.string()), ("a", pa.bool_()), ("year", pa.string())])),
        Amount(4, (40,), pa.schema([("tokens", pa.int32()), ("b", pa.float64())])),
    ]
    assert total(amounts) == total(amounts[::-1]) == total([total(amounts[:2]), amounts[2]])
    assert total(amounts).rows == 7
    assert total(amounts).sizes == (70, 3)
    assert total(amounts).schema.types[3:] == [pa.int64(), pa.bool_(), pa.float64(), pa.string()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard_bytes": 100}, "shard_bytes must be .* got 100"),
        ({"row_group_rows": 0}, "row_group_rows must be at least 1, got 0"),
        ({"compression_level": 23}, "compression_level must be between 1 and 22, got 23"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WriteShards(**options)


def test_columns_of_parts_go_together_whatever_their_types(tmp_path: pathlib.Path) -> None:
    columns = [
        {
            "id_1": pa.array([2**53 + 1, 7]),
            "stars": pa.array([1, 2]),
            "none": pa.nulls(2),
            "flag": pa.array([True, False]),
        },
        {
            "id_1": pa.array([1.5, 7.0]),
            "stars": pa.array([0.5, 1.0]),
            "none": pa.nulls(2),
            "flag": pa.array(["x", None]),
        },
    ]
    parts = []
    for number, user in enumerate(columns):
        batch = pa.record_batch({"text": ["a", "b"], **user})
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.Table.from_batches([batch]).cast(marked_schema(batch)), path)
        names = dict.fromkeys(batch.schema.names, str(path))
        parts.append(Part(number, "document", 2, names, tuple(user)))
    table, _ = write(parts, tmp_path / "shards")
    rows = sorted(table.select(["id", "id_1", "stars", "none", "flag"]).to_pylist(), key=lambda row: row["id"])
    assert [row["id_1"] for row in rows] == ["9007199254740993", "7", "1.5", "7"]
    assert [row["stars"] for row in rows] == [1.0, 2.0, 0.5, 1.0]
    assert [row["flag"] for row in rows] == ["true", "false", "x", None]
    assert table.schema.field("none").type == pa.string()


def test_of_countless_columns_the_rarest_share_one(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = []
    for number, kind in enumerate(
        ("document", "instruction")
    ):  # each has 200 columns of its own, and one that both have
        own = {f"key {number} {key:03}": pa.array([key, None]) for key in range(200)} | {"url": [f"u{number}", "v"]}
        own |= {} if number else {"input_other": ['{"a":1}', None]}
        texts = [f"{number} 0", f"{number} 1"]
        parts += corpus_of(texts, **own, user_columns=list(own), kind=kind, first=number)
    table, _ = write(parts, tmp_path / "shards")
    assert len(table.column_names) == 5 + 256
    for row in table.to_pylist():
        number, place = map(int, row["text"].split())
        others = json.loads(row["input_other"] or "{}")
        assert row["url"] == ("v" if place else f"u{number}")
        assert others.pop("a", None) == (1 if (number, place) == (0, 0) else None)
        keys = {name: value for name, value in {**row, **others}.items() if name.startswith("key")}
        found = {name: value for name, value in keys.items() if value is not None}
        assert found == ({} if place else {f"key {number} {key:03}": key for key in range(200)})
    again, _ = write(parts[::-1], tmp_path / "again")
    assert again.equals(table)


def test_shards_are_smaller_where_other_columns_are_larger(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["text"] * 100, html=["x" * 1000] * 100, user_columns=["html"])
    assert len(write(parts, tmp_path / "shards", shard_bytes=5000)[1]) == 11
