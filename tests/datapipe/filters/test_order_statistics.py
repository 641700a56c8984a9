"""Against sorting, on numbers of every kind."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from datapipe.filters.order_statistics import order_statistics

NUMBERS = st.one_of(st.floats(width=32, allow_nan=False), st.sampled_from([0.0, -0.0, 0.5, 1.0, float("inf")]))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(NUMBERS, max_size=30)), max_size=8))
def test_as_sorted(pieces: list[tuple[str, list[float]]]) -> None:
    groups: dict[str, list[float]] = {}
    for group, values in pieces:
        groups.setdefault(group, []).extend(values)

    def places(count: int) -> list[int]:
        return [(count - 1) * step // 7 for step in range(8)] if count else []

    found = order_statistics(lambda: [(group, np.array(values, np.float32)) for group, values in pieces], places)
    assert {group: values.tolist() for group, values in found.items()} == {
        group: [sorted(values)[place] for place in places(len(values))] for group, values in groups.items()
    }


def test_memory_does_not_grow_with_the_numbers() -> None:
    def peak(pieces: int) -> int:
        def read() -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
            for seed in range(pieces):
                yield "a", np.random.default_rng(seed).random(1000, np.float32)

        tracemalloc.start()
        order_statistics(read, lambda count: [count // 2])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(1000) < 1.5 * peak(20)  # of a million numbers 4 MB
