"""Counts of pre-tokens: all that training needs to know of a corpus, gathered by many workers.

A kernel splits text by the algorithm's pattern and counts in one pass over the bytes. Each worker spills the counts of
its part to a Parquet file, a row group for each hash partition; a partition is then summed over all parts, and only
paths travel. Rare pre-tokens can be sampled without bias, so that the counts of a terabyte fit: 92 % of the distinct
clauses of Chinese text occur once, and dropping them would cost Chinese 13 % in compression.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.flow.spread import SpreadPieces
from datapipe.kernels import inlined, kernel
from datapipe.store import files
from datapipe.store.corpus import Part, part_path
from datapipe.text.bit_mixing import DEGSKI, fractions, multiply_fold, rehash
from datapipe.text.characters import text_buffers
from tokenizer_training.algorithms import ALGORITHMS, Algorithm
from tokenizer_training.options import TrainingOptions
from tokenizer_training.split import Splitter, end_of_pretoken, splitter_of

SCHEMA = pa.schema([("word", pa.large_string()), ("count", pa.int64())])
PARTITIONS = 64
COUNT_PIECES = 3  # of a part: each is a file that every partition opens
# Sampling pays only where counts are many: below this the exact ones are learnt from in a few seconds.
EXACT_WORDS = 1 << 19
_CAPACITY = 1 << 15  # for how many words there is space to begin with

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
    words = _Words(
        np.full(2 * _CAPACITY, -1, np.int32),
        np.empty(_CAPACITY, np.uint64),
        np.empty(_CAPACITY, np.int64),
        np.zeros(_CAPACITY + 1, np.int64),
        np.empty(8 * _CAPACITY, np.uint8),
    )
    splitter = splitter_of(algorithm)
    progress = np.zeros(3, np.int64)
    for item in texts:
        array, copies = item if isinstance(item, tuple) else (item, pa.nulls(len(item), pa.int64()))
        data, offsets = text_buffers(array)
        weights = copies.cast(pa.int64()).fill_null(1).to_numpy(zero_copy_only=False)
        progress[:2] = 0
        while not _count(data, offsets, weights, splitter, words, progress):
            if progress[2] == len(words.counts):
                words = _doubled(words)
            else:
                words = words._replace(arena=_grown(words.arena, 2 * len(words.arena) + len(data)))
    size = progress[2]
    distinct = pa.LargeStringArray.from_buffers(size, pa.py_buffer(words.starts[: size + 1]), pa.py_buffer(words.arena))
    return pa.table([distinct, words.counts[:size]], schema=SCHEMA)


@dataclasses.dataclass(eq=False)
class CountPretokens(beam.PTransform):
    """From parts to the files of their pre-token counts: one Parquet file of `SCHEMA` for each hash partition.

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
        spill = beam.FlatMap(_spill, ALGORITHMS[self.options.algorithm], self.folder, self.weight_column)
        return (
            parts
            | "Spread" >> SpreadPieces(COUNT_PIECES)
            | "Count" >> spill.with_output_types(tuple[int, str])
            | "Group" >> beam.GroupByKey()
            | "Sum" >> beam.Map(_sum, self.folder, self.options.sample_threshold).with_output_types(str)
        )


def _spill(part: Part, algorithm: Algorithm, folder: str, weight_column: str) -> Iterator[tuple[int, str]]:
    """Write the counts of one part, a row group for each partition, and name the partitions with the file."""
    batches = part.read(["text"], named=[weight_column] if weight_column else [])
    texts = (
        (batch.column("text"), batch.column(weight_column)) if weight_column else batch.column("text")
        for batch in batches
    )
    table = count_pretokens(texts, algorithm)
    partition = hash_words(*text_buffers(table.column("word"))) >> np.uint64(64 - PARTITIONS.bit_length() + 1)
    table = table.take(np.argsort(partition, kind="stable"))
    ends = np.cumsum(np.bincount(partition.astype(np.int64), minlength=PARTITIONS)).tolist()
    spill = files.join(folder, "spill")
    files.make_folder(spill)
    path = files.join(spill, f"{part.name}.parquet")
    with (
        files.whole_file(path) as sink,
        pq.ParquetWriter(sink, SCHEMA, compression="zstd", compression_level=files.COLUMN_COMPRESSION_LEVEL) as writer,
    ):
        for begin, end in zip([0, *ends], ends, strict=False):
            writer.write_table(table.slice(begin, end - begin))
    yield from ((number, path) for number in range(PARTITIONS))


def _sum(spilled: tuple[int, Iterable[str]], folder: str, sample_threshold: int) -> str:
    """Add up one partition over all parts, sample its rare words, and write it."""
    partition, spills = spilled
    tables = []
    for path in sorted(spills):
        with files.open_input(path) as source:
            tables.append(pq.ParquetFile(source).read_row_group(partition))
    # One thread, and paths in order: then the rows come in an order of their own.
    totals = pa.concat_tables(tables).group_by("word", use_threads=False).aggregate([("count", "sum")])
    totals = totals.rename_columns({"count_sum": "count"}).select(SCHEMA.names)
    if len(totals) * PARTITIONS > EXACT_WORDS:
        totals = sample_rare(totals, sample_threshold)
    files.make_folder(files.join(folder, "counts"))
    path = part_path(files.join(folder, "counts"), partition)
    files.write_table(path, totals.cast(SCHEMA))
    return path


def sample_rare(counts: pa.Table, threshold: int) -> pa.Table:
    """A word rarer than the threshold stays with probability count / threshold, and then counts as the threshold.

    So the expected count of every word, and of every pair in it, stays right. Duffield, Lund, Thorup: "Learn more,
    sample less" (2005).
    """
    number = counts.column("count").to_numpy()
    # Hashed again, since the hash itself chose the partition.
    draws = fractions(rehash(hash_words(*text_buffers(counts.column("word")))))
    kept = draws < number / threshold
    sampled = counts.set_column(1, "count", pa.array(np.maximum(number, threshold)))
    return sampled.filter(pa.array(kept))


def read_counts(paths: Iterable[str]) -> pa.Table:
    """The counts of all partitions, in their order."""
    tables = []
    for path in sorted(paths):
        with files.open_input(path) as source:
            tables.append(pq.read_table(source))
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()
