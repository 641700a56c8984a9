"""Byte pair encoding learnt from pre-token counts alone: the merges of HuggingFace's `BpeTrainer`, ties included.

HuggingFace's Python API takes text, not counts, and its pair counts are 32-bit: past 2**31 occurrences it silently
learns the wrong merge. Here counts are int64, so the counts of a terabyte, gathered by many workers, train on one
machine.

The most frequent pair is merged first; of equally frequent ones that with the smallest left id, then the smallest right
id. Words stand as cells (`cells.py`) and the positions of all pairs are kept (`pairs.py`), so that a merge touches only
the symbols next to it. `tests/tokenizer_training/test_learn.py` holds the obvious learner that this one must equal.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import helper, kernel
from datapipe.text.characters import decode, text_buffers
from tokenizer_training.cells import NONE, Int32, Int64, Words, find_pair, lay_out, word_at, words_in_cells, words_of
from tokenizer_training.pairs import (
    ENTRIES,
    POSITIONS,
    PairIndex,
    Records,
    grown,
    index_pairs,
    insert,
    key_of,
    pop,
    push,
    slot_of,
    with_capacity,
    with_heap,
)

Allowed = Callable[[bytes], bool]
Progress = Callable[[int, int, float], None]


@kernel
def character_counts(data: npt.NDArray[np.uint8], offsets: Int64, counts: Int64) -> Int64:
    """How often each code point occurs in words with counts, shape (0x110000,)."""
    totals = np.zeros(0x110000, np.int64)
    for word in range(len(offsets) - 1):
        at = offsets[word]
        while at < offsets[word + 1]:
            code_point, at = decode(data, at)
            totals[code_point] += counts[word]
    return totals


class _Merge(NamedTuple):
    """A pair, the symbol that takes its place, and whether that is new: a string can be reached by two merges."""

    left: int
    right: int
    symbol: int
    is_new: bool


# What a symbol's new neighbours add up to: the occurrences, and in how many places.
_SUM = np.dtype([("count", np.int64), ("positions", np.int64)], align=True)
# A new pair: whether the neighbour stands on the left (0) or the right (1), the neighbour, and where the pair begins.
_NEW_PAIR = np.dtype([("side", np.int32), ("neighbour", np.int32), ("position", np.int32)], align=True)


class _Scratch(NamedTuple):
    """What a merge needs while it goes on.

    Attributes:
        sums: of `_SUM`, all 0: for each side and neighbour; shape (2, symbols).
        log: of `_NEW_PAIR`; shape (2 * positions,).
    """

    sums: Records
    log: Records


@helper
def _replace(merge: _Merge, positions: Int32, words: Words, lengths: Int32, scratch: _Scratch) -> int:
    """Write the symbol into the cells, and add up in the scratch what neighbours it got; returns the size of the log.

    Args:
        merge: the pair and the symbol.
        positions: where the pair was seen; those where it no longer is are skipped.
        words: the words; their cells are updated.
        lengths: how many cells each symbol takes.
        scratch: large enough for the symbols and positions.
    """
    left, right, symbol = merge.left, merge.right, merge.symbol
    cells, sums, log = words.cells, scratch.sums, scratch.log
    logged = 0
    for i in range(len(positions)):
        at = np.int64(positions[i])
        middle = at + lengths[left]
        if cells[at] != left or cells[middle] != right:
            continue
        count = words.counts[word_at(words, at)]
        stop = middle + lengths[right]
        before = cells[at - 1]
        if before != NONE:
            if before < 0:
                before = ~before
            sums[0, before].count += count
            sums[0, before].positions += 1
            log[logged].side = 0
            log[logged].neighbour = before
            log[logged].position = at - lengths[before]
            logged += 1
        cells[middle] = NONE
        cells[at] = symbol
        cells[stop - 1] = ~symbol
        after = cells[stop]
        if after >= 0:
            sums[1, after].count += count
            # Only where the symbol was there before: the pair of it with itself may come from both sides.
            side = 0 if after == symbol else 1
            sums[side, after].positions += 1
            log[logged].side = side
            log[logged].neighbour = after
            log[logged].position = at
            logged += 1
    return logged


@helper
def _recount(merge: _Merge, logged: int, scratch: _Scratch, index: PairIndex) -> None:
    """Move the counts of the neighbours from the pairs with the old symbols to those with the new one."""
    table = index.table
    for i in range(logged):
        neighbour = scratch.log[i].neighbour
        for side in range(2):
            change = scratch.sums[side, neighbour].count
            if change:
                scratch.sums[side, neighbour].count = 0
                old = key_of(neighbour, merge.left) if side == 0 else key_of(merge.right, neighbour)
                table[slot_of(table, old)].total -= change
                new = key_of(neighbour, merge.symbol) if side == 0 else key_of(merge.symbol, neighbour)
                table[insert(index, new)].total += change


@helper
def _enter(merge: _Merge, logged: int, scratch: _Scratch, index: PairIndex, min_count: int) -> None:
    """Make an entry of each new pair that occurs often enough, with its positions, and push it."""
    sums, log, table, entries = scratch.sums, scratch.log, index.table, index.entries
    # `sums.positions` turns into where the neighbour's next position goes; negative means that none is kept.
    used = index.sizes[POSITIONS]
    for i in range(logged):
        side, neighbour = log[i].side, log[i].neighbour
        number = sums[side, neighbour].positions
        if number <= 0:
            continue
        key = key_of(neighbour, merge.symbol) if side == 0 else key_of(merge.symbol, neighbour)
        slot = slot_of(table, key)
        table[slot].touches += 1 if merge.is_new else 2
        if table[slot].total < min_count:
            sums[side, neighbour].positions = -1
            continue
        entry = index.sizes[ENTRIES]
        index.sizes[ENTRIES] += 1
        entries[entry].key = key
        entries[entry + 1].start = used + number
        push(index, table[slot].total, entry)
        sums[side, neighbour].positions = -2 - used
        used += number
    index.sizes[POSITIONS] = used
    for i in range(logged):
        side, neighbour = log[i].side, log[i].neighbour
        target = sums[side, neighbour].positions
        if target <= -2:
            index.positions[-2 - target] = log[i].position
            sums[side, neighbour].positions = target - 1
    for i in range(logged):
        sums[log[i].side, log[i].neighbour].positions = 0


@kernel
def _merge(
    merge: _Merge,
    positions: Int32,
    words: Words,
    lengths: Int32,
    index: PairIndex,
    scratch: _Scratch,
    min_count: int,
) -> None:
    """Replace a pair by a symbol at some positions, update the counts of the pairs around, and push what grew.

    Args:
        merge: the pair and the symbol.
        positions: see `_replace`.
        words: the words; their cells are updated.
        lengths: how many cells each symbol takes.
        index: all pairs; updated. Has capacity for what the merge adds.
        scratch: large enough for the symbols and positions.
        min_count: the smallest count that is pushed.
    """
    logged = _replace(merge, positions, words, lengths, scratch)
    _recount(merge, logged, scratch, index)
    _enter(merge, logged, scratch, index, min_count)


class Learner:
    """A byte pair encoding in training: call `learn` as often as needed, with other rules each time.

    Attributes:
        tokens: the symbols given, then the tokens learnt, in order of ids.
        merges: the pairs merged, as ids, in order of rank.
        frequencies: how often each pair occurred when it was merged (for `merge_words`, in how many places).
    """

    def __init__(self, symbols: Sequence[bytes], words: Words, lengths: Int32) -> None:
        """Index all pairs of the words.

        Args:
            symbols: the symbols the words are made of, in order of ids.
            words: the words in cells.
            lengths: how many cells each symbol takes; shape (symbols,).
        """
        self.tokens = list(symbols)
        self.merges: list[tuple[int, int]] = []
        self.frequencies: list[int] = []
        self._ids = {token: number for number, token in enumerate(symbols)}
        self._words = words
        self._lengths = lengths
        self._index = index_pairs(words, lengths)
        self._scratch = _Scratch(np.zeros((2, len(symbols) + 1), _SUM), np.empty(1024, _NEW_PAIR))
        self._pop = pop.for_types_of(self._index, 1)
        nothing = _Merge(0, 0, 0, True), np.zeros(0, np.int32)
        self._merge_pair = _merge.for_types_of(*nothing, words, lengths, self._index, self._scratch, 1)

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
        min_count = max(1, min_frequency)
        self._index = with_heap(self._index, min_count)
        first, started = len(self.merges), time.monotonic()
        while len(self.tokens) < size:
            left, right, count, start, stop, scattered = self._pop(self._index, min_count)
            if left < 0:
                break
            if max_length is not None and self._lengths[left] + self._lengths[right] > max_length:
                continue
            token = self.tokens[left] + self.tokens[right]
            if allowed is not None and not allowed(token):
                continue
            positions = self._index.positions[start:stop]
            if scattered:
                # No one entry knows all positions of the pair: look through the words.
                chosen = np.unique(words_of(self._words, positions))
                positions = find_pair(self._words, chosen, self._lengths, left, right)
            self._merge(left, right, positions, min_count)
            self.frequencies.append(count)
            if progress and len(self.merges) % 256 == 0:
                pace = (time.monotonic() - started) / (len(self.merges) - first)
                progress(len(self.tokens), size, pace * (size - len(self.tokens)))

    def segments(self, word: int) -> list[int]:
        """The tokens that a word consists of so far, as ids."""
        at, stop = int(self._words.starts[word]), int(self._words.starts[word + 1]) - 1
        ids = []
        while at < stop:
            ids.append(int(self._words.cells[at]))
            at += int(self._lengths[ids[-1]])
        return ids

    def merges_needed(self, words: int) -> int:
        """How many new tokens it takes at most to make one token of each of the first words."""
        return sum(len(self.segments(word)) - 1 for word in range(words))

    def merge_words(self, words: int) -> None:
        """Make one token of each of the first words, by merges from left to right."""
        everywhere = np.arange(len(self._words.counts))
        for word in range(words):
            while len(ids := self.segments(word)) > 1:
                positions = find_pair(self._words, everywhere, self._lengths, ids[0], ids[1])
                self._merge(ids[0], ids[1], positions, 1)
                self.frequencies.append(len(positions))

    def _merge(self, left: int, right: int, positions: Int32, min_count: int) -> None:
        token = self.tokens[left] + self.tokens[right]
        is_new = token not in self._ids
        if is_new:
            self._ids[token] = len(self.tokens)
            self.tokens.append(token)
            self._lengths = grown(self._lengths, len(self.tokens))
            self._lengths[len(self.tokens) - 1] = self._lengths[left] + self._lengths[right]
        # Each occurrence has at most two neighbours, and each symbol is at most twice a neighbour.
        new_positions = 2 * len(positions)
        log = self._scratch.log if len(self._scratch.log) >= new_positions else np.empty(new_positions, _NEW_PAIR)
        self._scratch = _Scratch(grown(self._scratch.sums, len(self.tokens)), log)
        self._index = with_capacity(self._index, min(new_positions, 2 * len(self.tokens)), new_positions)
        merge = _Merge(left, right, self._ids[token], is_new)
        self._merge_pair(merge, positions, self._words, self._lengths, self._index, self._scratch, min_count)
        self.merges.append((left, right))


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
    cells = np.full(len(data) + len(words) + 2, NONE, np.int32)
    starts = np.zeros(len(words) + 1, np.int64)
    used = lay_out(data, offsets, ids, by_character, cells, starts)
    return Learner(symbols, words_in_cells(cells[: used + 1], starts, counts), np.ones(len(symbols), np.int32))
