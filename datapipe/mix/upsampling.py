"""How often each document deserves to be seen, by the size and quality of its group of like documents.

Baichuan 2 lets frequency and quality drive sampling: it clusters documents by their vectors and scores the clusters.
Its formula is not public; the one here is stated below. `semantic_duplicates.py` removes what is said twice, this
repeats what is said well and seldom. `mixture.py` turns the weights into whole copies.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge

from datapipe.checks import ColumnOption, Count, NotNegative, Seed
from datapipe.dedup.clusters import VECTOR, LearnCentres, nearest
from datapipe.dedup.embeddings import read_vectors
from datapipe.dedup.survivors import check_quality
from datapipe.flow.gather import Gather
from datapipe.stage import CorpusStage
from datapipe.store.corpus import Corpus, Part

SMALLEST_CLUSTER = 100  # documents on average: with fewer, the mean score of a cluster says little
BISECTIONS = 60  # more than the bits of a float64


def cluster_weights(
    sizes: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    rarity: float,
    max_repeats: float,
    max_growth: float,
) -> npt.NDArray[np.float64]:
    """How often the documents of each cluster are to be seen, shape (clusters,), each from 1 to `max_repeats`.

    With rank = the share of documents in clusters of lower score, plus half of those in clusters of the same score:

        weight = 2 x rank x (typical size / size) ^ rarity    where rank >= 1/2, else 1

    clipped to the range; the typical size is that of the median document's cluster. So the better half of the corpus
    is repeated, the more the better and the rarer it is, and what is rare because it is bad is not. If the corpus would
    then grow by more than `max_growth`, all weights shrink by one factor, none below 1, until it does not. Among
    clusters of one size, and among all where `rarity` is 0, the weight never falls as the score rises.

    Args:
        sizes: documents of each cluster, shape (clusters,).
        scores: their mean quality, higher is better, on any scale, shape (clusters,).
        rarity: how much small clusters gain; 0 = size does not count.
        max_repeats: the highest weight.
        max_growth: by how much the sum of weights may exceed the documents, as a share of them.

    >>> sizes, scores = np.array([100, 100, 10]), np.array([0.2, 0.5, 0.9])
    >>> cluster_weights(sizes, scores, rarity=0.5, max_repeats=5.0, max_growth=1.0).round(2).tolist()
    [1.0, 1.43, 5.0]
    """
    documents = sizes.sum()
    if not documents:
        return np.ones(len(sizes))
    _, tie = np.unique(scores, return_inverse=True)
    alike = np.bincount(tie, weights=sizes)
    rank = ((np.cumsum(alike) - alike / 2) / documents)[tie]
    ascending = np.sort(sizes)
    typical = ascending[np.searchsorted(np.cumsum(ascending), documents / 2)]
    merit = np.where(rank >= 0.5, 2 * rank * (typical / np.maximum(sizes, 1)) ** rarity, 0)

    def weights(factor: float) -> npt.NDArray[np.float64]:
        return np.clip(factor * merit, 1, max_repeats)

    low, high = 0.0, 1.0
    if sizes @ weights(high) <= (1 + max_growth) * documents:
        return weights(high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if sizes @ weights(middle) <= (1 + max_growth) * documents:
            low = middle
        else:
            high = middle
    return weights(low)


_WRITES = pa.schema([("upsampling_cluster", pa.int32()), ("upsampling_weight", pa.float32())])
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])


@dataclasses.dataclass(frozen=True)
class _Assigned:
    """The clusters of a part's documents, and what each cluster gains by them."""

    part: int
    ids: npt.NDArray[np.uint64]
    clusters: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]
    scored: npt.NDArray[np.int64]
    score_sums: npt.NDArray[np.float64]


