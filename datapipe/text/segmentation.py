"""Chinese word segmentation: jieba's algorithm on bytes, word for word what jieba-rs says, several times as fast.

`words.py` asks it for the words of Chinese text. Two steps (https://github.com/fxsjy/jieba): of all ways to cut a
sentence into words of a dictionary, take the likeliest one; then join the single characters that this leaves by a
hidden Markov model of which characters begin, continue and end words, which finds names that no dictionary holds.
Dictionary and model are the files of the PyPI package `jieba`, read as data; the details are those of jieba-rs 0.11
(https://github.com/messense/jieba-rs), which `rjieba` binds. It is the oracle of the tests.

The library makes a Python string of each word; the kernel here only notes where it ends. It looks up the first two
characters of all words of a text, then the third ones of those that go on, and so forth, so that the processor loads
from many places of the dictionary at a time instead of waiting for each.

One module, although a long one: the tables of the dictionary and the two steps are one algorithm, of no use apart.
"""

import functools
import importlib.metadata
import json
import math
import pathlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from datapipe.kernels import helper, inlined, kept_table, kernel
from datapipe.text.characters import decode, text_buffers

# The characters of a block, which words of the dictionary are made of: Han and, for "AT&T", some of ASCII. All others
# stand alone.
_HAN_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2EBEF),
    (0x2F800, 0x2FA1F),
)
_ASCII = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+#&._%-"
_POINTS = 0x30000  # above the code points of them all
_PERCENT, _HYPHEN, _POINT, _UNDERSCORE = b"%-._"
_MODEL_FIRST, _MODEL_LAST = 0x4E00, 0x9FD5  # the characters that the hidden Markov model is asked about
_STATES = _BEGIN, _END, _MIDDLE, _SINGLE = range(4)  # of a character: where in a word it stands
_STATE_NAMES, _PROBABILITIES = "BEMS", ("start", "trans", "emit")  # as the files call them
_NEVER_SEEN = -3.14e100  # the logarithm of the probability of what was never seen
_DIGITS = 6  # to which jieba-rs rounds the probabilities of characters; near-ties depend on it
# An entry of the dictionary: two bits, 16 of the number of a frequency and, in the hash table, 39 of a key and 4 of a
# filter: which of 4 groups the keys belong to whose place is here. It tells most of the keys that are missing.
_IN_BLOCK, _HAS_CHILDREN = 1, 2
_FREQUENCY, _FREQUENCIES = 2, (1 << 16) - 1
_KEY, _KEYS = 18, (1 << 39) - 1
_FILTER, _GROUPS = 57, 3
_HASH_FACTOR = 0x1E3779B97F4A7C15  # as `bit_mixing.GOLDEN` to a table of signed numbers: without the upper bit
_PART = 1024  # code points cut at a time, or up to the end of the block
_CHUNK = 2048  # of these, looked up at a time: what they need fits into a cache


class Markov(NamedTuple):
    """A hidden Markov model of where in a word a character stands, `_STATES`.

    Attributes:
        start: the logarithms of the probabilities of the first character's state, shape (4,).
        transition: of a state after each, shape (4, 4).
        emission: of each character from `_MODEL_FIRST` on in each state, shape (characters, 4).
    """

    start: npt.NDArray[np.float64]
    transition: npt.NDArray[np.float64]
    emission: npt.NDArray[np.float64]


class Model(NamedTuple):
    """Dictionary and hidden Markov model as kernels take them.

    The dictionary is a tree of characters. The number of a node is its code point for a first character, and its place
    in `table` plus `_POINTS` for any other.

    Attributes:
        first: the entry of each first character, shape (_POINTS,): whether blocks are made of it, whether words go on
            after it, and the number of its frequency, 0 if it is no word.
        table: the entries of all other nodes, each at the place of the hash of its key or the next free one after it;
            0 is free. The key is the number of the node before and the character.
        logs: the logarithm of a word's probability by the number of its frequency, shape (numbers,); -inf for 0.
        unknown: the same of a character that begins no word.
        longest: the length of the longest word.
        markov: the hidden Markov model.
    """

    first: npt.NDArray[np.int32]
    table: npt.NDArray[np.int64]
    logs: npt.NDArray[np.float64]
    unknown: float
    longest: int
    markov: Markov


