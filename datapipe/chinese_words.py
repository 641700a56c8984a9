"""Chinese word segmentation: jieba's algorithm on bytes, word for word what jieba-rs says, several times as fast.

`words.py` asks it for the words of Chinese text. Two steps (https://github.com/fxsjy/jieba): of all ways to cut a
sentence into words of a dictionary, take the likeliest one; then join the single characters that this leaves by a
hidden Markov model of the characters that begin, continue and end words, which finds names that no dictionary holds.
Dictionary and probabilities are the files of the PyPI package `jieba`, read as data; the details are those of jieba-rs
0.11, which `rjieba` binds, and the tests hold both equal.

The library makes one Python string of each word, and the kernel none. It looks all characters of a text up in the
dictionary at once, then those that go on, and so on, so that the processor loads from many places of the dictionary at
a time instead of waiting for each.
"""

import functools
import importlib.util
import json
import math
import pathlib
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from datapipe.characters import decode, text_buffers

# What the dictionary is asked about: Han characters and, for words like "AT&T", some of ASCII. All else stands alone.
_HAN_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2EBEF),
    (0x2F800, 0x2FA1F),
)
_ASCII = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+#&._%-"
_POINTS = 0x30000  # all of them lie below
_MODEL_FIRST, _MODEL_LAST = 0x4E00, 0x9FD5  # the characters that the hidden Markov model is asked about
_STATES = "BEMS"  # begins a word, ends one, stands in the middle of one, is one
_LEAST = -3.14e100  # the logarithm of the probability of what it has not seen
# An entry of the dictionary: two bits, 16 of the number of a frequency and, in the hash table, 39 of the key and 6 of a
# filter: which of 6 classes the keys belong to whose place is here. It tells most of the keys that are missing.
_IS_ASKED, _GOES_ON = 1, 2
_FREQUENCY, _FREQUENCIES = 2, 0xFFFF
_KEY, _KEYS = 18, (1 << 39) - 1
_FILTER, _CLASSES = 57, 6
_HASH_FACTOR = 0x1E3779B97F4A7C15
_PARTS = 1024  # code points looked up at a time, about: what they need fits into a cache


class Model(NamedTuple):
    """Dictionary and hidden Markov model as kernels take them.

    The dictionary is a tree of characters. The node of a first character has its code point for a number, any other one
    its place in `table` plus `_POINTS`.

    Attributes:
        first: the entry of each first character, shape (_POINTS,): whether words may hold it, whether words go on, and
            the number of its frequency, 0 if it is no word.
        table: the entries of all other nodes, at the place of the hash of their key or the next free one after it;
            0 is free. The key is the number of the node before and the character.
        logs: of the number of a frequency, the logarithm of the probability; minus infinity for 0.
        unknown: the same for a character that begins no word.
        longest: the length of the longest word.
        emission: the logarithm of the probability of a character that begins, ends, continues, or is a word; shape
            (characters from _MODEL_FIRST on, 4).
        start: of a text that begins so, shape (4,).
        transition: of what follows what, shape (4, 4).
    """

    first: npt.NDArray[np.int32]
    table: npt.NDArray[np.int64]
    logs: npt.NDArray[np.float64]
    unknown: float
    longest: int
    emission: npt.NDArray[np.float64]
    start: npt.NDArray[np.float64]
    transition: npt.NDArray[np.float64]


@numba.njit(cache=True, nogil=True, inline="always")
def _key(node: int, point: int) -> int:
    return node * _POINTS + point


@numba.njit(cache=True, nogil=True, inline="always")
def _place(key: int, mask: int) -> int:
    return ((key * _HASH_FACTOR) >> 40) & mask


@numba.njit(cache=True, nogil=True, inline="always")
def _class(key: int) -> int:
    return _FILTER + (key & 0xFFFF) % _CLASSES


