"""Reading bytes as if they stood in a file, for the tests of every format."""

import pathlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.read import formats
from datapipe.read.formats import Reject, Row, Source
from tests.helpers import Read


@pytest.fixture
def read_as(tmp_path: pathlib.Path) -> Callable[[str], Read]:
    """`read_as("csv")` is a function that reads bytes as CSV, or as another format that it is given."""

    def reader(usual: str) -> Read:
        def read(data: bytes | pa.Table, format_: str = usual, **options: Any) -> list[Row | Reject]:
            path = tmp_path / "file"
            if isinstance(data, pa.Table):
                pq.write_table(data, path, row_group_size=10)
            else:
                path.write_bytes(data)
            return list(formats.read(Source(str(path), "file", **options), format_))

        return read

    return reader
