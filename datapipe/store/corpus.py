"""The corpus as a table on disk: numbered parts, and a folder of columns for each stage, row for row.

    out/documents/part-00000.parquet    text, source, ...
    out/language/part-00000.parquet     language, language_score, ...: the same rows in the same order

A removed document is a reason in a column `<stage>_reason`, never a missing row. A row's id is `part << 32 | row`.
"""

import concurrent.futures
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.store import files

ROW_BITS = 32
REASON = "_reason"  # ends the name of the column in which a stage says why it removed a row
LEAKS = "_leaks"  # ends the name of the column in which a stage lists the evaluation records that it found in a row
CUT = "_cut_bytes"  # ends the name of the column in which a stage says how much of a text that stays it cut out
REJECTS = "rejects"  # the folder of input records that are no documents
MASKED = "masked_"  # begins the name of the column of how often a kind of personal data was masked in a row


PartKind = Literal["document", "instruction"]
_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True)
class View:
    """Which of the rows that there are a stage works on.

    Attributes:
        only: by column, the values that rows must have to be seen; of several columns, all. Empty: any row.
        unseen: stages whose removals do not count: those of branches beside the stage's own.
    """

    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that choose."""
        return tuple(column for column, _ in self.only)


ALL_ROWS = View()


@dataclasses.dataclass(frozen=True)
class Part:
    """A numbered slice of the corpus, as a reference: where each of its columns lies.

    Attributes:
        number: position in the corpus, from 0.
        kind: what its rows are.
        rows: how many rows each of its column files holds.
        columns: the file of each column. A later stage that writes a column again (`text`) takes its place.
        user_columns: those of the columns that came with the input and are the user's own.
        decisions: the `<stage>_reason` columns written so far, in order.
        span: the first row and the one after the last, for a piece of a part (see `cut`); none: all rows. `rows` stays
            that of the whole part, and all else is that of the piece.
        view: which of its rows whoever holds this reference sees.
    """

    number: int
    kind: PartKind
    rows: int
    columns: dict[str, str]
    user_columns: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    span: tuple[int, int] | None = None
    view: View = ALL_ROWS

    @property
    def bounds(self) -> tuple[int, int]:
        """The first of its rows, and the one after the last."""
        return self.span or (0, self.rows)

    @property
    def ids(self) -> npt.NDArray[np.uint64]:
        """The ids of all its rows, shape (rows,)."""
        return np.uint64(self.number << ROW_BITS) + np.arange(*self.bounds, dtype=np.uint64)

    @property
    def name(self) -> str:
        """For files: `part-00003`, of a piece `part-00003-0000001024`; names sort as the rows do."""
        return f"part-{self.number:05d}" + (f"-{self.span[0]:010d}" if self.span else "")

    def cut(self, pieces: int) -> "tuple[Part, ...]":
        """The part as at most so many pieces of like size, each of whole row groups of its text."""
        ends = self._group_ends("text")
        groups = len(ends) - 1
        cuts = {ends[groups * piece // pieces] for piece in range(1, pieces)} - {0, self.rows}
        if not cuts:
            return (self,)
        return tuple(dataclasses.replace(self, span=span) for span in itertools.pairwise((0, *sorted(cuts), self.rows)))

    def _group_ends(self, column: str) -> list[int]:
        """Where the row groups of a column's file end, after a 0."""
        with files.open_columns(self.columns[column], [column]) as source:
            metadata = pq.ParquetFile(source).metadata
            groups = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return [0, *itertools.accumulate(groups)]

    def with_stage(self, columns: Sequence[str], path: str) -> "Part":
        """The part after a stage wrote some columns into the file `path`."""
        decisions = tuple(name for name in columns if name.endswith(REASON) and name not in self.decisions)
        return dataclasses.replace(
            self, columns=self.columns | dict.fromkeys(columns, path), decisions=self.decisions + decisions
        )

    def kept(self, despite: str | None = None) -> npt.NDArray[np.bool_]:
        """Which rows of the view no stage has removed yet, or none for another reason than `despite`, shape (rows,)."""
        kept = self.chosen()
        names = [name for name in self.decisions if name.removesuffix(REASON) not in self.view.unseen]
        paths = [self.columns[name] for name in names]
        start, stop = self.bounds
        for name, path, source in zip(names, paths, files.open_inputs(paths), strict=True):
            with source, files.naming(path, [name]):  # of texts that recur each lies in memory once
                table = pq.ParquetFile(source, read_dictionary=[name]).read([name], use_threads=False)
            reasons = table.column(name).slice(start, stop - start)
            left = reasons.is_null() if despite is None else pc.equal(reasons, despite).fill_null(True)
            kept &= left.to_numpy()
        return kept

    def chosen(self) -> npt.NDArray[np.bool_]:
        """Which rows the view is of, removed or not, shape (rows,)."""
        chosen = np.ones(len(self.ids), bool)
        for name, values in self.view.only:
            if name not in self.columns:
                return np.zeros(len(self.ids), bool)
            known = pc.is_in(self.column(name).cast(pa.string()), pa.array(values))
            chosen &= known.to_numpy(zero_copy_only=False)
        return chosen

    def column(self, name: str) -> pa.Array:
        """One whole column: for small ones, since it lies in memory at once."""
        with files.open_columns(self.columns[name], [name]) as source:
            column = pq.ParquetFile(source).read([name], use_threads=False).column(name)
        start, stop = self.bounds
        return column.slice(start, stop - start).combine_chunks()

    def read(
        self,
        columns: Sequence[str],
        *,
        optional: Sequence[str] = (),
        named: Sequence[str] = (),
        kept_only: bool = True,
        despite: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Batches of the rows still kept (or of all), in order.

        A batch holds a row group of the first column's file, or as much of it as lies in the piece, so name the heavy
        column first. Batches that have no row left are not skipped when `kept_only` is false, and are when it is true.

        Args:
            columns: that a stage has written.
            optional: columns that come along where this part has them.
            named: columns that may be the user's own: of type null where this part has none of that name.
            kept_only: whether to leave out the rows that a stage has removed.
            despite: a reason for which removed rows are not left out, see `kept`.

        Returns:
            Batches with `id`, `columns`, the optional ones, and `named`, in this order.

        Raises:
            ValueError: if no stage has written one of the columns.
        """
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise ValueError(f"no stage has written the column {missing[0]!r}; there are {sorted(self.columns)}")
        wanted = dict.fromkeys((*columns, *(name for name in optional if name in self.columns), *named))
        there = [name for name in wanted if name in self.columns]
        kept = self.kept(despite) if kept_only else None
        by_file: dict[str, list[str]] = {}
        for name in there or list(self.columns)[:1]:  # some column tells the row groups
            by_file.setdefault(self.columns[name], []).append(name)
        with _open_all(by_file, *self.bounds) as (first, *others):
            start = 0
            for group in first.groups():
                tables = [group, *(reader.take(len(group)) for reader in others)]
                arrays = {name: table.column(name) for table in tables for name in table.column_names}
                arrays["id"] = pa.array(self.ids[start : start + len(group)])
                arrays |= {name: pa.nulls(len(group)) for name in wanted if name not in arrays}
                batch = pa.table({name: arrays[name] for name in ("id", *wanted)})
                if kept is not None:
                    batch = batch.filter(pa.array(kept[start : start + len(group)]))
                start += len(group)
                if len(batch) or kept is None:
                    yield as_batch(batch)

    def pick(
        self, columns: Sequence[str], rows: Iterable[int], *, optional: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """Batches of some rows, kept or not, in order; only the row groups that hold one are read.

        Args:
            columns: that a stage has written, the heavy one first.
            rows: their numbers in the part.
            optional: columns that come along where the part has them.

        Returns:
            Batches with `id`, `columns` and the optional ones.
        """
        ends, wanted = self._group_ends(columns[0]), np.unique(np.fromiter(rows, np.int64))
        held = np.diff(np.searchsorted(wanted, ends)) > 0
        # Neighbours are read together: to open the files takes as long as to read the small columns of a group.
        changes = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]]).astype(np.int8)))
        for first, end in changes.reshape(-1, 2).tolist():
            piece = dataclasses.replace(self, span=(ends[first], ends[end]))
            for batch in piece.read(columns, optional=optional, kept_only=False):
                numbers = (batch.column("id").to_numpy() & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)
                yield batch.take(pa.array(np.flatnonzero(np.isin(numbers, wanted))))


def as_batch(table: pa.Table) -> pa.RecordBatch:
    """A table as one batch."""
    # combine_chunks copies even a single chunk; it gives a ChunkedArray again only past 2 GiB of text, which no batch
    # reaches.
    arrays = [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


class _open_all:  # noqa: N801 - a context manager reads as a function
    """Readers over several column files of one part, closed together."""

    def __init__(self, by_file: Mapping[str, list[str] | None], start: int, stop: int) -> None:
        self._sources = files.open_inputs(list(by_file))
        self._readers = [
            _Reader(path, source, names, start, stop)
            for source, (path, names) in zip(self._sources, by_file.items(), strict=True)
        ]

    def __enter__(self) -> "list[_Reader]":
        return self._readers

    def __exit__(self, *_: object) -> None:
        for source in self._sources:
            source.close()


class _Reader:
    """Reads some columns or all, and a span of rows, of one Parquet file, by row groups or in runs of any length."""

    def __init__(self, path: str, source: pa.NativeFile, names: list[str] | None, start: int, stop: int) -> None:
        self._path = path
        with files.naming(path, names or ()):
            self._file = pq.ParquetFile(source)
            self._names = self._file.schema_arrow.names if names is None else names
            self._pending: pa.Table = self._file.schema_arrow.empty_table().select(self._names)
        self._left = stop - start
        self._next = 0
        while self._next < self._file.num_row_groups and start >= self._rows(self._next):
            start -= self._rows(self._next)
            self._next += 1
        if start:
            self._pending = self._group().slice(start)

    def _rows(self, group: int) -> int:
        return int(self._file.metadata.row_group(group).num_rows)

    def groups(self) -> Iterator[pa.Table]:
        while self._left:
            if len(self._pending):
                yield self.take(min(self._left, len(self._pending)))
            else:
                self._pending = self._group()

    def _group(self) -> pa.Table:
        with files.naming(self._path, self._names):
            table = self._file.read_row_group(self._next, columns=self._names, use_threads=False)
        table = table.select(self._names)  # to pyarrow, `a` is the beginning of the column `a.b`, too
        self._next += 1
        return table

    def take(self, rows: int) -> pa.Table:
        while len(self._pending) < rows:
            group = self._group()
            self._pending = pa.concat_tables([self._pending, group]) if len(self._pending) else group
        taken, self._pending = self._pending.slice(0, rows), self._pending.slice(rows)
        self._left -= rows
        return taken


@dataclasses.dataclass(frozen=True)
class Corpus:
    """All parts of a run, in order, as they stand after the stages run so far.

    Attributes:
        root: the output folder.
        parts: references to them.
        threads: how many threads of this process may look at parts at a time.
    """

    root: str
    parts: tuple[Part, ...] = ()
    threads: int = 1

    def folder(self, stage: str) -> str:
        """Where a stage's files lie."""
        return files.join(self.root, stage)

    def each(self, function: Callable[[Part], _Found], parts: Iterable[Part]) -> Iterator[_Found]:
        """What a function finds in each of some parts, in their order; several are looked at at a time."""
        if self.threads == 1:
            yield from map(function, parts)
            return
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            yield from pool.map(function, parts)

    def seen_by(self, view: View) -> "Corpus":
        """The corpus as a stage sees it."""
        return dataclasses.replace(self, parts=tuple(dataclasses.replace(part, view=view) for part in self.parts))

    def of_kind(self, kinds: Sequence[PartKind]) -> tuple[Part, ...]:
        """The parts of some kinds."""
        return tuple(part for part in self.parts if part.kind in kinds)

    def with_parts(self, parts: Iterable[Part]) -> "Corpus":
        """The corpus with more parts after its own."""
        return dataclasses.replace(self, parts=(*self.parts, *parts))

    def with_stage(self, stage: str, columns: Sequence[str], kinds: Sequence[PartKind]) -> "Corpus":
        """The corpus after a stage has written its column files for all parts of the kinds."""
        parts = tuple(
            part.with_stage(columns, part_path(self.folder(stage), part.number)) if part.kind in kinds else part
            for part in self.parts
        )
        return dataclasses.replace(self, parts=parts)

    def read(
        self, columns: Sequence[str], *, named: Sequence[str] = (), kinds: Sequence[PartKind] = ("document",)
    ) -> Iterator[pa.RecordBatch]:
        """Batches of all kept rows, part by part; see `Part.read`."""
        for part in self.of_kind(kinds):
            yield from part.read(columns, named=named)


def part_path(folder: str, number: int) -> str:
    """The file of a part in a folder.

    >>> part_path("out/language", 3)
    'out/language/part-00003.parquet'
    """
    return files.join(folder, f"part-{number:05d}.parquet")


@contextlib.contextmanager
def column_reader(part: Part, path: str) -> Iterator[Callable[[int], pa.RecordBatch]]:
    """A function that reads the next so many rows of a part, or piece, from one of its column files: all columns."""
    with _open_all({path: None}, *part.bounds) as (reader,):
        yield lambda rows: as_batch(reader.take(rows))


def repeating(schema: pa.Schema) -> list[str]:
    """The columns whose values may recur, so that a dictionary of them pays: strings, but texts and ids.

    A third of the time of reading texts went into a dictionary that was given up once it was full. Numbers are smaller
    without, and written and read faster: measurements took 103 bytes a document, and take 85.
    """
    return [field.name for field in schema if pa.types.is_string(field.type) and field.name not in ("text", "id")]


@contextlib.contextmanager
def column_writer(part: Part, path: str, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """A function that writes the next batch of a part's column file, a row group each; whole at the end, or not there.

    Raises:
        ValueError: if the batches did not hold exactly the part's rows: a stage lost or invented some.
    """
    rows = 0
    with files.summed_file(path) as sink:
        with pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=files.COLUMN_COMPRESSION_LEVEL,
            use_dictionary=repeating(schema),
        ) as writer:

            def write(batch: pa.RecordBatch) -> None:
                nonlocal rows
                writer.write_batch(batch, row_group_size=max(1, len(batch)))
                rows += len(batch)

            yield write
        if rows != len(part.ids):
            raise ValueError(f"part {part.number} has {len(part.ids)} rows, its columns {schema.names} have {rows}")


def write_columns(part: Part, path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write a part's column file, a row group a batch.

    Raises:
        ValueError: if the batches do not hold exactly the part's rows.
    """
    with column_writer(part, path, schema) as write:
        for batch in batches:
            write(batch)


def write_verdicts(part: Part, path: str, schema: pa.Schema, verdicts: Sequence[pa.RecordBatch]) -> None:
    """Write a part's column file from verdicts: rows that none names are null.

    Args:
        part: the part.
        path: its column file.
        schema: the columns to write.
        verdicts: batches with `id` and the columns of `schema`, of this part's rows, each row at most once.

    Raises:
        ValueError: if two verdicts name one row.
    """
    columns = pa.Table.from_batches(verdicts, pa.schema([("id", pa.uint64()), *schema]))
    rows = columns.column("id").to_numpy() - np.uint64(part.number << ROW_BITS)
    if len(np.unique(rows)) != len(rows):
        raise ValueError(f"part {part.number}: two verdicts on one row for {schema.names}")
    place = np.full(part.rows, -1, np.int64)
    place[rows] = np.arange(len(rows))
    indices = pa.array(place, mask=place < 0)
    full = columns.select(schema.names).take(indices).cast(schema)
    write_columns(part, path, schema, full.combine_chunks().to_batches())


def scatter(columns: pa.RecordBatch, kept: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    """Columns computed for the kept rows only, spread over all rows: null where not kept."""
    if kept.all():
        return columns
    place = np.where(kept, np.cumsum(kept) - 1, 0)
    return columns.take(pa.array(place, mask=~kept))


def first_reasons(part: Part) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """The first stage that removed each row, as its place in `part.decisions` (-1 = kept), and the reason (or null)."""
    reasons = [part.column(name) for name in part.decisions]
    if not reasons:
        return np.full(part.rows, -1, np.int32), pa.nulls(part.rows, pa.string())
    hits = np.stack([reason.is_valid().to_numpy(zero_copy_only=False) for reason in reasons])
    stage = np.where(hits.any(axis=0), hits.argmax(axis=0), -1).astype(np.int32)
    return stage, pc.coalesce(*reasons)