@numba.njit(cache=True, nogil=True)
def _fill(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    frequencies: npt.NDArray[np.int64],
    first: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
) -> int:
    """Enter words and the numbers of their frequencies; returns the length of the longest one."""
    mask, longest = len(table) - 1, 0
    for word in range(len(frequencies)):
        at, end = bounds[word], bounds[word + 1]
        asked = True
        while at < end:
            point, at = decode(data, at)
            asked = asked and point < _POINTS and first[point] & _IS_ASKED > 0
        if not asked:  # "γ射线"
            continue
        point, at = decode(data, bounds[word])
        if at == end:
            first[point] |= np.int32(frequencies[word] << _FREQUENCY)
            continue
        first[point] |= _GOES_ON
        node, length = point, 1
        while at < end:
            point, at = decode(data, at)
            length += 1
            key = _key(node, point)
            place = _place(key, mask)
            home = place
            while table[place] and (table[place] >> _KEY) & _KEYS != key:
                place = (place + 1) & mask
            if not table[place]:
                table[place] = key << _KEY
                table[home] |= 1 << _class(key)
            if at < end:
                table[place] |= _GOES_ON
            else:  # the last one counts of words listed twice
                table[place] &= ~(_FREQUENCIES << _FREQUENCY)
                table[place] |= frequencies[word] << _FREQUENCY
            node = _POINTS + place
        longest = max(longest, length)
    return longest


def _probabilities(path: pathlib.Path) -> Any:
    """What a module of the package `jieba` holds: one literal, which is JSON but for its quotes."""
    return json.loads(path.read_text("utf-8").partition("P=")[2].replace("'", '"'))


@functools.cache
def load_model() -> Model:
    """The model of the package `jieba`, once a process: 0.2 s and 10 MB."""
    specification = importlib.util.find_spec("jieba")
    assert specification is not None
    assert specification.origin is not None
    folder = pathlib.Path(specification.origin).parent
    listed = pa.csv.read_csv(
        folder / "dict.txt",
        read_options=pa.csv.ReadOptions(column_names=["word", "frequency", "tag"]),
        parse_options=pa.csv.ParseOptions(delimiter=" ", quote_char=False),
        convert_options=pa.csv.ConvertOptions(
            include_columns=["word", "frequency"], column_types={"word": pa.string(), "frequency": pa.int64()}
        ),
    )
    distinct, numbers = np.unique(listed.column("frequency").to_numpy(), return_inverse=True)
    log_total = math.log(listed.column("frequency").to_numpy().sum())
    first = np.zeros(_POINTS, np.int32)
    first[list(_ASCII)] = _IS_ASKED
    for low, high in _HAN_RANGES:
        first[low : high + 1] = _IS_ASKED
    table = np.zeros(1 << (2 * len(listed)).bit_length(), np.int64)
    longest = _fill(*text_buffers(listed.column("word")), numbers + 1, first, table)
    start = np.array([_probabilities(folder / "finalseg/prob_start.py")[state] for state in _STATES])
    transition = np.full((4, 4), _LEAST)
    emission = np.full((_MODEL_LAST + 1 - _MODEL_FIRST, 4), _LEAST)
    transitions = _probabilities(folder / "finalseg/prob_trans.py")
    emissions = _probabilities(folder / "finalseg/prob_emit.py")
    for i, state in enumerate(_STATES):
        for following, logarithm in transitions[state].items():
            transition[i, _STATES.index(following)] = logarithm
        for character, logarithm in emissions[state].items():
            if _MODEL_FIRST <= ord(character) <= _MODEL_LAST:
                emission[ord(character) - _MODEL_FIRST, i] = round(logarithm, 6)
    return Model(
        first=first,
        table=table,
        # math.log, not numpy's: the last bit decides between ways that are as likely.
        logs=np.array([-math.inf, *(math.log(frequency) - log_total for frequency in distinct.tolist())]),
        unknown=-log_total,
        longest=longest,
        emission=emission,
        start=start,
        transition=transition,
    )


