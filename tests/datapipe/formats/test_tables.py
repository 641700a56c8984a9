"""Parquet: types, ranges and damage."""

import datetime
import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe import formats
from datapipe.formats import Reject, Row, Source

Read = Callable[..., list[Any]]  # bytes and the fields of Source to rows and rejects


@pytest.fixture
def read(tmp_path: pathlib.Path) -> Read:
    def make(data: bytes | pa.Table, **options: Any) -> list[Row | Reject]:
        path = tmp_path / "file.parquet"
        if isinstance(data, pa.Table):
            pq.write_table(data, path, row_group_size=10)
        else:
            path.write_bytes(data)
        return list(formats.read(Source(str(path), "file", **options), "parquet"))

    return make


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
    size = (tmp_path / "file.parquet").stat().st_size
    data = (tmp_path / "file.parquet").read_bytes()
    bounds = [*(size * piece // pieces for piece in range(pieces)), None]
    ranges = [read(data, start=start, stop=stop) for start, stop in itertools.pairwise(bounds)]
    assert [row for rows_of_range in ranges for row in rows_of_range] == rows
    assert len(rows) == 95
    assert pieces == 1 or sum(map(bool, ranges)) > 1


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
    data = bytearray((tmp_path / "file.parquet").read_bytes())
    group = pq.ParquetFile(tmp_path / "file.parquet").metadata.row_group(1).column(0)
    start = group.dictionary_page_offset or group.data_page_offset
    data[start : start + group.total_compressed_size] = b"\xff" * group.total_compressed_size
    rows = read(bytes(data))
    assert [row.position for row in rows] == [*range(11), *range(20, 30)]
    assert isinstance(rows[10], Reject)
    assert rows[10].reason == "corrupt_file"
