"""Byte pair encoding learnt from pre-token counts alone: the merges of HuggingFace's `BpeTrainer`, ties included.

HuggingFace's Python API takes text, not counts, and its pair counts are 32-bit: past 2**31 occurrences it silently
learns the wrong merge. Here counts are int64, so the counts of a terabyte, gathered by many workers, train on one
machine.

The most frequent pair is merged first; of equally frequent ones that with the smallest left id, then the smallest right
id. A pair's occurrences are kept as positions in one flat array of symbols, so that a merge touches only the symbols
next to it. `tests/tokenizer_training/test_learn.py` holds the obvious learner that this one must equal.
"""

import time
from collections.abc import Callable, Sequence

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.text.bit_mixing import GOLDEN, multiply_fold
from datapipe.text.characters import decode, text_buffers

# A cell before the first symbol of a word and after its last; also what a symbol leaves behind that was merged away.
_NONE = np.int32(-(2**31))
_EMPTY = np.uint64(2**64 - 1)
_BLOCK_BITS = 6
# The table of pairs is doubled when it is fuller than this; open addressing slows down soon after.
_MAX_LOAD = 0.6

Allowed = Callable[[bytes], bool]
Progress = Callable[[int, int, float], None]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]


@numba.njit(cache=True, nogil=True)
def character_counts(data: npt.NDArray[np.uint8], offsets: Int64, counts: Int64) -> Int64:
    """How often each code point occurs in words with counts, shape (0x110000,)."""
    totals = np.zeros(0x110000, np.int64)
    for word in range(len(offsets) - 1):
        at = offsets[word]
        while at < offsets[word + 1]:
            code_point, at = decode(data, at)
            totals[code_point] += counts[word]
    return totals


@numba.njit(cache=True, nogil=True)
def _lay_out(
    data: npt.NDArray[np.uint8], offsets: Int64, ids: Int32, by_character: bool, cells: Int32, starts: Int64
) -> int:
    """Write the symbols of all words into one array, `_NONE` around each word; returns how many cells were used."""
    at = 1
    for word in range(len(offsets) - 1):
        starts[word] = at
        position = offsets[word]
        while position < offsets[word + 1]:
            if by_character:
                symbol, position = decode(data, position)
            else:
                symbol = np.int64(data[position])
                position += 1
            cells[at] = ids[symbol] if ids[symbol] >= 0 else _NONE
            at += 1
        cells[at] = _NONE
        at += 1
    starts[len(offsets) - 1] = at
    return at


@numba.njit(cache=True, nogil=True, inline="always")
def _key(left: int, right: int) -> np.uint64:
    return np.uint64(left) << np.uint64(32) | np.uint64(right)


@numba.njit(cache=True, nogil=True, inline="always")
def _slot(keys: UInt64, key: np.uint64) -> np.int64:
    """Where a pair is in the table of pairs, or where it would go."""
    mask = np.uint64(len(keys) - 1)
    slot = multiply_fold(key, GOLDEN, 29) & mask
    while keys[slot] != key and keys[slot] != _EMPTY:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@numba.njit(cache=True, nogil=True)
def _rehash(
    keys: UInt64, totals: Int64, touches: npt.NDArray[np.int32], new_keys: UInt64, new_totals: Int64, new_touches: Int32
) -> None:
    for old in range(len(keys)):
        if keys[old] != _EMPTY:
            slot = _slot(new_keys, keys[old])
            new_keys[slot] = keys[old]
            new_totals[slot] = totals[old]
            new_touches[slot] = touches[old]


