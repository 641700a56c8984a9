"""Sets come back from their file as they went in, and similarities are exact in any chunking."""

import itertools
import pathlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.dedup import shingle_sets
from datapipe.dedup.shingle_sets import read_entries, read_sets, shared_members, similarities, sorted_sets, write_sets

SETS = st.lists(st.sets(st.integers(0, 20)), min_size=1, max_size=5)
TEXTS = ["a b c d e", "a b c d", "", "b c d e f g", "x"]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    path = str(tmp_path / "sets")
    schema = pa.schema([("id", pa.uint64()), ("text", pa.string())])
    batches = [
        pa.record_batch([list(range(start, start + len(texts))), texts], schema=schema)
        for start, texts in ((10, TEXTS[:2]), (12, []), (12, TEXTS[2:]))
    ]
    write_sets(
        path, ((batch, np.arange(len(batch), dtype=float), np.ones(len(batch), np.uint32)) for batch in batches), 1
    )
    return path


def test_sets_and_entries_come_back(path: str) -> None:
    entries = read_entries(path)
    assert entries["id"].tolist() == [10, 11, 12, 13, 14]
    assert entries["count"].tolist() == [5, 4, 0, 6, 1]
    assert entries["bytes"].tolist() == [len(text) for text in TEXTS]
    assert entries["rank_key"].tolist() == [0, 1, 0, 1, 2]
    whole, starts = read_sets(path, entries)
    assert (np.diff(whole[:5].astype(object)) > 0).all()
    apart, apart_starts = read_sets(path, entries[[0, 3]])
    assert apart.tolist() == [*whole[:5].tolist(), *whole[starts[3] : starts[3] + 6].tolist()]
    assert apart_starts.tolist() == [0, 5]


@pytest.mark.parametrize("members_at_once", [1, 12, 1 << 24])
def test_similarities_are_exact(path: str, members_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shingle_sets, "MEMBERS_AT_ONCE", members_at_once)
    entries = read_entries(path)
    pairs = [(0, 1), (0, 3), (3, 0), (4, 4), (1, 4), (0, 0), (2, 3)]
    left, right = zip(*pairs, strict=True)
    found = similarities(path, path, entries[list(left)], entries[list(right)])
    words = [set(text.split()) for text in TEXTS]
    assert found.tolist() == [len(words[a] & words[b]) / len(words[a] | words[b]) for a, b in pairs]


def test_shingles_are_of_the_size_asked_for(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "sets")
    write_sets(path, iter([(pa.record_batch({"id": [0], "text": ["a b c d"]}), np.zeros(1), np.ones(1, np.uint32))]), 2)
    assert read_entries(path)["count"].tolist() == [3]


def test_no_pairs(path: str) -> None:
    none = read_entries(path)[:0]
    assert similarities(path, path, none, none).tolist() == []


@given(st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=5))
def test_sorted_sets(lists: list[list[int]]) -> None:
    flat = np.array([x for members in lists for x in members], np.uint64)
    members, bounds = sorted_sets(flat, np.cumsum([0, *map(len, lists)]))
    found = [members[a:b].tolist() for a, b in itertools.pairwise(bounds)]
    assert found == [sorted(set(members)) for members in lists]


@given(SETS, SETS)
def test_shared_members(left: list[set[int]], right: list[set[int]]) -> None:
    sides: list[np.ndarray] = []
    pairs = list(zip(left, right, strict=False))
    for sets in (left[: len(pairs)], right[: len(pairs)]):
        counts = np.array([len(members) for members in sets])
        flat = np.array([x for members in sets for x in sorted(members)], np.uint64)
        sides += [flat, np.cumsum(counts) - counts, counts]
    assert shared_members(*sides).tolist() == [len(a & b) for a, b in pairs]
