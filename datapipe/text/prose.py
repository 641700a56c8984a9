"""The prose of a text in Markdown: what is left without listings, tables, headings and other marked-up lines.

The rules of the field judge running text: how its lines end, how much of them repeats, how long its words are. A manual
is running text with listings and tables between, to which none of that applies: its listings repeat, its headings and
tables end in no full stop. `source_code.py` tells whole files of code from prose; this takes apart a document that
holds both.

Left out, with their line breaks:

    listings    from a line of three or more ` or ~ to the next such line; a fence that nothing closes is no listing
    metadata    what stands between lines of --- at the beginning of the document
    tables      lines that begin and end in |
    headings    lines that begin in one to six # and a space
    tags        lines that are one tag, comment, image or template mark: <...>, {...}, ![...]
    rules       lines of symbols only: === under a heading, --- between sections, borders of tables
    addresses   in a link or image, [text](address)

Put together are lines that were cut at inline mark-up, as text is that comes from the text nodes of a page: "Choose ⏎
File - Open⏎.". A line break within a sentence is none if a single blank stands on one side of it, an opening bracket
before, or what cannot begin a line after it.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import helper, kernel
from datapipe.text.characters import decode, text_buffers

_BREAK, _SPACE, _TAB, _RETURN = 0x0A, 0x20, 0x09, 0x0D
_BACKTICK, _TILDE, _HASH, _BAR, _BANG, _DASH = 0x60, 0x7E, 0x23, 0x7C, 0x21, 0x2D
_OPENING = (0x28, 0x5B, 0x7B)  # ( [ {
_MOST_METADATA = 100  # lines
_NONE_UNCLOSED = 1 << 30


@helper
def _line_end(data: npt.NDArray[np.uint8], at: int, end: int) -> int:
    while at < end and data[at] != _BREAK:
        at += 1
    return at


@helper
def _strip(data: npt.NDArray[np.uint8], start: int, end: int) -> tuple[int, int]:
    while start < end and data[start] in (_SPACE, _TAB, _RETURN):
        start += 1
    while start < end and data[end - 1] in (_SPACE, _TAB, _RETURN):
        end -= 1
    return start, end


@helper
def _run(data: npt.NDArray[np.uint8], start: int, end: int, byte: int) -> int:
    """How many times the byte stands at `start`."""
    at = start
    while at < end and data[at] == byte:
        at += 1
    return at - start


@helper
def _after_listing(data: npt.NDArray[np.uint8], at: int, end: int, fence: int, size: int) -> int:
    """The end of the line that closes a listing, which goes on at `at`; 0 if there is none."""
    while at < end:
        line_end = _line_end(data, at, end)
        start, stop = _strip(data, at, line_end)
        closing = _run(data, start, stop, fence)
        if closing >= size and start + closing == stop:
            return line_end
        at = line_end + 1
    return 0


@helper
def _after_metadata(data: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """The end of the line that closes the metadata at the beginning of a document; 0 if there are none."""
    at = start
    for line in range(_MOST_METADATA):
        line_end = _line_end(data, at, end)
        first, last = _strip(data, at, line_end)
        marks = last - first == 3 and _run(data, first, last, _DASH) == 3
        if marks and line:
            return line_end
        if line_end >= end or (not line and not marks):
            return 0
        at = line_end + 1
    return 0


@helper
def _is_marked_up(data: npt.NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether a line without white space around it is part of a table, a heading, a tag or a rule."""
    if start == end:
        return False
    first, last = data[start], data[end - 1]
    hashes = _run(data, start, end, _HASH)
    if 0 < hashes <= 6 and start + hashes < end and data[start + hashes] in (_SPACE, _TAB):
        return True
    if first == _BAR and last == _BAR:
        return True
    if first == _BANG and end - start > 1 and data[start + 1] == 0x5B and last in (0x29, 0x5D):  # ![ and ) or ]
        return True
    if ((first == 0x3C and last == 0x3E) or (first == 0x7B and last == 0x7D)) and _only_tags(
        data, start, end, first, last
    ):  # < and > or { and }
        return True
    for i in range(start, end):
        byte = data[i]
        if byte >= 0x80 or 0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A:
            return False
    return True


@helper
def _only_tags(data: npt.NDArray[np.uint8], start: int, end: int, opening: int, closing: int) -> bool:
    """Whether all of a line but white space stands within brackets."""
    depth = 0
    for i in range(start, end):
        if data[i] == opening:
            depth += 1
        elif data[i] == closing:
            depth -= 1
        elif not depth and data[i] not in (_SPACE, _TAB):
            return False
    return True


@helper
def _copy(data: npt.NDArray[np.uint8], at: int, end: int, kept: npt.NDArray[np.uint8], written: int) -> int:
    """Copy a line without the addresses of its links; returns the position after what is written."""
    while at < end:
        kept[written] = data[at]
        written += 1
        at += 1
        if data[at - 1] == 0x5D and at < end and data[at] == 0x28:  # ](
            close = at + 1
            while close < end and data[close] not in (_SPACE, _TAB, _BREAK, 0x28, 0x29):
                close += 1
            if close < end and data[close] == 0x29:
                at = close + 1
    return written