@numba.njit(cache=True, nogil=True)
def _look_up(
    points: npt.NDArray[np.int32],
    begin: int,
    end: int,
    first: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    found: npt.NDArray[np.int16],
    lengths: npt.NDArray[np.int8],
    active: npt.NDArray[np.int32],
    keys: npt.NDArray[np.int64],
    entries: npt.NDArray[np.int64],
) -> None:
    """All words of the dictionary in a part of a text.

    Args:
        found: is set to the number of the frequency of the word of each length that begins at each place of the part;
            0 if there is none.
        lengths: is set to the length up to which `found` is set, 0 where nothing is asked.
        active, keys, entries: scratch.
    """
    mask, number = len(table) - 1, 0
    for i in range(begin, end):
        point = min(points[i], _POINTS - 1)
        entry = first[point]
        found[i - begin, 0] = entry >> _FREQUENCY
        lengths[i - begin] = entry & _IS_ASKED
        if entry & _GOES_ON and i + 1 < end:
            key = _key(point, points[i + 1])
            active[number], keys[number], entries[number] = i, key, table[_place(key, mask)]
            number += 1
    length = 1
    while number:
        left = 0
        for j in range(number):
            # No branch: whether two characters that meet begin a word is what no processor can guess.
            i, key, entry = active[j], keys[j], entries[j]
            active[left], keys[left], entries[left] = i, key, entry
            left += (entry >> _class(key)) & 1
        number = 0
        for j in range(left):
            i, key, entry = active[j], keys[j], entries[j]
            place = _place(key, mask)
            while entry and (entry >> _KEY) & _KEYS != key:
                place = (place + 1) & mask
                entry = table[place]
            if entry == 0:
                continue
            found[i - begin, length] = (entry >> _FREQUENCY) & _FREQUENCIES
            lengths[i - begin] = length + 1
            if entry & _GOES_ON and i + length + 1 < end:
                # Load now what the next round asks for.
                key = _key(_POINTS + place, points[i + length + 1])
                active[number], keys[number], entries[number] = i, key, table[_place(key, mask)]
                number += 1
        length += 1


@numba.njit(cache=True, nogil=True)
def _route(
    size: int,
    logs: npt.NDArray[np.float64],
    unknown: float,
    found: npt.NDArray[np.int16],
    lengths: npt.NDArray[np.int8],
    best: npt.NDArray[np.float64],
    steps: npt.NDArray[np.int8],
) -> None:
    """Set `steps` to the length of the word that the likeliest way takes from each place of a part; 0 outside blocks.

    `best` is the logarithm of the probability of the way from there to the end of the block. The longer word wins a tie.
    """
    best[size] = 0.0
    for i in range(size - 1, -1, -1):
        reach = lengths[i]
        if reach == 0:
            best[i], steps[i] = 0.0, 0
            continue
        highest, step = -np.inf, 0
        for length in range(reach):
            way = logs[found[i, length]] + best[i + length + 1]
            if way >= highest:
                highest, step = way, length + 1
        if highest == -np.inf:
            highest, step = unknown + best[i + 1], 1
        best[i], steps[i] = highest, step


@numba.njit(cache=True, nogil=True)
def _viterbi(
    points: npt.NDArray[np.int32],
    begin: int,
    end: int,
    emission: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    transition: npt.NDArray[np.float64],
    back: npt.NDArray[np.uint8],
) -> None:
    """Set `back` to 1 for each of the characters `begin` to `end` that ends a word by the hidden Markov model, else 0.

    Of ways as likely, the one whose state is the later one of begin, end, continue and single wins.
    """
    row = points[begin] - _MODEL_FIRST
    b, e = start[0] + emission[row, 0], start[1] + emission[row, 1]
    m, s = start[2] + emission[row, 2], start[3] + emission[row, 3]
    eb, es, sb, ss = transition[1, 0], transition[1, 3], transition[3, 0], transition[3, 3]
    be, bm, me, mm = transition[0, 1], transition[0, 2], transition[2, 1], transition[2, 2]
    for i in range(begin + 1, end):
        row = points[i] - _MODEL_FIRST
        into_b, into_e, into_m, into_s = emission[row, 0], emission[row, 1], emission[row, 2], emission[row, 3]
        b_of_e, b_of_s = e + eb + into_b, s + sb + into_b
        e_of_b, e_of_m = b + be + into_e, m + me + into_e
        m_of_b, m_of_m = b + bm + into_m, m + mm + into_m
        s_of_e, s_of_s = e + es + into_s, s + ss + into_s
        # A bit for each state: whether it comes from the earlier one of the two that it may come from.
        back[i - begin] = (b_of_e > b_of_s) | (e_of_b > e_of_m) << 1 | (m_of_b > m_of_m) << 2 | (s_of_e > s_of_s) << 3
        b, e, m, s = max(b_of_e, b_of_s), max(e_of_b, e_of_m), max(m_of_b, m_of_m), max(s_of_e, s_of_s)
    state = 1 if e > s else 3
    for i in range(end - begin - 1, -1, -1):
        is_earlier = back[i] >> state & 1
        back[i] = state & 1
        if state == 0 or state == 3:
            state = 1 if is_earlier else 3
        else:
            state = 0 if is_earlier else 2