@numba.njit(cache=True, nogil=True)
def _count_pairs(
    cells: Int32,
    starts: Int64,
    counts: Int64,
    lengths: Int32,
    word: int,
    used: int,
    keys: UInt64,
    totals: Int64,
    touches: Int32,
) -> tuple[int, int]:
    """Count pairs from `word` on until the table is full; returns the next word and how many pairs the table holds."""
    room = np.int64(len(keys) * _MAX_LOAD)
    while word < len(counts) and used + starts[word + 1] - starts[word] < room:
        at = starts[word]
        stop = starts[word + 1] - 1
        while at < stop:
            left = cells[at]
            after = at + (lengths[left] if left >= 0 else 1)
            right = cells[after]
            if left >= 0 and right >= 0:
                key = _key(left, right)
                slot = _slot(keys, key)
                if keys[slot] == _EMPTY:
                    keys[slot] = key
                    used += 1
                totals[slot] += counts[word]
                touches[slot] += 1
            at = after
        word += 1
    return word, used


@numba.njit(cache=True, nogil=True)
def _index_pairs(
    cells: Int32, lengths: Int32, keys: UInt64, touches: Int32, entry_pair: UInt64, entry_start: Int64, pool: Int32
) -> int:
    """Make an entry of each pair, with the positions of all its occurrences; `touches` becomes 1 for each pair."""
    entries = 0
    total = 0
    for slot in range(len(keys)):
        if keys[slot] != _EMPTY:
            entry_pair[entries] = keys[slot]
            entry_start[entries] = total
            total += touches[slot]
            touches[slot] = entries
            entries += 1
    at = 1
    while at < len(cells) - 1:
        left = cells[at]
        after = at + (lengths[left] if left >= 0 else 1)
        if left >= 0 and cells[after] >= 0:
            entry = touches[_slot(keys, _key(left, cells[after]))]
            pool[entry_start[entry]] = at
            entry_start[entry] += 1
        at = after
    # Filling moved each start to the start of the next entry.
    for entry in range(entries, 0, -1):
        entry_start[entry] = entry_start[entry - 1]
    entry_start[0] = 0
    for slot in range(len(keys)):
        if keys[slot] != _EMPTY:
            touches[slot] = 1
    return entries


@numba.njit(cache=True, nogil=True, inline="always")
def _before(heap_count: Int64, heap_entry: Int32, entry_pair: UInt64, one: int, other: int) -> bool:
    if heap_count[one] != heap_count[other]:
        return heap_count[one] > heap_count[other]
    return entry_pair[heap_entry[one]] < entry_pair[heap_entry[other]]


@numba.njit(cache=True, nogil=True)
def _sift_down(heap_count: Int64, heap_entry: Int32, entry_pair: UInt64, size: int, at: int) -> None:
    while True:
        best = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < size and _before(heap_count, heap_entry, entry_pair, child, best):
                best = child
        if best == at:
            return
        heap_count[at], heap_count[best] = heap_count[best], heap_count[at]
        heap_entry[at], heap_entry[best] = heap_entry[best], heap_entry[at]
        at = best


