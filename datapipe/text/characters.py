"""What a character is, for kernels: one class byte and one lower-case code point for each Unicode code point.

Every kernel that walks over UTF-8 text (rules, shingles, lines) takes these two tables, so that "letter" or "Han" means
the same thing everywhere. The tables come from Python's own `unicodedata`; they are made once in a process.
"""

import sys
import unicodedata

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import helper, inlined, kept_table

LETTER = 1  # general category L*
DIGIT = 2  # general category N*
PUNCTUATION = 4  # general categories P* and S*
SPACE = 8  # str.isspace()
HAN = 16  # Chinese characters, kana and bopomofo: scripts written without spaces, one token a character
MARK = 32  # general category M*: part of the word that it follows
UPPER = 64  # str.isupper()
CONTROL = 128  # general category C*, line breaks and tabs excepted

_HAN_RANGES = (
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3041, 0x3096),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x3105, 0x312F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x20000, 0x323AF),
)

# Thai and Lao, Myanmar, Khmer, Tai scripts, with their extensions: written without spaces between words, which have
# several letters. Tibetan is not among them: a mark stands between its syllables.
UNSPACED_RANGES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0xA9E0, 0xA9FF))


@kept_table
def class_table() -> npt.NDArray[np.uint8]:
    """The class flags of every code point, shape (0x110000,).

    >>> class_table()[[ord(character) for character in "A中。"]].tolist() == [LETTER | UPPER, LETTER | HAN, PUNCTUATION]
    True
    """
    flags_of = np.zeros(128, np.uint8)
    for major, flags in zip("LNPSMC", (LETTER, DIGIT, PUNCTUATION, PUNCTUATION, MARK, CONTROL), strict=True):
        flags_of[ord(major)] = flags
    table = np.full(sys.maxunicode + 1, CONTROL, np.uint8)
    # Planes 4 to 13 are unassigned, 15 and 16 private; and no call stands in a loop of Python's: 0.3 s otherwise.
    for first, end in ((0, 0x40000), (0xE0000, 0xE1000)):
        majors = "".join(map(unicodedata.category, map(chr, range(first, end))))[::2]
        table[first:end] = flags_of[np.frombuffer(majors.encode(), np.uint8)]
    for first, end in ((0, 0x3400), (0xA000, 0xAC00), (0xF900, 0x20000)):  # no other is upper case or white space
        characters = list(map(chr, range(first, end)))
        part = table[first:end]
        part[np.fromiter(map(str.isupper, characters), bool)] |= UPPER
        part[np.fromiter(map(str.isspace, characters), bool)] = SPACE
    for first, last in _HAN_RANGES:
        table[first : last + 1] |= HAN
    return table


@kept_table
def lower_table() -> npt.NDArray[np.int32]:
    """The lower-case form of every code point, shape (0x110000,); itself where that is not one code point.

    >>> [chr(lower_table()[ord(character)]) for character in "AÉé中İ"]
    ['a', 'é', 'é', '中', 'İ']
    """
    table = np.arange(sys.maxunicode + 1, dtype=np.int32)
    characters = list(map(chr, range(0x1F000)))
    for character, lowered in zip(characters, map(str.lower, characters), strict=True):
        if lowered != character and len(lowered) == 1:
            table[ord(character)] = ord(lowered)
    return table


@inlined
def decode(data: npt.NDArray[np.uint8], at: int) -> tuple[np.int64, int]:
    """The code point that starts at byte `at` of valid UTF-8, and the position after it."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, at + 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), at + 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), at + 3
    return (
        (first & 0x07) << 18
        | (np.int64(data[at + 1]) & 0x3F) << 12
        | (np.int64(data[at + 2]) & 0x3F) << 6
        | (np.int64(data[at + 3]) & 0x3F)
    ), at + 4


@helper
def encode(code_point: int, data: npt.NDArray[np.uint8], at: int) -> int:
    """Write a code point as UTF-8; returns where it ends."""
    if code_point < 0x80:
        data[at] = code_point
        return at + 1
    if code_point < 0x800:
        data[at], data[at + 1] = 0xC0 | code_point >> 6, 0x80 | code_point & 0x3F
        return at + 2
    if code_point < 0x10000:
        data[at], data[at + 1] = 0xE0 | code_point >> 12, 0x80 | code_point >> 6 & 0x3F
        data[at + 2] = 0x80 | code_point & 0x3F
        return at + 3
    data[at], data[at + 1] = 0xF0 | code_point >> 18, 0x80 | code_point >> 12 & 0x3F
    data[at + 2], data[at + 3] = 0x80 | code_point >> 6 & 0x3F, 0x80 | code_point & 0x3F
    return at + 4


@helper
def copy_bytes(data: npt.NDArray[np.uint8], begin: int, end: int, out: npt.NDArray[np.uint8], to: int) -> int:
    """Copy a span; returns where what follows it goes."""
    first, begun = np.uint64(begin), np.uint64(to)  # unsigned: then many bytes are copied at a time
    for i in range(np.uint64(end - begin)):
        out[begun + i] = data[first + i]
    return to + end - begin


def text_buffers(texts: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes and offsets of a string array, for a kernel: document i is `data[offsets[i]:offsets[i + 1]]`.

    Nulls read as empty text. Slices are respected: offsets need not start at 0.

    >>> data, offsets = text_buffers(pa.array(["ab", None, "中"]))
    >>> data.tobytes().decode(), offsets.tolist()
    ('ab中', [0, 2, 2, 5])
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    texts = texts.fill_null("").cast(pa.large_string())
    _, offsets, data = texts.buffers()
    bounds = (
        np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        if len(texts)
        else np.zeros(1, np.int64)
    )
    return np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8), bounds
