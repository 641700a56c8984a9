"""Groups of documents whose vectors point the same way: spherical k-means, and which clusters a vector is nearest to.

What `semantic_duplicates.py` and `upsampling.py` share. The centres are learnt from a seeded sample on one worker;
after that a document needs only them. faiss runs on one thread here: a sum over several threads may differ in its last
bit from run to run, and workers share the cores between them anyway.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.dedup.embeddings import read_vectors, sample_rows
from datapipe.flow.gather import Gather
from datapipe.store.corpus import Part

SAMPLE_PER_CLUSTER = 64  # vectors; faiss asks for 39 at least and takes 256 at most
ROUNDS = 10  # of k-means: with them, pairs of cosine .9 share one of two clusters in 99.6 % of cases (100,000 x 384)
VECTOR = "embeddings_vector"


@contextlib.contextmanager
def single_threaded() -> Iterator[Any]:
    """faiss, which runs on a single thread in the block."""
    import faiss  # here: many a recipe does without it

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(before)


def learn_centres(vectors: npt.NDArray[np.float32], clusters: int, seed: int) -> npt.NDArray[np.float32]:
    """The centres of spherical k-means, each of length 1, (min(clusters, distinct vectors), dimensions).

    Args:
        vectors: each of length 1, shape (n, dimensions).
        clusters: how many centres.
        seed: of the vectors that it starts from.
    """
    # Copies would draw several centres to one place, and rounding would then deal out equal vectors among them.
    vectors = np.unique(vectors, axis=0)
    clusters = min(clusters, len(vectors))
    if not clusters:
        return vectors
    with single_threaded() as faiss:
        kmeans = faiss.Kmeans(
            vectors.shape[1], clusters, niter=ROUNDS, spherical=True, seed=seed + 1, min_points_per_centroid=1
        )
        kmeans.train(vectors)
    return np.asarray(kmeans.centroids, np.float32)


def nearest(
    vectors: npt.NDArray[np.float32], centres: npt.NDArray[np.float32], count: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The cosines and numbers of each vector's nearest centres, nearest first, each (n, min(count, centres))."""
    with single_threaded() as faiss:
        cosines, numbers = faiss.knn(vectors, centres, min(count, len(centres)), metric=faiss.METRIC_INNER_PRODUCT)
    return cosines, numbers


def sample_vectors(parts: Sequence[Part], count: int, seed: int) -> npt.NDArray[np.float32]:
    """The vectors of about `count` kept rows, see `sample_rows`, shape (n, dimensions); (0, 0) if there are none."""
    batches = sample_rows(parts, [VECTOR], count, seed)
    vectors = [read_vectors(batch.column(VECTOR))[0] for batch in batches]
    return np.concatenate([some for some in vectors if len(some)] or [np.zeros((0, 0), np.float32)])


@dataclasses.dataclass(eq=False)
class LearnCentres(beam.PTransform):
    """All parts in, one array of cluster centres out.

    Attributes:
        clusters: how many; none: a number that grows with the square root of the rows, see `per_root`.
        per_root: clusters = `per_root` x the square root of the rows.
        smallest: no more clusters than one for this many rows.
        seed: of the sample and of k-means.
    """

    clusters: int | None
    per_root: float
    smallest: int
    seed: int

    def __post_init__(self) -> None:
        super().__init__()

    def _learn(self, parts: Sequence[Part]) -> np.ndarray:
        parts = sorted(parts, key=lambda part: part.number)
        rows = sum(part.rows for part in parts)
        clusters = self.clusters or max(1, min(int(self.per_root * rows**0.5), rows // self.smallest))
        vectors = sample_vectors(parts, clusters * SAMPLE_PER_CLUSTER, self.seed)
        return learn_centres(vectors, clusters, self.seed)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[np.ndarray]:
        return parts | "Gather" >> Gather() | "Learn" >> beam.Map(self._learn).with_output_types(np.ndarray)


def read_rows(
    parts: Sequence[Part], ids: npt.NDArray[np.uint64], others: Sequence[str] = ()
) -> tuple[np.ndarray, dict[str, pa.ChunkedArray]]:
    """The vectors of some rows, shape (n, dimensions), and other columns of theirs.

    Args:
        parts: where they lie.
        ids: ascending, of rows whose vector is not null.
        others: columns that every part has.
    """
    rows, at = np.empty((0, 0), np.float32), 0
    chunks: dict[str, list[pa.Array]] = {name: [] for name in others}
    for part in sorted(parts, key=lambda part: part.number):
        first, last = np.searchsorted(ids, [part.ids[0], part.ids[-1] + np.uint64(1)]) if part.rows else (0, 0)
        if first == last:
            continue
        for batch in part.read([VECTOR, *others]):
            wanted = np.isin(batch.column("id").to_numpy(), ids[first:last], assume_unique=True)
            if not wanted.any():
                continue
            batch = batch.filter(pa.array(wanted))
            piece = read_vectors(batch.column(VECTOR))[0]
            if not at:  # filled piece by piece: together they are as large again
                rows = np.empty((len(ids), piece.shape[1]), piece.dtype)
            rows[at : at + len(piece)] = piece
            at += len(piece)
            for name, arrays in chunks.items():
                arrays.append(batch.column(name))
    return rows, {name: pa.chunked_array(arrays) for name, arrays in chunks.items()}
