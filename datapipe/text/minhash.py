"""MinHash signatures of shingle sets, and their bands: the numbers by which near duplicates find one another.

Two kernels give signatures of the same shape. `fast_similarity_sketches` is the default: a third of the work and a
smaller error; `datasketch_signatures` equals `datasketch.MinHash` slot for slot, so that both can be held in one index.
"""

import functools

import numpy as np
import numpy.typing as npt

from datapipe.extras import load_extra
from datapipe.kernels import kernel
from datapipe.text.bit_mixing import GOLDEN, murmur32, murmur64

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_MERSENNE_BITS = np.uint64(61)  # datasketch's scheme "legacy" computes modulo 2^61 - 1


@kernel
def fast_similarity_sketches(
    hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], slots: int
) -> npt.NDArray[np.uint32]:
    """Fast Similarity Sketching (Dahlgaard, Knudsen, Thorup 2017) of each document's shingles.

    Round i throws each shingle into one slot with the value i + a fraction; a slot keeps its minimum. Once every slot
    is full no later round can change one, so large sets need a single round. Rounds from `slots` on fill the slot left.
    The share of equal slots estimates the Jaccard similarity, unbiased.

    Args:
        hashes: shingles, well-mixed.
        bounds: those of document i are `hashes[bounds[i]:bounds[i + 1]]`, shape (n + 1,).
        slots: length of a signature.

    Returns:
        Shape (n, slots); all ones for a document without shingles.

    >>> shingles = np.random.default_rng(0).integers(0, 2**63, 150, np.uint64) * np.uint64(2)
    >>> sets = np.concatenate([shingles[:100], shingles[50:]])  # 50 of 150 are common: a similarity of 1/3
    >>> first, second = fast_similarity_sketches(sets, np.array([0, 100, 200]), 128)
    >>> round(float((first == second).mean()), 2)
    0.32
    """
    documents = len(bounds) - 1
    signatures = np.full((documents, slots), _LOW, np.uint32)
    minima = np.empty(slots, np.uint64)
    for document in range(documents):
        shingles = hashes[bounds[document] : bounds[document + 1]]
        if not len(shingles):
            continue
        minima[:] = _EMPTY
        empty = slots
        number = 0
        while empty and number < 2 * slots:
            high = np.uint64(number) << _HALF
            for shingle in shingles:
                value = shingle if number == 0 else murmur64(shingle + np.uint64(number) * GOLDEN)
                slot = np.int64((value & _LOW) * np.uint64(slots) >> _HALF) if number < slots else number - slots
                candidate = high | value >> _HALF
                if candidate < minima[slot]:
                    empty -= minima[slot] == _EMPTY
                    minima[slot] = candidate
            number += 1
        for slot in range(slots):
            signatures[document, slot] = np.uint32(minima[slot] & _LOW)
    return signatures


@functools.cache
def datasketch_permutations(slots: int, scheme: str) -> npt.NDArray[np.uint64]:
    """The multipliers and addends of `datasketch.MinHash(num_perm=slots, scheme=scheme)`, shape (2, slots)."""
    datasketch = load_extra("datasketch", "datasketch", f"MinHash with the scheme {scheme!r}")
    return np.ascontiguousarray(np.array(datasketch.MinHash(num_perm=slots, scheme=scheme).permutations, np.uint64))


@kernel
def datasketch_signatures(
    hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], permutations: npt.NDArray[np.uint64], legacy: bool
) -> npt.NDArray[np.uint32]:
    """What `datasketch.MinHash` holds after an update with the upper half of each shingle hash.

    Args:
        hashes, bounds: as for `fast_similarity_sketches`.
        permutations: see `datasketch_permutations`.
        legacy: its scheme "legacy", the only one before datasketch 2.0, instead of "affine32". Remainders modulo
            2^61 - 1 are then taken by one addition, which differs in 1 of 2^58 values.

    Returns:
        Shape (n, slots); all ones for a document without shingles.
    """
    documents = len(bounds) - 1
    slots = permutations.shape[1]
    signatures = np.full((documents, slots), _LOW, np.uint32)
    for document in range(documents):
        # A slice, not an index range: only so does the compiler vectorize the inner loops.
        shingles = hashes[bounds[document] : bounds[document + 1]] >> _HALF
        for i in range(0 if legacy else len(shingles)):
            shingles[i] = murmur32(shingles[i])
        for slot in range(slots):
            multiplier = permutations[0, slot]
            addend = permutations[1, slot]
            minimum = _LOW
            if legacy:
                for shingle in shingles:
                    product = multiplier * shingle + addend
                    minimum = min(minimum, (product + (product >> _MERSENNE_BITS)) & _LOW)
            else:
                for shingle in shingles:
                    minimum = min(minimum, (multiplier * shingle + addend) & _LOW)
            signatures[document, slot] = np.uint32(minimum)
    return signatures


@kernel
def band_hashes(signatures: npt.NDArray[np.uint32], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """One hash for each band of each signature: equal where all `rows` slots of the band are.

    Returns:
        Shape (n, bands); slots past `bands * rows` are not used.

    >>> signatures = np.array([[1, 2, 3, 4], [1, 2, 3, 5]], np.uint32)
    >>> first, second = band_hashes(signatures, 2, 2)
    >>> (first == second).tolist()
    [True, False]
    """
    hashes = np.empty((len(signatures), bands), np.uint64)
    for document in range(len(signatures)):
        for band in range(bands):
            band_hash = np.uint64(band + 1) * GOLDEN
            for slot in range(band * rows, (band + 1) * rows):
                band_hash = murmur64(band_hash ^ np.uint64(signatures[document, slot]))
            hashes[document, band] = band_hash
    return hashes
