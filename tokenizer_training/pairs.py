"""All pairs of neighbouring symbols: how often each occurs, where, and which is the most frequent.

Three structures, since merges change counts everywhere but make new pairs only next to themselves: a hash table holds
the present count of each pair; entries hold positions, each those that one merge made; a heap holds entries by the
count they had when they were pushed, which is corrected when they come up.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, inlined, kernel
from datapipe.text.bit_mixing import GOLDEN, multiply_fold
from tokenizer_training.cells import Int32, Int64, Words

Records = npt.NDArray[np.void]
# A pair off the heap: left and right id, or -1 if there was none; its count; where the positions of its entry begin and
# end; whether it has others, since it appeared in several merges.
Popped = tuple[int, int, int, int, int, bool]

# The count of a pair, and in how many merges it appeared: 1 if it was there from the start.
PAIR = np.dtype([("key", np.uint64), ("total", np.int64), ("touches", np.int32)], align=True)
# A pair as one merge made it. Its positions end where those of the next entry start.
ENTRY = np.dtype([("key", np.uint64), ("start", np.int64)], align=True)
# An entry on the heap, and the count that its pair had when it was pushed.
ITEM = np.dtype([("count", np.int64), ("entry", np.int32)], align=True)

_EMPTY = np.uint64(0)  # so that a new table is memory as it comes
# The table of pairs is doubled when it is fuller than this; open addressing slows down soon after.
_MAX_LOAD = 0.6
# So many positions there are in the end for each at first: 2.6 of mixed text, for 40,000 entries. What is not used
# takes no memory, and what is large enough is never held twice to grow.
_POSITIONS_GROW = 3
# What `PairIndex.sizes` counts.
PAIRS, ENTRIES, POSITIONS, ITEMS = range(4)


class PairIndex(NamedTuple):
    """All pairs.

    Attributes:
        table: of `PAIR`, by open addressing, the key `_EMPTY` where there is none; shape (slots,), a power of two.
        entries: of `ENTRY`.
        positions: the cells where the pair of an entry begins, for one entry after another. The pair is still there
            unless another merge has taken one of its symbols.
        heap: of `ITEM`. The most frequent pair comes first; of equally frequent ones that with the smallest left id,
            then the smallest right id.
        sizes: how many pairs, entries, positions and items of the heap there are: `sizes[PAIRS]`, `sizes[ENTRIES]`, ...
    """

    table: Records
    entries: Records
    positions: Int32
    heap: Records
    sizes: Int64


@inlined
def key_of(left: int, right: int) -> np.uint64:
    """A pair as one number, never `_EMPTY`; in the order of left ids, then right ids."""
    return (np.uint64(left) << np.uint64(32) | np.uint64(right)) + np.uint64(1)


@inlined
def ids_of(key: np.uint64) -> tuple[np.int64, np.int64]:
    """The left and right id of a key."""
    pair = key - np.uint64(1)
    return np.int64(pair >> np.uint64(32)), np.int64(pair & np.uint64(0xFFFFFFFF))


@inlined
def slot_of(table: Records, key: np.uint64) -> np.int64:
    """Where a pair is in the table, or where it would go."""
    mask = np.uint64(len(table) - 1)
    slot = multiply_fold(key, GOLDEN, 29) & mask
    while table[slot].key != key and table[slot].key != _EMPTY:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@inlined
def insert(index: PairIndex, key: np.uint64) -> np.int64:
    """The slot of a pair, which is added to the table if it is new."""
    slot = slot_of(index.table, key)
    if index.table[slot].key == _EMPTY:
        index.table[slot].key = key
        index.sizes[PAIRS] += 1
    return slot


@kernel
def _rehash(old: Records, new: Records) -> None:
    for slot in range(len(old)):
        if old[slot].key != _EMPTY:
            new[slot_of(new, old[slot].key)] = old[slot]


@kernel
def _count_pairs(words: Words, lengths: Int32, word: int, used: int, table: Records) -> tuple[int, int]:
    """Count pairs from `word` on until the table is full; returns the next word and how many pairs the table holds."""
    capacity = np.int64(len(table) * _MAX_LOAD)
    while word < len(words.counts) and used + words.starts[word + 1] - words.starts[word] < capacity:
        at = words.starts[word]
        stop = words.starts[word + 1] - 1
        while at < stop:
            left = words.cells[at]
            after = at + (lengths[left] if left >= 0 else 1)
            right = words.cells[after]
            if left >= 0 and right >= 0:
                key = key_of(left, right)
                slot = slot_of(table, key)
                if table[slot].key == _EMPTY:
                    table[slot].key = key
                    used += 1
                table[slot].total += words.counts[word]
                table[slot].touches += 1
            at = after
        word += 1
    return word, used


@kernel
def _enter_pairs(cells: Int32, lengths: Int32, table: Records, entries: Records, positions: Int32) -> None:
    """Make an entry of each pair, with the positions of all its occurrences; `touches` becomes 1 for each pair."""
    size = 0
    total = 0
    for slot in range(len(table)):
        if table[slot].key != _EMPTY:
            entries[size].key = table[slot].key
            entries[size].start = total
            total += table[slot].touches
            table[slot].touches = size
            size += 1
    at = 1
    while at < len(cells) - 1:
        left = cells[at]
        after = at + (lengths[left] if left >= 0 else 1)
        if left >= 0 and cells[after] >= 0:
            entry = table[slot_of(table, key_of(left, cells[after]))].touches
            positions[entries[entry].start] = at
            entries[entry].start += 1
        at = after
    # Filling moved each start to the start of the next entry.
    for entry in range(size, 0, -1):
        entries[entry].start = entries[entry - 1].start
    entries[0].start = 0
    for slot in range(len(table)):
        if table[slot].key != _EMPTY:
            table[slot].touches = 1


def _doubled(table: Records) -> Records:
    larger = np.zeros(2 * len(table), PAIR)
    _rehash(table, larger)
    return larger


def index_pairs(words: Words, lengths: Int32) -> PairIndex:
    """The index of all pairs in some words; its heap is empty.

    Args:
        words: the words.
        lengths: how many cells each symbol takes; shape (symbols,).
    """
    table = np.zeros(1 << 16, PAIR)
    word = pairs = 0
    while word < len(words.counts):
        word, pairs = _count_pairs(words, lengths, word, pairs, table)
        if word < len(words.counts):
            table = _doubled(table)
    entries = np.zeros(pairs + 1024, ENTRY)
    there = int(table["touches"].sum(dtype=np.int64))
    positions = np.zeros(_POSITIONS_GROW * there, np.int32)
    _enter_pairs(words.cells, lengths, table, entries, positions)
    sizes = np.array([pairs, pairs, there, 0], np.int64)
    return PairIndex(table, entries, positions, np.zeros(pairs + 1024, ITEM), sizes)


def grown(array: npt.NDArray, size: int) -> npt.NDArray:
    """The array with at least `size` along its last axis, at least doubled if it must grow."""
    if array.shape[-1] >= size:
        return array
    larger = np.zeros((*array.shape[:-1], max(size, 2 * array.shape[-1])), array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger


def with_capacity(index: PairIndex, new_entries: int, new_positions: int) -> PairIndex:
    """The index with capacity for so many more pairs, entries and items, and positions."""
    table = index.table
    pairs, entries, positions, items = index.sizes.tolist()
    while pairs + new_entries > _MAX_LOAD * len(table):
        table = _doubled(table)
    return PairIndex(
        table,
        grown(index.entries, entries + new_entries + 1),
        grown(index.positions, positions + new_positions),
        grown(index.heap, items + new_entries),
        index.sizes,
    )


@inlined
def _before(heap: Records, entries: Records, one: int, other: int) -> bool:
    if heap[one].count != heap[other].count:
        return heap[one].count > heap[other].count
    return entries[heap[one].entry].key < entries[heap[other].entry].key


@inlined
def _swap(heap: Records, one: int, other: int) -> None:
    count, entry = heap[one].count, heap[one].entry
    heap[one].count, heap[one].entry = heap[other].count, heap[other].entry
    heap[other].count, heap[other].entry = count, entry


@helper
def _sift_down(heap: Records, entries: Records, size: int, at: int) -> None:
    while True:
        best = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < size and _before(heap, entries, child, best):
                best = child
        if best == at:
            return
        _swap(heap, at, best)
        at = best


@helper
def push(index: PairIndex, count: int, entry: int) -> None:
    """Put an entry on the heap."""
    heap = index.heap
    at = index.sizes[ITEMS]
    index.sizes[ITEMS] += 1
    heap[at].count = count
    heap[at].entry = entry
    while at > 0 and _before(heap, index.entries, at, (at - 1) // 2):
        _swap(heap, at, (at - 1) // 2)
        at = (at - 1) // 2


@kernel
def _heapify(index: PairIndex, min_count: int) -> None:
    heap, entries, size = index.heap, index.entries, 0
    for entry in range(index.sizes[ENTRIES]):
        count = index.table[slot_of(index.table, entries[entry].key)].total
        if count >= min_count:
            heap[size].count = count
            heap[size].entry = entry
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sift_down(heap, entries, size, at)
    index.sizes[ITEMS] = size


def with_heap(index: PairIndex, min_count: int) -> PairIndex:
    """The index with all entries on the heap whose pair occurs at least so often."""
    index = index._replace(heap=grown(index.heap, int(index.sizes[ENTRIES])))
    _heapify(index, min_count)
    return index


@kernel
def pop(index: PairIndex, min_count: int) -> Popped:
    """Take the most frequent pair off the heap.

    A pair whose count has changed since it was pushed goes back with its present count.
    """
    heap, entries = index.heap, index.entries
    while index.sizes[ITEMS] > 0:
        count = heap[0].count
        entry = heap[0].entry
        slot = slot_of(index.table, entries[entry].key)
        now = index.table[slot].total
        if now != count and now >= min_count:
            heap[0].count = now
        else:
            index.sizes[ITEMS] -= 1
            heap[0] = heap[index.sizes[ITEMS]]
        _sift_down(heap, entries, index.sizes[ITEMS], 0)
        if now == count and count >= min_count:
            left, right = ids_of(entries[entry].key)
            scattered = index.table[slot].touches > 1
            return left, right, count, entries[entry].start, entries[entry + 1].start, scattered
    return -1, -1, 0, 0, 0, False
