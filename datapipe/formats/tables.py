"""Readers of tables: Parquet, a record a row."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from datapipe import files
from datapipe.formats.source import Reject, Row, Source

BATCH_ROWS = 256  # small, since one row may hold megabytes


def read_parquet(source: Source) -> Iterator[Row | Reject]:
    """One record a row, of the row groups whose middle byte lies in the source's range (as Hadoop and Spark split).

    A row group that cannot be read is one reject, and the next one is read.
    """
    with files.open_input(source.path) as file:
        try:
            table = pq.ParquetFile(file, buffer_size=1 << 20)
        except (OSError, pa.ArrowException) as error:
            # Each range of the file finds this; the first reports it.
            if source.start == 0:
                yield source.reject(0, "corrupt_file", f"parquet: {error}")
            return
        row = 0
        for group in range(table.num_row_groups):
            first, rows = row, table.metadata.row_group(group).num_rows
            row += rows
            if not _in_range(source, table.metadata.row_group(group)):
                continue
            try:
                for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False):
                    yield from _rows(source, first, batch)
                    first += len(batch)
            except (OSError, pa.ArrowException) as error:
                yield source.reject(first, "corrupt_file", f"parquet row group {group}: {error}")


def _in_range(source: Source, group: Any) -> bool:
    columns = [group.column(number) for number in range(group.num_columns)]
    # A column without a dictionary page has no such offset, or 0.
    start = min((c.dictionary_page_offset or c.data_page_offset for c in columns), default=0)
    middle = start + sum(c.total_compressed_size for c in columns) // 2
    return source.start <= middle and (source.stop is None or middle < source.stop)


def _rows(source: Source, first: int, batch: pa.RecordBatch) -> Iterator[Row | Reject]:
    """The rows of a batch; one that holds what Python cannot, is a reject."""
    arrays = [column.cast(pa.string()) if pt.is_temporal(column.type) else column for column in batch.columns]
    try:
        columns = [array.to_pylist() for array in arrays]
    except (ValueError, OverflowError):
        for index in range(len(batch)):
            try:
                row = [_value(array[index]) for array in arrays]
            except (ValueError, OverflowError) as error:
                yield source.reject(first + index, "unreadable_value", str(error))
            else:
                yield Row(first + index, dict(zip(batch.schema.names, row, strict=True)))
        return
    for index, values in enumerate(zip(*columns, strict=True)):
        yield Row(first + index, dict(zip(batch.schema.names, values, strict=True)))


def _value(scalar: pa.Scalar) -> Any:
    """A scalar as Python has it; a string that is no UTF-8 as its bytes."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        if pt.is_string(scalar.type) or pt.is_large_string(scalar.type):
            return scalar.as_buffer().to_pybytes()
        raise
