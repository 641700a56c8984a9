"""Windows spread over a text, cleaned for a language classifier: no addresses, no markup, one kind of script each.

A classifier that sees windows instead of the whole gives, by one mechanism, the language, the runner-up and the share
of each, at a cost that does not grow with the text.
"""

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, kernel
from datapipe.text.characters import decode
from datapipe.text.scripts import HAN_WEIGHT, NO_LETTER, is_east_asian_letter

# Addresses, paths, markup and code between the words of prose: runs of visible ASCII with a sign that no sentence has.
NO_SENTENCE_HAS = np.isin(np.arange(128), list(b"/\\_=<>{}|@#*`"))


@helper
def _window_edges(length: int, window: int, max_windows: int, i: int) -> tuple[int, int]:
    """Where window `i` of a text of `length` characters begins and ends; see `cut_windows`."""
    pieces = -(-length // window)
    if 0 < max_windows < pieces:
        begin = int((i + 0.5) * (length / max_windows) - window / 2)
        return begin, begin + window
    return length * i // pieces, length * (i + 1) // pieces


@helper
def _blank_markup(
    data: npt.NDArray[np.uint8], at: int, end: int, signs: npt.NDArray[np.bool_], out: npt.NDArray[np.uint8]
) -> int:
    """Copy a window into `out`, a blank in place of each run of ASCII with a sign of no sentence; returns its bytes."""
    to = 0
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
            for i in range(begin, at):
                out[to] = data[i]
                to += 1
    return to


@helper
def _split_by_script(data: npt.NDArray[np.uint8], end: int, kinds: npt.NDArray[np.uint8]) -> tuple[bool, bool]:
    """Set the kind of each line that begins at a byte of `data`: 1 if it is mostly in an East Asian script, else 0.

    Returns whether there is a line of kind 0, and of kind 1. If no letter is East Asian, all lines are of kind 0.
    """
    others, east, at, begin = 0, 0, 0, 0
    any_other, any_east = False, False
    while at <= end:
        code_point = 10
        if at < end:
            code_point, following = decode(data, at)
        else:
            following = at + 1
        if code_point == 10:
            kind = 1 if HAN_WEIGHT * east > others else 0
            kinds[begin] = kind
            any_other |= kind == 0
            any_east |= kind == 1
            others, east, begin = 0, 0, following
        elif is_east_asian_letter(code_point):
            east += 1
        else:
            others += 1
        at = following
    return any_other, any_east


@helper
def _copy_lines(
    data: npt.NDArray[np.uint8],
    end: int,
    kinds: npt.NDArray[np.uint8],
    kind: int,
    out: npt.NDArray[np.uint8],
    to: int,
) -> int:
    """Copy the lines of a kind to byte `to` of `out` as one line, blanks between them; returns where that ends."""
    line = 0
    while line <= end:
        stop = line
        while stop < end and data[stop] != 10:
            stop += 1
        if kinds[line] == kind:
            for i in range(line, stop):
                out[to] = data[i]
                to += 1
            out[to] = 32
            to += 1
        line = stop + 1
    out[to - 1] = 10
    return to


@kernel
def cut_windows(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    window: int,
    max_windows: int,
    signs: npt.NDArray[np.bool_],
    scripts: npt.NDArray[np.uint8],
    width: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The pieces of each text that are judged, as single lines.

    At most `max_windows` windows of at most `window` characters, evenly spread over the text. A text that so many
    windows can hold is taken whole, in equal windows; with `max_windows` = 0 every text is. Of a longer one, each
    window is the middle of an equal part, so that head and foot of a page weigh no more than the rest. In a window, a
    blank stands for each run of ASCII that holds a sign of `signs`. A window with lines mostly in an East Asian script
    and others becomes two pieces, first the others: bilingual text is two texts in one language each. Line breaks
    become blanks.

    Returns:
        The pieces as UTF-8, a line feed after each; their bounds, shape (pieces + 1,); the first piece of each text,
        shape (texts + 1,); how many letters of each script a piece has, shape (pieces, width), see `script_table`.
    """
    texts = len(bounds) - 1
    longest, windows = 0, 0
    for text in range(texts):
        size = bounds[text + 1] - bounds[text]
        longest = max(longest, size)
        pieces = -(-size // window)
        windows += min(pieces, max_windows) if max_windows else pieces
    starts = np.empty(longest + 1, np.int64)  # of the characters of a text
    clean = np.empty(4 * window, np.uint8)
    kinds = np.empty(4 * window + 1, np.uint8)
    out = np.empty(min(bounds[-1] - bounds[0], windows * 4 * window) + 2 * windows, np.uint8)
    piece_bounds = np.zeros(2 * windows + 1, np.int64)
    first = np.zeros(texts + 1, np.int64)
    counts = np.zeros((2 * windows, width), np.int32)
    to, piece = 0, 0
    for text in range(texts):
        at, end, length = bounds[text], bounds[text + 1], 0
        while at < end:
            starts[length] = at
            length += 1
            byte = data[at]
            at += 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        starts[length] = end
        windows = -(-length // window)
        for i in range(min(windows, max_windows) if max_windows else windows):
            left, right = _window_edges(length, window, max_windows, i)
            size = _blank_markup(data, starts[left], starts[right], signs, clean)
            any_other, any_east = _split_by_script(clean, size, kinds)
            for kind in range(2):
                if not (any_east if kind else any_other):
                    continue
                begin = to
                to = _copy_lines(clean, size, kinds, kind, out, to)
                while begin < to:
                    code_point, begin = decode(out, begin)
                    if scripts[code_point] != NO_LETTER:
                        counts[piece, scripts[code_point]] += 1
                piece += 1
                piece_bounds[piece] = to
        first[text + 1] = piece
    return out[:to], piece_bounds[: piece + 1], first, counts[:piece]
