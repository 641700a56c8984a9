"""Readers of Parquet and Arrow, a record a row. Tables that are text are read in `separated.py`."""

import contextlib
import itertools
import struct
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.read.formats.arrow_values import as_binary, distinct_names, python_values
from datapipe.read.formats.source import Damage, Reject, Row, Source

BATCH_ROWS = 256
BATCH_BYTES = 16 << 20  # fewer rows at once where they are long: one may hold megabytes


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
        table = pq.ParquetFile(file, buffer_size=1 << 20)
        groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
        rows = [group.num_rows for group in groups]
    # Where a row group lies is told by its rows alone: asked for the offsets of a corrupt file, pyarrow aborts.
    bytes_per_row = file.size() / max(1, sum(rows))
    starts = itertools.accumulate(rows, initial=0)
    for number, (first, count) in enumerate(zip(starts, rows, strict=False)):
        middle = (first + count / 2) * bytes_per_row
        if middle < source.start or (source.stop is not None and middle >= source.stop):
            continue
        size = groups[number].total_byte_size
        if source.expands_too_much(size, file.size()):
            detail = f"parquet row group {number}: {size} bytes in a file of {file.size()}"
            yield source.reject(first, "decompression_bomb", detail)
            continue
        at_once = min(BATCH_ROWS, max(1, BATCH_BYTES * count // max(1, size)))
        try:
            with _damage(f"parquet row group {number}"):
                for batch in table.iter_batches(at_once, row_groups=[number], use_threads=False):
                    yield from _rows(first, batch)
                    first += len(batch)
        except Damage as damage:
            yield source.reject(first, damage.reason, damage.detail)


def read_arrow(source: Source) -> Iterator[Row | Reject]:
    """One record a row of an Arrow file (Feather) or stream. Where a batch is damaged, the file ends."""
    row = 0
    try:
        with source.seekable() as file, _damage("arrow"):
            for batch in _arrow_batches(source, file):
                # Unlike Parquet's, these buffers are taken as they lie in the file: offsets could point anywhere.
                for column in batch.columns:
                    as_binary(column).validate(full=True)
                for start in range(0, len(batch), BATCH_ROWS):
                    yield from _rows(row + start, batch.slice(start, BATCH_ROWS))
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
    with contextlib.suppress(OSError, ValueError, MemoryError, pa.ArrowException):
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
    """Turn what Arrow raises on a corrupt file (out of memory, too: a length that it made up) into Damage.

    An error of the file system goes on its way.
    """
    try:
        yield
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Damage("corrupt_file", f"{what}: {error}") from error


def _rows(first: int, batch: pa.RecordBatch) -> Iterator[Row]:
    names = distinct_names(batch.schema.names)
    columns = [python_values(column) for column in batch.columns]
    for index, values in enumerate(zip(*columns, strict=True)):
        yield Row(first + index, dict(zip(names, values, strict=True)))
