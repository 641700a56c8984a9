"""The product: what every stage has kept, as often as the mixture takes it, shuffled, in Parquet shards.

All other stages add columns; this one applies them. It is the only stage that moves text between parts, and does so by
files: each part spills its rows cut by shard into one Arrow file, and each shard gathers its slice of all of them. Beam
carries paths alone, and a worker holds one part or one shard.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from annotated_types import Ge, Le

from datapipe.checks import ColumnOption, Count, Seed
from datapipe.flow.counters import count
from datapipe.flow.gather import Gather
from datapipe.flow.spread import Spread, SpreadPieces
from datapipe.read.parts import NULL_BYTES, WITH_COLUMNS
from datapipe.read.user_columns import MAX_COLUMNS, json_text
from datapipe.stage import ProductStage
from datapipe.store import files
from datapipe.store.corpus import ROW_BITS, Part, PartKind, repeating
from datapipe.store.schemas import OTHER_COLUMNS, common_schema, conform_column
from datapipe.text.bit_mixing import seeded_hash

MANIFEST = "_manifest.json"  # readers of a folder pass over names that begin with "_"
SPILL = "spill"  # the folder of the spilled parts, gone once its pipeline has ended
LEADING = pa.schema([("text", pa.string()), ("source", pa.string()), ("language", pa.string()), ("tokens", pa.int64())])
# Where a document comes from, and its length in UTF-8: columns of every corpus that has been read.
ORIGIN = ("path", "position", "bytes")
# Of instruction data: what of the text is a control token and bears loss, and its encoding.
DIALOGUE = ("pieces", "input_ids", "labels")
COPIES, PHASES = "mixture_copies", "mixture_phases"  # how often a row is taken in all, and in each phase
OFFSET_BYTES = 4  # in Arrow, of where each string begins
# What a spilled row has before its columns: its position in the shuffle, and the row it is a copy of.
SPILLED = (pa.field("shuffle_position", pa.uint64()), pa.field("id", pa.uint64()))


def shuffle_copies(
    ids: npt.NDArray[np.uint64], copies: npt.NDArray[np.int32], first: npt.NDArray[np.int32], seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """The rows to write, each as often as it has copies, in the order of their positions in the global shuffle.

    Args:
        ids: of the rows, shape (rows,).
        copies: how often each is written, shape (rows,).
        first: the number of its first copy: how often earlier phases wrote it, shape (rows,).
        seed: of the shuffle.

    Returns:
        Row numbers and positions, both of shape (sum of copies,). Positions ascend, even over the range of 64 bits.
    """
    rows = np.repeat(np.arange(len(ids)), copies)
    copy = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies - first, copies)
    positions = seeded_hash(seeded_hash(ids[rows], seed) + copy.astype(np.uint64), seed)
    order = np.lexsort((ids[rows], positions))
    return rows[order], positions[order]


def shard_bounds(positions: npt.NDArray[np.uint64], shards: int) -> npt.NDArray[np.int64]:
    """Where each of `shards` equal ranges of 64 bits begins in sorted positions, and the last ends: (shards + 1,).

    >>> shard_bounds(np.array([0, 5, 1 << 63, (1 << 64) - 1], np.uint64), 2).tolist()
    [0, 2, 4]
    """
    edges = np.array([(shard << 64) // shards for shard in range(1, shards)], np.uint64)
    return np.r_[0, np.searchsorted(positions, edges), len(positions)]


def row_ids(ids: pa.Array) -> pa.Array:
    """Ids as people write them: `part-row`, such as `0-17`.

    >>> row_ids(pa.array([17, (3 << 32) + 1207], pa.uint64())).to_pylist()
    ['0-17', '3-1207']
    """
    numbers = ids.to_numpy()
    parts = pa.array(numbers >> np.uint64(ROW_BITS)).cast(pa.string())
    rows = pa.array(numbers & np.uint64((1 << ROW_BITS) - 1)).cast(pa.string())
    return pc.binary_join_element_wise(parts, rows, "-")


def merged(table: pa.Table, order: npt.NDArray[np.int64], rows: int) -> Iterator[pa.Table]:
    """The rows of a table in another order, in which those of each of its batches keep theirs, so many at a time.

    What is read of the batches for some rows are slices, so that the table lies in memory once.

    >>> table = pa.concat_tables([pa.table({"a": [1, 4, 5]}), pa.table({"a": [2, 3]})])
    >>> [part.column("a").to_pylist() for part in merged(table, np.array([0, 3, 4, 1, 2]), 3)]
    [[1, 2, 3], [4, 5]]
    """
    batches = table.to_batches()
    starts = np.cumsum([0, *(len(batch) for batch in batches)])
    following = starts[:-1].copy()  # the row of each batch that is next
    for begin in range(0, len(order), rows):
        group = order[begin : begin + rows]
        batch = np.searchsorted(starts, group, side="right") - 1
        number = np.bincount(batch, minlength=len(batches))
        slices = map(pa.RecordBatch.slice, batches, (following - starts[:-1]).tolist(), number.tolist())
        place = group - following[batch] + (np.cumsum(number) - number)[batch]
        following += number
        yield pa.Table.from_batches(slices, table.schema).combine_chunks().take(pa.array(place))


@dataclasses.dataclass(frozen=True)
class Amount:
    """What is to be written, with all copies.

    Attributes:
        rows: how many.
        sizes: bytes of text in each phase, or, where other columns take more than WITH_COLUMNS times as much, of these.
        schema: the columns.
        own: of the user's own columns, how many rows stand in parts that have them.
    """

    rows: int
    sizes: tuple[int, ...]
    schema: pa.Schema
    own: Mapping[str, int] = dataclasses.field(default_factory=dict)


def shard_schema(columns: pa.Schema) -> pa.Schema:
    """The schema of a shard of these columns: the id comes after those that every corpus has."""
    return pa.schema([*LEADING, ("id", pa.string()), *list(columns)[len(LEADING) :]])


def total(amounts: Iterable[Amount]) -> Amount:
    """The sum of amounts, in the columns of all, by name; the order of the amounts makes no difference."""
    amounts = list(amounts)
    common = common_schema(amount.schema for amount in amounts)
    others = sorted(set(common.names) - set(LEADING.names))
    schema = pa.schema([*LEADING, *(common.field(name) for name in others)])
    sizes = itertools.zip_longest(*(amount.sizes for amount in amounts), fillvalue=0)
    own: Counter[str] = Counter()
    for amount in amounts:
        own.update(amount.own)
    return Amount(sum(amount.rows for amount in amounts), tuple(map(sum, sizes)), schema, own)


def settled(amount: Amount) -> Amount:
    """The sum, once no more is added: a column null everywhere is strings, so that shards of several runs go together.

    Of more than MAX_COLUMNS columns of the user's those that fewest rows have share one.

    >>> settled(Amount(1, (1,), pa.schema({"note": pa.null()}))).schema.types
    [DataType(string)]
    """
    named = sorted(amount.own.keys() - {OTHER_COLUMNS}, key=lambda name: (-amount.own[name], name))
    shared = set(named[MAX_COLUMNS - 1 :])
    fields = [
        (field.name, pa.string() if pa.types.is_null(field.type) else field.type)
        for field in amount.schema
        if field.name not in shared
    ]
    if shared and OTHER_COLUMNS not in amount.schema.names:
        fields.append((OTHER_COLUMNS, pa.string()))
    # A shard is held in memory, and a null takes some, too.
    least = NULL_BYTES * amount.rows * len(fields) / WITH_COLUMNS
    sizes = tuple(math.ceil(size * max(1.0, least / max(1, sum(amount.sizes)))) for size in amount.sizes)
    return dataclasses.replace(amount, schema=pa.schema(fields), sizes=sizes)


@dataclasses.dataclass(eq=False)
class WriteShards(ProductStage):
    """Write the kept rows, shuffled, as `train-00000.parquet`, ... with a manifest: parts in, a summary a shard out.

    A shard holds the columns text, source, language, tokens and id (`part-row`), the columns that the user's input had,
    and those of `columns`. Parts that lack one have nulls there. Of more than 256 of the user's those that fewest rows
    have are one JSON object, `input_other`, each by the name of its column. Each phase of a mixture has its own shards,
    those of the first before those of the second; the manifest says which. The bytes depend on the corpus, the options
    and the seed alone. No shard is without rows, but the one that an empty corpus gives.

    Attributes:
        columns: further columns of the corpus to write, such as a quality score.
        shard_bytes: bytes of text in a shard, about: documents are spread evenly, not measured out. Fewer where all
            columns together take more than twice as much.
        row_group_rows: rows of a row group, the unit in which readers read.
        compression_level: of zstd.
        seed: of the global shuffle.
    """

    columns: list[ColumnOption] = dataclasses.field(default_factory=list)
    shard_bytes: Annotated[int, Ge(1 << 10), Le(1 << 30)] = 128 << 20
    row_group_rows: Count = 1024
    compression_level: Annotated[int, Ge(1), Le(22)] = 3
    seed: Seed = 0
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "shards"
    version: ClassVar[int] = 4
    prefix: ClassVar[str] = "train"  # of the shards' names
    despite: ClassVar[str | None] = None  # see `Part.read`

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def optional(self) -> tuple[str, ...]:
        """The columns that every shard has, and how often a row is written."""
        return ("source", "language", "tokens", COPIES, PHASES, *DIALOGUE)

    def _columns(self, part: Part) -> list[str]:
        """The columns that a part has to give."""
        ours = [name for name in (*LEADING.names, *self.columns) if name in part.columns]
        others = [name for name in (*ORIGIN, *DIALOGUE) if name in part.columns]
        return list(dict.fromkeys((*ours, *others, *part.user_columns)))

    def _copies(self, part: Part) -> npt.NDArray[np.int32]:
        """How often each kept row of a part is written in each phase, shape (phases, kept rows)."""
        kept = part.kept()
        rows = int(kept.sum())
        if COPIES not in part.columns:
            return np.ones((1, rows), np.int32)
        copies = part.column(COPIES).fill_null(0).to_numpy()[kept]
        if PHASES not in part.columns:
            return copies[np.newaxis]
        phases = part.column(PHASES).filter(pa.array(kept))
        taken = phases.is_valid().to_numpy(zero_copy_only=False)
        if not taken.any():
            return copies[np.newaxis]
        found = np.zeros((rows, len(phases.flatten()) // int(taken.sum())), np.int32)
        found[taken] = phases.flatten().to_numpy().reshape(int(taken.sum()), -1)
        return found.T

    def _measure(self, part: Part) -> Amount:
        copies = self._copies(part)
        sizes, start = np.zeros(len(copies), np.int64), 0
        columns = self._columns(part)
        # Whoever writes a text writes its length beside it, or it is that of an earlier one, in another file. To read
        # the texts for it took an eighth of the stage.
        known = part.kind == "document" and part.columns.get("bytes") == part.columns["text"]
        if known:
            columns = ["bytes", *(name for name in columns if name != "text")]
        for batch in part.read(columns, despite=self.despite):
            if known:
                lengths = batch.column("bytes").to_numpy()
                held = batch.nbytes + int(lengths.sum()) + OFFSET_BYTES * len(batch)
            else:
                lengths = pc.binary_length(batch.column("text")).fill_null(0).to_numpy().astype(np.int64)
                held = batch.nbytes
            in_all = held / WITH_COLUMNS / max(1, int(lengths.sum()))
            size = copies[:, start : start + len(batch)] @ lengths
            sizes += np.ceil(size * max(1.0, in_all)).astype(np.int64)
            start += len(batch)
        own = dict.fromkeys(part.user_columns, len(part.ids))
        return Amount(int(copies.sum()), tuple(sizes.tolist()), _schema(part, self._columns(part)), own)

    def _ranges(self, amount: Amount) -> list[int]:
        """Into how many ranges of positions each phase is cut: as many shards, less those that no row falls into."""
        ranges = [math.ceil(size / self.shard_bytes) for size in amount.sizes]
        return ranges if any(ranges) else [1]

    def _spill(self, part: Part, amount: Amount) -> Iterator[tuple[str, bytes]]:
        """Write the part's copies in the order of their positions, a record batch for each range.

        Yields the file, and which ranges have rows in it, as packed bits.
        """
        batches = list(part.read(self._columns(part), despite=self.despite))
        if not batches:
            return
        table = pa.Table.from_batches(batches).combine_chunks()
        ids = table.column("id").to_numpy()
        shared = [name for name in part.user_columns if name not in amount.schema.names]
        if shared:
            table = _share(table, shared)
        columns = [_column(table, field) for field in amount.schema]
        cuts = []
        first = np.zeros(len(ids), np.int32)
        for copies, ranges in zip(self._copies(part), self._ranges(amount), strict=False):
            rows, positions = shuffle_copies(ids, copies, first, self.seed)
            first = first + copies
            bounds = shard_bounds(positions, ranges) if ranges else np.zeros(1, np.int64)
            cuts += [(rows[begin:end], positions[begin:end]) for begin, end in itertools.pairwise(bounds)]
        folder = files.join(self.folder, SPILL)
        files.make_folder(folder)
        path = files.join(folder, f"{part.name}.arrow")
        schema = pa.schema([*SPILLED, *amount.schema])
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with files.whole_file(path) as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
            for taken, positions in cuts:
                arrays = [
                    pa.nulls(len(taken), field.type) if column is None else column.take(pa.array(taken))
                    for column, field in zip(columns, amount.schema, strict=True)
                ]
                writer.write_batch(pa.record_batch([positions, ids[taken], *arrays], schema=schema))
        yield path, np.packbits([len(taken) > 0 for taken, _ in cuts]).tobytes()

    def _number(self, _: bytes, amount: Amount, spilled: Iterable[tuple[str, bytes]]) -> Iterator[tuple[int, int]]:
        """The shards that there will be: the number of each, and its range; one where nothing was spilled."""
        occupied = np.zeros(-(-sum(self._ranges(amount)) // 8), np.uint8)
        for _path, bits in spilled:
            found = np.frombuffer(bits, np.uint8)
            occupied[: len(found)] |= found
        ranges = np.flatnonzero(np.unpackbits(occupied)).tolist() or [0]
        yield from enumerate(ranges)

    def _write(self, numbered: tuple[int, int], amount: Amount, spilled: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
        """Write one shard and return its entry in the manifest."""
        shard, range_ = numbered
        batches = []
        for path, _ in sorted(spilled):
            with files.open_input(path) as source:
                file = pa.ipc.open_file(source)
                if range_ < file.num_record_batches:  # instruction parts may know of fewer phases
                    batches.append(file.get_batch(range_))
        table = pa.Table.from_batches(batches, pa.schema([*SPILLED, *amount.schema]))
        # By index: a column of the user's may have any name.
        order = np.lexsort([table.column(index).to_numpy() for index in (1, 0)])
        name = f"{self.prefix}-{shard:05d}.parquet"
        schema, size = shard_schema(amount.schema), 0
        with (
            files.summed_file(files.join(self.folder, name)) as sink,
            pq.ParquetWriter(
                sink,
                schema,
                compression="zstd",
                compression_level=self.compression_level,
                use_dictionary=repeating(schema),
            ) as writer,
        ):
            for group in merged(table, order, self.row_group_rows):
                group = group.remove_column(0).set_column(0, "id", row_ids(group.column(1)))
                writer.write_table(group.select(schema.names))
                size += pc.sum(pc.binary_length(group.column("text")), min_count=0).as_py()
        count(self.name, bytes=size)
        entry = {"file": name, "rows": len(table), "bytes": size, "tokens": pc.sum(table.column("tokens")).as_py()}
        if len(amount.sizes) > 1:
            entry["phase"] = int(np.searchsorted(np.cumsum(self._ranges(amount)), range_, "right"))
        return entry

    def leftovers(self, folder: str) -> tuple[str, ...]:
        """The spilled rows."""
        return (files.join(folder, SPILL),)

    def _finish(self, summaries: list[dict[str, Any]], amount: Amount) -> list[dict[str, Any]]:
        """Check that every row has been written, and write the manifest."""
        shards = sorted(summaries, key=lambda shard: shard["file"])
        rows = sum(shard["rows"] for shard in shards)
        if rows != amount.rows:
            raise ValueError(f"shards: {amount.rows:,} rows to write, {rows:,} written")
        tokens = [shard["tokens"] for shard in shards if shard["tokens"] is not None]
        totals = {"rows": rows, "bytes": sum(s["bytes"] for s in shards), "tokens": sum(tokens) if tokens else None}
        files.write_json(files.join(self.folder, MANIFEST), {**totals, "files": shards})
        return shards

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        spread = parts | "Spread" >> SpreadPieces()
        amount = beam.pvalue.AsSingleton(
            spread
            | "Measure" >> beam.Map(self._measure).with_output_types(Amount)
            | "Amounts" >> Gather()
            | "Total" >> beam.Map(total).with_output_types(Amount)
            | "Settle" >> beam.Map(settled).with_output_types(Amount)
        )
        spilled = beam.pvalue.AsList(
            spread | "Spill" >> beam.FlatMap(self._spill, amount).with_output_types(tuple[str, bytes])
        )
        return (
            parts.pipeline
            | "Once" >> beam.Impulse()
            | "Number" >> beam.FlatMap(self._number, amount, spilled).with_output_types(tuple[int, int])
            | "Spread shards" >> Spread()
            | "Write" >> beam.Map(self._write, amount, spilled).with_output_types(dict[str, Any])
            | "Gather" >> Gather()
            | "Finish" >> beam.FlatMap(self._finish, amount).with_output_types(dict[str, Any])
        )


def _schema(part: Part, names: Sequence[str]) -> pa.Schema:
    """The names and types of some columns of a part."""
    schemas = {}
    for path in {part.columns[name] for name in names}:
        with files.open_columns(path) as source:
            schemas[path] = pq.read_schema(source)
    return pa.schema([schemas[part.columns[name]].field(name) for name in names])


def _column(table: pa.Table, field: pa.Field) -> pa.Array | None:
    """A column as the shards have it; None where this part has none."""
    if field.name not in table.column_names:
        return None
    return conform_column(table.column(field.name).combine_chunks(), field.type)


def _share(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table with some columns in one, OTHER_COLUMNS, whose values are JSON objects with what is there of each."""
    known = table.column_names
    before = table.column(OTHER_COLUMNS).to_pylist() if OTHER_COLUMNS in known else [None] * len(table)
    entries: list[list[str]] = [[text[1:-1]] if text else [] for text in before]
    for name in names:
        for row, value in enumerate(table.column(name).to_pylist()):
            if value is not None:
                entries[row].append(f"{json_text(name)}:{json_text(value)}")
    others = pa.array(["{" + ",".join(some) + "}" if some else None for some in entries], pa.string())
    kept = [name for name in known if name not in names and name != OTHER_COLUMNS]
    return table.select(kept).append_column(OTHER_COLUMNS, others)