@numba.njit(cache=True, nogil=True)
def _push(heap_count: Int64, heap_entry: Int32, entry_pair: UInt64, size: int, count: int, entry: int) -> None:
    heap_count[size] = count
    heap_entry[size] = entry
    at = size
    while at > 0 and _before(heap_count, heap_entry, entry_pair, at, (at - 1) // 2):
        parent = (at - 1) // 2
        heap_count[at], heap_count[parent] = heap_count[parent], heap_count[at]
        heap_entry[at], heap_entry[parent] = heap_entry[parent], heap_entry[at]
        at = parent


@numba.njit(cache=True, nogil=True)
def _heapify(
    heap_count: Int64, heap_entry: Int32, entry_pair: UInt64, entries: int, keys: UInt64, totals: Int64, least: int
) -> int:
    size = 0
    for entry in range(entries):
        count = totals[_slot(keys, entry_pair[entry])]
        if count >= least:
            heap_count[size] = count
            heap_entry[size] = entry
            size += 1
    for at in range(size // 2 - 1, -1, -1):
        _sift_down(heap_count, heap_entry, entry_pair, size, at)
    return size


@numba.njit(cache=True, nogil=True)
def _pop(
    heap_count: Int64, heap_entry: Int32, entry_pair: UInt64, size: int, keys: UInt64, totals: Int64, least: int
) -> tuple[int, int, int, int]:
    """Take the entry of the most frequent pair off the heap: the entry, its count, the pair's slot, the heap's size.

    A pair whose count has changed since it was pushed goes back with its present count. The entry is -1 if none is
    left.
    """
    while size > 0:
        count = heap_count[0]
        entry = heap_entry[0]
        slot = _slot(keys, entry_pair[entry])
        now = totals[slot]
        if now != count and now >= least:
            heap_count[0] = now
        else:
            size -= 1
            heap_count[0] = heap_count[size]
            heap_entry[0] = heap_entry[size]
        _sift_down(heap_count, heap_entry, entry_pair, size, 0)
        if now == count and count >= least:
            return entry, count, slot, size
    return -1, 0, 0, 0


@numba.njit(cache=True, nogil=True, inline="always")
def _word_at(starts: Int64, first_word: Int32, at: int) -> int:
    word = first_word[at >> _BLOCK_BITS]
    while starts[word + 1] <= at:
        word += 1
    return word


@numba.njit(cache=True, nogil=True)
def _words_of(positions: Int32, starts: Int64, first_word: Int32) -> Int64:
    words = np.empty(len(positions), np.int64)
    for i in range(len(positions)):
        words[i] = _word_at(starts, first_word, positions[i])
    return words


@numba.njit(cache=True, nogil=True)
def _find_in_words(cells: Int32, starts: Int64, words: Int64, lengths: Int32, left: int, right: int) -> Int32:
    """The positions of a pair in some words, in order."""
    total = 0
    for word in words:
        total += starts[word + 1] - starts[word]
    found = np.empty(total, np.int32)
    size = 0
    for word in words:
        at = starts[word]
        while at < starts[word + 1] - 1:
            symbol = cells[at]
            after = at + (lengths[symbol] if symbol >= 0 else 1)
            if symbol == left and cells[after] == right:
                found[size] = at
                size += 1
            at = after
    return found[:size]


@numba.njit(cache=True, nogil=True)
def _merge(
    left: int,
    right: int,
    new: int,
    is_new: bool,
    positions: Int32,
    cells: Int32,
    starts: Int64,
    first_word: Int32,
    counts: Int64,
    lengths: Int32,
    keys: UInt64,
    totals: Int64,
    touches: Int32,
    entry_pair: UInt64,
    entry_start: Int64,
    pool: Int32,
    heap_count: Int64,
    heap_entry: Int32,
    delta: Int64,
    occurrences: Int64,
    log: Int32,
    sizes: Int64,
    least: int,
) -> None:
    """Replace a pair by a symbol at some positions, update the counts of the pairs around, and push what grew.

    Args:
        left, right, new: the pair and the symbol that takes its place.
        is_new: whether that symbol is new; a string can be reached by two merges.
        positions: where the pair was seen; those where it no longer is are skipped.
        cells: the symbols: each stands at its first cell, and inverted at its last if it has several.
        starts: where each word's cells start.
        first_word: the first word that ends after each block of cells.
        counts: how often each word occurs.
        lengths: how many cells each symbol takes.
        keys, totals, touches: the table of pairs: the count of each, and in how many merges it appeared.
        entry_pair, entry_start, pool: an entry is a pair and the positions `pool[entry_start[e]:entry_start[e + 1]]`.
        heap_count, heap_entry: entries by count.
        delta, occurrences: shape (2, symbols), all 0: sums for each neighbour on the left (0) and the right (1).
        log: shape (3, 2 * positions): the side, neighbour and position of each new pair.
        sizes: how many pairs, entries and heap places are in use.
        least: the smallest count that is pushed.
    """
    logged = 0
    for i in range(len(positions)):
        at = np.int64(positions[i])
        middle = at + lengths[left]
        if cells[at] != left or cells[middle] != right:
            continue
        count = counts[_word_at(starts, first_word, at)]
        stop = middle + lengths[right]
        before = cells[at - 1]
        if before != _NONE:
            if before < 0:
                before = ~before
            delta[0, before] += count
            occurrences[0, before] += 1
            log[0, logged] = 0
            log[1, logged] = before
            log[2, logged] = at - lengths[before]
            logged += 1
        cells[middle] = _NONE
        cells[at] = new
        cells[stop - 1] = ~new
        after = cells[stop]
        if after >= 0:
            delta[1, after] += count
            # Only where the symbol was there before: the pair of it with itself may come from both sides.
            side = 0 if after == new else 1
            occurrences[side, after] += 1
            log[0, logged] = side
            log[1, logged] = after
            log[2, logged] = at
            logged += 1

    for i in range(logged):
        neighbour = log[1, i]
        for side in range(2):
            change = delta[side, neighbour]
            if change:
                delta[side, neighbour] = 0
                old = _key(neighbour, left) if side == 0 else _key(right, neighbour)
                totals[_slot(keys, old)] -= change
                key = _key(neighbour, new) if side == 0 else _key(new, neighbour)
                slot = _slot(keys, key)
                if keys[slot] == _EMPTY:
                    keys[slot] = key
                    sizes[0] += 1
                totals[slot] += change

    # `occurrences` turns into the place where the neighbour's next position goes; negative means that none is kept.
    pool_used = entry_start[sizes[1]]
    for i in range(logged):
        side = log[0, i]
        neighbour = log[1, i]
        number = occurrences[side, neighbour]
        if number <= 0:
            continue
        slot = _slot(keys, _key(neighbour, new) if side == 0 else _key(new, neighbour))
        touches[slot] += 1 if is_new else 2
        if totals[slot] < least:
            occurrences[side, neighbour] = -1
            continue
        entry = sizes[1]
        entry_pair[entry] = keys[slot]
        sizes[1] += 1
        pool_used += number
        entry_start[entry + 1] = pool_used
        _push(heap_count, heap_entry, entry_pair, sizes[2], totals[slot], entry)
        sizes[2] += 1
        occurrences[side, neighbour] = -2 - (pool_used - number)
    for i in range(logged):
        side = log[0, i]
        neighbour = log[1, i]
        place = occurrences[side, neighbour]
        if place <= -2:
            pool[-2 - place] = log[2, i]
            occurrences[side, neighbour] = place - 1
    for i in range(logged):
        occurrences[log[0, i], log[1, i]] = 0


def _grown(array: npt.NDArray, size: int) -> npt.NDArray:
    """The array with room for `size` along its last axis, at least doubled if it must grow."""
    if array.shape[-1] >= size:
        return array
    grown = np.zeros((*array.shape[:-1], max(size, 2 * array.shape[-1])), array.dtype)
    grown[..., : array.shape[-1]] = array
    return grown


class Learner:
    """A byte pair encoding in training: call `learn` as often as needed, with other rules each time.

    Attributes:
        tokens: the symbols given, then the tokens learnt, in order of ids.
        merges: the pairs merged, as ids, in order of rank.
        frequencies: how often each pair occurred when it was merged (for `merge_words`, in how many places).
    """

    def __init__(self, symbols: Sequence[bytes], cells: Int32, starts: Int64, counts: Int64, lengths: Int32) -> None:
        """Index all pairs of the words.

        Args:
            symbols: the symbols the words are made of, in order of ids.
            cells: the words' symbols, `lengths[symbol]` cells each, a negative cell around each word.
            starts: the first cell of each word, and one past the last; shape (words + 1,).
            counts: how often each word occurs; shape (words,).
            lengths: how many cells each symbol takes; shape (symbols,).

        Raises:
            ValueError: if there are 2**31 cells or more: positions are 32-bit.
        """
        if len(cells) >= 2**31:
            raise ValueError(f"{len(cells):,} symbols in distinct words do not fit: raise sample_threshold")
        self.tokens = list(symbols)
        self.merges: list[tuple[int, int]] = []
        self.frequencies: list[int] = []
        self._ids = {token: number for number, token in enumerate(symbols)}
        self._cells, self._starts, self._counts = cells, starts, counts
        self._lengths = lengths
        blocks = np.arange(0, len(cells), 1 << _BLOCK_BITS)
        self._first_word = np.searchsorted(starts[1:], blocks, side="right").astype(np.int32)
        self._count_pairs()
        pairs = int(np.count_nonzero(self._keys != _EMPTY))
        occurrences = int(self._touches.sum(dtype=np.int64))
        self._entry_pair = np.zeros(pairs + 1024, np.uint64)
        self._entry_start = np.zeros(pairs + 1024, np.int64)
        self._pool = np.zeros(occurrences, np.int32)
        entries = _index_pairs(
            cells, lengths, self._keys, self._touches, self._entry_pair, self._entry_start, self._pool
        )
        self._entry_start[entries] = occurrences
        self._sizes = np.array([pairs, entries, 0], np.int64)
        self._heap_count = np.zeros(entries + 1024, np.int64)
        self._heap_entry = np.zeros(entries + 1024, np.int32)
        self._delta = np.zeros((2, len(symbols) + 1), np.int64)
        self._occurrences = np.zeros((2, len(symbols) + 1), np.int64)
        self._log = np.empty((3, 1024), np.int32)

    def _count_pairs(self) -> None:
        self._allocate_table(1 << 16)
        word = used = 0
        while word < len(self._counts):
            word, used = _count_pairs(
                self._cells,
                self._starts,
                self._counts,
                self._lengths,
                word,
                used,
                self._keys,
                self._totals,
                self._touches,
            )
            if word < len(self._counts):
                self._double_table()

    def _allocate_table(self, size: int) -> None:
        self._keys = np.full(size, _EMPTY, np.uint64)
        self._totals = np.zeros(size, np.int64)
        self._touches = np.zeros(size, np.int32)

    def _double_table(self) -> None:
        old = self._keys, self._totals, self._touches
        self._allocate_table(2 * len(self._keys))
        _rehash(*old, self._keys, self._totals, self._touches)

    def learn(
        self,
        size: int,
        *,
        min_frequency: int = 1,
        max_length: int | None = None,
        allowed: Allowed | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Merge pairs until there are `size` tokens, or no pair is left that may be merged.

        Args:
            size: how many tokens to have at the end, the symbols included.
            min_frequency: a rarer pair is not merged.
            max_length: a token of more cells is not made. (HuggingFace's `max_token_length` already refuses one that
                is equally long.)
            allowed: whether a token of these bytes may be made; a pair refused once is refused for this call.
            progress: called now and then with the tokens so far, the goal, and the seconds left by the pace so far.
        """
        least = max(1, min_frequency)
        entries = int(self._sizes[1])
        self._heap_count = _grown(self._heap_count, entries)
        self._heap_entry = _grown(self._heap_entry, entries)
        self._sizes[2] = _heapify(
            self._heap_count, self._heap_entry, self._entry_pair, entries, self._keys, self._totals, least
        )
        first, started = len(self.merges), time.monotonic()
        while len(self.tokens) < size:
            entry, count, slot, heap_size = _pop(
                self._heap_count, self._heap_entry, self._entry_pair, self._sizes[2], self._keys, self._totals, least
            )
            self._sizes[2] = heap_size
            if entry < 0:
                break
            left, right = divmod(int(self._entry_pair[entry]), 1 << 32)
            if max_length is not None and self._lengths[left] + self._lengths[right] > max_length:
                continue
            token = self.tokens[left] + self.tokens[right]
            if allowed is not None and not allowed(token):
                continue
            self._merge(left, right, self._positions(entry, left, right, slot), least)
            self.frequencies.append(count)
            if progress and len(self.merges) % 256 == 0:
                pace = (time.monotonic() - started) / (len(self.merges) - first)
                progress(len(self.tokens), size, pace * (size - len(self.tokens)))

    def segments(self, word: int) -> list[int]:
        """The tokens that a word consists of so far, as ids."""
        at, stop = int(self._starts[word]), int(self._starts[word + 1]) - 1
        ids = []
        while at < stop:
            ids.append(int(self._cells[at]))
            at += int(self._lengths[ids[-1]])
        return ids

    def merges_needed(self, words: int) -> int:
        """How many new tokens it takes at most to make one token of each of the first words."""
        return sum(len(self.segments(word)) - 1 for word in range(words))

    def merge_words(self, words: int) -> None:
        """Make one token of each of the first words, by merges from left to right."""
        for word in range(words):
            while len(ids := self.segments(word)) > 1:
                everywhere = np.arange(len(self._counts))
                positions = _find_in_words(self._cells, self._starts, everywhere, self._lengths, ids[0], ids[1])
                self._merge(ids[0], ids[1], positions, 1)
                self.frequencies.append(len(positions))

    def _positions(self, entry: int, left: int, right: int, slot: int) -> Int32:
        positions = self._pool[self._entry_start[entry] : self._entry_start[entry + 1]]
        if self._touches[slot] > 1:
            # The pair appeared in several merges, so no one entry knows all its places: look through the words.
            words = np.unique(_words_of(positions, self._starts, self._first_word))
            positions = _find_in_words(self._cells, self._starts, words, self._lengths, left, right)
        return positions

    def _merge(self, left: int, right: int, positions: Int32, least: int) -> None:
        token = self.tokens[left] + self.tokens[right]
        is_new = token not in self._ids
        if is_new:
            self._ids[token] = len(self.tokens)
            self.tokens.append(token)
            self._lengths = _grown(self._lengths, len(self.tokens))
            self._lengths[len(self.tokens) - 1] = self._lengths[left] + self._lengths[right]
            self._delta = _grown(self._delta, len(self.tokens))
            self._occurrences = _grown(self._occurrences, len(self.tokens))
        self._make_room(2 * len(positions))
        _merge(
            left,
            right,
            self._ids[token],
            is_new,
            positions,
            self._cells,
            self._starts,
            self._first_word,
            self._counts,
            self._lengths,
            self._keys,
            self._totals,
            self._touches,
            self._entry_pair,
            self._entry_start,
            self._pool,
            self._heap_count,
            self._heap_entry,
            self._delta,
            self._occurrences,
            self._log,
            self._sizes,
            least,
        )
        self.merges.append((left, right))

    def _make_room(self, new_pairs: int) -> None:
        """Grow what a merge fills by up to one place for each new neighbour of each occurrence."""
        if self._log.shape[1] < new_pairs:
            self._log = np.empty((3, new_pairs), np.int32)
        neighbours = min(new_pairs, 2 * len(self.tokens))
        pairs, entries, heap_size = self._sizes.tolist()
        while pairs + neighbours > _MAX_LOAD * len(self._keys):
            self._double_table()
        self._entry_pair = _grown(self._entry_pair, entries + neighbours + 1)
        self._entry_start = _grown(self._entry_start, entries + neighbours + 1)
        self._heap_count = _grown(self._heap_count, heap_size + neighbours)
        self._heap_entry = _grown(self._heap_entry, heap_size + neighbours)
        self._pool = _grown(self._pool, int(self._entry_start[entries]) + new_pairs)


def start(words: pa.Array, counts: Int64, symbols: Sequence[bytes], *, by_character: bool) -> Learner:
    """A learner whose words are made of bytes, or of characters.

    Args:
        words: distinct pre-tokens.
        counts: how often each occurs; shape (words,).
        symbols: the 256 bytes, or the characters of the alphabet as UTF-8, in order of ids. A character that is not
            among them ends what can be merged, as the byte fallback will.
        by_character: whether the symbols are characters.
    """
    data, offsets = text_buffers(words)
    ids = np.full(0x110000, -1, np.int32)
    for number, symbol in enumerate(symbols):
        ids[ord(symbol.decode()) if by_character else symbol[0]] = number
    cells = np.full(len(data) + len(words) + 2, _NONE, np.int32)
    starts = np.zeros(len(words) + 1, np.int64)
    used = _lay_out(data, offsets, ids, by_character, cells, starts)
    return Learner(symbols, cells[: used + 1], starts, counts, np.ones(len(symbols), np.int32))