class _Scratch(NamedTuple):
    """Working memory: for a chunk of a part of a text, and the last three for a part.

    Attributes:
        found: the number of the frequency of the word of each length that begins at each character, 0 if there is none;
            shape (characters, longest).
        reaches: the length up to which `found` is set, 0 outside blocks.
        indices, keys, entries: where words may go on, by what, and what the table holds for that.
        best: the logarithm of the probability of the likeliest way on from each character, and from as many behind the
            chunk as a word may reach, shape (characters + longest + 1,).
        listed: of which lengths words begin at each character, a bit for each.
        steps: the length of the word that the likeliest way takes there, 0 outside blocks.
        ends_word: whether a character ends a word, by the hidden Markov model.
    """

    found: npt.NDArray[np.int16]
    reaches: npt.NDArray[np.int8]
    indices: npt.NDArray[np.int32]
    keys: npt.NDArray[np.int64]
    entries: npt.NDArray[np.int64]
    best: npt.NDArray[np.float64]
    listed: npt.NDArray[np.uint32]
    steps: npt.NDArray[np.int8]
    ends_word: npt.NDArray[np.uint8]


@inlined
def _key(node: int, point: int) -> int:
    return node * _POINTS + point


@inlined
def _slot(key: int, mask: int) -> int:
    return ((key * _HASH_FACTOR) >> 40) & mask


@inlined
def _group(key: int) -> int:
    """The bit of the filter."""
    return _FILTER + (key & _GROUPS)


@kernel
def _fill(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    frequencies: npt.NDArray[np.int64],
    first: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
) -> int:
    """Enter words and the numbers of their frequencies; returns the length of the longest one.

    A word listed twice has one frequency ("B超").
    """
    mask, longest = len(table) - 1, 0
    for word in range(len(frequencies)):
        at, end = bounds[word], bounds[word + 1]
        asked = True
        while at < end:
            point, at = decode(data, at)
            asked = asked and point < _POINTS and first[point] & _IN_BLOCK > 0
        if not asked:  # "γ射线"
            continue
        point, at = decode(data, bounds[word])
        if at == end:
            first[point] |= np.int32(frequencies[word] << _FREQUENCY)
            continue
        first[point] |= _HAS_CHILDREN
        node, length = point, 1
        while at < end:
            point, at = decode(data, at)
            length += 1
            key = _key(node, point)
            slot = _slot(key, mask)
            home = slot
            while table[slot] and (table[slot] >> _KEY) & _KEYS != key:
                slot = (slot + 1) & mask
            if not table[slot]:
                table[slot] = key << _KEY
                table[home] |= 1 << _group(key)
            if at < end:
                table[slot] |= _HAS_CHILDREN
            else:
                table[slot] |= frequencies[word] << _FREQUENCY
            node = _POINTS + slot
        longest = max(longest, length)
    return longest


def _probabilities(path: pathlib.Path) -> Any:
    """What a module of the package `jieba` holds: one literal, which is JSON but for its quotes."""
    return json.loads(path.read_text("utf-8").partition("P=")[2].replace("'", '"'))


@functools.cache
def load_model() -> Model:
    """The model of the package `jieba`: 10 MB of arrays."""
    kept = _read_model()
    return Model(
        first=kept["first"],
        table=kept["table"],
        logs=kept["logs"],
        unknown=float(kept["unknown"]),
        longest=int(kept["longest"]),
        markov=Markov(*(kept[name] for name in Markov._fields)),
    )


