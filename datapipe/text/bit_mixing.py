"""How bits are mixed: what makes an even 64-bit hash of a number that is not, and an even draw of a hash.

Signatures, samples, shuffles and shards depend on these values, so none may ever change. The functions are plain
operators: one definition serves a kernel, on a `np.uint64`, and numpy, on an array of them. Products wrap at 2^64.

A hash that takes a text symbol by symbol, or rolls over it, keeps its own factor in its own module.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from datapipe.kernels import inlined

Bits = TypeVar("Bits", np.uint64, npt.NDArray[np.uint64])

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, Knuth's multiplier: parts numbers that follow one another
DEGSKI = np.uint64(0xD6E8FEB86659FD93)  # the multiplier of degski's 64-bit mixer
_STAFFORD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # those of his 13th mixer


@inlined
def multiply_fold(value: Bits, factor: np.uint64, shift: int) -> Bits:
    """The product, its upper bits folded into the lower ones: a bijection where the factor is odd."""
    product = value * factor
    return product ^ (product >> np.uint64(shift))


@inlined
def golden_fold(value: Bits) -> Bits:
    """Knuth's multiplicative hash, folded: a quick mix, of numbers that follow one another or within a longer hash."""
    return multiply_fold(value, GOLDEN, 32)


@inlined
def splitmix64(value: Bits) -> Bits:
    """The finalizer of splitmix64 (Steele, Lea, Flood 2014): every bit of the input reaches every bit of the output."""
    value = multiply_fold(value ^ (value >> np.uint64(30)), _STAFFORD[0], 27)
    return multiply_fold(value, _STAFFORD[1], 31)


@inlined
def murmur64(value: Bits) -> Bits:
    """The 64-bit finalizer of MurmurHash3: a bijection in which every input bit moves every output bit."""
    value = multiply_fold(value ^ (value >> np.uint64(33)), np.uint64(0xFF51AFD7ED558CCD), 33)
    return multiply_fold(value, np.uint64(0xC4CEB9FE1A85EC53), 33)


@inlined
def murmur32(value: Bits) -> Bits:
    """The 32-bit finalizer of MurmurHash3, of numbers below 2^32."""
    low = np.uint64(0xFFFFFFFF)
    value = ((value ^ (value >> np.uint64(16))) * np.uint64(0x85EBCA6B)) & low
    value = ((value ^ (value >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & low
    return value ^ (value >> np.uint64(16))


def rehash(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Another hash of even hashes, its upper bits even among those that share the upper bits of the first."""
    return multiply_fold(hashes, GOLDEN, 31) * _STAFFORD[0]


def golden_multiple(number: int) -> np.uint64:
    """`number` times `GOLDEN` modulo 2^64: what a seed or salt adds to a hash."""
    return np.uint64(number * int(GOLDEN) % 2**64)


def seeded_hash(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """64 bits for each key, even over all values, fixed by key and seed, shape (keys,)."""
    return splitmix64(keys + golden_multiple(seed + 1))


def fractions(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each hash, by its upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform_draw(keys: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each key, even over the keys, fixed by key and seed, shape (keys,).

    >>> uniform_draw(np.arange(3, dtype=np.uint64), seed=0).round(2).tolist()
    [0.88, 0.57, 0.59]
    """
    return fractions(seeded_hash(keys, seed))
