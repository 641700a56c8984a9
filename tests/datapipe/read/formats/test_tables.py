"""Parquet and Arrow: types, ranges and damage."""

import datetime
import gzip
import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.read.formats import Reject, Row
from datapipe.read.formats.tables import ROW_BYTES
from tests.helpers import Read


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("parquet")


def test_rows_with_their_columns(read: Read) -> None:
    day = datetime.datetime(2024, 5, 1, 12)
    table = pa.table({"text": ["a", None], "n": [1, 2], "tags": [["x"], []], "day": pa.array([day, None])})
    assert read(table) == [
        Row(0, {"text": "a", "n": 1, "tags": ["x"], "day": "2024-05-01 12:00:00.000000"}),
        Row(1, {"text": None, "n": 2, "tags": [], "day": None}),
    ]


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 50])
def test_ranges_read_each_row_once(read: Read, tmp_path: pathlib.Path, pieces: int) -> None:
    rows = read(pa.table({"text": [f"document {n}" for n in range(95)]}))
    size = (tmp_path / "file").stat().st_size
    data = (tmp_path / "file").read_bytes()
    bounds = [*(size * piece // pieces for piece in range(pieces)), None]
    ranges = [read(data, start=start, stop=stop) for start, stop in itertools.pairwise(bounds)]
    assert [row for rows_of_range in ranges for row in rows_of_range] == rows
    assert len(rows) == 95
    assert pieces == 1 or sum(map(bool, ranges)) > 1


def test_a_row_group_belongs_where_its_middle_lies(read: Read, tmp_path: pathlib.Path) -> None:
    rows = read(pa.table({"text": [f"document {n}" for n in range(20)]}))
    data = (tmp_path / "file").read_bytes()
    border = len(data) * 6 // 10  # in the second of two groups, before its middle
    assert read(data, stop=border) == rows[:10]
    assert read(data, start=border) == rows[10:]


def test_invalid_utf8_concerns_its_row_only(read: Read) -> None:
    binary = pa.array([b"good", b"bad \xff", b"good"])
    rows = read(pa.table({"text": pa.Array.from_buffers(pa.string(), 3, binary.buffers()), "n": [0, 1, 2]}))
    assert rows == [Row(n, {"text": text, "n": n}) for n, text in enumerate(["good", b"bad \xff", "good"])]


def test_a_broken_file_is_one_reject_whatever_the_ranges(read: Read) -> None:
    assert [row.reason for row in read(b"PAR1 nothing PAR1")] == ["corrupt_file"]
    assert read(b"PAR1 nothing PAR1", start=5) == []
    assert [row.reason for row in read(b"")] == ["corrupt_file"]


def test_a_broken_row_group_leaves_the_others(read: Read, tmp_path: pathlib.Path) -> None:
    read(pa.table({"text": [f"document {n}" * 100 for n in range(30)]}))
    data = bytearray((tmp_path / "file").read_bytes())
    group = pq.ParquetFile(tmp_path / "file").metadata.row_group(1).column(0)
    start = group.dictionary_page_offset or group.data_page_offset
    data[start : start + group.total_compressed_size] = b"\xff" * group.total_compressed_size
    rows = read(bytes(data))
    assert [row.position for row in rows] == [*range(11), *range(20, 30)]
    assert isinstance(rows[10], Reject)
    assert rows[10].reason == "corrupt_file"


def test_a_parquet_file_that_expands_too_much_is_not_unpacked(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datapipe.read.formats.source.EXPANSION_FLOOR_BYTES", 1 << 20)
    rows = [*(f"document {n}" for n in range(10)), *["x" * (1 << 20)] * 10, "last"]
    table = pa.table({"text": rows})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=10, compression="zstd", use_dictionary=False)
    read_rows = read(sink.getvalue().to_pybytes())
    assert [row.position for row in read_rows] == [*range(11), 20]
    assert read_rows[10].reason == "decompression_bomb"
    assert len(read(sink.getvalue().to_pybytes(), max_expansion=1e6)) == 21


def test_a_compressed_table_is_unpacked(read: Read, tmp_path: pathlib.Path) -> None:
    rows = read(pa.table({"text": ["a", "b"]}))
    data = (tmp_path / "file").read_bytes()
    assert read(gzip.compress(data)) == rows
    assert [row.reason for row in read(gzip.compress(data)[:-20])] == ["truncated_file"]


def arrow(table: pa.Table, new: Callable[..., Any]) -> bytes:
    sink = pa.BufferOutputStream()
    with new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=10)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_arrow_files_and_streams(read: Read, new: Callable[..., Any]) -> None:
    table = pa.table({"text": [f"document {n}" for n in range(25)], "n": range(25)})
    data = arrow(table, new)
    rows = [Row(n, {"text": f"document {n}", "n": n}) for n in range(25)]
    assert read(data, "arrow") == rows
    assert read(gzip.compress(data), "arrow") == rows
    assert [row.reason for row in read(data[:100], "arrow")] == ["corrupt_file"]


@pytest.mark.parametrize("column", ["text", "dictionary"])
def test_an_arrow_file_that_expands_too_much_is_not_unpacked(
    read: Read, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setattr("datapipe.read.formats.source.EXPANSION_FLOOR_BYTES", 1 << 20)
    texts = pa.array([*["a"] * 5, *["x" * (1 << 18)] * 5])
    table = pa.table({"text": texts if column == "text" else pa.array(["y" * (3 << 20)]).dictionary_encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table, max_chunksize=5)
    data = sink.getvalue().to_pybytes()
    *before, reject = read(data, "arrow")
    assert [row.position for row in before] == list(range(5 if column == "text" else 0))
    assert (reject.position, reject.reason) == (len(before), "decompression_bomb")
    assert len(read(data, "arrow", max_expansion=1e6)) == len(table)


def test_an_arrow_file_cut_short_gives_the_batches_before(read: Read) -> None:
    data = arrow(pa.table({"text": [f"document {n}" for n in range(25)]}), pa.ipc.new_stream)
    rows = read(data[: data.rindex(b"document 24")], "arrow")
    assert [row.position for row in rows] == [*range(20), 20]
    assert rows[-1].reason == "corrupt_file"


def test_arrow_offsets_that_point_anywhere_are_found(read: Read) -> None:
    data = bytearray(arrow(pa.table({"text": ["first", "second"]}), pa.ipc.new_stream))
    at = data.index(b"\0\0\0\0\x05\0\0\0\x0b\0\0\0")
    data[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
    assert [row.reason for row in read(bytes(data), "arrow")] == ["corrupt_file"]


def test_columns_of_one_name_are_all_kept(read: Read) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], ["text", "n", "n"])
    assert read(arrow(table, pa.ipc.new_file), "arrow")[0].columns == {"text": "a", "n": 1, "n_2": 2}


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
def test_no_value_costs_the_text_beside_it(read: Read, format_: str) -> None:
    far = pa.array([[2**58], None], pa.list_(pa.int64())).view(pa.list_(pa.timestamp("us")))
    zone = pa.array([1, None], pa.int64()).view(pa.timestamp("us", "Mars/Olympus"))
    twice = pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([3, 4])], ["a", "a"])
    raw = pa.array([[b"\xff"], [b"a"]]).view(pa.list_(pa.string()))
    table = pa.table({"text": ["one", "two"], "far": far, "zone": zone, "twice": twice, "raw": raw})
    assert read(table if format_ == "parquet" else arrow(table, pa.ipc.new_file), format_) == [
        Row(
            0,
            {
                "text": "one",
                "far": ["11103-08-29 17:22:31.711744"],
                "zone": "1970-01-01 00:00:00.000001Z",
                "twice": {"a": 1, "a_1": 3},
                "raw": [b"\xff"],
            },
        ),
        Row(1, {"text": "two", "far": None, "zone": None, "twice": {"a": 2, "a_1": 4}, "raw": ["a"]}),
    ]


