"""Splits text into pre-tokens by an algorithm's pattern, as fast as a kernel can.

It is the regular expression of `algorithms.py` written out by hand; `classes.py` knows the classes of characters.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, inlined, kernel
from datapipe.text.characters import decode
from tokenizer_training.algorithms import Algorithm
from tokenizer_training.classes import BREAK, LETTER, NUMBER, OTHER, SPACE, class_table

Bytes = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]


class Splitter(NamedTuple):
    """What the kernels need to know of an algorithm.

    Attributes:
        classes: the class of every code point, shape (0x110000,).
        byte_level: whether it is the algorithm of that name.
        digits: how many digits a pre-token has at most.
    """

    classes: Bytes
    byte_level: bool
    digits: int


def splitter_of(algorithm: Algorithm) -> Splitter:
    """The algorithm for kernels."""
    return Splitter(class_table(algorithm.name), algorithm.name == "byte_level", algorithm.digits)


@inlined
def _contraction(data: Bytes, at: int, stop: int) -> int:
    """The end of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at an apostrophe, or -1."""
    if at + 1 < stop:
        first = data[at + 1] | 0x20
        if first == ord("s") or first == ord("t") or first == ord("m") or first == ord("d"):
            return at + 2
        if at + 2 < stop:
            second = data[at + 2] | 0x20
            if (first == ord("r") or first == ord("v")) and second == ord("e"):
                return at + 3
            if first == ord("l") and second == ord("l"):
                return at + 3
            # Ignoring case, s is also U+017F, the long s.
            if data[at + 1] == 0xC5 and data[at + 2] == 0xBF:
                return at + 3
    return -1


@inlined
def _end_of_run(data: Bytes, at: int, stop: int, table: Bytes, wanted: int) -> int:
    while at < stop:
        code_point, after = decode(data, at)
        if table[code_point] != wanted:
            break
        at = after
    return at


@inlined
def _end_of_digits(data: Bytes, at: int, stop: int, table: Bytes, digits: int) -> int:
    while digits > 0 and at < stop:
        code_point, after = decode(data, at)
        if table[code_point] != NUMBER:
            break
        at = after
        digits -= 1
    return at


@helper
def _end_by_qwen(data: Bytes, at: int, stop: int, splitter: Splitter) -> int:
    """Where the pre-token that starts at `at` ends, by `algorithms.QWEN_PATTERN`, alternative by alternative."""
    table = splitter.classes
    code_point, after = decode(data, at)
    first_class = table[code_point]
    if code_point == ord("'"):
        end = _contraction(data, at, stop)
        if end >= 0:
            return end
    next_class = BREAK
    if after < stop:
        next_class = table[decode(data, after)[0]]
    if first_class == LETTER or (next_class == LETTER and first_class in (OTHER, SPACE)):
        return _end_of_run(data, after, stop, table, LETTER)
    if first_class == NUMBER:
        return _end_of_digits(data, after, stop, table, splitter.digits - 1)
    if first_class == OTHER or (next_class == OTHER and code_point == ord(" ")):
        return _end_of_run(data, _end_of_run(data, after, stop, table, OTHER), stop, table, BREAK)
    # White space: up to its last line break; else all but its last character, which belongs to what follows.
    end = last = line_end = at
    while end < stop:
        code_point, after = decode(data, end)
        if table[code_point] != SPACE and table[code_point] != BREAK:
            break
        last = end
        end = after
        if table[code_point] == BREAK:
            line_end = end
    if line_end > at:
        return line_end
    if end < stop and last > at:
        return last
    return end


@helper
def _end_by_sentencepiece(data: Bytes, at: int, stop: int, splitter: Splitter) -> int:
    """Where the pre-token that starts at `at` ends, by `algorithms.SENTENCEPIECE_PATTERN`."""
    table = splitter.classes
    code_point, after = decode(data, at)
    run_class = table[code_point]
    if run_class == NUMBER:
        return _end_of_digits(data, after, stop, table, splitter.digits - 1)
    if run_class == SPACE:
        after = _end_of_run(data, after, stop, table, SPACE)
        if after == stop:
            return after
        run_class = table[decode(data, after)[0]]
        if run_class in (NUMBER, BREAK):
            return after
    return _end_of_run(data, after, stop, table, run_class)


@inlined
def end_of_pretoken(data: Bytes, at: int, stop: int, splitter: Splitter) -> int:
    """Where the pre-token that starts at byte `at` of a text ends, if the text ends at `stop`."""
    if splitter.byte_level:
        return _end_by_qwen(data, at, stop, splitter)
    return _end_by_sentencepiece(data, at, stop, splitter)


@kernel
def _pretoken_ends(data: Bytes, splitter: Splitter) -> Int64:
    ends = np.empty(len(data), np.int64)
    size = 0
    at = 0
    while at < len(data):
        at = end_of_pretoken(data, at, len(data), splitter)
        ends[size] = at
        size += 1
    return ends[:size]


def split(text: str, algorithm: Algorithm) -> list[str]:
    """The pre-tokens of a text: together they are the text.

    >>> from tokenizer_training.algorithms import ALGORITHMS
    >>> split("It's 2024,  分词 works", ALGORITHMS["byte_level"])
    ['It', "'s", ' ', '2', '0', '2', '4', ',', ' ', ' 分词', ' works']
    """
    data = np.frombuffer(text.encode(), np.uint8)
    ends = _pretoken_ends(data, splitter_of(algorithm)).tolist()
    return [data[start:stop].tobytes().decode() for start, stop in zip([0, *ends], ends, strict=False)]
