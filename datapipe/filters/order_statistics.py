"""Exact order statistics of numbers too many to hold: the k-th least of each group, found digit by digit.

The numbers are read once for each of three digits of their bits. The first reading counts the leading digits, which
tells in which of them each wanted number lies; the next counts the digits after those, and so on. So memory grows with
what is wanted, not with how many numbers there are: at most 16 KB for each wanted number of each group.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

GroupT = TypeVar("GroupT", bound=Hashable)
_DIGITS = ((21, 11), (10, 11), (0, 10))  # of 32 bits: how far each digit lies from the right, and its bits
_SIGN = np.uint32(1 << 31)


def _to_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Whole numbers in the same order as the values: the negative ones have their bits turned round."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0 and 0 are the same number
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _from_bits(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    return np.where(bits & _SIGN, bits ^ _SIGN, ~bits).astype(np.uint32).view(np.float32)


def by_language(
    languages: pa.Array, values: npt.NDArray[np.float32]
) -> Iterator[tuple[str | None, npt.NDArray[np.float32]]]:
    """The values of each language that are not NaN, shape of both: (rows,). Null is a language of its own.

    >>> found = by_language(pa.array(["en", "zh", None, "en"]), np.float32([1, 2, 3, np.nan]))
    >>> [(language, numbers.tolist()) for language, numbers in found]
    [('en', [1.0]), ('zh', [2.0]), (None, [3.0])]
    """
    encoded = languages.dictionary_encode("encode")
    codes = encoded.indices.to_numpy()
    for code, language in enumerate(encoded.dictionary.to_pylist()):
        yield language, values[(codes == code) & ~np.isnan(values)]


def order_statistics(
    read: Callable[[], Iterable[tuple[GroupT, npt.NDArray[np.float32]]]],
    places: Callable[[int], Sequence[int]],
) -> dict[GroupT, npt.NDArray[np.float32]]:
    """The numbers that stand at some places of each group when it is sorted.

    Args:
        read: gives all numbers, none of them NaN, in pieces of a group each; called three times.
        places: of a group of so many numbers, from 0, the least; rising.

    Returns:
        The numbers at these places, for each group.

    >>> order_statistics(lambda: [("a", np.float32([3, -1])), ("b", np.float32([7])), ("a", np.float32([2]))],
    ...                  lambda count: [0, count - 1])
    {'a': array([-1.,  3.], dtype=float32), 'b': array([7., 7.], dtype=float32)}
    """
    found: dict[GroupT, npt.NDArray[np.uint32]] = {}  # the leading digits of each wanted number
    ranks: dict[GroupT, npt.NDArray[np.int64]] = {}  # its place among the numbers that share them
    for shift, width in _DIGITS:
        counts: dict[GroupT, npt.NDArray[np.int64]] = {}
        prefixes = {group: np.unique(digits) for group, digits in found.items()}
        for group, values in read():
            bits = _to_bits(np.asarray(values, np.float32))
            known = prefixes.setdefault(group, np.zeros(1, np.uint32))
            count = counts.setdefault(group, np.zeros((len(known), 1 << width), np.int64))
            leading = bits >> np.uint32(shift + width) if shift + width < 32 else np.zeros_like(bits)
            row = np.minimum(np.searchsorted(known, leading), len(known) - 1)
            digit = (bits >> np.uint32(shift)) & np.uint32((1 << width) - 1)
            wanted = known[row] == leading
            cells = (row[wanted] << width) + digit[wanted]
            count += np.bincount(cells, minlength=count.size).reshape(count.shape)
        for group, count in counts.items():
            if group not in ranks:
                ranks[group] = np.asarray(places(int(count.sum())), np.int64)
                found[group] = np.zeros(len(ranks[group]), np.uint32)
            below = np.cumsum(count, axis=1)
            rows = np.searchsorted(prefixes[group], found[group])
            pairs = zip(rows, ranks[group], strict=True)
            digits = np.array([np.searchsorted(below[row], k, "right") for row, k in pairs], np.int64)
            ranks[group] = ranks[group] - np.where(digits > 0, below[rows, digits - 1], 0)
            found[group] = (found[group] << np.uint32(width)) | digits.astype(np.uint32)
    return {group: _from_bits(bits) for group, bits in found.items()}