@dataclasses.dataclass(eq=False)
class WeighClusters(CorpusStage):
    """Weigh each document by the cluster that it belongs to: parts in, a verdict on each kept document out.

    The weight is how often to see the document, 1.0 = once; it depends on nothing but the cluster. A document without a
    vector has no cluster and weight 1. The formula is at `cluster_weights`.

    Attributes:
        quality: a numeric column, of a stage or the documents' own, higher = better; none, or where no document has
            it: only size counts.
        clusters: how many; none: the square root of the documents, but no more than one for 100 documents.
        rarity: how much small clusters gain, see `cluster_weights`; 0 = only quality counts.
        max_repeats: no document is seen more often (Skywork: generally at most 5 times).
        max_growth: the corpus grows by no more than this share of its documents.
        seed: of the sample and of k-means.
    """

    quality: ColumnOption | None = None
    clusters: Count | None = None
    rarity: NotNegative = 0.5
    max_repeats: Annotated[float, Ge(1)] = 5.0
    max_growth: NotNegative = 0.25
    seed: Seed = 0

    name: ClassVar[str] = "upsampling"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = _WRITES

    def optional(self) -> tuple[str, ...]:
        """The quality, where documents have it."""
        return self.named_columns()

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return (VECTOR,)

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """Check the column of quality."""
        check_quality(self.name, self.quality, corpus, folder)
        return self

    def _assign(self, part: Part, centres: np.ndarray) -> _Assigned:
        ids, clusters, scores = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)], [np.zeros(0)]
        quality = self.quality if self.quality in part.columns else None
        for batch in part.read(self.requires(), optional=self.optional()):
            vectors, valid = read_vectors(batch.column(VECTOR))
            found = np.full(len(batch), -1, np.int32)
            if len(vectors):
                found[valid] = nearest(vectors, centres, 1)[1][:, 0]
            ids.append(batch.column("id").to_numpy())
            clusters.append(found)
            if quality is None:
                scores.append(np.full(len(batch), np.nan))
            else:
                scores.append(batch.column(quality).cast(pa.float64()).to_numpy(zero_copy_only=False))
        cluster, score = np.concatenate(clusters), np.concatenate(scores)
        member = cluster >= 0
        scored = member & np.isfinite(score)
        return _Assigned(
            part.number,
            np.concatenate(ids),
            cluster,
            np.bincount(cluster[member], minlength=len(centres)),
            np.bincount(cluster[scored], minlength=len(centres)),
            np.bincount(cluster[scored], score[scored], len(centres)).astype(np.float64),
        )

    def _weigh(self, assigned: Sequence[_Assigned]) -> np.ndarray:
        """The weight of each cluster, and last that of documents without one."""
        # In order of part: a sum of floats depends on its order.
        assigned = sorted(assigned, key=lambda some: some.part)
        sizes, scored, sums = (
            np.sum([getattr(some, field) for some in assigned], axis=0) for field in ("sizes", "scored", "score_sums")
        )
        mean = sums.sum() / max(scored.sum(), 1)
        scores = np.where(scored > 0, sums / np.maximum(scored, 1), mean)
        weights = cluster_weights(sizes, scores, self.rarity, self.max_repeats, self.max_growth)
        return np.append(weights, 1).astype(np.float32)

    def _verdicts(self, assigned: _Assigned, weights: np.ndarray) -> pa.RecordBatch:
        clusters = pa.array(assigned.clusters, mask=assigned.clusters < 0)
        arrays = [pa.array(assigned.ids), clusters, pa.array(weights[assigned.clusters])]
        return pa.record_batch(arrays, schema=_VERDICTS)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        centres = parts | "Centres" >> LearnCentres(self.clusters, 1, SMALLEST_CLUSTER, self.seed)
        assigned = parts | "Assign" >> beam.Map(self._assign, beam.pvalue.AsSingleton(centres)).with_output_types(
            _Assigned
        )
        statistics = assigned | "Strip" >> beam.Map(_statistics).with_output_types(_Assigned)
        weights = statistics | "Gather" >> Gather() | "Weigh" >> beam.Map(self._weigh).with_output_types(np.ndarray)
        return assigned | "Verdicts" >> beam.Map(self._verdicts, beam.pvalue.AsSingleton(weights)).with_output_types(
            pa.RecordBatch
        )


def _statistics(assigned: _Assigned) -> _Assigned:
    return dataclasses.replace(assigned, ids=assigned.ids[:0], clusters=assigned.clusters[:0])
