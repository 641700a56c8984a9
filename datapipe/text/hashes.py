"""Hashes of pieces of text after a stated normalization, so that exact comparison needs neither the text nor its copy.

The kernel reads UTF-8 and a table that says what each code point counts as; a normalized copy is never made. Shingles
(`shingles.py`) hash overlapping windows of words instead.
"""

import functools
import unicodedata

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, kernel
from datapipe.text.bit_mixing import multiply_fold
from datapipe.text.characters import DIGIT, LETTER, MARK, PUNCTUATION, SPACE, class_table, decode, lower_table

DROPPED = -1
BLANK = -2  # a run of these counts as one space, and as nothing at either end

NORMALIZATIONS = {
    "none": "the text as it is",
    "whitespace": "runs of white space as one space, none at the ends",
    "text": "lower case, letters, digits and marks only",
    "ccnet": "as CCNet compares lines: lower case, no accents, every digit as 0, no punctuation, white space as above",
}

_SEED = np.uint64(0x243F6A8885A308D3)  # digits of pi, as are the multipliers below, made odd
_FIRST = np.uint64(0x13198A2E03707345)
_SECOND = np.uint64(0xA4093822299F31D1)


@helper
def search_sorted(hashes: npt.NDArray[np.uint64], wanted: np.uint64) -> int:
    """The place of the first hash that is not less; numpy's own in a kernel takes half a second to compile."""
    low, high = 0, len(hashes)
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@functools.cache
def normalization_table(name: str) -> npt.NDArray[np.int32]:
    """What each code point counts as under a normalization, shape (0x110000,): a code point, `DROPPED` or `BLANK`.

    The rules map one code point to one. CCNet: Wenzek et al. 2020, `cc_net/text_normalizer.py`; unlike there, symbols
    (category S*) count as punctuation.
    """
    classes = class_table()
    if name == "none":
        return np.arange(len(classes), dtype=np.int32)
    if name == "whitespace":
        table = np.arange(len(classes), dtype=np.int32)
    elif name == "text":
        table = np.where(classes & (LETTER | DIGIT | MARK), lower_table(), DROPPED).astype(np.int32)
        table.flags.writeable = False
        return table
    else:
        table = lower_table().copy()
        for code_point in range(0xC0, 0x2000):
            base = unicodedata.normalize("NFD", chr(table[code_point]))[0]
            table[code_point] = ord(base)
        table[(classes & DIGIT) > 0] = ord("0")
        table[(classes & (MARK | PUNCTUATION)) > 0] = DROPPED
    table[(classes & SPACE) > 0] = BLANK
    table.flags.writeable = False
    return table


@kernel
def hash_spans(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    table: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hash pieces of UTF-8 text as `table` sees them.

    Two lanes of 64 bits, each a bijection of its state at every step: 128 bits together, so that two different texts
    among 10^12 share a hash with a probability below 10^-14. One lane is enough to compare lines.

    Args:
        data: UTF-8 bytes.
        starts, ends: the bytes of each piece, shape (n,).
        table: see `normalization_table`.

    Returns:
        The hashes, shape (n, 2), and how many code points each piece counts, shape (n,); 0 = nothing is left of it.

    >>> data = np.frombuffer(b"Call 12! call 34? caller", np.uint8)
    >>> hashes, counts = hash_spans(data, np.array([0, 9, 18]), np.array([8, 17, 24]), normalization_table("ccnet"))
    >>> (hashes == hashes[0]).all(axis=1).tolist(), counts.tolist()
    ([True, True, False], [7, 7, 6])
    """
    hashes = np.empty((len(starts), 2), np.uint64)
    counts = np.empty(len(starts), np.int64)
    for piece in range(len(starts)):
        first, second = _SEED, ~_SEED
        count = 0
        blank = False
        at, end = starts[piece], ends[piece]
        while at < end:
            code_point, at = decode(data, at)
            meaning = table[code_point]
            if meaning == BLANK:
                blank = count > 0
                continue
            if meaning == DROPPED:
                continue
            if blank:
                first = multiply_fold(first ^ np.uint64(32), _FIRST, 32)
                second = multiply_fold(second ^ np.uint64(32), _SECOND, 29)
                count += 1
                blank = False
            symbol = np.uint64(meaning)
            first = multiply_fold(first ^ symbol, _FIRST, 32)
            second = multiply_fold(second ^ symbol, _SECOND, 29)
            count += 1
        hashes[piece, 0] = first
        hashes[piece, 1] = second
        counts[piece] = count
    return hashes, counts