@kept_table
def _read_model() -> npt.NDArray[Any]:
    """The fields of `Model` and `Markov` as one record, made of the files of the package in 0.2 s."""
    folder = pathlib.Path(str(importlib.metadata.distribution("jieba").locate_file("jieba")))
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
    first[list(_ASCII)] = _IN_BLOCK
    for low, high in _HAN_RANGES:
        first[low : high + 1] = _IN_BLOCK
    table = np.zeros(1 << (2 * len(listed)).bit_length(), np.int64)
    longest = _fill(*text_buffers(listed.column("word")), numbers + 1, first, table)
    starts, transitions, emissions = (_probabilities(folder / f"finalseg/prob_{name}.py") for name in _PROBABILITIES)
    transition = np.full((4, 4), _NEVER_SEEN)
    emission = np.full((_MODEL_LAST + 1 - _MODEL_FIRST, 4), _NEVER_SEEN)
    for state, name in enumerate(_STATE_NAMES):
        for following, logarithm in transitions[name].items():
            transition[state, _STATE_NAMES.index(following)] = logarithm
        for character, logarithm in emissions[name].items():
            if _MODEL_FIRST <= ord(character) <= _MODEL_LAST:
                emission[ord(character) - _MODEL_FIRST, state] = round(logarithm, _DIGITS)
    fields: dict[str, Any] = {
        "first": first,
        "table": table,
        # math.log, as the library: numpy's may differ in the last bit, and near-ties depend on it.
        "logs": np.array([-math.inf, *(math.log(frequency) - log_total for frequency in distinct.tolist())]),
        "unknown": np.float64(-log_total),
        "longest": np.int64(longest),
        "start": np.array([starts[name] for name in _STATE_NAMES]),
        "transition": transition,
        "emission": emission,
    }
    made = np.zeros((), np.dtype([(name, field.dtype, field.shape) for name, field in fields.items()], align=True))
    for name, field in fields.items():
        made[name] = field
    return made


@helper
def _look_up(
    model: Model, points: npt.NDArray[np.int32], begin: int, end: int, part_end: int, scratch: _Scratch
) -> None:
    """Find the words of the dictionary that begin from `begin` to `end` and end in the part: set `found`, `reaches`."""
    first, table, found, reaches = model.first, model.table, scratch.found, scratch.reaches
    indices, keys, entries = scratch.indices, scratch.keys, scratch.entries
    mask, number = len(table) - 1, 0
    for i in range(begin, end):
        entry = first[points[i]]
        found[i - begin, 0] = entry >> _FREQUENCY
        reaches[i - begin] = entry & _IN_BLOCK
        if entry & _HAS_CHILDREN and i + 1 < part_end:
            key = _key(points[i], points[i + 1])
            indices[number], keys[number], entries[number] = i, key, table[_slot(key, mask)]
            number += 1
    length = 1
    while number:
        left = 0
        for j in range(number):
            # No branch: whether two characters that meet begin a word is what no processor can guess.
            i, key, entry = indices[j], keys[j], entries[j]
            indices[left], keys[left], entries[left] = i, key, entry
            left += (entry >> _group(key)) & 1
        number = 0
        for j in range(left):
            i, key, entry = indices[j], keys[j], entries[j]
            slot = _slot(key, mask)
            while entry and (entry >> _KEY) & _KEYS != key:
                slot = (slot + 1) & mask
                entry = table[slot]
            if entry == 0:
                continue
            found[i - begin, length] = (entry >> _FREQUENCY) & _FREQUENCIES
            reaches[i - begin] = length + 1
            if entry & _HAS_CHILDREN and i + length + 1 < part_end:
                # Load now what the next round asks for.
                key = _key(_POINTS + slot, points[i + length + 1])
                indices[number], keys[number], entries[number] = i, key, table[_slot(key, mask)]
                number += 1
        length += 1


@helper
def _route(model: Model, size: int, at: int, scratch: _Scratch) -> None:
    """Find the likeliest way through `size` characters, a chunk, whose first is number `at` of its part.

    Sets `best`, of which it needs what is behind the chunk, `steps` and `listed`. The longer word wins a tie.
    """
    logs, unknown, found, reaches = model.logs, model.unknown, scratch.found, scratch.reaches
    best, steps, listed = scratch.best, scratch.steps[at:], scratch.listed[at:]
    for i in range(size - 1, -1, -1):
        reach = reaches[i]
        if reach == 0:
            best[i], steps[i], listed[i] = 0.0, 0, 0
            continue
        highest, step, lengths = -np.inf, 0, 0
        for length in range(reach):
            lengths |= (found[i, length] > 0) << length
            way = logs[found[i, length]] + best[i + length + 1]
            if way >= highest:
                highest, step = way, length + 1
        if highest == -np.inf:
            highest, step = unknown + best[i + 1], 1
        best[i], steps[i], listed[i] = highest, step, lengths


