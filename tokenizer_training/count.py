"""Counts of pre-tokens: all that training needs to know of a corpus, gathered by many workers.

A kernel splits text by the algorithm's pattern and counts in one pass over the bytes. Each worker spills the counts of
its part to a Parquet file, a row group for each hash partition; some partitions at a time are then summed over all
parts, and only paths travel. Where parts are many, every few files are summed first, so that opens grow as parts do.
Counts are kept by source and language, and of digits by threes: so another size, digit rule or weight of sources trains
from them in seconds, and no text is read again. Rare pre-tokens can be sampled without bias, so that the counts of a
terabyte fit: 92 % of the distinct clauses of Chinese text occur once, and dropping them would cost Chinese 13 % in
compression.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.flow.counters import count
from datapipe.flow.gather import Gather
from datapipe.flow.spread import Spread, SpreadPieces
from datapipe.kernels import inlined, kernel
from datapipe.store import files
from datapipe.store.corpus import Part, part_path
from datapipe.text.bit_mixing import DEGSKI, fractions, multiply_fold, rehash
from datapipe.text.characters import text_buffers
from tokenizer_training.algorithms import ALGORITHMS, Algorithm
from tokenizer_training.classes import NUMBER, class_table
from tokenizer_training.options import TrainingOptions
from tokenizer_training.split import Splitter, end_of_pretoken, splitter_of

SCHEMA = pa.schema([("word", pa.large_string()), ("count", pa.int64())])
GROUPED = pa.schema([SCHEMA.field("word"), ("source", pa.string()), ("language", pa.string()), SCHEMA.field("count")])
PARTITIONS = 64
GROUPS = 64  # pairs of source and language that are counted apart; those of fewest documents are counted together
COUNT_PIECES = 3  # of a part: each is a file that every bundle of partitions opens
FILES_PER_BUNDLE = 2  # so many files' words lie in memory at once, until there are a partition's for each bundle
# More files are added up first, into so few, or so many each: 16 are open at once, of which one partition is in memory.
FILES_OPENED, FILES_ADDED_UP = 8, 16
# Sampling pays only where counts are many: below this the exact ones are learnt from in a few seconds.
EXACT_WORDS = 1 << 19
UNIT = 1000  # what one occurrence counts where weights are no whole numbers
_CAPACITY = 1 << 12  # for how many words there is space to begin with
_SPILLED = pa.schema([SCHEMA.field("word"), ("group", pa.int32()), SCHEMA.field("count")])
Weights = Callable[[str, str], float]  # of a source and a language
Group = tuple[str, str]  # a source and a language; both "" for those that are counted together

Bytes = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]


@inlined
def _hash(data: Bytes, start: int, stop: int) -> np.uint64:
    value = np.uint64(0xCBF29CE484222325)
    for at in range(start, stop):
        value = (value ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
    return multiply_fold(value ^ (value >> np.uint64(32)), DEGSKI, 32)


@kernel
def hash_words(data: Bytes, offsets: Int64) -> UInt64:
    """A 64-bit hash of each word (FNV-1a, then mixed), shape (words,): it decides which words are sampled."""
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for word in range(len(hashes)):
        hashes[word] = _hash(data, offsets[word], offsets[word + 1])
    return hashes


class _Words(NamedTuple):
    """The words found so far, by open addressing.

    Attributes:
        slots: a word's number or -1; twice as many as there can be words, a power of two.
        hashes, counts: of each word; shape (capacity,).
        starts: where each word starts in `arena`, and where the next one will; shape (capacity + 1,).
        arena: the words' bytes, one after another.
    """

    slots: npt.NDArray[np.int32]
    hashes: UInt64
    counts: Int64
    starts: Int64
    arena: Bytes


@kernel
def _count(data: Bytes, offsets: Int64, weights: Int64, splitter: Splitter, words: _Words, progress: Int64) -> bool:
    """Count the pre-tokens of texts; false if the words are full, with the progress from where to go on.

    Args:
        data, offsets: the texts.
        weights: how often each text counts.
        splitter: how texts are split.
        words: counted so far; updated.
        progress: the text, the byte in it, and the number of words; updated.
    """
    mask = np.uint64(len(words.slots) - 1)
    size = progress[2]
    for text in range(progress[0], len(offsets) - 1):
        stop = offsets[text + 1]
        at = max(offsets[text], progress[1])  # offsets grow, so a later text starts past the byte
        while at < stop:
            end = end_of_pretoken(data, at, stop, splitter)
            length = end - at
            value = _hash(data, at, end)
            slot = value & mask
            while True:
                word = words.slots[slot]
                if word < 0:
                    if size == len(words.counts) or words.starts[size] + length > len(words.arena):
                        progress[0] = text
                        progress[1] = at
                        progress[2] = size
                        return False
                    words.slots[slot] = size
                    words.hashes[size] = value
                    words.counts[size] = weights[text]
                    start = words.starts[size]
                    for i in range(length):
                        words.arena[start + i] = data[at + i]
                    size += 1
                    words.starts[size] = start + length
                    break
                if words.hashes[word] == value and words.starts[word + 1] - words.starts[word] == length:
                    start = words.starts[word]
                    same = True
                    for i in range(length):
                        if words.arena[start + i] != data[at + i]:
                            same = False
                            break
                    if same:
                        words.counts[word] += weights[text]
                        break
                slot = (slot + np.uint64(1)) & mask
            at = end
    progress[2] = size
    return True


@kernel
def _rehash(hashes: UInt64, slots: npt.NDArray[np.int32]) -> None:
    mask = np.uint64(len(slots) - 1)
    for word in range(len(hashes)):
        slot = hashes[word] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = word


def _grown(array: npt.NDArray, size: int) -> npt.NDArray:
    grown = np.empty(size, array.dtype)
    grown[: len(array)] = array
    return grown


def _doubled(words: _Words) -> _Words:
    """Full words, with capacity for as many more."""
    capacity = 2 * len(words.counts)
    slots = np.full(2 * capacity, -1, np.int32)
    _rehash(words.hashes, slots)
    return _Words(
        slots,
        _grown(words.hashes, capacity),
        _grown(words.counts, capacity),
        _grown(words.starts, capacity + 1),
        words.arena,
    )


def counting(options: TrainingOptions) -> Algorithm:
    """The algorithm by whose pattern words are counted: with digits by threes where that is a choice of training."""
    algorithm = ALGORITHMS[options.algorithm]
    return algorithm.with_digits(3) if algorithm.name == "byte_level" else algorithm


class _Counter:
    """Counts the pre-tokens of one array of texts after another."""

    def __init__(self, algorithm: Algorithm) -> None:
        self._splitter = splitter_of(algorithm)
        self._size = 0
        self._words = _Words(
            np.full(2 * _CAPACITY, -1, np.int32),
            np.empty(_CAPACITY, np.uint64),
            np.empty(_CAPACITY, np.int64),
            np.zeros(_CAPACITY + 1, np.int64),
            np.empty(8 * _CAPACITY, np.uint8),
        )

    def add(self, texts: pa.Array, copies: pa.Array) -> None:
        """Count texts, each as often as `copies` says (null: once); a null counts as empty."""
        data, offsets = text_buffers(texts)
        weights = copies.cast(pa.int64()).fill_null(1).to_numpy(zero_copy_only=False)
        progress = np.array([0, 0, self._size])
        while not _count(data, offsets, weights, self._splitter, self._words, progress):
            if progress[2] == len(self._words.counts):
                self._words = _doubled(self._words)
            else:
                arena = _grown(self._words.arena, 2 * len(self._words.arena) + len(data))
                self._words = self._words._replace(arena=arena)
        self._size = int(progress[2])

    def table(self) -> pa.Table:
        """A table of `SCHEMA`: distinct words, in the order of their first occurrence."""
        starts = pa.py_buffer(self._words.starts[: self._size + 1])
        distinct = pa.LargeStringArray.from_buffers(self._size, starts, pa.py_buffer(self._words.arena))
        return pa.table([distinct, self._words.counts[: self._size]], schema=SCHEMA)


def count_pretokens(texts: Iterable[pa.Array | tuple[pa.Array, pa.Array]], algorithm: Algorithm) -> pa.Table:
    """How often each pre-token occurs.

    Args:
        texts: arrays of strings, each alone or with an array that says how often each text counts (null: once). Null
            texts count as empty.
        algorithm: whose pattern splits.

    Returns:
        A table of `SCHEMA`: distinct words, in the order of their first occurrence.

    >>> count_pretokens([pa.array(["one two", "two two"])], ALGORITHMS["byte_level"]).to_pydict()
    {'word': ['one', ' two', 'two'], 'count': [1, 2, 1]}
    """
    counter = _Counter(algorithm)
    for item in texts:
        counter.add(*(item if isinstance(item, tuple) else (item, pa.nulls(len(item), pa.int64()))))
    return counter.table()


def count_by_group(
    batches: Iterable[pa.RecordBatch],
    algorithm: Algorithm,
    groups: Sequence[Group] | None = None,
    weight_column: str = "",
) -> tuple[pa.Table, list[Group]]:
    """How often each pre-token occurs in each group of documents.

    Args:
        batches: with `text`, and `source`, `language` and the column of weights where documents have them.
        algorithm: whose pattern splits.
        groups: those that are counted apart, all others together; none: the first `GROUPS` that occur.
        weight_column: the column that says how often each document counts; "" for once.

    Returns:
        A table of `_SPILLED`: words, in the order of their first occurrence in the group, and the group's number;
        and the groups that are counted apart.
    """
    numbers = {group: number for number, group in enumerate(groups or ())}
    counters: dict[int, _Counter] = {}
    for batch in batches:
        copies = batch.column(weight_column) if weight_column else pa.nulls(len(batch), pa.int64())
        there, place = groups_of(batch)
        if groups is None:
            for group in there[: GROUPS - len(numbers)]:
                numbers.setdefault(group, len(numbers))
        of_row = np.array([numbers.get(group, -1) for group in there], np.int32)[place]
        for number in np.unique(of_row).tolist():
            counter = counters.setdefault(number, _Counter(algorithm))
            mine = pa.array(of_row == number)
            counter.add(batch.column("text").filter(mine), copies.filter(mine))
    tables = [_SPILLED.empty_table()]
    for number, counter in sorted(counters.items()):
        table = counter.table()
        place = np.full(len(table), number if number >= 0 else len(numbers), np.int32)
        tables.append(pa.table([table.column("word"), place, table.column("count")], schema=_SPILLED))
    return pa.concat_tables(tables), list(numbers)


def groups_of(rows: pa.RecordBatch | pa.Table) -> tuple[list[Group], Int64]:
    """The groups that occur, by the columns `source` and `language` where they are, and the place of each row's."""
    encoded = []
    for name in ("source", "language"):
        array = (
            rows.column(name).cast(pa.string()).fill_null("")
            if name in rows.schema.names
            else pa.array([""] * len(rows), pa.string())
        )
        array = array.dictionary_encode()  # before chunks are one: their strings would be there twice
        encoded.append(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
    source, language = encoded
    width = max(1, len(language.dictionary))
    keys = source.indices.to_numpy().astype(np.int64) * width + language.indices.to_numpy()
    found, place = np.unique(keys, return_inverse=True)
    names = (
        array.dictionary.take(pa.array(at)).to_pylist()
        for array, at in zip(encoded, np.divmod(found, width), strict=True)
    )
    return list(zip(*names, strict=True)), place


def group_sizes(batches: Iterable[pa.RecordBatch]) -> Counter[Group]:
    """How many documents there are of each source and language; "" where it is not known."""
    sizes: Counter[Group] = Counter()
    for batch in batches:
        there, place = groups_of(batch)
        sizes.update(dict(zip(there, np.bincount(place).tolist(), strict=True)))
    return sizes


def largest(sizes: Iterable[Mapping[Group, int]]) -> list[Group]:
    """The groups of most documents, at most `GROUPS` of them, in order of their names."""
    total: Counter[Group] = Counter()
    for some in sizes:
        total.update(some)
    return sorted(sorted(total, key=lambda group: (-total[group], group))[:GROUPS])


def named(counts: pa.Table, groups: Sequence[Group]) -> pa.Table:
    """A table of `GROUPED` from one with the numbers of groups."""
    names = [*groups, ("", "")]
    columns = [pa.array([name[at] for name in names]).take(counts.column("group")) for at in range(2)]
    return pa.table([counts.column("word"), *columns, counts.column("count")], schema=GROUPED)


@dataclasses.dataclass(eq=False)
class CountPretokens(beam.PTransform):
    """From parts to the files of their pre-token counts: Parquet files of `GROUPED`, a row group for each partition.

    The options say whose pattern splits, and how rare pre-tokens are sampled: at the default threshold, 160 MB of mixed
    text keep a seventh of theirs and lose 0.2 % of compression. Where fewer than `EXACT_WORDS` are distinct, all stay.

    Attributes:
        options: of the training.
        folder: where the files go.
        weight_column: the column that says how often each document counts, such as `mixture_copies`; "" for once.
    """

    options: TrainingOptions
    folder: str
    weight_column: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[str]:
        sizes = parts | "GroupSizes" >> beam.Map(_part_sizes).with_output_types(dict[Group, int])
        found = sizes | "Gather" >> Gather() | "Largest" >> beam.Map(largest).with_output_types(list[Group])
        groups = beam.pvalue.AsSingleton(found)
        spill = beam.Map(_spill, groups, counting(self.options), self.folder, self.weight_column)
        spilled = beam.pvalue.AsList(
            parts | "Spread" >> SpreadPieces(COUNT_PIECES) | "Count" >> spill.with_output_types(str)
        )
        few = beam.pvalue.AsList(
            parts.pipeline
            | "Once more" >> beam.Impulse()
            | "Adjacent" >> beam.FlatMap(_adjacent, spilled).with_output_types(tuple[int, list[str]])
            | "Spread files" >> Spread()
            | "Add up" >> beam.Map(_add_up, self.folder).with_output_types(str)
        )
        add_up = beam.Map(_sum, few, groups, self.folder, self.options.sample_threshold)
        return (
            parts.pipeline
            | "Once" >> beam.Impulse()
            | "Bundle" >> beam.FlatMap(_bundles, spilled).with_output_types(tuple[int, tuple[int, int]])
            | "Spread bundles" >> Spread()
            | "Sum" >> add_up.with_output_types(str)
        )


def _part_sizes(part: Part) -> dict[Group, int]:
    """The leading groups of a part: of a source that is a web host each, there may be millions."""
    return dict(group_sizes(part.read([], optional=["source", "language"])).most_common(16 * GROUPS))


def _spill(part: Part, groups: Sequence[Group], algorithm: Algorithm, folder: str, weight_column: str) -> str:
    """Write the counts of one part, a row group for each partition, and name the file."""
    weights = [weight_column] if weight_column else []
    batches = part.read(["text"], optional=["source", "language"], named=weights)
    table, _ = count_by_group(batches, algorithm, groups, weight_column)
    partition = hash_words(*text_buffers(table.column("word"))) >> np.uint64(64 - PARTITIONS.bit_length() + 1)
    table = table.take(np.argsort(partition, kind="stable"))
    ends = np.cumsum(np.bincount(partition.astype(np.int64), minlength=PARTITIONS)).tolist()
    spill = files.join(folder, "spill")
    files.make_folder(spill)
    path = files.join(spill, f"{part.name}.parquet")
    with (
        files.whole_file(path) as sink,
        pq.ParquetWriter(
            sink, _SPILLED, compression="zstd", compression_level=files.COLUMN_COMPRESSION_LEVEL
        ) as writer,
    ):
        for begin, end in zip([0, *ends], ends, strict=False):
            writer.write_table(table.slice(begin, end - begin))
    count(folder.rpartition("/")[2], bytes=table.nbytes)
    return path


def _together(files_there: int) -> int:
    """How many files to add up into one."""
    return 1 if files_there <= FILES_ADDED_UP else min(FILES_ADDED_UP, -(-files_there // FILES_OPENED))


def _adjacent(_: bytes, spills: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The files to add up into one, in order, by its number."""
    size = _together(len(spills))
    for number, start in enumerate(range(0, len(spills), size)):
        yield number, sorted(spills)[start : start + size]


def _add_up(numbered: tuple[int, list[str]], folder: str) -> str:
    """Write the sums of some files as one; words keep the order in which they first occur."""
    number, paths = numbered
    if len(paths) == 1:
        return paths[0]
    path = files.join(folder, "spill", f"sum-{number:06d}.parquet")
    with (
        contextlib.ExitStack() as opened,
        files.whole_file(path) as sink,
        pq.ParquetWriter(
            sink, _SPILLED, compression="zstd", compression_level=files.COLUMN_COMPRESSION_LEVEL
        ) as writer,
    ):
        sources = [pq.ParquetFile(opened.enter_context(source)) for source in files.open_inputs(paths)]
        for partition in range(PARTITIONS):
            there = pa.concat_tables(source.read_row_group(partition) for source in sources)
            total = summed(there, ["word", "group"]).cast(_SPILLED)
            writer.write_table(total, row_group_size=max(1, len(total)))
    return path


def _bundles(_: bytes, spills: Sequence[str]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Which partitions go into one file, from one to before another: of few parts few, as each opens all that is left.

    By the parts alone, however many pieces workers have made of them.
    """
    parts = len({path.rpartition("/")[2].removesuffix(".parquet").split("-")[1] for path in spills})
    left = -(-parts // _together(parts)) if parts else 0
    size = -(-PARTITIONS // min(PARTITIONS, max(1, left // FILES_PER_BUNDLE)))
    yield from enumerate((begin, min(begin + size, PARTITIONS)) for begin in range(0, PARTITIONS, size))


def _sum(
    bundle: tuple[int, tuple[int, int]],
    spills: Sequence[str],
    groups: Sequence[Group],
    folder: str,
    sample_threshold: int,
) -> str:
    """Add up some partitions over all parts, sample their rare words, and write them into a file."""
    number, partitions = bundle
    tables = {partition: [_SPILLED.empty_table()] for partition in range(*partitions)}
    for path in sorted(spills):
        with files.open_columns(path) as source:
            spilled = pq.ParquetFile(source)
            for partition, of_partition in tables.items():
                of_partition.append(spilled.read_row_group(partition))
    files.make_folder(files.join(folder, "counts"))
    path = part_path(files.join(folder, "counts"), number)
    with (
        files.whole_file(path) as sink,
        pq.ParquetWriter(sink, GROUPED, compression="zstd", compression_level=files.COLUMN_COMPRESSION_LEVEL) as writer,
    ):
        for partition in range(*partitions):
            total = _sum_partition(tables.pop(partition), groups, sample_threshold)
            writer.write_table(total, row_group_size=max(1, len(total)))
    return path


def _sum_partition(tables: list[pa.Table], groups: Sequence[Group], sample_threshold: int) -> pa.Table:
    totals = summed(pa.concat_tables(tables), ["word", "group"])
    # Group by group: so far each piece of a part that was counted alone has its own after those of the one before.
    totals = totals.take(np.argsort(totals.column("group").to_numpy(), kind="stable"))
    if pc.count_distinct(totals.column("word")).as_py() * PARTITIONS > EXACT_WORDS:
        totals = sample_rare(totals, sample_threshold)
    return named(totals, groups)


def summed(counts: pa.Table, keys: list[str]) -> pa.Table:
    """The counts of rows that have the same keys added up, in the order in which each first occurs.

    By dictionaries, which are in that order, in a third of the time that Arrow takes to group by words.

    Args:
        counts: a table with `count` and the keys.
        keys: a column of strings, and perhaps `group`, as in `_SPILLED`.
    """
    words = counts.column(keys[0]).dictionary_encode().combine_chunks()
    place, columns = words.indices, [words.dictionary]
    if len(keys) > 1:
        both = place.to_numpy().astype(np.int64) * (GROUPS + 1) + counts.column("group").to_numpy()
        encoded = pa.array(both).dictionary_encode()
        word, group = np.divmod(encoded.dictionary.to_numpy(), GROUPS + 1)
        place, columns = encoded.indices, [words.dictionary.take(pa.array(word)), pa.array(group.astype(np.int32))]
    totals = np.zeros(len(columns[0]), np.int64)
    np.add.at(totals, place.to_numpy(), counts.column("count").to_numpy())
    return pa.table([*columns, totals], names=[*keys, "count"])


def sample_rare(counts: pa.Table, threshold: int) -> pa.Table:
    """A word rarer than the threshold stays with probability count / threshold, and then counts as the threshold.

    So the expected count of every word, and of every pair in it, stays right. Duffield, Lund, Thorup: "Learn more,
    sample less" (2005). A word that several rows count, for groups, counts with their sum, which they share in
    proportion, what does not divide going to the largest.

    Args:
        counts: with columns `word` and `count`, and any others.
        threshold: what a word that stays counts at least.
    """
    words = counts.column("word").combine_chunks().dictionary_encode()
    of_row, number = words.indices.to_numpy(), counts.column("count").to_numpy()
    totals = np.bincount(of_row, number, len(words.dictionary)).astype(np.int64)
    # Hashed again, since the hash itself chose the partition.
    draws = fractions(rehash(hash_words(*text_buffers(words.dictionary))))
    scaled = np.maximum(totals, threshold)
    shares = number * scaled[of_row] // np.maximum(totals, 1)[of_row]
    first_largest = np.lexsort((np.arange(len(number)), -number, of_row))
    first_largest = first_largest[np.unique(of_row[first_largest], return_index=True)[1]]
    shares[first_largest] += scaled - np.bincount(of_row, shares, len(totals)).astype(np.int64)
    kept = (draws < totals / threshold)[of_row]
    return counts.set_column(counts.column_names.index("count"), "count", pa.array(shares)).filter(pa.array(kept))


def read_counts(paths: Iterable[str]) -> pa.Table:
    """The counts of all partitions, in their order: a table of `GROUPED`."""
    tables = []
    for path in sorted(paths):
        with files.open_columns(path) as source:
            tables.append(pq.read_table(source))
    return pa.concat_tables(tables) if tables else GROUPED.empty_table()


def read_totals(paths: Iterable[str]) -> pa.Table:
    """How often each word occurs in all groups together, in the order of the partitions: a table of `SCHEMA`.

    Args:
        paths: of `CountPretokens`: a word is in one row group alone, so that no more need lie in memory at once.
    """
    tables = [SCHEMA.empty_table()]
    for path in sorted(paths):
        with files.open_columns(path) as source:
            file = pq.ParquetFile(source, pre_buffer=True)
            groups = (file.read_row_group(group, SCHEMA.names) for group in range(file.num_row_groups))
            tables += [summed(group, ["word"]).cast(SCHEMA) for group in groups]
    return pa.concat_tables(tables)


def once(_source: str, _language: str) -> float:
    """The weight of every group, for `weighted`, where none counts more than another."""
    return 1.0


def weighted(counts: pa.Table, weights: Weights) -> tuple[pa.Table, int]:
    """The counts of each group as often as its source and language weigh, in whole numbers.

    Args:
        counts: a table of `GROUPED`.
        weights: how often a group counts; 0 leaves it out.

    Returns:
        A table of `SCHEMA`, distinct words, and what one occurrence counts there: 1 where all weights are whole
        numbers, else `UNIT`.
    """
    there, place = groups_of(counts)
    of_group = np.array([weights(*group) for group in there])
    unit = 1 if (of_group == np.rint(of_group)).all() else UNIT
    factors = np.rint(of_group * unit).astype(np.int64)[place]
    scaled = counts.select(["word"]).append_column("count", pa.array(counts.column("count").to_numpy() * factors))
    if not (kept := factors > 0).all():  # a filter copies all words
        scaled = scaled.filter(pa.array(kept))
    del counts, place, factors, kept  # a large corpus has many words
    return summed(scaled, ["word"]).cast(SCHEMA), unit


def split_digits(counts: pa.Table, digits: int) -> pa.Table:
    """Counts of words of up to three digits as they are where a word has at most so many.

    Args:
        counts: a table of `SCHEMA`.
        digits: 1 or 3; digits are counted from the left.
    """
    words = counts.column("word").combine_chunks()
    first = pc.utf8_slice_codeunits(words, 0, 1).dictionary_encode()
    classes = class_table("byte_level")
    numbers = pa.array(
        [bool(text) and classes[ord(text)] == NUMBER for text in first.dictionary.to_pylist()], pa.bool_()
    )
    is_number = numbers.take(first.indices)
    is_long = pc.and_(is_number, pc.greater(pc.utf8_length(words), digits))
    if not pc.any(is_long).as_py():
        return counts
    pieces = [
        (word[at : at + digits], count)
        for word, count in zip(*counts.filter(is_long).to_pydict().values(), strict=True)
        for at in range(0, len(word), digits)
    ]
    split = pa.table([[piece for piece, _ in pieces], [count for _, count in pieces]], schema=SCHEMA)
    # A piece of a number is a number: no other words need be looked up, of which a large corpus has many.
    short = counts.filter(pc.and_not(is_number, is_long))
    numbers = summed(pa.concat_tables([short, split]), ["word"]).cast(SCHEMA)
    return pa.concat_tables([counts.filter(pc.invert(is_number)), numbers])