@helper
def _goes_on(data: npt.NDArray[np.uint8], at: int, end: int, kept: npt.NDArray[np.uint8], written: int) -> bool:
    """Whether the line at `at` goes on with the sentence of the line written last, which was cut at inline mark-up."""
    last = written - 2
    after_blank = kept[last] == _SPACE
    last -= after_blank
    if kept[last] in (_SPACE, _TAB, _RETURN) or _ends_sentence(kept, last):
        return False
    before_blank = data[at] == _SPACE
    start = at + before_blank
    if start == end or data[start] in (_BREAK, _SPACE, _TAB, _RETURN):
        return False
    size = decode(data, start)[1] - start
    follows = start + size == end or data[start + size] <= _SPACE
    if _is_bullet(decode(data, start)[0]) and follows:
        return False
    return after_blank or before_blank or kept[last] in _OPENING or _closes(decode(data, start)[0], follows)


@helper
def _ends_sentence(kept: npt.NDArray[np.uint8], last: int) -> bool:
    """Whether a character whose last byte stands at `last` ends a sentence."""
    while last > 0 and kept[last] & 0xC0 == 0x80:
        last -= 1
    return decode(kept, last)[0] in (0x2E, 0x21, 0x3F, 0x3002, 0xFF01, 0xFF1F, 0x964, 0x61F, 0x6D4)  # .!?。！？।؟۔


@helper
def _is_bullet(point: int) -> bool:
    return point in (0x2D, 0x2A, 0x2B, 0x2022, 0x2023, 0x25E6, 0x25CF, 0x25CB, 0x25A0, 0x25A1, 0xB7)  # -*+•‣◦●○■□·


@helper
def _closes(point: int, alone: bool) -> bool:
    """Whether a line that begins so cannot be a line of its own: a mark that follows a word, and then white space."""
    if point in (0x3001, 0x3002, 0xFF0C, 0xFF1A, 0xFF1B, 0xFF01, 0xFF1F, 0xFF09, 0x300D, 0x300F, 0x300B, 0x60C, 0x964):
        return True  # 、。，：；！？）」』》،।
    return point == 0x29 or (alone and point in (0x2E, 0x2C, 0x3B, 0x3A, 0x21, 0x3F, 0x5D))  # ) .,;:!?]


@kernel
def _keep_prose(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    kept = np.empty(offsets[-1] - offsets[0], np.uint8)
    bounds = np.zeros(len(offsets), np.int64)
    unclosed = np.empty(2, np.int64)  # the shortest fence of ` and of ~ that nothing closes
    written = 0
    for document in range(len(offsets) - 1):
        at, end = offsets[document], offsets[document + 1]
        unclosed[:] = _NONE_UNCLOSED
        joins = False  # whether the line before was written, and held something
        after = _after_metadata(data, at, end)
        if after:
            at = after + 1
        while at < end:
            line_end, links = at, False
            while line_end < end and data[line_end] != _BREAK:
                links |= data[line_end] == 0x5D  # ]
                line_end += 1
            start, stop = _strip(data, at, line_end)
            after = 0
            if start < stop and data[start] in (_BACKTICK, _TILDE):
                which = int(data[start] == _TILDE)
                size = _run(data, start, stop, data[start])
                if 3 <= size < unclosed[which]:
                    after = _after_listing(data, line_end + 1, end, data[start], size)
                    if not after:
                        unclosed[which] = size
            goes_on = joins and not after and _goes_on(data, at, end, kept, written)
            joins = False
            if after:
                line_end = after
            elif goes_on or not _is_marked_up(data, start, stop):
                written -= goes_on
                stop_at = min(line_end + 1, end)
                if links:
                    written = _copy(data, at, stop_at, kept, written)
                else:
                    for i in range(stop_at - at):
                        kept[written + i] = data[at + i]
                    written += stop_at - at
                joins = start < stop
            at = line_end + 1
        bounds[document + 1] = written
    return kept[:written], bounds


def prose(texts: pa.Array) -> pa.Array:
    """The texts without listings, tables, headings, tags, metadata, addresses, as large_string; null reads as empty.

    Lines cut at inline mark-up are put together.


    >>> prose(pa.array(["# Title\\n\\nRun this:\\n\\n```sh\\nls\\n```\\n\\n| a |\\n|---|\\n\\nThe end.\\n"]))[0].as_py()
    '\\nRun this:\\n\\n\\n\\nThe end.\\n'
    """
    data, offsets = text_buffers(texts)
    kept, bounds = _keep_prose(data, offsets)
    return pa.Array.from_buffers(pa.large_string(), len(texts), [None, pa.py_buffer(bounds), pa.py_buffer(kept)])