LONG = "x" * (1 << 16)
ONCE = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array([LONG]))
# 256 MB of text, and files of a few KB: one value that every row has.
BOMBS = {
    "dictionary": ONCE,
    "list": pa.ListArray.from_arrays(pa.array([0, 2000, 4000], pa.int32()), ONCE),
    "struct": pa.StructArray.from_arrays([ONCE], ["a"]),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([4000], pa.int32()), pa.array([LONG])),
    "views": pa.ListViewArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array([1] * 4000), pa.array([LONG])),
    "nulls": pa.nulls(2_000_000),
}


@pytest.mark.parametrize(
    ("format_", "kind"), [*itertools.product(["arrow"], BOMBS), *itertools.product(["parquet"], [*BOMBS][:3])]
)
def test_a_value_that_all_rows_share_is_a_bomb(
    read: Read, monkeypatch: pytest.MonkeyPatch, format_: str, kind: str
) -> None:
    monkeypatch.setattr("datapipe.read.formats.source.EXPANSION_FLOOR_BYTES", 4 << 20)
    bomb = BOMBS[kind]
    if format_ == "arrow":
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(sink, pa.schema([("bomb", bomb.type)]), options=options) as writer:
            writer.write_batch(pa.record_batch([bomb], ["bomb"]))
        data = sink.getvalue().to_pybytes()
    else:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"bomb": bomb}), sink, compression="zstd", store_schema=False)
        data = sink.getvalue().to_pybytes()
    assert len(data) < 100_000
    *rows, last = read(data, format_)
    assert last.reason == "decompression_bomb"
    assert len(rows) <= (4 << 20) / ROW_BYTES


