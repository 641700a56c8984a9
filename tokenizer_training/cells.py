"""Words as cells: the symbols of all words in one flat array, where a merge touches only the cells next to it.

A symbol takes as many cells as it has bytes or characters. It stands in its first cell, and inverted (`~symbol`) in its
last if it has several, so that the neighbours on both sides are found at once and no merge moves anything.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import inlined, kernel
from datapipe.text.characters import decode

# A cell before the first symbol of a word and after its last; also what a symbol leaves behind that was merged away.
NONE = np.int32(-(2**31))
_BLOCK_BITS = 6

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


class Words(NamedTuple):
    """Distinct words, their symbols in cells.

    Attributes:
        cells: the symbols of all words one after another, a negative cell around each word.
        starts: the first cell of each word, and one past the last; shape (words + 1,).
        counts: how often each word occurs; shape (words,).
        first_word: the first word that ends after the start of each block of cells.
    """

    cells: Int32
    starts: Int64
    counts: Int64
    first_word: Int32


def words_in_cells(cells: Int32, starts: Int64, counts: Int64) -> Words:
    """The words of these cells.

    Raises:
        ValueError: if there are 2**31 cells or more: positions are 32-bit.
    """
    if len(cells) >= 2**31:
        raise ValueError(f"{len(cells):,} symbols in distinct words do not fit: raise sample_threshold")
    blocks = np.arange(0, len(cells), 1 << _BLOCK_BITS)
    return Words(cells, starts, counts, np.searchsorted(starts[1:], blocks, side="right").astype(np.int32))


@kernel
def lay_out(
    data: npt.NDArray[np.uint8], offsets: Int64, ids: Int32, by_character: bool, cells: Int32, starts: Int64
) -> int:
    """Write the symbols of all words into cells, `NONE` around each word; returns how many cells were used.

    Args:
        data, offsets: the words as UTF-8.
        ids: the symbol of each byte, or of each character; negative for what cannot be merged.
        by_character: whether the symbols are characters.
        cells, starts: filled.
    """
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
            cells[at] = ids[symbol] if ids[symbol] >= 0 else NONE
            at += 1
        cells[at] = NONE
        at += 1
    starts[len(offsets) - 1] = at
    return at


@inlined
def word_at(words: Words, cell: int) -> int:
    """The word that a cell belongs to."""
    word = words.first_word[cell >> _BLOCK_BITS]
    while words.starts[word + 1] <= cell:
        word += 1
    return word


@kernel
def words_of(words: Words, cells: Int32) -> Int64:
    """The word of each cell, shape (cells,)."""
    found = np.empty(len(cells), np.int64)
    for i in range(len(cells)):
        found[i] = word_at(words, cells[i])
    return found


@kernel
def find_pair(words: Words, chosen: Int64, lengths: Int32, left: int, right: int) -> Int32:
    """The positions of a pair of symbols in some words, in order.

    Args:
        words: all words.
        chosen: the words to look through.
        lengths: how many cells each symbol takes.
        left, right: the pair.
    """
    total = 0
    for word in chosen:
        total += words.starts[word + 1] - words.starts[word]
    found = np.empty(total, np.int32)
    size = 0
    for word in chosen:
        at = words.starts[word]
        while at < words.starts[word + 1] - 1:
            symbol = words.cells[at]
            after = at + (lengths[symbol] if symbol >= 0 else 1)
            if symbol == left and words.cells[after] == right:
                found[size] = at
                size += 1
            at = after
    return found[:size]
