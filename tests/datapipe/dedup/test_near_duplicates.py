"""Near duplicates: right against brute force, explained, and linear on the inputs that make LSH quadratic."""

import itertools
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.dedup.near_duplicates import (
    MEMBER,
    NODE,
    REACH,
    VERIFIED_PAIR,
    FindNearDuplicates,
    both_ends,
    bucket_pairs,
    clusters,
    strongest,
)
from datapipe.dedup.near_duplicates import verdicts as judge
from datapipe.flow.components import spanning_forest
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part
from tests.helpers import CorpusOf, at_most, edited, jaccard, random_words, verdicts

REMOVED = "near_duplicate"


def removed(parts: list[Part], stage: FindNearDuplicates | None = None) -> set[int]:
    return {row for row, verdict in verdicts(parts, stage or FindNearDuplicates()).items() if verdict.reason}


def documents(*texts: list[str]) -> list[str]:
    return [" ".join(words) for words in texts]


def test_edited_copy_is_removed_and_explained(corpus_of: CorpusOf) -> None:
    original = random_words(1)
    copy = edited(original, 20, 100)
    parts = corpus_of(documents(original, random_words(2), copy), rows_per_part=2)
    assert len(documents(original)[0]) > len(documents(copy)[0])
    similarity = pytest.approx(jaccard(original, copy))
    assert FindNearDuplicates.writes.names == [
        f"near_duplicates_{name}" for name in ("cluster", "of", "similarity", "size", "reason")
    ]
    assert verdicts(parts, FindNearDuplicates()) == {
        0: (0, 1 << 32, similarity, 2, None),
        1 << 32: (0, 0, similarity, 2, REMOVED),
    }


def test_survivor_is_best_then_longest_then_first(corpus_of: CorpusOf) -> None:
    words = random_words(1)
    texts = documents(words, [*words, "longest"], words[:-1], [*words, "longest"])
    parts = corpus_of(texts, score=[0.5, 0.5, 0.9, None])
    assert removed(parts) == {0, 2, 3}
    assert removed(parts, FindNearDuplicates(quality="score")) == {0, 1, 3}
    assert removed(parts, FindNearDuplicates(quality="absent")) == {0, 2, 3}


def test_chinese_and_english(corpus_of: CorpusOf) -> None:
    chinese = "".join(chr(0x4E00 + number) for number in np.random.default_rng(3).integers(0, 3000, 300))
    texts = [chinese, chinese[:150] + "。" + chinese[150:], chinese[150:] + chinese[:60]]
    assert removed(corpus_of(texts)) == {0}  # the copy with a full stop is longer


def test_threshold_decides_on_the_exact_similarity(corpus_of: CorpusOf) -> None:
    original = random_words(1)
    copy = edited(original, 50, 90, 130)
    similarity = jaccard(original, copy)
    parts = corpus_of(documents(original, copy))
    assert removed(parts, FindNearDuplicates(threshold=similarity - 1e-9))
    assert not removed(parts, FindNearDuplicates(threshold=similarity + 1e-9))


def test_the_threshold_itself_is_near(corpus_of: CorpusOf) -> None:
    words = random_words(1, 9)  # 5 shingles, of which the copy has 4
    parts = corpus_of(documents(words, words[:8]))
    assert jaccard(words, words[:8]) == 0.8
    assert removed(parts, FindNearDuplicates(threshold=0.8)) == {1}


def test_slots_are_as_many_as_bands_take(corpus_of: CorpusOf) -> None:
    original = random_words(1)
    parts = corpus_of(documents(original, edited(original, 100), original))
    assert removed(parts, FindNearDuplicates(slots=300, bands=1, rows=300)) == {2}


def test_shingle_size_and_bands_change_what_is_found(corpus_of: CorpusOf) -> None:
    original = random_words(1)
    parts = corpus_of(documents(original, edited(original, *range(7, 200, 35))))
    assert not removed(parts)
    assert removed(parts, FindNearDuplicates(shingle_size=1))
    assert removed(parts, FindNearDuplicates(threshold=0.7))
    assert not removed(parts, FindNearDuplicates(threshold=0.7, bands=1, rows=100))


