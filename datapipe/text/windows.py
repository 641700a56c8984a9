"""Windows spread over a text, cleaned for a language classifier: no addresses, no markup, one kind of script each.

A classifier that sees windows instead of the whole gives, by one mechanism, the language, the runner-up and the share
of each, at a cost that does not grow with the text.
"""

import functools
import sys
import unicodedata

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, kernel
from datapipe.text.characters import LETTER, MARK, UPPER, copy_bytes, decode, encode
from datapipe.text.scripts import HAN_WEIGHT, NO_LETTER, is_east_asian_letter

# Addresses, paths, markup and code between the words of prose: runs of visible ASCII with a sign that no sentence has.
NO_SENTENCE_HAS = np.isin(np.arange(128), list(b"/\\_=<>{}|@#*`"))

# A line or sentence of so many characters is a piece of its own; shorter ones, which a classifier errs on, are joined.
# At 60, one in five texts whose lines alternate between two languages is not mixed; at 30, one in thirty, and no other
# text is. Where sentences alternate within a line, one in six was not when only lines were cut; now one in fifty.
PIECE = 30

# What ends a sentence: Latin, Armenian, Arabic, Urdu, Devanagari and Ethiopic; what may stand between it and the blank.
SENTENCE_ENDS = (33, 46, 63, 0x589, 0x61F, 0x6D4, 0x964, 0x965, 0x1362)
CLOSERS = (34, 39, 41, 93, 0xBB, 0x2019, 0x201D)
HAN_STOP = 0x3002
_NEITHER, _ENDS, _CLOSES = 0, 1, 2
_ROLES = np.zeros(max(*SENTENCE_ENDS, *CLOSERS) + 1, np.uint8)  # of characters at the end of a sentence
_ROLES[[*SENTENCE_ENDS]], _ROLES[[*CLOSERS]] = _ENDS, _CLOSES

KINDS = 3  # of lines, by their script
_AFTER_LATIN = 0x250

# Latin, kana and Arabic letters in other widths, styles and positions, which models have hardly seen.
_STYLED = (*range(0xFB00, 0xFE00), *range(0xFE70, 0xFF00), *range(0xFF01, 0xFFEF), *range(0x1D400, 0x1D800))
# A text of so many letters one by one, "l i k e  t h i s", is spelt without the spaces.
_FEWEST_LETTERS_APART = 10
_LETTERS_APART_SHARE = 0.8


@functools.cache
def fold_table() -> npt.NDArray[np.int32]:
    """What a classifier reads in place of each code point, shape (0x110000,); -1 = nothing.

    Invisible characters (general category Cf, soft hyphen and zero-width space among them) are nothing, but for the two
    joiners that spelling needs; full-width, mathematical and presentation forms are what NFKC makes of them.
    """
    table = np.arange(sys.maxunicode + 1, dtype=np.int32)
    for code_point in _STYLED:
        folded = unicodedata.normalize("NFKC", chr(code_point))
        if len(folded) == 1:
            table[code_point] = ord(folded)
    for code_point in (*range(0x3000), *range(0xFE00, 0x10000), *range(0xE0000, 0xE0100)):
        if unicodedata.category(chr(code_point)) == "Cf" and code_point not in (0x200C, 0x200D):
            table[code_point] = -1
    table.flags.writeable = False
    return table


# What the character that begins with a byte says, in letters of an alphabet: a byte within one nothing; Han, kana
# and hangul, which with their punctuation are all from U+3000 to U+DFFF, as much as three.
_WEIGHTS = np.ones(256, np.int64)
_WEIGHTS[0x80:0xC0] = 0
_WEIGHTS[0xE3:0xEE] = HAN_WEIGHT
_EVER = 1 << 62  # no text weighs so much
_BLOCK = 64  # bytes that are weighed at once; what they weigh fits into one


@helper
def _weigh_block(data: npt.NDArray[np.uint8], at: int) -> int:
    """The sum of the weights of a block: by comparisons alone, which are made for all of it at once."""
    weight = np.uint8(0)
    for i in range(np.uint64(at), np.uint64(at + _BLOCK)):
        han = np.uint8(data[i] - np.uint8(0xE3)) < np.uint8(0xEE - 0xE3)
        begins = np.uint8(data[i] + np.uint8(0x40)) < np.uint8(0xC0)
        weight = np.uint8(weight + np.uint8(begins) + np.uint8(np.uint8(han) * np.uint8(HAN_WEIGHT - 1)))
    return int(np.int64(weight))