@numba.njit(cache=True, nogil=True, inline="always")
def _is_alphanumeric(point: int) -> bool:
    return 97 <= point <= 122 or 65 <= point <= 90 or 48 <= point <= 57


@numba.njit(cache=True, nogil=True)
def _cut_run(
    points: npt.NDArray[np.int32],
    begin: int,
    end: int,
    emission: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    transition: npt.NDArray[np.float64],
    back: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int32],
    words: int,
) -> int:
    """Add the ends of the words of a run of single characters that is no word; returns the number of words so far."""
    at = begin
    while at < end:
        after = at + 1
        if _MODEL_FIRST <= points[at] <= _MODEL_LAST:
            while after < end and _MODEL_FIRST <= points[after] <= _MODEL_LAST:
                after += 1
            if after == at + 1:
                ends[words] = after
                words += 1
            else:
                _viterbi(points, at, after, emission, start, transition, back)
                for i in range(at, after):
                    ends[words] = i + 1
                    words += back[i - at]
        elif _is_alphanumeric(points[at]):
            # "a", "a-1", "1.5%"
            while after < end:
                if points[after] in (45, 46, 95) and after + 1 < end and _is_alphanumeric(points[after + 1]):
                    after += 1
                elif not _is_alphanumeric(points[after]):
                    break
                after += 1
            if after < end and points[after] == 37:
                after += 1
            ends[words] = after
            words += 1
        else:
            while after < end and not (_is_alphanumeric(points[after]) or _MODEL_FIRST <= points[after] <= _MODEL_LAST):
                after += 1
            ends[words] = after
            words += 1
        at = after
    return words


@numba.njit(cache=True, nogil=True)
def _segment(
    model: Model, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    first, table, logs, unknown, longest = model.first, model.table, model.logs, model.unknown, model.longest
    emission, start, transition = model.emission, model.start, model.transition
    most = 0
    for document in range(len(wanted)):
        if wanted[document]:
            most += bounds[document + 1] - bounds[document]
    ends, words = np.empty(most, np.int32), 0
    word_bounds = np.zeros(len(wanted) + 1, np.int64)
    points, size = np.empty(0, np.int32), 0
    for document in range(len(wanted)):
        at, end = bounds[document], bounds[document + 1]
        if wanted[document] and at < end:
            if end - at > len(points):
                points = np.empty(2 * (end - at), np.int32)
            total = 0
            while at < end:
                points[total], at = decode(data, at)
                total += 1
            begin = 0
            while begin < total:
                until = min(total, begin + _PARTS)
                while until < total and points[until] < _POINTS and first[points[until]] & _IS_ASKED:
                    until += 1
                if until - begin > size:
                    size = 2 * (until - begin)
                    found = np.empty((size, longest), np.int16)
                    lengths, steps = np.empty((2, size), np.int8)
                    active = np.empty(size, np.int32)
                    keys, entries = np.empty((2, size), np.int64)
                    best = np.empty(size + 1, np.float64)
                    back = np.empty(size, np.uint8)
                _look_up(points, begin, until, first, table, found, lengths, active, keys, entries)
                _route(until - begin, logs, unknown, found, lengths, best, steps)
                i = begin
                while i < until:
                    step = steps[i - begin]
                    if step > 1:
                        i += step
                        ends[words] = i
                        words += 1
                        continue
                    if step == 0:
                        i += 2 if points[i] == 13 and i + 1 < total and points[i + 1] == 10 else 1
                        ends[words] = i
                        words += 1
                        continue
                    run = i
                    while i < until and steps[i - begin] == 1:
                        i += 1
                    length = i - run
                    if length == 1:
                        ends[words] = i
                        words += 1
                    elif length <= lengths[run - begin] and found[run - begin, length - 1]:
                        for j in range(run, i):
                            ends[words] = j + 1
                            words += 1
                    else:
                        words = _cut_run(points, run, i, emission, start, transition, back, ends, words)
                begin = i
        word_bounds[document + 1] = words
    return ends[:words].copy(), word_bounds


def word_ends(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Where the words of texts end, in code points; white space and symbols are words too.

    Args:
        data, bounds: UTF-8 and where each text begins and the last one ends, shape (n + 1,).
        wanted: which texts to segment, shape (n,).

    Returns:
        `ends` and `bounds`, shape (n + 1,): `ends[bounds[i]:bounds[i + 1]]` for text i, none if unwanted.
    """
    return _segment(load_model(), data, bounds, wanted)