@pytest.mark.parametrize("scheme", ["fast", "datasketch", "datasketch_legacy"])
def test_every_scheme_agrees_with_brute_force(corpus_of: CorpusOf, scheme: Any) -> None:
    random = np.random.default_rng(5)
    texts = []
    for seed in range(30):
        original = random_words(seed)
        texts += [original, *(edited(original, *random.integers(0, 200, n)) for n in (1, 3, 6, 12))]
    cluster = list(range(len(texts)))
    for a, b in itertools.combinations(range(len(texts)), 2):
        if jaccard(texts[a], texts[b]) >= 0.8:
            keep, go = sorted((cluster[a], cluster[b]))
            cluster = [keep if c == go else c for c in cluster]
    parts = corpus_of(documents(*texts), rows_per_part=40)
    found = verdicts(parts, FindNearDuplicates(scheme=scheme))
    row = {(place // 40) << 32 | place % 40: place for place in range(len(texts))}
    groups: dict[int, set[int]] = {}
    for id_, verdict in found.items():
        groups.setdefault(verdict.cluster, set()).add(row[id_])
        assert verdict.similarity == pytest.approx(jaccard(texts[row[id_]], texts[row[verdict.of]]))
    expected = [{i for i, c in enumerate(cluster) if c == root} for root in set(cluster)]
    assert sorted(map(sorted, groups.values())) == sorted(sorted(group) for group in expected if len(group) > 1)


def test_what_is_held_out_stays_and_its_neighbours_leave_training(corpus_of: CorpusOf) -> None:
    copy, other = random_words(1), random_words(2)
    texts = documents([*copy, "best"], copy, edited(copy, 3), other, edited(other, 3), random_words(3))
    reasons = [None, "held_out", "held_out", None, None, "spam"]
    parts = corpus_of([*texts, texts[-1]], score=[9, 1, 1, 2, 1, 1, 1], held_out_reason=[*reasons, None])
    found = verdicts(parts, FindNearDuplicates(quality="score"))
    assert {row: verdict.reason for row, verdict in found.items()} == {
        0: "held_out_neighbour",  # although it is the best and the longest
        1: None,
        2: None,
        3: None,
        4: REMOVED,
    }
    assert {found[row].cluster for row in (0, 1, 2)} == {1}


def test_sizes_count_exact_copies_that_are_gone(corpus_of: CorpusOf) -> None:
    copy = random_words(1)
    texts = documents(copy, edited(copy, 3), copy, random_words(2), random_words(2))
    parts = corpus_of(
        texts,
        exact_duplicates_of=pa.array([None, None, 0, None, 3], pa.uint64()),
        exact_duplicates_size=pa.array([2, None, 2, 7, 7], pa.uint32()),
        exact_duplicates_reason=[None, None, "exact_duplicate", None, None],
    )
    found = verdicts(parts, FindNearDuplicates())
    assert {row: verdict.size for row, verdict in found.items()} == {0: 3, 1: 3, 3: 7, 4: 7}


def test_number_of_partitions_changes_nothing(corpus_of: CorpusOf) -> None:
    texts = documents(*(edited(random_words(seed % 5), seed) for seed in range(20)))
    parts = corpus_of(texts, rows_per_part=3)
    assert verdicts(parts, FindNearDuplicates(partitions=1)) == verdicts(parts, FindNearDuplicates(partitions=5))


EDGES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from([0.8, 0.9, 1.0])).filter(lambda t: t[0] < t[1]),
    max_size=30,
    unique_by=lambda edge: edge[:2],
)