@helper
def _skip(data: npt.NDArray[np.uint8], at: int, end: int, weight: int, goal: int) -> tuple[int, int]:
    """Where, from `at` on, characters of a weight together begin that is not less than `goal`; and that weight.

    Args:
        end: of the text, the place if it weighs less.
        weight: of what is before `at`.
    """
    while at + _BLOCK <= end and weight < goal:
        block = _weigh_block(data, at)
        if weight + block >= goal:
            break
        weight += block
        at += _BLOCK
    while at < end and (weight < goal or data[at] & 0xC0 == 0x80):
        weight += _WEIGHTS[data[at]]
        at += 1
    return at, weight


@helper
def _count_ascii(data: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """The letters of a text, if all of it is ASCII; else -1."""
    letters, beyond = np.uint32(0), np.uint8(0)
    for i in range(np.uint64(start), np.uint64(end)):  # unsigned: then it is done for many at a time
        beyond |= data[i]
        letters += np.uint32(np.uint8((data[i] | np.uint8(32)) - np.uint8(97)) < np.uint8(26))
    return -1 if beyond & 0x80 else int(np.int64(letters))


@helper
def _blank_markup(
    data: npt.NDArray[np.uint8], at: int, end: int, signs: npt.NDArray[np.bool_], out: npt.NDArray[np.uint8]
) -> int:
    """Copy a window into `out`, a blank in place of each run of ASCII with a sign of no sentence; returns its bytes."""
    to, any_sign = 0, False
    for i in range(at, end):
        any_sign |= signs[data[i] & 0x7F] & (data[i] < 0x80)
    if not any_sign:
        return copy_bytes(data, at, end, out, 0)
    while at < end:
        begin, marked = at, False
        while at < end and 33 <= data[at] <= 126:
            marked |= signs[data[at]]
            at += 1
        if marked:
            out[to] = 32
            to += 1
        else:
            at = max(at, begin + 1)
            to = copy_bytes(data, begin, at, out, to)
    return to


@helper
def _fold(
    data: npt.NDArray[np.uint8],
    end: int,
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    folds: npt.NDArray[np.int32],
    out: npt.NDArray[np.uint8],
) -> int:
    """Copy a window into `out` as a classifier has learnt to read it; returns its bytes.

    Characters are folded, see `fold_table`. A window mostly in capitals is in lower case; letters one by one with a
    blank between them become words, two blanks or more being one.
    """
    at, letters, capitals, words, single, size, same = 0, 0, 0, 0, 0, 0, True
    while at <= end:
        if at < end and data[at] < 128:  # most of a text: no branch, since none can be predicted
            flags = classes[data[at]]
            blank = data[at] in (9, 10, 32)
            words += blank & (size > 0)
            single += blank & (size == 1)
            size = (size + (flags & LETTER > 0)) * (not blank)
            letters += flags & LETTER > 0
            capitals += flags & UPPER > 0
            at += 1
            continue
        code_point = 32
        if at < end:
            found, at = decode(data, at)
            code_point = folds[found]
            same &= code_point == found
        else:
            at += 1
        if code_point in (9, 10, 32):
            words += size > 0
            single += size == 1
            size = 0
        elif code_point >= 0 and classes[code_point] & LETTER:
            size += 1
            if not is_east_asian_letter(code_point):
                letters += 1
                capitals += classes[code_point] & UPPER > 0
            else:
                size += 1
    capital = capitals * 2 > letters
    apart = single >= _FEWEST_LETTERS_APART and single >= _LETTERS_APART_SHARE * words
    if same and not capital and not apart:
        return copy_bytes(data, 0, end, out, 0)
    at, to, blanks = 0, 0, 0
    while at < end:
        code_point, at = decode(data, at)
        code_point = folds[code_point]
        if code_point < 0:
            continue
        if apart and code_point == 32:
            blanks += 1
            continue
        if blanks > 1:
            out[to] = 32
            to += 1
        blanks = 0
        to = encode(lower[code_point] if capital else code_point, out, to)
    return to


@helper
def _break_sentences(data: npt.NDArray[np.uint8], end: int, out: npt.NDArray[np.uint8]) -> int:
    """Copy a window into `out` with a line feed after each sentence; returns its bytes.

    A sentence ends at the blank after one of `SENTENCE_ENDS` and any `CLOSERS`, or right after the full stop of Han.
    """
    at, to, ended = 0, 0, False
    if _count_ascii(data, 0, end) >= 0:
        to = copy_bytes(data, 0, end, out, 0)
        for at in range(end):
            if _ROLES[data[at]] == _ENDS:
                after = at + 1
                while after < end and _ROLES[data[after]] == _CLOSES:
                    after += 1
                if after < end and data[after] == 32:
                    out[after] = 10
        return to
    while at < end:
        code_point, following = decode(data, at)
        role = _ROLES[code_point] if code_point < len(_ROLES) else _NEITHER
        if ended and code_point == 32:
            out[to] = 10
            to += 1
        else:
            for i in range(at, following):
                out[to] = data[i]
                to += 1
        if code_point == HAN_STOP:
            out[to] = 10
            to += 1
        ended = role == _ENDS or (ended and role == _CLOSES)
        at = following
    return to


@helper
def _split_by_script(
    data: npt.NDArray[np.uint8], end: int, kinds: npt.NDArray[np.uint8], found: npt.NDArray[np.bool_]
) -> None:
    """Set the kind of each line that begins at a byte of `data`, and which kinds are found, shape (KINDS,).

    A line is of kind 2 if it is mostly in an East Asian script, 1 if it is in another than Latin, else 0.
    """
    plain = _count_ascii(data, 0, end) >= 0
    for kind in range(KINDS):
        found[kind] = plain and kind == 0
    if plain:
        kinds[: end + 1] = 0  # Latin
        return
    latin, others, east, at, begin = 0, 0, 0, 0, 0
    while at <= end:
        code_point = 10
        if at < end:
            code_point, following = decode(data, at)
        else:
            following = at + 1
        if code_point == 10:
            kind = 2 if HAN_WEIGHT * east > latin + others else 1 if others > latin else 0
            kinds[begin] = kind
            found[kind] = True
            latin, others, east, begin = 0, 0, 0, following
        elif is_east_asian_letter(code_point):
            east += 1
        elif code_point < _AFTER_LATIN or 0x1E00 <= code_point <= 0x1EFF or 0x2000 <= code_point <= 0x206F:
            latin += 1  # and punctuation
        else:
            others += 1
        at = following


@helper
def _copy_lines(
    data: npt.NDArray[np.uint8],
    end: int,
    kinds: npt.NDArray[np.uint8],
    kind: int,
    out: npt.NDArray[np.uint8],
    to: int,
    ends: npt.NDArray[np.int64],
    piece: int,
) -> tuple[int, int]:
    """Copy the lines of a kind to byte `to` of `out`, as pieces; returns where the last ends, and the next's number.

    A piece is a line of `PIECE` characters, or several together, blanks between them; what is left over is part of the
    last one. Its end, after a line feed, goes to `ends[piece]`.
    """
    line, size, first = 0, 0, piece
    while line <= end:
        stop, length = line, 0
        while stop < end and data[stop] != 10:
            length += data[stop] & 0xC0 != 0x80
            stop += 1
        if kinds[line] == kind:
            for i in range(line, stop):
                out[to] = data[i]
                to += 1
            out[to] = 32
            to += 1
            size += length
            if size >= PIECE:
                out[to - 1] = 10
                ends[piece] = to
                piece, size = piece + 1, 0
        line = stop + 1
    if piece == first:
        piece += 1
    elif to > ends[piece - 1]:
        out[ends[piece - 1] - 1] = 32
    out[to - 1] = 10
    ends[piece - 1] = to
    return to, piece


@kernel
def cut_windows(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    window: int,
    max_windows: int,
    signs: npt.NDArray[np.bool_],
    classes: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
    folds: npt.NDArray[np.int32],
    scripts: npt.NDArray[np.uint8],
    width: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The pieces of each text that are judged, as single lines.

    At most `max_windows` windows of at most `window` characters, evenly spread over the text; a Han character, kana or
    hangul syllable counts as `HAN_WEIGHT` of them, so that a window stands for the same amount of text in any language.
    A text that so many windows can hold is taken whole, in equal windows; with `max_windows` = 0 every text is. Of a
    longer one, each window is the middle of an equal part, so that head and foot of a page weigh no more than the rest.
    In a window, a blank stands for each run of ASCII that holds a sign of `signs`, and characters are folded, see
    `_fold`. Lines and sentences in East Asian scripts, in Latin letters and in others are apart, and long ones from
    each other: bilingual text is two texts in one language each. Line breaks become blanks.

    Args:
        data, bounds: see `text_buffers`.
        window: characters of a window.
        max_windows: of a text; 0 = no limit.
        signs: see `NO_SENTENCE_HAS`.
        classes, lower, folds, scripts: see `class_table`, `lower_table`, `fold_table`, `script_table`.
        width: how many scripts there are.

    Returns:
        The pieces as UTF-8, a line feed after each; their bounds, shape (pieces + 1,); the first piece of each text,
        shape (texts + 1,); how many letters of each script a piece has, with their marks, shape (pieces, width), see
        `script_table`.
    """
    texts = len(bounds) - 1
    total, windows = np.zeros(texts, np.int64), 0
    for text in range(texts):
        _, total[text] = _skip(data, bounds[text], bounds[text + 1], 0, _EVER)
        pieces = -(-total[text] // window)
        windows += min(pieces, max_windows) if max_windows else pieces
    # A window is `window` characters of 4 bytes at most; a lower-case letter takes a byte more at most, and so does the
    # full stop of Han with a line feed.
    longest = 4 * (window + HAN_WEIGHT)
    clean, folded = np.empty(longest, np.uint8), np.empty(2 * longest, np.uint8)
    broken = np.empty(2 * longest, np.uint8)
    kinds, found = np.empty(2 * longest + 1, np.uint8), np.empty(KINDS, np.bool_)
    most = KINDS + (window + HAN_WEIGHT) // PIECE  # pieces of a window
    size = min(2 * (bounds[-1] - bounds[0]), windows * 2 * longest) + 2 * KINDS * windows
    out = np.empty(size, np.uint8)
    piece_bounds = np.zeros(most * windows + 1, np.int64)
    first = np.zeros(texts + 1, np.int64)
    to, piece = 0, 0
    for text in range(texts):
        pieces = -(-total[text] // window)
        spread = max_windows > 0 and pieces > max_windows
        pieces = max_windows if spread else pieces
        at, end, weight = bounds[text], bounds[text + 1], 0
        for i in range(pieces):
            if spread:
                start = int((i + 0.5) * (total[text] / max_windows) - window / 2)
                stop = start + window
            else:
                start, stop = total[text] * i // pieces, total[text] * (i + 1) // pieces
            begin, weight = _skip(data, at, end, weight, start)
            at, weight = _skip(data, begin, end, weight, stop)
            size = _blank_markup(data, begin, at, signs, clean)
            size = _fold(clean, size, classes, lower, folds, folded)
            size = _break_sentences(folded, size, broken)
            _split_by_script(broken, size, kinds, found)
            for kind in range(KINDS):
                if found[kind]:
                    to, piece = _copy_lines(broken, size, kinds, kind, out, to, piece_bounds[1:], piece)
        first[text + 1] = piece
    counts = np.zeros((width, piece), np.int32)  # in this order: whole columns of what is returned are asked for
    for i in range(piece):
        letters = _count_ascii(out, piece_bounds[i], piece_bounds[i + 1])
        if letters >= 0:
            counts[scripts[97], i] = letters
            continue
        at, script = piece_bounds[i], np.uint8(NO_LETTER)
        while at < piece_bounds[i + 1]:
            code_point, at = decode(out, at)
            if not classes[code_point] & MARK:  # which belongs to the letter before it
                script = scripts[code_point]
            if script != NO_LETTER:
                counts[script, i] += 1
    return out[:to], piece_bounds[: piece + 1], first, counts.T
