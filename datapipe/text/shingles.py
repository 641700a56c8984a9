"""Shingles: every run of n successive tokens of a document, as 64-bit hashes. The sets that near duplicates compare.

A token follows from the script, not from a language model: each Chinese character or kana is one, and so is each letter
of the other scripts written without spaces; elsewhere a run of letters, digits and marks is one. Case and everything
else do not count, but in a text too short for a single whole shingle, where signs tell `C++` from `C#`. Exact
comparison of pieces of text is in `hashes.py`.
"""

import functools
import unicodedata

import numpy as np
import numpy.typing as npt

from datapipe.kernels import inlined, kernel
from datapipe.text.bit_mixing import golden_fold, murmur64
from datapipe.text.characters import (
    DIGIT,
    HAN,
    LETTER,
    MARK,
    PUNCTUATION,
    UNSPACED_RANGES,
    class_table,
    decode,
    lower_table,
)

SEPARATOR, IN_WORD, WHOLE, MODIFIER = 0, 1, 2, 3  # what a code point does to a token

# Of the rolling hash over tokens: the multiplier of a full-period 64-bit congruential generator (Steele, Vigna).
BASE = np.uint64(0xD1342543DE82EF95)


@functools.cache
def token_table() -> npt.NDArray[np.int32]:
    """For each code point its lower-case form times 4, plus what it does to a token, shape (0x110000,)."""
    classes = class_table()
    kinds = np.zeros(len(classes), np.int32)
    kinds[(classes & (LETTER | DIGIT)) > 0] = IN_WORD
    kinds[(classes & MARK) > 0] = MODIFIER
    whole = (classes & HAN) > 0
    for first, last in UNSPACED_RANGES:
        whole[first : last + 1] |= (classes[first : last + 1] & LETTER) > 0
    kinds[whole] = WHOLE
    table = lower_table() << 2 | kinds
    table.flags.writeable = False
    return table


NO_SIGN, SIGN, NUMERIC_SIGN, NUMBER = 0, 1, 2, 3  # what a code point does to the meaning of a few words
_SIGNS = "#%&@\\"  # besides the Unicode symbols: of mathematics, currencies, and others
_NO_SIGNS = "`´¨¯"  # of those: quotes and accents by themselves
_NUMERIC_SIGNS = ".,:/'*-−·"  # before a digit: `-1`, `1,234.56`; elsewhere punctuation


@functools.cache
def sign_table() -> npt.NDArray[np.uint8]:
    """What each code point is among signs, shape (0x110000,)."""
    classes = class_table()
    table = np.zeros(len(classes), np.uint8)
    for point in np.flatnonzero((classes & PUNCTUATION) > 0).tolist():
        table[point] = SIGN if unicodedata.category(chr(point)).startswith("S") else NO_SIGN
    for signs, kind in ((_SIGNS, SIGN), (_NO_SIGNS, NO_SIGN), (_NUMERIC_SIGNS, NUMERIC_SIGN)):
        table[[ord(sign) for sign in signs]] = kind
    table[(classes & DIGIT) > 0] = NUMBER
    table.flags.writeable = False
    return table


@inlined
def extend_token(token: np.uint64, entry: int) -> np.uint64:
    """The hash of a token and one more character, by the character's entry in `token_table`; to be mixed at its end."""
    return golden_fold(token + np.uint64(entry >> 2) + np.uint64(1))