@given(EDGES, st.permutations(range(13)), st.integers(0, 30))
def test_partners_and_survivors_need_no_gathering(
    found: list[tuple[int, int, float]], rank: list[int], cut: int
) -> None:
    edges = np.zeros(len(found), VERIFIED_PAIR)
    for place, (first, second, weight) in enumerate(found):
        edges[place] = (
            *(first, second, weight, rank[first] // 3, rank[second] // 3, rank[first] % 2, rank[second] % 2),
            *(rank[first] % 3, rank[second] % 3),
        )
    _, ids, roots = spanning_forest(edges)
    stars = np.zeros(len(ids), NODE)
    stars["id"], stars["root"] = ids, ids[roots]
    # Each part's own forest is all that is kept of it.
    forests = [both_ends(spanning_forest(part)[0]) for part in (edges[:cut], edges[cut:])]
    nodes = strongest(np.concatenate([*forests, stars[stars["id"] != stars["root"]]]))
    assert judge(nodes).to_pylist() == clusters([edges[:cut], edges[cut:]]).to_pylist()
    sizes = {
        root: sum(rank[node] % 3 for node in ids[ids[roots] == root].tolist()) for root in set(ids[roots].tolist())
    }
    for row in clusters([edges]).to_pylist():
        assert row["near_duplicates_size"] == sizes[int(ids[roots][ids == row["id"]][0])]
        mine = [(-w, a + b - row["id"]) for a, b, w in found if row["id"] in (a, b)]
        assert row["near_duplicates_of"] == min(mine)[1]


def test_short_and_empty_documents(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["", None, "?!", "one two", "One, two!", "one", ""])
    assert set(verdicts(parts, FindNearDuplicates())) == {3, 4}


def test_scratch_files_are_deleted(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["a b c", "a b c"])
    before = sorted(tmp_path.rglob("*"))
    assert removed(parts)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "left_over").touch()
    stage = FindNearDuplicates().prepare(Corpus(str(tmp_path)), str(tmp_path))
    assert removed(parts, stage)
    assert not list(stage.more_rounds(lambda _: None))
    assert (tmp_path / "scratch").exists()  # a step may be done again
    for path in stage.leftovers(str(tmp_path)):
        files.remove(path)
    assert sorted(tmp_path.rglob("*")) == before


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), max_size=40, unique=True))
def test_bucket_pairs(rows: list[tuple[int, int]]) -> None:
    pairs = [pair for some in bucket_pairs(np.array(sorted(rows), MEMBER)) for pair in some]
    expected = set()
    for bucket in {bucket for bucket, _ in rows}:
        ids = sorted(row for other, row in rows if other == bucket)
        for a, b in itertools.combinations(range(len(ids)), 2):
            if a == 0 or b - a in REACH:
                expected.add((ids[a], ids[b]))
    assert {(int(pair["first"]), int(pair["second"])) for pair in pairs} == expected
    assert len(pairs) <= len(rows) * (1 + len(REACH))


HOSTILE_SECONDS = 15


def test_hundred_thousand_identical_documents(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["the same short text again"] * 100_000, rows_per_part=25_000)
    stage = FindNearDuplicates(bands=4)  # each band holds the same bucket: few tell as much as many
    with at_most(HOSTILE_SECONDS):
        found = verdicts(parts, stage)
    assert len(found) == 100_000
    assert [row for row, verdict in found.items() if not verdict.reason] == [0]


def test_all_empty_and_all_one_character(corpus_of: CorpusOf) -> None:
    assert removed(corpus_of([""] * 1000, kind="empty")) == set()
    assert removed(corpus_of(["a"] * 1000, kind="letter")) == set(range(1, 1000))
    assert removed(corpus_of(["a" * n for n in range(1, 1000)], kind="runs")) == set()


def test_one_huge_document(corpus_of: CorpusOf) -> None:
    letters = np.random.default_rng(1).integers(97, 123, (6_250_000, 8), np.uint8)
    letters[:, 7] = 32
    huge = letters.tobytes().decode()
    shorter = huge[:-80_000]
    assert len(huge) == 50_000_000
    parts = corpus_of(["small", huge, "text", shorter])
    with at_most(HOSTILE_SECONDS):
        assert removed(parts) == {3}


def test_chain_of_ten_thousand(corpus_of: CorpusOf) -> None:
    # Each document shares 24 of 26 shingles with the next, and nothing with those 26 further on.
    words = [f"w{number}" for number in range(10_030)]
    texts = documents(*(words[at : at + 29] for at in range(10_000)))
    parts = corpus_of(texts, rows_per_part=2500)
    with at_most(HOSTILE_SECONDS):
        found = verdicts(parts, FindNearDuplicates())
    assert len(found) == 10_000
    assert {verdict.cluster for verdict in found.values()} == {found[0].cluster}
    assert all(verdict.similarity >= 0.8 for verdict in found.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold must be above 0 and at most 1, got 0.0"),
        ({"shingle_size": 0}, "shingle_size must be at least 1, got 0"),
        ({"bands": 0}, "bands must be at least 1, got 0"),
        ({"gather_edges": -1}, "gather_edges must be at least 0, got -1"),
        ({"rows": 7}, r"slots must be at least bands \* rows = 140, got 128"),
        ({"scheme": "sha1"}, "scheme must be one of .*, got 'sha1'"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FindNearDuplicates(**options)
