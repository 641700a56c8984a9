"""Centres and neighbours are the same however many threads faiss has, and rows are found again by id."""

import faiss
import numpy as np

from datapipe.dedup.clusters import VECTOR, LearnCentres, learn_centres, nearest, read_rows, single_threaded
from datapipe.dedup.embeddings import vector_column
from tests.helpers import CorpusOf, unit_vectors


def test_threads_change_nothing() -> None:
    vectors = unit_vectors(3000, 64)
    results = []
    before = faiss.omp_get_max_threads()
    for threads in (1, 2, 3):
        faiss.omp_set_num_threads(threads)
        centres = learn_centres(vectors, 20, 0)
        results.append((centres.tobytes(), *(array.tobytes() for array in nearest(vectors, centres, 2))))
        assert faiss.omp_get_max_threads() == threads
    faiss.omp_set_num_threads(before)
    assert results[0] == results[1] == results[2]
    assert not np.array_equal(learn_centres(vectors, 20, 1), learn_centres(vectors, 20, 0))


def test_centres_are_of_length_one() -> None:
    centres = learn_centres(unit_vectors(500, 16), 20, 0)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-6)


def test_the_seed_chooses_the_sample(corpus_of: CorpusOf) -> None:
    parts = corpus_of([""] * 400, rows_per_part=150, **{VECTOR: vector_column(unit_vectors(400, 4))})
    # Of one cluster the centre is the mean, whatever vector k-means starts from.
    (first,), (again,), (other,) = (parts | LearnCentres(1, 1, 1, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_thread_gives_back_the_others() -> None:
    before = faiss.omp_get_max_threads()
    with single_threaded():
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before


def test_nearest_is_by_cosine() -> None:
    vectors, centres = unit_vectors(50, 8), unit_vectors(7, 8, seed=1)
    cosines, clusters = nearest(vectors, centres, 2)
    table = vectors @ centres.T
    assert np.array_equal(clusters, np.argsort(-table, axis=1)[:, :2])
    np.testing.assert_allclose(cosines, np.take_along_axis(table, clusters, 1), atol=1e-6)
    assert nearest(vectors, centres[:1], 2)[1].shape == (50, 1)


def test_rows_are_found_by_id(corpus_of: CorpusOf) -> None:
    vectors = unit_vectors(10, 4)
    vectors[3] = 0
    parts = corpus_of([""] * 10, rows_per_part=4, **{VECTOR: vector_column(vectors)})
    ids = np.concatenate([part.ids for part in parts])
    wanted = np.array([1, 2, 8, 9])
    np.testing.assert_allclose(read_rows(parts[::-1], ids[wanted])[0], vectors[wanted], atol=2e-3)


def test_number_of_clusters(corpus_of: CorpusOf) -> None:
    vectors = unit_vectors(400, 4)
    parts = corpus_of([""] * 400, rows_per_part=150, **{VECTOR: vector_column(vectors)})
    for clusters, per_root, smallest, expected in (
        (None, 1, 1, 20),
        (None, 1, 100, 4),
        (None, 0.5, 1, 10),
        (7, 1, 1, 7),
    ):
        (centres,) = parts | LearnCentres(clusters, per_root, smallest, 0)
        assert centres.shape == (expected, 4)
        (again,) = parts[::-1] | LearnCentres(clusters, per_root, smallest, 0)
        assert np.array_equal(centres, again)
