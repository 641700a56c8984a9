"""Survivors against a slow greedy pass, the search within clusters against all pairs, hostile corpora."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.dedup.clusters import VECTOR
from datapipe.dedup.embeddings import vector_column
from datapipe.dedup.exchanged_words import are_exchanged, common_words
from datapipe.dedup.semantic_duplicates import (
    BLOCK,
    MAX_THRESHOLD,
    MIN_THRESHOLD,
    FindSemanticDuplicates,
    calibrate,
    likest_kept,
)
from datapipe.store.corpus import Corpus, Part
from tests.helpers import CorpusOf, at_most, unit_vectors, verdicts

REMOVED = "semantic_duplicate"


def parts_of(corpus_of: CorpusOf, vectors: npt.NDArray[np.float32], rows_per_part: int = 1000) -> list[Part]:
    return corpus_of([""] * len(vectors), rows_per_part=rows_per_part, embeddings_vector=vector_column(vectors))


def slow_likest_kept(
    vectors: npt.NDArray[np.float32], threshold: float, words: list[npt.NDArray[np.uint32]] | None = None
) -> list[int]:
    """Each vector against all kept before it."""
    kept: list[int] = []
    like = []
    for row, vector in enumerate(vectors):
        cosines = [float(vectors[other] @ vector) for other in kept]
        if words:
            pairs = zip(kept, cosines, strict=True)
            cosines = [-1 if are_exchanged(words[row], words[other]) else cosine for other, cosine in pairs]
        like.append(kept[int(np.argmax(cosines))] if cosines and max(cosines) >= threshold else -1)
        if like[-1] < 0:
            kept.append(row)
    return like


def families(count: int, size: int, noise: float, dimensions: int = 32) -> npt.NDArray[np.float32]:
    """`count` directions, and `size` vectors near each, shuffled."""
    vectors = np.repeat(unit_vectors(count, dimensions), size, axis=0)
    vectors += noise * unit_vectors(len(vectors), dimensions, seed=1) * np.linspace(0.5, 1.5, len(vectors))[:, None]
    vectors = vectors[np.random.default_rng(2).permutation(len(vectors))].astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(seed=st.integers(0, 1000), count=st.integers(1, 60), threshold=st.sampled_from([0.3, 0.7, 0.95]))
@settings(max_examples=50)
def test_likest_kept_equals_the_slow_one(seed: int, count: int, threshold: float) -> None:
    vectors = unit_vectors(count, 3, seed)
    like, cosine = likest_kept(vectors, threshold)
    assert like.tolist() == slow_likest_kept(vectors, threshold)
    for row, other in enumerate(like):
        assert cosine[row] == pytest.approx(float(vectors[row] @ vectors[other]) if other >= 0 else 0, abs=1e-5)


@pytest.mark.parametrize("second_sign", [False, True])
def test_likest_kept_over_several_blocks(second_sign: bool) -> None:
    vectors = families(700, 4, 0.2)
    assert len(vectors) > 2 * BLOCK
    texts = pa.array([f"a page on the subject {'ab'[row % 2]}" for row in range(len(vectors))])
    words = [np.frombuffer(record, "<u4") for record in common_words(texts).to_pylist()] if second_sign else None
    like, _ = likest_kept(vectors, 0.9, words)
    assert like.tolist() == slow_likest_kept(vectors, 0.9, words)
    assert (500 if second_sign else 1000) < (like >= 0).sum() < 2100


def test_alike_documents_go_and_the_first_stays(corpus_of: CorpusOf) -> None:
    vectors = np.array([[1, 0], [0.99, 0.14], [0, 1], [0, 0], [0, 1], [0, 0]], np.float32)
    found = verdicts(parts_of(corpus_of, vectors, rows_per_part=4), FindSemanticDuplicates(keep="first"))
    assert found == {1: (0, pytest.approx(0.99, abs=2e-3), REMOVED), 1 << 32: (2, 1, REMOVED)}


HEADER = "The header stands above. To add a header, choose Insert. A header may hold the date. It is a fine header."
PAGES = [HEADER, HEADER.replace("header", "footer"), HEADER + " It returns when you choose it again."]


@pytest.mark.parametrize(("order", "removed"), [([0, 1, 2], {2: 0}), ([1, 0, 2], {2: 1}), ([1, 2, 0], {2: 1})])
def test_words_exchanged_throughout_are_a_second_sign(
    corpus_of: CorpusOf, order: list[int], removed: dict[int, int]
) -> None:
    """The page on footers is the likest to each other one, and a copy of neither."""
    angles = np.radians([0, 1, 3])[order]
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    words = common_words(pa.array([PAGES[page] for page in order]))
    parts = corpus_of([""] * 3, embeddings_words=words, embeddings_vector=vector_column(vectors))
    found = verdicts(parts, FindSemanticDuplicates(keep="first", clusters=1))
    assert {id_: verdict.of for id_, verdict in found.items()} == removed
    without = [dataclasses.replace(p, columns={n: p.columns[n] for n in ("text", VECTOR)}) for p in parts]
    assert len(verdicts(without, FindSemanticDuplicates(keep="first", clusters=1))) == 2


def test_threshold_moves_the_line(corpus_of: CorpusOf) -> None:
    parts = parts_of(corpus_of, families(50, 4, 0.4))
    removed = [len(verdicts(parts, FindSemanticDuplicates(threshold=t, clusters=2))) for t in (0.8, 0.9, 0.97)]
    assert 150 >= removed[0] > removed[1] > removed[2] >= 0


def test_keep_rules(corpus_of: CorpusOf) -> None:
    # One cluster: its centre lies at about 0 degrees; the pair at 20 and 30 degrees is alike.
    angles = np.radians([30, 20, 0, -25, 0, -25])
    parts = parts_of(corpus_of, np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    stages = [FindSemanticDuplicates(threshold=0.98, keep=keep, clusters=1) for keep in ("hard", "easy", "first")]
    removed = [verdicts(parts, stage) for stage in stages]
    assert [found[1].of if 1 in found else found[0].of for found in removed] == [0, 1, 0]
    assert [0 in found for found in removed] == [False, True, False]


def test_the_seed_chooses_the_centres(corpus_of: CorpusOf) -> None:
    parts = parts_of(corpus_of, families(100, 4, 0.3))
    found = [verdicts(parts, FindSemanticDuplicates(clusters=5, seed=seed)) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_clusters_find_what_all_pairs_do(corpus_of: CorpusOf) -> None:
    vectors = families(1000, 4, 0.3)
    parts = parts_of(corpus_of, vectors)
    exact = verdicts(parts, FindSemanticDuplicates(clusters=1, keep="first"))
    found = verdicts(parts, FindSemanticDuplicates(keep="first"))
    assert len(exact) > 1000
    assert len(exact.keys() & found.keys()) >= 0.995 * len(exact)
    assert all(verdict.similarity >= 0.9 for verdict in found.values())


def test_order_groups_and_workers_change_nothing(corpus_of: CorpusOf) -> None:
    parts = parts_of(corpus_of, families(200, 4, 0.3), rows_per_part=90)
    expected = verdicts(parts, FindSemanticDuplicates())
    assert expected
    assert verdicts(parts[::-1], FindSemanticDuplicates()) == expected
    assert verdicts(parts, FindSemanticDuplicates(memory=1000)) == expected


def test_removed_rows_are_no_partners(corpus_of: CorpusOf) -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    removed = pa.array(["fr", None, None])
    parts = corpus_of([""] * 3, embeddings_vector=vector_column(vectors), language_reason=removed)
    assert verdicts(parts, FindSemanticDuplicates()) == {2: (1, 1.0, REMOVED)}


@pytest.mark.parametrize(
    "vectors", [np.zeros((0, 4), np.float32), np.zeros((5, 4), np.float32), np.eye(1, 4, dtype=np.float32)]
)
def test_nothing_to_compare(corpus_of: CorpusOf, vectors: npt.NDArray[np.float32]) -> None:
    assert verdicts(parts_of(corpus_of, vectors), FindSemanticDuplicates()) == {}


def test_100_000_copies_take_no_square_of_time(corpus_of: CorpusOf) -> None:
    vectors = np.tile(unit_vectors(1, 64), (100_000, 1))
    parts = parts_of(corpus_of, vectors, rows_per_part=25_000)
    with at_most(seconds=10):
        found = verdicts(parts, FindSemanticDuplicates(keep="first"))
    assert len(found) == 99_999
    assert {verdict.of for verdict in found.values()} == {0}


def test_a_chain_ends_where_its_ends_differ() -> None:
    angles = np.linspace(0, np.pi, 10_000)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    like, cosine = likest_kept(vectors, 0.9)
    kept = np.flatnonzero(like < 0)
    assert len(kept) == 1 + int(np.pi / np.arccos(0.9))
    assert set(like) == {-1, *kept}
    assert cosine[like >= 0].min() >= 0.9


def test_a_clump_takes_no_square_of_time() -> None:
    vectors = unit_vectors(1, 64) + 1e-3 * unit_vectors(50_000, 64)
    with at_most(seconds=10):
        like, _ = likest_kept(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 0.9)
    assert (like > 0).sum() == 0
    assert (like == 0).sum() == 49_999


def test_calibration_follows_the_model() -> None:
    # Unrelated vectors of a model that crowds them round one direction, as E5 does.
    crowded = unit_vectors(1, 64) + 0.5 * unit_vectors(500, 64)
    crowded /= np.linalg.norm(crowded, axis=1, keepdims=True)
    cosines = np.sort((crowded @ crowded.T)[np.triu_indices(500, 1)])
    assert cosines[len(cosines) // 2] > 0.75
    assert cosines[-1] < calibrate(crowded) < 0.98
    assert calibrate(unit_vectors(500, 64)) == calibrate(crowded[:99]) == calibrate(crowded[:0]) == MIN_THRESHOLD
    close = unit_vectors(1, 64) + 0.05 * unit_vectors(500, 64)
    assert calibrate(close / np.linalg.norm(close, axis=1, keepdims=True)) == MAX_THRESHOLD
    copies = np.concatenate([crowded, crowded + 1e-3 * unit_vectors(500, 64, seed=1)])
    assert calibrate(copies / np.linalg.norm(copies, axis=1, keepdims=True)) == pytest.approx(
        calibrate(crowded), abs=0.01
    )


def test_prepare_finds_the_threshold(tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]) -> None:
    crowded = unit_vectors(1, 64) + 0.4 * unit_vectors(300, 64)
    corpus = corpus_on_disk([""] * 300, embeddings_vector=vector_column(crowded))
    ready = FindSemanticDuplicates().prepare(corpus, str(tmp_path))
    assert ready.found_threshold is not None
    assert 0.9 < ready.found_threshold < 0.98
    assert f"{ready.found_threshold}" in (tmp_path / "_notes.json").read_text()
    assert verdicts(list(corpus.parts), ready) == {}
    assert len(verdicts(list(corpus.parts), FindSemanticDuplicates(threshold=0.8))) > 200
    given = FindSemanticDuplicates(threshold=0.95)
    assert given.prepare(corpus, str(tmp_path)) is given


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"keep": "last"}, "keep"),
        ({"clusters": 0}, "clusters"),
        ({"memory": 0}, "memory"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"semantic_duplicates: {message} must"):
        FindSemanticDuplicates(**options)  # type: ignore[arg-type]
