"""Weights rise with the score, keep to their bounds, and depend on the cluster alone."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.dedup.embeddings import vector_column
from datapipe.mix.upsampling import WeighClusters, cluster_weights
from tests.helpers import CorpusOf, unit_vectors, verdicts

CLUSTERS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=12)


@given(clusters=CLUSTERS, rarity=st.sampled_from([0.0, 0.5, 1.0]), growth=st.sampled_from([0.0, 0.1, 3.0]))
@settings(deadline=None)
def test_weights_keep_to_their_bounds(clusters: list[tuple[int, int]], rarity: float, growth: float) -> None:
    sizes = np.array([size for size, _ in clusters], np.int64)
    scores = np.array([score for _, score in clusters], float)
    weights = cluster_weights(sizes, scores, rarity, 4.0, growth)
    assert ((weights >= 1) & (weights <= 4)).all()
    assert sizes @ weights <= (1 + growth) * sizes.sum() * (1 + 1e-12)
    for size, score, weight in zip(sizes, scores, weights, strict=True):
        higher = (sizes == size) & (scores >= score) if rarity else scores >= score
        assert (weights[higher] >= weight).all()
        smaller = (sizes <= size) & (scores == score) & (sizes > 0)
        assert (weights[smaller] >= weight).all()


def test_what_each_option_does() -> None:
    sizes = np.array([100, 100, 100, 100, 10])
    scores = np.array([1, 2, 3, 4, 4.0])
    weights = cluster_weights(sizes, scores, 0.0, 5.0, 1.0)
    assert weights[0] == weights[1] == 1 < weights[2] < weights[3] == weights[4] < 2
    assert cluster_weights(sizes, scores, 0.5, 5.0, 1.0)[4] > weights[4]
    assert cluster_weights(sizes, scores, 0.5, 1.5, 1.0)[4] == 1.5
    assert sizes @ cluster_weights(sizes, scores, 0.5, 5.0, 0.1) == pytest.approx(1.1 * 410)
    # What is rare and bad is not repeated.
    assert cluster_weights(sizes, -scores, 1.0, 5.0, 1.0)[4] == 1
    # The scale of a score does not matter.
    assert np.array_equal(cluster_weights(sizes, np.exp(scores) - 9, 0.0, 5.0, 1.0), weights)
    assert np.array_equal(cluster_weights(sizes[:4], scores[:4] * 0, 0.5, 5.0, 1.0), np.ones(4))


def test_the_formula_by_hand() -> None:
    # The middle cluster begins the better half: rank 1/2, a tenth of the typical size.
    weights = cluster_weights(np.array([100, 10, 100]), np.array([1, 2, 3.0]), 0.5, 5.0, 1.0)
    assert weights.tolist() == pytest.approx([1, 10**0.5, 2 * 160 / 210])
    # Typical is the cluster of the median document, not the median cluster.
    weights = cluster_weights(np.array([20, 20, 100]), np.array([1, 2, 3.0]), 0.5, 5.0, 1.0)
    assert weights.tolist() == pytest.approx([1, 1, 2 * 90 / 140])


def test_clusters_without_any_score_take_the_mean(corpus_of: CorpusOf) -> None:
    group = np.repeat([0, 1, 2], [100, 100, 10])
    scores = [[0.2, 0.9, None][number] for number in group]
    parts = corpus_of([""] * 210, embeddings_vector=vector_column(unit_vectors(3, 16)[group]), score=scores)
    found = verdicts(parts, WeighClusters(clusters=3, quality="score", max_growth=2.0))
    assert [found[row].weight for row in (0, 100, 200)] == pytest.approx([1, 2 * 160 / 210, 10**0.5])


def test_small_good_clusters_are_repeated(corpus_of: CorpusOf) -> None:
    group = np.repeat([0, 1, 2], [100, 50, 10])
    vectors = unit_vectors(3, 16)[group]
    scores = [[0.2, 0.5, 0.9][number] for number in group]
    parts = corpus_of([""] * 160, rows_per_part=64, embeddings_vector=vector_column(vectors), score=scores)
    stage = WeighClusters(clusters=3, quality="score", max_growth=0.5)
    assert stage.optional() == ("score",)
    found = verdicts(parts, stage)
    assert verdicts(parts[::-1], stage) == found
    ids = np.concatenate([part.ids for part in parts])
    weights = [{found[row].weight for row in ids[group == number]} for number in range(3)]
    assert all(len(some) == 1 for some in weights)
    large, middle, small = (some.pop() for some in weights)
    assert large == 1 <= middle < small <= 5
    assert len({cluster for cluster, _ in found.values()}) == 3


def test_the_seed_chooses_the_clusters(corpus_of: CorpusOf) -> None:
    parts = corpus_of([""] * 200, embeddings_vector=vector_column(unit_vectors(200, 8)))
    found = [verdicts(parts, WeighClusters(clusters=3, seed=seed)) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_documents_without_vector_or_score(corpus_of: CorpusOf) -> None:
    vectors = np.array([[1, 0], [0, 0], [0, 1], [0, 1]], np.float32)
    parts = corpus_of([""] * 4, embeddings_vector=vector_column(vectors), score=pa.array([1.0, 1.0, None, None]))
    found = verdicts(parts, WeighClusters(clusters=2, quality="score"))
    assert found[1] == (None, 1.0)
    assert found[2] == found[3]
    assert all(weight >= 1 for _, weight in found.values())


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("filled", [True, False])
def test_tiny_corpora(corpus_of: CorpusOf, rows: int, filled: bool) -> None:
    parts = corpus_of([""] * rows, embeddings_vector=vector_column(unit_vectors(rows, 4) * np.float32(filled)))
    found = verdicts(parts, WeighClusters())
    assert found == dict.fromkeys(range(rows), (0 if filled else None, 1.0))


@pytest.mark.parametrize("options", [{"clusters": 0}, {"rarity": -1.0}, {"max_repeats": 0.5}, {"max_growth": -0.1}])
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"upsampling: {next(iter(options))} must be at least"):
        WeighClusters(**options)  # type: ignore[arg-type]


def test_a_score_that_no_stage_has_written_is_done_without(corpus_of: CorpusOf) -> None:
    vectors = unit_vectors(2, 16)[np.repeat([0, 1], [20, 5])]
    parts = corpus_of([""] * 25, embeddings_vector=vector_column(vectors))
    assert verdicts(parts, WeighClusters(quality="score")) == verdicts(parts, WeighClusters())