@helper
def _viterbi(
    markov: Markov, points: npt.NDArray[np.int32], begin: int, end: int, ends_word: npt.NDArray[np.uint8]
) -> None:
    """Set `ends_word` to whether each character from `begin` to `end` ends a word by the hidden Markov model.

    Words begin and end, so a state comes after one of two only, and the last one ends a word. Of ways as likely, the
    one whose state has the greater number wins.
    """
    start, transition, emission = markov
    be, bm = transition[_BEGIN, _END], transition[_BEGIN, _MIDDLE]
    eb, es = transition[_END, _BEGIN], transition[_END, _SINGLE]
    me, mm = transition[_MIDDLE, _END], transition[_MIDDLE, _MIDDLE]
    sb, ss = transition[_SINGLE, _BEGIN], transition[_SINGLE, _SINGLE]
    row = points[begin] - _MODEL_FIRST
    b, e = start[_BEGIN] + emission[row, _BEGIN], start[_END] + emission[row, _END]
    m, s = start[_MIDDLE] + emission[row, _MIDDLE], start[_SINGLE] + emission[row, _SINGLE]
    for i in range(begin + 1, end):
        row = points[i] - _MODEL_FIRST
        to_b, to_e = emission[row, _BEGIN], emission[row, _END]
        to_m, to_s = emission[row, _MIDDLE], emission[row, _SINGLE]
        # From left to right, as the library adds.
        b_after_e, b_after_s = e + eb + to_b, s + sb + to_b
        e_after_b, e_after_m = b + be + to_e, m + me + to_e
        m_after_b, m_after_m = b + bm + to_m, m + mm + to_m
        s_after_e, s_after_s = e + es + to_s, s + ss + to_s
        # A bit for each state: whether it comes after the first of its two.
        ends_word[i - begin] = (
            (b_after_e > b_after_s) << _BEGIN
            | (e_after_b > e_after_m) << _END
            | (m_after_b > m_after_m) << _MIDDLE
            | (s_after_e > s_after_s) << _SINGLE
        )
        b, e = max(b_after_e, b_after_s), max(e_after_b, e_after_m)
        m, s = max(m_after_b, m_after_m), max(s_after_e, s_after_s)
    state = _END if e > s else _SINGLE
    for i in range(end - begin - 1, -1, -1):
        is_after_first = ends_word[i] >> state & 1
        ends_word[i] = state in (_END, _SINGLE)
        if state in (_BEGIN, _SINGLE):
            state = _END if is_after_first else _SINGLE
        else:
            state = _BEGIN if is_after_first else _MIDDLE


@inlined
def _is_alphanumeric(point: int) -> bool:
    return 97 <= point <= 122 or 65 <= point <= 90 or 48 <= point <= 57


@helper
def _cut_run(
    markov: Markov,
    points: npt.NDArray[np.int32],
    begin: int,
    end: int,
    ends_word: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int32],
    words: int,
) -> int:
    """Join single characters from `begin` to `end` to words: Han by the hidden Markov model, others by their kind.

    The words' ends are added to `ends`, which holds `words` of them; returns how many it holds then. `ends_word` is
    scratch.
    """
    at = begin
    while at < end:
        after = at + 1
        if _MODEL_FIRST <= points[at] <= _MODEL_LAST:
            while after < end and _MODEL_FIRST <= points[after] <= _MODEL_LAST:
                after += 1
            if after > at + 1:
                _viterbi(markov, points, at, after, ends_word)
                for i in range(at, after - 1):
                    ends[words] = i + 1
                    words += ends_word[i - at]
        elif _is_alphanumeric(points[at]):  # "a", "a-1", "1.5%"
            while after < end:
                point = points[after]
                if point in (_HYPHEN, _POINT, _UNDERSCORE):
                    if after + 1 == end or not _is_alphanumeric(points[after + 1]):
                        break
                elif not _is_alphanumeric(point):
                    break
                after += 1
            if after < end and points[after] == _PERCENT:
                after += 1
        else:
            while after < end and not (_is_alphanumeric(points[after]) or _MODEL_FIRST <= points[after] <= _MODEL_LAST):
                after += 1
        ends[words] = after
        words += 1
        at = after
    return words


