"""Count repeated n-grams of tokens and repeated pieces of text, by hashing, for `measuring.py`.

A polynomial prefix hash of a document's code points gives the hash of any line or paragraph in constant time; a second
one over its tokens gives that of any n-gram. 64 bits make one false repetition in a document of a million words
less likely than 1 in 10^7.

How a system counts differs: see `DEFINITIONS` in `measures.py`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, inlined
from datapipe.text.bit_mixing import DEGSKI

BASE = np.uint64(0x9E3779B97F4A7C15)  # the base of the rolling hash: any large odd number
# That of hashes of tokens, another one: "ab" and "cd" are not "ac" and "bd". Stafford's, of splitmix64.
_TOKEN_BASE = np.uint64(0xBF58476D1CE4E5B9)
_MIN_SLOTS = 16
_MAX_SLOTS = 1 << 21  # of the hash table: 24 MB; what does not fit is counted in another pass
_LOW_BITS = 10
_LOW_POWERS = 1 << _LOW_BITS
_SHORT = 8  # code points: few words of any language are longer
# From place k on: the powers of BASE for the code points of a word of _SHORT - k, and a 0 for each that follows it.
_SHORT_POWERS = np.array(
    [pow(int(BASE), _SHORT - 1 - k, 1 << 64) if k < _SHORT else 0 for k in range(2 * _SHORT)], np.uint64
)
PREFIX_BITS = 3
PREFIX_STEP = 1 << PREFIX_BITS  # code points from one prefix hash that is kept to the next


class Memory(NamedTuple):
    """Working memory for one document at a time; what is not written takes none."""

    low_powers: npt.NDArray[np.uint64]  # powers of BASE, ...
    high_powers: npt.NDArray[np.uint64]  # ... and of BASE to the power of so many
    before: npt.NDArray[np.int32]  # before[i]: code points in the first i tokens
    hashes: npt.NDArray[np.uint64]  # hashes[i]: hash of the first i tokens
    keys: npt.NDArray[np.uint64]  # an open-addressing hash table: keys, ...
    counts: npt.NDArray[np.int32]  # ... and how often each was seen, 0 in a free slot
    firsts: npt.NDArray[np.int32]  # in its place where the keys are too many: 1 + the first that is equal
    positions: npt.NDArray[np.int32]  # where the n-grams at issue begin, ascending
    slots: npt.NDArray[np.int32]  # where `counts` has them: their slots in the table, or the first that is equal


def new_memory(longest: int) -> Memory:
    """Memory for documents of at most `longest` code points."""
    slots = _MIN_SLOTS
    while slots < min(2 * longest, _MAX_SLOTS):
        slots *= 2
    low = np.full(_LOW_POWERS, BASE)
    low[0] = 1
    low = np.multiply.accumulate(low)
    high = np.full(2 * longest // _LOW_POWERS + 1, low[-1:] * BASE)
    high[0] = 1
    return Memory(
        low_powers=low,
        high_powers=np.multiply.accumulate(high),
        before=np.zeros(longest + 1, np.int32),
        hashes=np.zeros(longest + 1, np.uint64),
        keys=np.empty(slots, np.uint64),
        counts=np.empty(max(slots, longest + 1), np.int32),
        firsts=np.empty(slots, np.int32),
        positions=np.empty(longest + 1, np.int32),
        slots=np.empty(longest + 1, np.int32),
    )


def text_hash(text: str) -> int:
    """The hash that the kernels give a text."""
    value = 0
    for character in text:
        value = (value * int(BASE) + ord(character) + 1) % 2**64
    return value


@helper
def extend(value: np.uint64, point: int) -> np.uint64:
    """The hash of a text and one more code point."""
    return np.uint64(value * BASE + np.uint64(point) + np.uint64(1))


@helper
def word_hash(points: npt.NDArray[np.int32], start: int, end: int) -> np.uint64:
    """The hash of code points `start` to `end`: as `extend` makes it, but of short words without a loop that ends.

    Where it would end nobody could guess, and each product would wait for the one before.
    """
    value, size = np.uint64(0), end - start
    if size <= _SHORT and start + _SHORT <= len(points):
        for k in range(_SHORT):
            value += _SHORT_POWERS[_SHORT - size + k] * np.uint64(points[start + k] + 1)
        return value
    for i in range(start, end):
        value = extend(value, points[i])
    return value


@helper
def spelt_hash(points: npt.NDArray[np.int32], spelt: npt.NDArray[np.int32], start: int, end: int) -> np.uint64:
    """As `word_hash`, of what a table says that each code point counts as; `BEYOND` more of them must be there."""
    value, size = np.uint64(0), end - start
    if size <= _SHORT:
        for k in range(_SHORT):
            value += _SHORT_POWERS[_SHORT - size + k] * np.uint64(spelt[points[start + k]] + 1)
        return value
    for i in range(start, end):
        value = extend(value, spelt[points[i]])
    return value


@helper
def _power(m: Memory, exponent: int) -> np.uint64:
    if exponent < _LOW_POWERS:
        return m.low_powers[exponent]
    return np.uint64(m.low_powers[exponent & (_LOW_POWERS - 1)] * m.high_powers[exponent >> _LOW_BITS])


@helper
def _prefix_hash(points: npt.NDArray[np.int32], prefix: npt.NDArray[np.uint64], end: int) -> np.uint64:
    value = prefix[end >> PREFIX_BITS]
    for i in range(end >> PREFIX_BITS << PREFIX_BITS, end):
        value = extend(value, points[i])
    return np.uint64(value)


@helper
def span_hash(
    points: npt.NDArray[np.int32], prefix: npt.NDArray[np.uint64], start: int, end: int, m: Memory
) -> np.uint64:
    """The hash of code points `start` to `end`, where `prefix[i]` is that of the first PREFIX_STEP * i."""
    before = _prefix_hash(points, prefix, start) * _power(m, end - start)
    return np.uint64(_prefix_hash(points, prefix, end) - before)


@helper
def clear_table(m: Memory, entries: int) -> int:
    """Empty as much of the hash table as so many different keys need; returns the mask to index it with."""
    slots = _MIN_SLOTS
    while slots < 2 * entries:
        slots *= 2
    m.counts[:slots] = 0
    return slots - 1


@inlined
def _find(keys: npt.NDArray[np.uint64], taken: npt.NDArray[np.int32], mask: int, key: np.uint64) -> int:
    """The slot of a key in a hash table, or the free one for it: one that `taken` is 0 for."""
    at = np.int64((key * DEGSKI) >> np.uint64(32)) & mask
    # One branch for both conditions, which the processor guesses right but where two keys meet.
    while (taken[at] != 0) & (keys[at] != key):
        at = (at + 1) & mask
    return int(at)


@helper
def count(m: Memory, mask: int, key: np.uint64) -> int:
    """Count a key in the hash table and return its slot."""
    at = _find(m.keys, m.counts, mask, key)
    m.keys[at] = key
    m.counts[at] += 1
    return at


@helper
def _key(m: Memory, k: int, n: int, power: np.uint64) -> np.uint64:
    """The hash of the n-gram at a position at issue; `power` is that of the base, or 0 where code points are hashed."""
    i = m.positions[k]
    if not power:
        power = _power(m, m.before[i + n] - m.before[i])
    return np.uint64(m.hashes[i + n] - m.hashes[i] * power)


@helper
def _count_keys(m: Memory, entries: int, n: int, power: np.uint64) -> None:
    """Fill `slots`, and `counts` for each of them, for the n-grams at issue."""
    if 2 * entries <= len(m.keys):
        mask = clear_table(m, entries)
        for k in range(entries):
            m.slots[k] = count(m, mask, _key(m, k, n, power))
        return
    # There is no room for so many: a key that the table cannot take is left for another pass, with all that are equal.
    mask, start = len(m.keys) - 1, 0
    m.counts[:entries] = 0
    while start < entries:
        m.firsts[:] = 0
        room, left = len(m.keys) // 2, entries
        for k in range(start, entries):
            if start and m.slots[k] >= 0:
                continue
            key = _key(m, k, n, power)
            at = _find(m.keys, m.firsts, mask, key)
            if not m.firsts[at]:
                if not room:
                    m.slots[k], left = -1, min(left, k)
                    continue
                room -= 1
                m.keys[at], m.firsts[at] = key, k + 1
            m.slots[k] = m.firsts[at] - 1
            m.counts[m.slots[k]] += 1
        start = left


@helper
def repeated_pieces(
    points: npt.NDArray[np.int32],
    prefix: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    pieces: int,
    all_copies: bool,
    m: Memory,
) -> tuple[int, int]:
    """How many pieces of text repeat another, and their code points; the first copy counts only with `all_copies`.

    A piece that the hash table has no room for is left for another pass, with all that are equal. `starts` are lost.
    """
    repeated, characters, begin = 0, 0, 0
    while begin < pieces:
        room, left = min(pieces - begin, len(m.keys) // 2), pieces
        mask = clear_table(m, room)
        for i in range(begin, pieces):
            start, length = starts[i], ends[i] - starts[i]
            if start < 0:  # counted in a pass before
                continue
            key = span_hash(points, prefix, start, start + length, m)
            at = _find(m.keys, m.counts, mask, key)
            seen = m.counts[at]
            if not seen:
                if not room:
                    left = min(left, i)
                    continue
                room -= 1
                m.keys[at] = key
            m.counts[at], starts[i] = seen + 1, -1
            copies = (seen > 0) + (all_copies & (seen == 1))
            repeated += copies
            characters += copies * length
        begin = left
    return repeated, characters


@inlined
def add_token(value: np.uint64, token: np.uint64) -> np.uint64:
    """The hash of some tokens and one more, of its own hash."""
    return value * _TOKEN_BASE + token


@helper
def hash_tokens(
    points: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    tokens: int,
    separated: bool,
    m: Memory,
) -> None:
    """Fill `before` and `hashes`; not `separated`, n-grams are equal if they are written alike without spaces."""
    value, before = np.uint64(0), 0
    m.hashes[0] = value  # where that of a piece may stand
    for i in range(tokens):
        start, end = starts[i], ends[i]
        m.before[i] = before  # it may lie where `starts` does
        if separated:
            value = add_token(value, word_hash(points, start, end))
        else:
            for j in range(start, end):
                value = extend(value, points[j])
        before += end - start
        m.hashes[i + 1] = value
    m.before[tokens] = before


@helper
def all_positions(m: Memory, tokens: int) -> int:
    """Put every token at issue; returns their number."""
    for i in range(tokens):
        m.positions[i] = i
    return tokens


@helper
def count_ngrams(m: Memory, positions: int, tokens: int, n: int, separated: bool) -> int:
    """Count the n-grams at the positions at issue; returns the number of these that have n tokens after them."""
    while positions and m.positions[positions - 1] + n > tokens:
        positions -= 1
    power = np.uint64(separated)
    for _ in range(n):
        power *= _TOKEN_BASE
    _count_keys(m, positions, n, power)
    return positions


@helper
def repeated_ngrams(m: Memory, positions: int) -> int:
    """How many of the n-grams at the positions at issue repeat, all copies."""
    repeated = 0
    for k in range(positions):
        repeated += m.counts[m.slots[k]] > 1
    return repeated


@helper
def narrow(m: Memory, positions: int) -> int:
    """Leave at issue only where a longer n-gram may repeat; returns their number.

    There the n-gram repeats, and so does the one that begins a token later.
    """
    kept, before, repeated_before = 0, -2, False
    for k in range(positions):
        i, repeated = m.positions[k], m.counts[m.slots[k]] != 1  # also after `later_copies`
        m.positions[kept] = before  # no branch: nobody could guess it
        kept += repeated_before & repeated & (before + 1 == i)
        before, repeated_before = i, repeated
    return kept


# The following read what `count_ngrams` counted.


@helper
def top_ngram(m: Memory, positions: int, n: int, longest_of_ties: bool) -> tuple[int, int]:
    """Occurrences of the commonest n-gram and its code points without spaces; of ties the first, or the longest."""
    max_count, length = 1, m.before[n]
    for k in range(positions):
        i, seen = m.positions[k], m.counts[m.slots[k]]
        own = m.before[i + n] - m.before[i]
        if seen > max_count or (seen == max_count and longest_of_ties and own > length):
            max_count, length = seen, own
    return max_count, length


@helper
def later_copies(m: Memory, positions: int, n: int) -> int:
    """Code points in n-grams seen before, from left to right; one that is found is skipped whole (datatrove).

    Counts of n-grams that repeat are less than 0 from then on.
    """
    total, skipped_to = 0, 0
    for k in range(positions):
        i, slot = m.positions[k], m.slots[k]
        if m.counts[slot] == 1 or i < skipped_to:
            continue
        if m.counts[slot] > 0:
            m.counts[slot] = -m.counts[slot]  # seen
        else:
            total += m.before[i + n] - m.before[i]
            skipped_to = i + n
    return total


@helper
def all_copies(m: Memory, positions: int, n: int) -> int:
    """Code points of all occurrences of n-grams that occur more than once (dolma)."""
    total = 0
    for k in range(positions):
        if m.counts[m.slots[k]] > 1:
            total += m.before[m.positions[k] + n] - m.before[m.positions[k]]
    return total


@helper
def covered_by_copies(m: Memory, positions: int, n: int) -> int:
    """Code points of the tokens inside any n-gram that occurs more than once, each token once (DCLM)."""
    total, covered_to = 0, 0
    for k in range(positions):
        if m.counts[m.slots[k]] > 1:
            i = m.positions[k]
            total += m.before[i + n] - m.before[max(i, covered_to)]
            covered_to = i + n
    return total
