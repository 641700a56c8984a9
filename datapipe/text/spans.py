"""One document as a kernel reads it: code points, lines, phrases; what ends a sentence.

`characters.py` classifies single code points, `words.py` makes words of them; this holds what `measuring.py` and
`lines.py` both do with the text between line breaks.
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, kept_table
from datapipe.text.characters import DIGIT, LETTER, SPACE, class_table, decode, lower_table
from datapipe.text.repetition import PREFIX_BITS, PREFIX_STEP, extend

TERMINAL = 1  # ends a sentence
CLOSING = 2  # a quote or bracket that may follow what ends a sentence
WIDE_TERMINAL = 4  # ends a sentence though no space follows
BULLET = 8
SYMBOL = 16  # makes no word by itself
TRADITIONAL = 32  # a Chinese character that is written otherwise in simplified script
STEM = 64  # a stem of `notices.py` begins with it, in either case
BEYOND = 8  # so many code points may be asked for from any place on

CLOSERS = "\"'”’»›)]}」』】》〉）］｝"
WIDE_TERMINALS = "。！？．｡…"
# C4's (Raffel et al. 2020), as tensorflow/datasets spells them.
POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


@functools.cache
def terminal_points() -> tuple[int, ...]:
    """The code points that end a sentence: Unicode's property Sentence_Terminal, and three Khmer signs as datatrove."""
    import regex  # here: the tables that need it are kept

    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x20000))))
    return tuple(map(ord, regex.findall(r"\p{Sentence_Terminal}", every) + list("៖៙៚")))


@kept_table
def sentence_marks() -> npt.NDArray[np.uint8]:
    """Which code points end a sentence and which may follow what ends it, shape (0x110000,)."""
    marks = np.zeros(0x110000, np.uint8)
    marks[[*terminal_points(), ord("…")]] |= TERMINAL
    marks[[ord(c) for c in CLOSERS]] |= CLOSING
    marks[[ord(c) for c in WIDE_TERMINALS]] |= WIDE_TERMINAL
    return marks


class Text(NamedTuple):
    """One document, and tables to read it; `starts` and `ends` hold its tokens, lines or paragraphs by turns.

    What `room` holds can be read again: a long text makes room there for the hashes of its tokens.
    """

    points: npt.NDArray[np.int32]  # code points, and then `BEYOND` zeros
    flags: npt.NDArray[np.uint8]  # and what `classes` and ...
    signs: npt.NDArray[np.uint8]  # ... `marks` say of each
    breaks: npt.NDArray[np.int32]  # where line feeds stand, and then the length of the text
    prefix: npt.NDArray[np.uint64]  # prefix[i]: hash of the first PREFIX_STEP * i code points
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    any_flags: npt.NDArray[np.uint8]  # of each token: what `flags` say of any of its code points, ...
    all_signs: npt.NDArray[np.uint8]  # ... and `signs` of all
    room: npt.NDArray[np.uint64]  # `prefix`, `flags`, `signs` and `breaks` lie in it
    classes: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.int32]
    marks: npt.NDArray[np.uint8]


