"""The index counts what a counter counts, knows every position, and gives pairs in the order of merging."""

import itertools
import random
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import compiled
from tests.tokenizer_training.samples import in_cells
from tokenizer_training import pairs
from tokenizer_training.cells import Words
from tokenizer_training.pairs import (
    ENTRIES,
    PAIRS,
    POSITIONS,
    PairIndex,
    index_pairs,
    pop,
    with_capacity,
    with_heap,
)

ids_of = compiled(pairs.ids_of)
insert = compiled(pairs.insert)
key_of = compiled(pairs.key_of)
slot_of = compiled(pairs.slot_of)

ONE_CELL_EACH = np.ones(0x110000, np.int32)
COUNTS = st.dictionaries(st.text("abé中d", min_size=1, max_size=30), st.integers(1, 4), min_size=1, max_size=30)


def indexed(counts: dict[str, int]) -> tuple[Words, PairIndex]:
    words = in_cells(list(counts), list(counts.values()))
    return words, index_pairs(words, ONE_CELL_EACH)


def counted(counts: dict[str, int]) -> Counter[tuple[int, int]]:
    """Each pair of code points, "b" apart, and how often it occurs."""
    found: Counter[tuple[int, int]] = Counter()
    for word, count in counts.items():
        for left, right in itertools.pairwise(word):
            if "b" not in (left, right):
                found[ord(left), ord(right)] += count
    return found


def popped(index: PairIndex, min_count: int) -> list[tuple[int, int, int]]:
    """Left id, right id and count of all pairs, as they come off the heap."""
    pairs = []
    while (found := pop(index, min_count))[0] >= 0:
        pairs.append(found[:3])
    return pairs


@given(COUNTS)
def test_counts_are_those_of_a_counter(counts: dict[str, int]) -> None:
    _, index = indexed(counts)
    expected = counted(counts)
    occurrences = index.entries["start"][len(expected)]
    assert index.sizes.tolist() == [len(expected), len(expected), occurrences, 0]
    for (left, right), count in expected.items():
        pair = index.table[slot_of(index.table, key_of(left, right))]
        assert (pair["total"], pair["touches"]) == (count, 1)


@given(COUNTS)
def test_every_position_is_known(counts: dict[str, int]) -> None:
    words, index = indexed(counts)
    for entry in range(index.sizes[ENTRIES]):
        pair = ids_of(index.entries[entry]["key"])
        expected = [at for at, found in enumerate(itertools.pairwise(words.cells.tolist())) if found == pair]
        start, stop = index.entries["start"][entry : entry + 2]
        assert index.positions[start:stop].tolist() == expected


@given(COUNTS, st.integers(1, 6))
def test_pairs_come_by_count_then_left_then_right(counts: dict[str, int], min_count: int) -> None:
    _, index = indexed(counts)
    expected = [(left, right, count) for (left, right), count in counted(counts).items() if count >= min_count]
    expected.sort(key=lambda item: (-item[2], item[0], item[1]))
    assert popped(with_heap(index, min_count), min_count) == expected


def test_a_pair_whose_count_has_changed_comes_by_its_present_one() -> None:
    _, index = indexed({"aé": 9, "中d": 7, "éd": 5})
    index = with_heap(index, 2)
    for left, right, total in (("a", "é", 6), ("é", "d", 1)):
        index.table[slot_of(index.table, key_of(ord(left), ord(right)))]["total"] = total
    assert [count for _, _, count in popped(index, 2)] == [7, 6]


def test_more_pairs_than_the_first_table_holds() -> None:
    source = random.Random(1)
    counts = {"".join(chr(0x4E00 + source.randrange(2000)) for _ in range(5)): 1 for _ in range(20_000)}
    _, index = indexed(counts)
    expected = counted(counts)
    assert index.sizes[PAIRS] == len(expected) > 1 << 16
    assert Counter({(left, right): count for left, right, count in popped(with_heap(index, 1), 1)}) == expected


def test_capacity_grows_and_keeps_what_is_there() -> None:
    counts = {"aé中d": 3, "aéaé": 2}
    _, index = indexed(counts)
    larger = with_capacity(index, 100_000, 1_000)
    for number in range(100_000):
        insert(larger, key_of(number, 1))
    assert larger.sizes[PAIRS] == len(counted(counts)) + 100_000
    assert min(len(larger.entries), len(larger.heap)) >= 100_000
    assert len(larger.positions) >= index.sizes[POSITIONS] + 1_000
    assert popped(with_heap(larger, 1), 1) == popped(with_heap(index, 1), 1)
