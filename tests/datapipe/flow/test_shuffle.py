"""The packed shuffle: nothing is lost, equal keys meet, arrival order does not show."""

import pathlib
import random

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st

from datapipe.flow.shuffle import BLOCK_BYTES, GroupRecords, group_starts, ordered_groups, partition, rejoin, spread
from tests.helpers import local_pipeline

PAIR = np.dtype([("key", "<u8"), ("id", "<u4"), ("score", "<f4")])
UINT64 = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))


def pairs(rows: list[tuple[int, int]]) -> np.ndarray:
    return np.array([(key, row, 0.5) for key, row in rows], PAIR)


@given(st.lists(st.tuples(UINT64, st.integers(0, 3)), max_size=50), st.integers(1, 7), st.integers(0, 9))
def test_records_come_back_whole_and_sorted(rows: list[tuple[int, int]], partitions: int, seed: int) -> None:
    records = pairs(rows)
    blocks: dict[int, list[bytes]] = {}
    for number, block in partition(records, spread(records["key"], partitions)):
        assert 0 <= number < partitions
        blocks.setdefault(number, []).append(block)
    joined = []
    for group in blocks.values():
        random.Random(seed).shuffle(group)
        joined.append(rejoin(group, PAIR))
        assert joined[-1].tolist() == sorted(joined[-1].tolist())
    assert sorted(record for group in joined for record in group.tolist()) == sorted(records.tolist())
    keys = [set(group["key"].tolist()) for group in joined]
    assert sum(map(len, keys)) == len(set(records["key"].tolist()))


def test_blocks_stay_small() -> None:
    records = np.zeros(3 * BLOCK_BYTES // PAIR.itemsize, PAIR)
    sizes = [len(block) for _, block in partition(records, np.full(len(records), 70_000))]
    assert max(sizes) <= BLOCK_BYTES
    assert sum(sizes) == records.nbytes
    assert {number for number, _ in partition(records, np.full(len(records), 70_000))} == {70_000}


def test_consecutive_keys_spread_evenly() -> None:
    counts = np.bincount(spread(np.arange(6400, dtype=np.uint64), 64), minlength=64)
    assert counts.min() > 80
    assert counts.max() < 120


def test_group_starts() -> None:
    assert group_starts(np.array([1, 1, 2, 5, 5])).tolist() == [0, 2, 3]
    assert group_starts(np.array([])).tolist() == []


@given(st.lists(UINT64, max_size=50))
def test_ordered_groups_are_stable(values: list[int]) -> None:
    key = np.array(values, np.uint64)
    order, starts = ordered_groups(key)
    assert order.tolist() == np.argsort(key, kind="stable").tolist()
    assert starts.tolist() == group_starts(np.sort(key)).tolist()


@pytest.mark.parametrize("spill", [False, True])
@pytest.mark.parametrize("partitions", [1, 4])
def test_group_records_brings_equal_keys_together(partitions: int, spill: bool, tmp_path: pathlib.Path) -> None:
    folder = str(tmp_path / "waiting") if spill else None
    batches = [pairs([(7, 3), (8, 1)]), pairs([(7, 1), (9, 2)]), pairs([])]

    def check(arrays: list[np.ndarray]) -> None:
        assert len(arrays) <= partitions
        groups = {}
        for array in arrays:
            for start in group_starts(array["key"]).tolist():
                key = int(array["key"][start])
                groups[key] = array["id"][array["key"] == key].tolist()
        assert groups == {7: [1, 3], 8: [1], 9: [2]}

    with local_pipeline() as pipeline:
        grouped = pipeline | beam.Create(batches, reshuffle=False) | GroupRecords(PAIR, "key", partitions, folder)
        assert_that(grouped, check)
    assert len(list(tmp_path.rglob("*"))) == (3 if spill else 0)


def test_partitions_must_be_positive() -> None:
    with pytest.raises(ValueError, match="partitions must be at least 1, got 0"):
        GroupRecords(PAIR, "key", 0)