@kernel
def token_hashes(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.int32],
    spans: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The tokens of each document, in the order of the text.

    Args:
        data: UTF-8 bytes.
        bounds: document i is `data[bounds[i]:bounds[i + 1]]`, shape (n + 1,).
        table: `token_table()`.
        spans: filled with the first byte of each token and the one after its last, shape (`max_tokens(bounds)`, 2);
            or of shape (0, 2) where nobody wants to know.

    Returns:
        The hashes of all documents' tokens, and bounds as above into them, shape (n + 1,).
    """
    documents = len(bounds) - 1
    hashes = np.empty(max_tokens(bounds), np.uint64)
    hash_bounds = np.zeros(documents + 1, np.int64)
    filled = 0
    for document in range(documents):
        token = np.uint64(0)
        state = SEPARATOR
        at, end = bounds[document], bounds[document + 1]
        while at < end:
            here = at
            code_point, at = decode(data, at)
            entry = table[code_point]
            kind = entry & 3
            goes_on = (kind == IN_WORD and state == IN_WORD) or (kind == MODIFIER and state != SEPARATOR)
            if not goes_on:
                if state != SEPARATOR:
                    hashes[filled] = murmur64(token)
                    filled += 1
                token = np.uint64(0)
                state = IN_WORD if kind == MODIFIER else kind
                if kind != SEPARATOR and len(spans):
                    spans[filled, 0] = here
            if kind != SEPARATOR:
                token = extend_token(token, entry)
                if state == IN_WORD:
                    # The small letters of ASCII that follow belong to it, whatever they are: most of a text.
                    while at < end and 97 <= data[at] <= 122:
                        token = extend_token(token, table[data[at]])
                        at += 1
                if len(spans):
                    spans[filled, 1] = at
        if state != SEPARATOR:
            hashes[filled] = murmur64(token)
            filled += 1
        hash_bounds[document + 1] = filled
    return hashes[:filled], hash_bounds


@inlined
def max_tokens(bounds: npt.NDArray[np.int64]) -> int:
    """How many tokens documents of these bounds can have at most, rounded up."""
    # A token takes at least two bytes: one and a separator, or a character of three.
    return (bounds[-1] - bounds[0]) // 2 + len(bounds)


@kernel
def roll(
    hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Turn the tokens of each document into its shingles, in their place.

    A document of fewer than `size` tokens, but at least one, has a single shingle of all of them; one without tokens
    has none.

    Args:
        hashes, bounds: as `token_hashes` returns them; overwritten.
        size: tokens a shingle, at least 1.

    Returns:
        The hashes of all documents' shingles, repeated ones repeated, and bounds as above into them, shape (n + 1,).
    """
    outgoing = np.uint64(1)  # the weight of the token that leaves the window
    for _ in range(size):
        outgoing *= BASE
    shingle_bounds = np.zeros(len(bounds), np.int64)
    filled = 0
    for document in range(len(bounds) - 1):
        first, end = bounds[document], bounds[document + 1]
        width = min(end - first, size)
        window = np.uint64(0)
        for index in range(first, first + width):
            window = window * BASE + hashes[index]
        for index in range(first, end - width):
            leaving = hashes[index]
            hashes[filled] = murmur64(window)
            filled += 1
            window = window * BASE + hashes[index + width] - leaving * outgoing
        if width:
            hashes[filled] = murmur64(window)
            filled += 1
        shingle_bounds[document + 1] = filled
    return hashes[:filled], shingle_bounds


@kernel
def add_signs(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    token_bounds: npt.NDArray[np.int64],
    size: int,
    table: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.uint64],
    hash_bounds: npt.NDArray[np.int64],
) -> None:
    """Mix the signs of each document of fewer than `size` tokens into its only shingle.

    Args:
        data, bounds, token_bounds: as `token_hashes` takes and returns them.
        size: tokens a shingle.
        table: `sign_table()`.
        hashes, hash_bounds: as `roll` returns them; overwritten.
    """
    for document in range(len(bounds) - 1):
        if not 0 < token_bounds[document + 1] - token_bounds[document] < size:
            continue
        signs = np.uint64(0)
        at, end = bounds[document], bounds[document + 1]
        while at < end:
            code_point, at = decode(data, at)
            kind = table[code_point]
            if kind == NUMERIC_SIGN and at < end and table[decode(data, at)[0]] == NUMBER:
                kind = SIGN
            if kind == SIGN:
                signs = signs * BASE + np.uint64(code_point)
        if signs:
            hashes[hash_bounds[document]] = murmur64(hashes[hash_bounds[document]] ^ signs)


def shingle_hashes(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The shingles of documents, see `token_hashes`, `roll` and `add_signs`.

    >>> texts = [b"one two three four", b"One, two, three; five!"]
    >>> bounds = np.cumsum([0, *map(len, texts)])
    >>> hashes, hash_bounds = shingle_hashes(np.frombuffer(b"".join(texts), np.uint8), bounds, 3)
    >>> hash_bounds.tolist(), (hashes[:2] == hashes[2:]).tolist()  # two of each text; the first two are equal
    ([0, 2, 4], [True, False])
    """
    tokens, token_bounds = token_hashes(data, bounds, token_table(), np.empty((0, 2), np.int64))
    hashes, hash_bounds = roll(tokens, token_bounds, size)
    add_signs(data, bounds, token_bounds, size, sign_table(), hashes, hash_bounds)
    return hashes, hash_bounds
