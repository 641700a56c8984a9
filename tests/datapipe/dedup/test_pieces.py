"""The least of each run of hashes, as a plain reference finds it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datapipe.dedup.pieces import least_places


@given(st.lists(st.lists(st.integers(0, 3), max_size=12), max_size=4), st.integers(1, 5))
def test_least_places(documents: list[list[int]], width: int) -> None:
    expected = []
    at = 0
    for hashes in documents:
        for start in range(len(hashes) - width + 1):
            run = hashes[start : start + width]
            expected.append(at + start + max(place for place in range(width) if run[place] == min(run)))
        at += len(hashes)
    flat = np.array([value for hashes in documents for value in hashes], np.uint64)
    assert least_places(flat, np.cumsum([0, *map(len, documents)]), width).tolist() == expected
