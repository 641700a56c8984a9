"""Readers of Parquet and Arrow, a record a row. Tables that are text are read in `separated.py`."""

import contextlib
import itertools
import struct
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.read.formats.arrow_values import (
    as_binary,
    distinct_names,
    python_values,
    shown,
    size_of,
    with_known_types,
)
from datapipe.read.formats.source import Damage, Reject, Row, Source

BATCH_ROWS = 256
BATCH_BYTES = 16 << 20  # fewer rows at once where they are long: one may hold megabytes
BATCH_VALUES = 1 << 16  # or where they have thousands of columns
ROW_BYTES = 8  # what a row counts for at least, when a file is measured by what it expands to


def read_parquet(source: Source) -> Iterator[Row | Reject]:
    """One record a row, of the row groups whose middle lies in the source's range (as Hadoop and Spark split).

    A row group that cannot be read, or expands to more than `max_expansion` times the file, is one reject, and the next
    one is read.
    """
    try:
        with source.seekable() as file:
            yield from _parquet_rows(source, file)
    except Damage as damage:
        # Each range of the file finds this; the first reports it.
        if source.start == 0:
            yield source.reject(0, damage.reason, damage.detail)


def _parquet_rows(source: Source, file: pa.NativeFile) -> Iterator[Row | Reject]:
    with _damage("parquet"):
        schema = pq.ParquetFile(file).schema
        strings = [schema.column(number) for number in range(len(schema))]
        strings = [column for column in strings if column.physical_type == "BYTE_ARRAY"]
        # A value that a list repeats is kept once, not once for each time: there is no telling how often that is.
        nested = [column.path for column in strings if column.max_repetition_level]
        table = pq.ParquetFile(file, buffer_size=1 << 20, read_dictionary=nested)
        shared = pq.ParquetFile(file, buffer_size=1 << 20, read_dictionary=[column.path for column in strings])
        groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
        rows = [group.num_rows for group in groups]
        fixed_bytes = sum(max(0, schema.column(number).length) for number in range(len(schema)))
    # Where a row group lies is told by its rows alone: asked for the offsets of a corrupt file, pyarrow aborts.
    bytes_per_row = file.size() / max(1, sum(rows))
    starts = itertools.accumulate(rows, initial=0)
    expanded = _Expanded(source, file.size())
    for number, (first, count) in enumerate(zip(starts, rows, strict=False)):
        middle = (first + count / 2) * bytes_per_row
        if middle < source.start or (source.stop is not None and middle >= source.stop):
            continue
        size = groups[number].total_byte_size
        if source.expands_too_much(size, file.size()):
            detail = f"parquet row group {number}: {size} bytes in a file of {file.size()}"
            yield source.reject(first, "decompression_bomb", detail)
            continue
        at_once = min(BATCH_ROWS, BATCH_BYTES * count // max(1, size), BATCH_VALUES // max(1, len(schema)))
        try:
            with _damage(f"parquet row group {number}"):
                longest = fixed_bytes + _longest_shared(shared, number)
                at_once = max(1, min(at_once, BATCH_BYTES // max(1, longest)))
                for batch in table.iter_batches(at_once, row_groups=[number], use_threads=False):
                    yield from expanded.rows(first, batch)
                    first += len(batch)
        except Damage as damage:
            yield source.reject(first, damage.reason, damage.detail)


def _longest_shared(table: pq.ParquetFile, group: int) -> int:
    """The bytes of the longest values that the rows of a row group share, one of each column.

    A few bytes may say that a million rows hold one value of megabytes: how long a row can be is known only when the
    dictionaries are, each of which is read with the first row.
    """
    first = next(table.iter_batches(1, row_groups=[group], use_threads=False), None)
    dictionaries = [column.dictionary for column in first or () if pa.types.is_dictionary(column.type)]
    return sum(pc.max(pc.binary_length(as_binary(d))).as_py() or 0 for d in dictionaries)


def read_arrow(source: Source) -> Iterator[Row | Reject]:
    """One record a row of an Arrow file (Feather) or stream. Where a batch is damaged, the file ends."""
    row = 0
    try:
        with source.seekable() as file, _damage("arrow"):
            expanded = _Expanded(source, file.size())
            for batch in map(with_known_types, _arrow_batches(source, file)):
                # Unlike Parquet's, these buffers are taken as they lie in the file: offsets could point anywhere.
                for column in batch.columns:
                    as_binary(column).validate(full=True)
                at_once = max(1, min(BATCH_ROWS, BATCH_VALUES // max(1, batch.num_columns)))
                for start in range(0, len(batch), at_once):
                    yield from expanded.rows(row + start, batch.slice(start, at_once))
                row += len(batch)
    except Damage as damage:
        yield source.reject(row, damage.reason, damage.detail)


def _arrow_batches(source: Source, file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """The batches of a stream, which is also what an Arrow file holds between its magic bytes and its footer."""
    footer = file.read(8) == b"ARROW1\0\0"
    start = 8 if footer else 0
    file.seek(start)
    safe, bomb = _safe_batches(source, file)
    file.seek(start)
    batches = 0
    for batch in itertools.islice(pa.ipc.open_stream(file), safe):
        yield batch
        batches += 1
    if bomb:
        raise bomb
    if (pa.ipc.open_file(file).num_record_batches != batches) if footer else file.read(1):
        raise pa.ArrowInvalid("the stream of batches ends too soon")


def _safe_batches(source: Source, file: pa.NativeFile) -> tuple[int | None, Damage | None]:
    """How many batches of a stream come before one that expands too much, and what is said of that; or None and None.

    Nothing is expanded. Any other damage is left to whoever reads the batches before it.
    """
    batches = 0
    with contextlib.suppress(OSError, ValueError, KeyError, MemoryError, pa.ArrowException):
        for message in pa.ipc.MessageReader.open_stream(file):
            try:
                size = _expanded_bytes(message)
            except struct.error as error:
                return batches, Damage("corrupt_file", f"arrow batch {batches}: {error}")
            if source.expands_too_much(size, file.size()):
                detail = f"arrow batch {batches}: {size} bytes in a file of {file.size()}"
                return batches, Damage("decompression_bomb", detail)
            batches += message.type == "record batch"
    return None, None


def _expanded_bytes(message: pa.ipc.Message) -> int:
    """How many bytes the compressed buffers of a message say that they expand to; 0 if none is compressed.

    pyarrow does not tell, so this reads the flatbuffers of Arrow's `Message.fbs`. Each table begins with the distance
    to the list of where its fields lie; each compressed buffer with its length, -1 if it is stored as it is.

    Raises:
        struct.error: if it says that something lies outside it.
    """
    if message.type not in ("record batch", "dictionary"):
        return 0
    data = message.metadata.to_pybytes()

    def pointed(at: int) -> int:
        return at + int(struct.unpack_from("<I", data, at)[0])

    def field(table: int, number: int) -> int:
        fields = table - int(struct.unpack_from("<i", data, table)[0])
        (size,) = struct.unpack_from("<H", data, fields)
        place = int(struct.unpack_from("<H", data, fields + 4 + 2 * number)[0]) if size >= 6 + 2 * number else 0
        return table + place if place else 0

    header = pointed(field(pointed(0), 2))
    batch = pointed(field(header, 1)) if message.type == "dictionary" else header
    if not field(batch, 3):  # compression
        return 0
    buffers = pointed(field(batch, 2))
    (count,) = struct.unpack_from("<I", data, buffers)
    body = memoryview(message.body)
    places = struct.iter_unpack("<qq", data[buffers + 4 : buffers + 4 + 16 * count])
    return sum(max(0, struct.unpack_from("<q", body, start)[0]) for start, length in places if length)


@contextlib.contextmanager
def _damage(what: str) -> Iterator[None]:
    """Turn what Arrow raises on a corrupt file (out of memory, too: a length that it made up), or on types that Python
    knows nothing of (KeyError) or nests too deep, into Damage.

    An error of the file system goes on its way.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, MemoryError, RecursionError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Damage("corrupt_file", f"{what}: {error}") from error


class _Expanded:
    """Turns batches into rows, and counts what they have come to in comparison with their file."""

    def __init__(self, source: Source, file_bytes: int) -> None:
        self._source = source
        self._file_bytes = file_bytes
        self._bytes = 0

    def rows(self, first: int, batch: pa.RecordBatch) -> Iterator[Row | Reject]:
        """The rows of a batch; one larger than a document may be is a reject.

        Raises:
            Damage: `decompression_bomb`, if rows that share their values come to too much of them.
        """
        names = distinct_names(batch.schema.names)
        columns = [python_values(column) for column in batch.columns]
        for position, values in enumerate(zip(*columns, strict=True) if columns else [()] * len(batch), first):
            size = size_of(values)
            self._bytes += ROW_BYTES + size
            if self._source.expands_too_much(self._bytes, self._file_bytes):
                detail = f"more than {self._bytes} bytes of rows in a file of {self._file_bytes}"
                raise Damage("decompression_bomb", detail)
            row = dict(zip(names, values, strict=True))
            if size > self._source.max_document_bytes:
                detail = f"{size} bytes in all columns, of which {self._source.max_document_bytes} are allowed"
                yield self._source.reject(position, "too_large", detail, shown(row))
            else:
                yield Row(position, row)
