"""Signatures: equal to datasketch slot for slot, unbiased, and equal bands for equal rows."""

import datasketch
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.minhash import band_hashes, datasketch_permutations, datasketch_signatures, fast_similarity_sketches

SETS = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=300), min_size=1, max_size=4)


def flat(sets: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([x for s in sets for x in s], np.uint64), np.cumsum([0, *map(len, sets)])


@pytest.mark.parametrize("scheme", ["affine32", "legacy"])
@given(sets=SETS)
def test_datasketch_mode_equals_datasketch(scheme: str, sets: list[list[int]]) -> None:
    signatures = datasketch_signatures(*flat(sets), datasketch_permutations(64, scheme), scheme == "legacy")
    for members, signature in zip(sets, signatures, strict=True):
        reference = datasketch.MinHash(64, hashfunc=lambda value: value, scheme=scheme)
        for member in members:
            reference.update(member >> 32)
        assert signature.tolist() == reference.hashvalues.tolist()


def test_fewer_slots_are_a_prefix_of_datasketch() -> None:
    for scheme in ("affine32", "legacy"):
        few, many = datasketch_permutations(16, scheme), datasketch_permutations(64, scheme)
        assert (few == many[:, :16]).all() == (scheme == "legacy")


@pytest.mark.parametrize("size", [1, 3, 40, 3000])
@pytest.mark.parametrize("jaccard", [0.2, 0.5, 0.9])
def test_fast_similarity_sketch_is_unbiased(size: int, jaccard: float) -> None:
    random = np.random.default_rng(size)
    shared = round(size * jaccard)
    pairs, slots = 200, 128
    sets = []
    for _ in range(pairs):
        members = random.integers(0, 2**63, size * 2 - shared, dtype=np.uint64) * np.uint64(2)
        sets += [members[:size].tolist(), members[size - shared :].tolist()]
    signatures = fast_similarity_sketches(*flat(sets), slots)
    truth = shared / (2 * size - shared)
    estimates = (signatures[::2] == signatures[1::2]).mean(axis=1)
    deviation = np.sqrt(truth * (1 - truth) / slots) if 0 < truth < 1 else 0
    assert abs(estimates.mean() - truth) <= 4 * deviation / np.sqrt(pairs)
    assert estimates.std() <= 1.1 * deviation


@given(SETS, st.integers(1, 70))
def test_fast_similarity_sketch_is_of_the_set(sets: list[list[int]], slots: int) -> None:
    repeated = [[*reversed(members), *members] for members in sets]
    assert (fast_similarity_sketches(*flat(sets), slots) == fast_similarity_sketches(*flat(repeated), slots)).all()


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 15))
def test_bands_are_equal_where_their_rows_are(bands: int, rows: int, changed: int) -> None:
    signature = np.arange(16, dtype=np.uint32)
    other = signature.copy()
    other[changed] += np.uint32(100)
    first, second = band_hashes(np.stack([signature, other]), bands, rows)
    assert len(set(first.tolist())) == bands
    assert np.flatnonzero(first != second).tolist() == ([changed // rows] if changed < bands * rows else [])
