"""Runs of n tokens in texts, by which evaluation sets are looked for: where each stands, and a hash of it.

A token is what GPT-3 calls a word: lower case, punctuation, symbols and control characters removed without trace
("don't" is "dont"), split at white space; each Han or kana character is a token of its own, and each letter of the
other scripts without spaces a quarter of one: Thai, Khmer or Burmese words have about four, and 13 letters are no more
than a phrase. Shingles, which compare whole documents, keep symbols and know no quarters.
"""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import kernel
from datapipe.text.bit_mixing import splitmix64
from datapipe.text.characters import (
    CONTROL,
    HAN,
    PUNCTUATION,
    SPACE,
    UNSPACED_RANGES,
    class_table,
    decode,
    lower_table,
    text_buffers,
)

_REMOVED, _SPACE, _IN_WORD, _HAN, _LETTER = range(5)  # what a code point is to tokens
_TIBETAN = (0x0F00, 0x0FFF)  # the mark between its syllables is punctuation: without it they would run together
SHOWN = 1000  # bytes of a passage that two texts share: enough to judge by
QUARTERS = 4  # in a token: so many letters of a script without spaces are taken for a word
_FACTOR = np.uint64(0xD6E8FEB86659FD93)  # the base of both rolling hashes: any large odd number


@functools.cache
def _token_table() -> npt.NDArray[np.uint8]:
    """What each code point is to tokens, shape (0x110000,)."""
    classes = class_table()
    table = np.full(len(classes), _IN_WORD, np.uint8)
    for first, last in (*UNSPACED_RANGES, _TIBETAN):
        table[first : last + 1] = _LETTER
    table[(classes & (PUNCTUATION | CONTROL)) > 0] = _REMOVED
    table[(classes & HAN) > 0] = _HAN
    table[(classes & SPACE) > 0] = _SPACE
    table.flags.writeable = False
    return table


@functools.cache
def _letter_table() -> npt.NDArray[np.int32]:
    """`lower_table` with one i: Turkish capitals have two, and without the language none says which it stands for."""
    table = lower_table().copy()
    table[[ord("İ"), ord("ı")]] = ord("i")
    table.flags.writeable = False
    return table


@kernel
def _ngrams(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    n: int,
    kinds: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
) -> tuple[
    npt.NDArray[np.uint64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
]:
    # Two tokens side by side take at least two bytes: a space lies between them, or one is a character of three.
    size = (offsets[-1] - offsets[0]) // 2 + len(offsets)
    hashes = np.empty(size, np.uint64)
    documents = np.empty(size, np.int64)
    begins = np.empty(size, np.int64)
    ends = np.empty(size, np.int64)
    places = np.empty(size, np.int64)
    sizes = np.zeros(len(offsets) - 1, np.int64)
    # The tokens from `first` up to `tokens`, the fewest last ones that make n, in a ring: token t lies in t % its size.
    whole = n * QUARTERS
    ring = np.zeros(whole + 1, np.uint64)
    ring_begins = np.zeros(whole + 1, np.int64)
    ring_quarters = np.zeros(whole + 1, np.int64)
    powers = np.ones(whole + 1, np.uint64)
    for exponent in range(whole):
        powers[exponent + 1] = powers[exponent] * _FACTOR
    grams = 0
    for document in range(len(offsets) - 1):
        at, stop = offsets[document], offsets[document + 1]
        rolling = np.uint64(0)
        first = tokens = held = 0
        newest = oldest = 0
        while at < stop:
            word = np.uint64(0)
            begin = end = at
            quarters = QUARTERS
            while at < stop:
                code_point, after = decode(data, at)
                kind = kinds[code_point]
                is_whole = kind >= _HAN
                if kind == _SPACE or (is_whole and word != 0):
                    break
                if kind != _REMOVED:
                    if word == 0:
                        begin = at
                    word = (word + np.uint64(lower[code_point]) + np.uint64(1)) * _FACTOR
                    end = after
                at = after
                if is_whole:
                    if kind == _LETTER:
                        quarters = 1
                    break
            if word != 0:
                word = splitmix64(word)
                rolling = rolling * _FACTOR + word
                ring[newest], ring_begins[newest], ring_quarters[newest] = word, begin, quarters
                newest = newest + 1 if newest < whole else 0
                tokens += 1
                held += quarters
                sizes[document] += quarters
                while held - ring_quarters[oldest] >= whole:
                    held -= ring_quarters[oldest]
                    first += 1
                    rolling -= ring[oldest] * powers[tokens - first]
                    oldest = oldest + 1 if oldest < whole else 0
                if held >= whole:
                    hashes[grams] = splitmix64(rolling + np.uint64(n))
                    documents[grams] = document
                    begins[grams] = ring_begins[oldest]
                    ends[grams] = end
                    places[grams] = sizes[document]
                    grams += 1
            elif at < stop:
                at = decode(data, at)[1]
    return hashes[:grams], documents[:grams], begins[:grams], ends[:grams], places[:grams], sizes


def ngrams(texts: pa.Array | pa.ChunkedArray, n: int) -> "Grams":
    """Every run of n tokens in each text, hashed, in order: for each last token the shortest run that comes to n.

    Args:
        texts: strings, shape (documents,); nulls have no tokens.
        n: tokens in a run.
    """
    data, offsets = text_buffers(texts)
    return Grams(data, *_ngrams(data, offsets, n, _token_table(), _letter_table()))


@dataclasses.dataclass(frozen=True)
class Grams:
    """The n-grams of some texts.

    Attributes:
        data: the bytes of the texts.
        hashes: 64 bits a gram, shape (grams,).
        documents: the row of the text that it stands in, ascending, shape (grams,).
        begins: its first byte in `data`, shape (grams,).
        ends: the byte after its last, shape (grams,).
        places: how far into its text it ends, in quarters of a token, shape (grams,).
        sizes: how long each text is, in quarters of a token, shape (texts,).
    """

    data: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint64]
    documents: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    def text(self, first: int, last: int) -> str:
        """What stands from one gram to another, both with it, as it was written; its first `SHOWN` bytes."""
        end = min(self.ends[last], self.begins[first] + SHOWN)
        return self.data[self.begins[first] : end].tobytes().decode(errors="ignore")