def new_text(longest: int, marks: npt.NDArray[np.uint8]) -> Text:
    """Memory for documents of at most `longest` code points; what is not written takes none."""
    prefixes, twice = longest // PREFIX_STEP + 2, -(-longest // 4)
    room = np.empty(max(longest + 1, prefixes + twice + longest // 2 + 1), np.uint64)
    flags, signs = room[prefixes:].view(np.uint8)[: 2 * longest].reshape(2, longest)
    return Text(
        points=np.empty(longest + BEYOND, np.int32),
        flags=flags,
        signs=signs,
        breaks=room[prefixes + twice :].view(np.int32)[: longest + 1],
        prefix=room[:prefixes],
        room=room,
        starts=np.empty(longest + 1, np.int32),
        ends=np.empty(longest + 1, np.int32),
        any_flags=np.empty(longest + 1, np.uint8),
        all_signs=np.empty(longest + 1, np.uint8),
        classes=class_table(),
        lower=lower_table(),
        marks=marks,
    )


@helper
def read_text(t: Text, data: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """Fill what `t` says of each code point with the text at bytes `start` to `end`; returns its code points."""
    length, at, breaks, value = 0, start, 0, np.uint64(0)
    while at < end:
        point, at = decode(data, at)
        t.points[length] = point
        t.flags[length] = t.classes[point]
        t.signs[length] = t.marks[point]
        t.breaks[breaks] = length
        breaks += point == 10
        # Written over until it is that of the first so many.
        t.prefix[(length + PREFIX_STEP - 1) >> PREFIX_BITS] = value
        value = extend(value, point)
        length += 1
    t.prefix[(length + PREFIX_STEP - 1) >> PREFIX_BITS] = value
    t.breaks[breaks] = length
    for i in range(BEYOND):
        t.points[length + i] = 0
    return length


@helper
def strip(t: Text, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    while start < end and t.flags[start] & SPACE:
        start += 1
    while start < end and t.flags[end - 1] & SPACE:
        end -= 1
    return start, end


@helper
def split_at_breaks(t: Text, start: int, end: int, min_breaks: int, max_breaks: int) -> int:
    """Fill `starts` and `ends` with the pieces between runs of so many line feeds; returns their number."""
    pieces, k = 0, 0
    while t.breaks[k] < start:
        k += 1
    while t.breaks[k] < end:
        at, run = t.breaks[k], 1
        while run < max_breaks and t.breaks[k + run] == at + run and at + run < end:
            run += 1
        if run >= min_breaks:
            t.starts[pieces], t.ends[pieces] = start, at
            pieces += 1
            start = at + run
        k += run
    t.starts[pieces], t.ends[pieces] = start, end
    return pieces + 1


@helper
def split_as_python(t: Text, length: int) -> int:
    """As `split_at_breaks`, at the line breaks of str.splitlines."""
    pieces, start = 0, 0
    for i in range(length):
        point = t.points[i]
        if 10 <= point <= 13 or 0x1C <= point <= 0x1E or point in (0x85, 0x2028, 0x2029):
            if not (point == 10 and i == start and i > 0 and t.points[i - 1] == 13):
                t.starts[pieces], t.ends[pieces] = start, i
                pieces += 1
            start = i + 1
    if start < length:
        t.starts[pieces], t.ends[pieces] = start, length
        pieces += 1
    return pieces


@helper
def drop_blank(t: Text, pieces: int, stripped: bool) -> int:
    """Drop blank pieces, and white space around the others if `stripped`; returns the number left."""
    kept = 0
    for i in range(pieces):
        start, end = strip(t, t.starts[i], t.ends[i])
        if start < end:
            t.starts[kept], t.ends[kept] = (start, end) if stripped else (t.starts[i], t.ends[i])
            kept += 1
    return kept


@helper
def drop_symbols(t: Text, pieces: int) -> int:
    """Drop pieces without a letter or digit: code fences, rules, borders of tables; returns the number left."""
    kept = 0
    for i in range(pieces):
        for j in range(t.starts[i], t.ends[i]):
            if t.flags[j] & (LETTER | DIGIT):
                t.starts[kept], t.ends[kept] = t.starts[i], t.ends[i]
                kept += 1
                break
    return kept


@helper
def ends_in(t: Text, start: int, end: int, suffixes: npt.NDArray[np.int32]) -> bool:
    """Whether the text in lower case ends in one of the suffixes: rows of code points from the last, padded with 0."""
    for k in range(len(suffixes)):
        size = 0
        while suffixes[k, size] and end - size > start and t.lower[t.points[end - 1 - size]] == suffixes[k, size]:
            size += 1
        if not suffixes[k, size]:
            return True
    return False


@helper
def phrase_at(t: Text, at: int, end: int, phrase: npt.NDArray[np.int32]) -> int:
    """The length of the phrase, padded with 0, if the text in lower case holds it at `at`, before `end`; else 0."""
    size = 0
    while phrase[size] and at + size < end and t.lower[t.points[at + size]] == phrase[size]:
        size += 1
    return 0 if phrase[size] else size


@functools.cache
def padded(texts: tuple[str, ...]) -> npt.NDArray[np.int32]:
    """Code points, a text a row, with a 0 at least after each."""
    table = np.zeros((len(texts), max(map(len, texts)) + 1), np.int32)
    for row, text in zip(table, texts, strict=True):
        row[: len(text)] = [ord(character) for character in text]
    return table


@functools.cache
def first_pairs(texts: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Which pairs of characters, in either case and by their lowest 7 bits, begin a text, and which follow such a pair.

    Returns:
        1 for those that begin one, 2 for the others, 3 for both, at 128 times the first and the second character.

    >>> pairs = first_pairs(("lorem", "use it"))
    >>> [int(pairs[ord(a) * 128 + ord(b)]) for a, b in ("lo", "LO", "Us", "re", "e ", "le")]
    [1, 1, 1, 2, 2, 0]
    """
    lower = lower_table()
    pairs = np.zeros((128, 128), np.uint8)
    for text in texts:
        for bit, pair in ((1, text[:2]), (2, text[2:4])):
            # The Kelvin sign is a capital k, and looks like an asterisk to who asks for 7 bits.
            first, second = (np.flatnonzero(lower == ord(character)) & 127 for character in pair)
            pairs[np.ix_(first, second)] |= bit
    return pairs.ravel()