def test_a_row_is_measured_in_all_its_columns(read: Read) -> None:
    table = pa.table({"text": ["a", "b"], "html": ["x" * 1000, "x"], "parts": [["y"], ["y" * 400, "y" * 400]]})
    assert [row.reason if isinstance(row, Reject) else row.position for row in read(table, max_document_bytes=900)] == [
        "too_large",
        1,
    ]


def test_a_table_of_countless_columns_is_read(read: Read) -> None:
    table = pa.table({f"column {number}": pa.nulls(300, pa.int8()) for number in range(1000)} | {"text": ["t"] * 300})
    assert [len(row.columns) for row in read(table)] == [1001] * 300


@pytest.mark.parametrize(("unit", "first"), [(0, 1), (1, (2 << 32) + 1)])
def test_intervals_that_pyarrow_knows_nothing_of_are_integers(read: Read, unit: int, first: int) -> None:
    table = pa.table({"text": ["a", "b"], "span": pa.array([(1, 2, 3), None], pa.month_day_nano_interval())})
    data = bytearray(arrow(table, pa.ipc.new_stream))
    for at in range(400):  # where the schema says 2, months, days and nanoseconds, say 0, months, or 1, days and ms
        if data[at : at + 2] == b"\2\0":
            changed = data[:at] + bytes([unit]) + data[at + 1 :]
            try:
                found = pa.ipc.open_stream(bytes(changed)).schema.types[1]
            except (OSError, ValueError, KeyError, IndexError):
                continue
            if str(found) in ("month_interval", "day_time_interval"):
                break
    assert [row.columns for row in read(bytes(changed), "arrow")] == [
        {"text": "a", "span": first},
        {"text": "b", "span": None},
    ]


def test_a_time_out_of_range_costs_no_row(read: Read) -> None:
    wrong = pa.array([1, 2**62], pa.int64())
    table = pa.table({"text": ["a", "b"], "day": wrong.view(pa.date64()), "time": wrong.view(pa.time64("ns"))})
    assert [row.columns["text"] for row in read(arrow(table, pa.ipc.new_file), "arrow")] == ["a", "b"]