@kernel
def _segment(
    model: Model, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    first, longest, markov = model.first, model.longest, model.markov
    total, max_size = 0, 0
    for document in range(len(wanted)):
        if wanted[document]:
            size = bounds[document + 1] - bounds[document]
            total, max_size = total + size, max(max_size, size)
    ends, words = np.empty(total, np.int32), 0
    word_bounds = np.zeros(len(wanted) + 1, np.int64)
    points = np.empty(max_size, np.int32)
    capacity = -1
    for document in range(len(wanted)):
        at, data_end, size = bounds[document], bounds[document + 1], 0
        while wanted[document] and at < data_end:
            point, at = decode(data, at)
            points[size] = min(point, _POINTS - 1)  # in no block, as all above
            size += 1
        begin = 0
        while begin < size:
            end = min(size, begin + _PART)
            # A part ends with a block, and not within a line break.
            while end < size and (first[points[end]] & _IN_BLOCK or (points[end] == 10 and points[end - 1] == 13)):
                end += 1
            if end - begin > capacity:
                capacity = 2 * (end - begin)
                scratch = _Scratch(
                    np.empty((_CHUNK, longest), np.int16),
                    np.empty(_CHUNK, np.int8),
                    np.empty(_CHUNK, np.int32),
                    np.empty(_CHUNK, np.int64),
                    np.empty(_CHUNK, np.int64),
                    np.zeros(_CHUNK + longest + 1, np.float64),
                    np.empty(capacity, np.uint32),
                    np.empty(capacity, np.int8),
                    np.empty(capacity, np.uint8),
                )
            # From the end, from where ways are measured: a chunk goes on to what the one behind it has found.
            best, right = scratch.best, end
            while right > begin:
                left = max(begin, right - _CHUNK)
                for i in range(longest, -1, -1):
                    best[right - left + i] = best[i] if right < end else 0.0
                _look_up(model, points, left, right, end, scratch)
                _route(model, right - left, left - begin, scratch)
                right = left
            listed, steps, ends_word = scratch.listed, scratch.steps, scratch.ends_word
            i = begin
            while i < end:
                # A run of single characters, or none; then a longer word, or what stands outside blocks.
                run = i
                while i < end and steps[i - begin] == 1:
                    i += 1
                length = i - run
                is_word = 1 < length <= longest and listed[run - begin] >> (length - 1) & 1 > 0
                if length > 1 and not is_word:
                    words = _cut_run(markov, points, run, i, ends_word, ends, words)
                else:
                    for j in range(run, i):
                        ends[words] = j + 1
                        words += 1
                if i < end:
                    if steps[i - begin]:
                        i += steps[i - begin]
                    else:
                        i += 2 if points[i] == 13 and i + 1 < end and points[i + 1] == 10 else 1
                    ends[words] = i
                    words += 1
            begin = end
        word_bounds[document + 1] = words
    return ends[:words].copy(), word_bounds


def word_ends(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Where the words of texts end, in code points. White space and symbols are words too.

    Args:
        data, bounds: UTF-8 and where each text begins and the last one ends, shape (n + 1,).
        wanted: which texts to segment, shape (n,).

    Returns:
        `ends` and `bounds`, shape (n + 1,): `ends[bounds[i]:bounds[i + 1]]` for text i, none if unwanted.
    """
    return _segment(load_model(), data, bounds, wanted)
