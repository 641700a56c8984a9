"""Documents whose vectors point almost the same way: SemDeDup (Abbas et al. 2023) over the vectors of `embeddings.py`.

Near duplicates (`near_duplicates.py`) share most of their word sequences, checked exactly; here a measure of likeness
decides, so the level is as good as the model and its threshold. Pages of one template and other facts are as like as
versions of one page, so a second sign must agree that both speak of the same: see `exchanged_words.py`. Documents are
compared only within clusters. Each goes to its two nearest ones, since a pair that a border divides would be missed:
recall .996 against .938 with one.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Literal, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.checks import Count, PositiveShare, Seed
from datapipe.dedup.clusters import (
    VECTOR,
    LearnCentres,
    nearest,
    read_rows,
    sample_vectors,
    single_threaded,
)
from datapipe.dedup.embeddings import read_vectors
from datapipe.dedup.exchanged_words import WORDS, WORDS_COLUMN, are_exchanged
from datapipe.flow.shuffle import group_starts, partition, rejoin
from datapipe.flow.spread import SpreadPieces
from datapipe.stage import CorpusStage, write_notes
from datapipe.store.corpus import Corpus, Part

NEAREST_CLUSTERS = 2
# Of `hashed_ngrams`: a Chinese page with 5 % of its characters changed has cosine .93, an English one with 30 % of its
# words changed .96. Pages of one template and tables of one vocabulary lie above it too: the second sign is for those.
MIN_THRESHOLD = 0.9
MAX_THRESHOLD = 0.98  # a corpus with large families of copies would else calibrate itself out of reach
DEVIATIONS = 7  # of a normal tail: less than one chance pair among 10^6 documents
CALIBRATION_SAMPLE = 2000
CALIBRATION_MIN = 100  # vectors; of fewer, a percentile of their pairs says nothing
BLOCK = 1024  # vectors compared at once: the table of their cosines takes 4 MB
TRIES = 8  # the most similar documents that the second sign looks at; past them a document counts as like none

WORDS_BYTES = 8 * (WORDS + 1)  # of a record at most

MEMBER = np.dtype([("cluster", "<u8"), ("vector", "<u8"), ("rank_key", "<f4"), ("id", "<u8")])
MATCH = np.dtype([("id", "<u8"), ("rank_key", "<f4"), ("of", "<u8")])


def calibrate(vectors: npt.NDArray[np.float32]) -> float:
    """The cosine that unrelated documents of a corpus do not reach by chance, under the model that made the vectors.

    Nearly all pairs of a sample are unrelated. Their cosines, after Fisher's transformation, are taken for normal, with
    the median and the 99th percentile seen; the threshold lies `DEVIATIONS` above, rounded to 3 digits, within
    `MIN_THRESHOLD` and `MAX_THRESHOLD`. It finds the minimum for `hashed_ngrams`, .93 for all-MiniLM-L6-v2 on English
    pages, and .97 for multilingual-e5-small, whose unrelated pages have .87.

    Args:
        vectors: a sample, each of length 1, shape (n, dimensions).
    """
    if len(vectors) < CALIBRATION_MIN:
        return MIN_THRESHOLD
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    median, high = np.arctanh(np.clip(np.quantile(cosines, [0.5, 0.99]), -0.9999, 0.9999))
    deviation = (high - median) / 2.326  # the 99th percentile of the normal distribution
    return round(float(np.clip(np.tanh(median + DEVIATIONS * deviation), MIN_THRESHOLD, MAX_THRESHOLD)), 3)


def members(
    ids: npt.NDArray[np.uint64],
    vectors: npt.NDArray[np.float32],
    centres: npt.NDArray[np.float32],
    keep: str,
) -> np.ndarray:
    """A `MEMBER` record for each vector and each of its nearest clusters.

    `vector` is a hash of the vector, `rank_key` what the rule `keep` ranks by: the lowest is kept.
    """
    cosines, clusters = nearest(vectors, centres, NEAREST_CLUSTERS)
    records = np.empty(clusters.shape, MEMBER)
    records["cluster"] = clusters
    records["vector"] = [
        [int.from_bytes(hashlib.blake2b(vector.tobytes(), digest_size=8).digest(), "little")] for vector in vectors
    ]
    sign = {"hard": 1, "easy": -1, "first": 0}[keep]
    records["rank_key"] = sign * cosines[:, :1]
    records["id"] = ids[:, np.newaxis]
    return records.ravel()


def likest_kept(
    vectors: npt.NDArray[np.float32], threshold: float, words: Sequence[npt.NDArray[np.uint32]] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Go through vectors in order and keep each that is not like one kept before it.

    Time grows with vectors x kept vectors, memory with vectors, however many pairs there are.

    Args:
        vectors: each of length 1, best first, shape (n, dimensions).
        threshold: vectors of at least this cosine are alike.
        words: records of `common_words`; documents whose words are exchanged are not alike. None: cosines decide alone.

    Returns:
        The index of the most similar vector kept before it, shape (n,), -1 for those kept; and that cosine, 0 there.

    >>> angles = np.radians([0, 10, 20, 30, 40])  # 18 degrees are a cosine of .95
    >>> vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    >>> like, cosine = likest_kept(vectors, 0.95)
    >>> like.tolist(), cosine.astype(float).round(2).tolist()
    ([-1, 0, -1, 2, -1], [0.0, 0.98, 0.0, 0.98, 0.0])
    """
    like = np.full(len(vectors), -1, np.int64)
    cosine = np.zeros(len(vectors), np.float32)
    below = np.nextafter(np.float32(threshold), np.float32(-2))
    tries = 1 if words is None else TRIES
    kept_rows = np.zeros(0, np.int64)
    with single_threaded() as faiss:
        kept = faiss.IndexFlatIP(vectors.shape[1])
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK]
            near, index = kept.search(block, tries)  # -1 where fewer are kept
            within = faiss.IndexFlatIP(vectors.shape[1])
            within.add(block)
            bounds, cosines, others = within.range_search(block, float(below))
            alone = (np.diff(bounds).astype(np.int64) <= 1) & (near[:, 0] <= below)
            for row in np.flatnonzero(~alone):
                other, value = (column[bounds[row] : bounds[row + 1]] for column in (others, cosines))
                earlier = (other < row) & (like[start + other] < 0)
                hit = (index[row] >= 0) & (near[row] > below)
                candidates = np.concatenate([kept_rows[index[row][hit]], start + other[earlier]])
                values = np.concatenate([near[row][hit], value[earlier]])
                # Of equal cosines the lower index is the better document.
                for place in np.lexsort([candidates, -values])[:tries]:
                    candidate = candidates[place]
                    if words is None or not are_exchanged(words[int(start + row)], words[int(candidate)]):
                        like[start + row], cosine[start + row] = candidate, values[place]
                        break
            stay = like[start : start + BLOCK] < 0
            kept.add(block[stay])
            kept_rows = np.concatenate([kept_rows, start + np.flatnonzero(stay)])
    return like, cosine


def matches(records: np.ndarray, parts: Sequence[Part], threshold: float) -> np.ndarray:
    """A `MATCH` record for each document of some clusters that is like a better one of its cluster.

    Documents of one and the same vector are matched without a look at it, so a corpus of copies takes no more time.

    Args:
        records: `MEMBER` records sorted by their fields.
        parts: where the vectors lie.
        threshold: see `likest_kept`.
    """
    firsts = group_starts(np.cumsum(_changes(records["cluster"]) | _changes(records["vector"])))
    copies = np.repeat(firsts, np.diff(firsts, append=len(records)))
    copy = copies != np.arange(len(records))
    found = [_as_matches(records["id"][copy], np.ones(copy.sum(), np.float32), records["id"][copies[copy]])]
    distinct = records[firsts]
    ids = np.unique(distinct["id"])
    with_words = all(WORDS_COLUMN in part.columns for part in parts)
    vectors, others = read_rows(parts, ids, [WORDS_COLUMN] if with_words else [])
    words = [np.frombuffer(record, "<u4") for column in others.values() for record in column.to_pylist()]
    starts = group_starts(distinct["cluster"])
    for start, end in zip(starts, np.append(starts[1:], len(distinct)), strict=True):
        cluster = distinct[start:end]
        cluster = cluster[np.lexsort([cluster["id"], cluster["rank_key"]])]
        rows = np.searchsorted(ids, cluster["id"])
        like, cosine = likest_kept(vectors[rows], threshold, [words[row] for row in rows] if with_words else None)
        hit = like >= 0
        found.append(_as_matches(cluster["id"][hit], cosine[hit], cluster["id"][like[hit]]))
    return np.concatenate(found)


def _changes(values: np.ndarray) -> npt.NDArray[np.bool_]:
    return np.r_[True, values[1:] != values[:-1]]


def _as_matches(ids: np.ndarray, cosines: np.ndarray, of: np.ndarray) -> np.ndarray:
    records = np.empty(len(ids), MATCH)
    records["id"], records["rank_key"], records["of"] = ids, -cosines, of
    return records


def verdicts(records: np.ndarray) -> pa.RecordBatch:
    """One verdict for each document that has matches, naming the most similar.

    Args:
        records: `MATCH` records sorted by their fields.
    """
    best = records[group_starts(records["id"])]
    similarity = np.minimum(-best["rank_key"], np.float32(1))
    reason = pa.array(np.full(len(best), "semantic_duplicate"), pa.string())
    arrays = [pa.array(best["id"]), pa.array(best["of"]), pa.array(similarity), reason]
    return pa.record_batch(arrays, schema=_VERDICTS)


_WRITES = pa.schema(
    [
        ("semantic_duplicates_of", pa.uint64()),
        ("semantic_duplicates_similarity", pa.float32()),
        ("semantic_duplicates_reason", pa.string()),
    ]
)
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])


@dataclasses.dataclass(eq=False)
class FindSemanticDuplicates(CorpusStage):
    """Remove documents that are like a better one of their cluster: parts in, verdicts on the removed out.

    A verdict names the most similar document kept in a cluster that both share. The best of a group of like documents
    always stays.

    Attributes:
        threshold: documents whose vectors have at least this cosine are alike. It belongs to the model: none has
            `prepare` find it in a sample of the corpus, see `calibrate`, and is .9 without.
        keep: which of two like documents stays: `hard`, the one farther from the centre of its nearest cluster
            (SemDeDup's choice); `easy`, the nearer one; `first`, the one of lower id.
        clusters: how many; none: the square root of twice the documents, which balances the search for the cluster
            with the comparison in it.
        memory: bytes of vectors and words a worker may hold; the clusters are worked on in as many groups as that
            takes, and each group reads those of all parts once.
        seed: of the sample and of k-means.
    """

    threshold: PositiveShare | None = None
    keep: Literal["hard", "easy", "first"] = "hard"
    clusters: Count | None = None
    memory: Count = 1 << 29
    seed: Seed = 0
    found_threshold: float | None = dataclasses.field(default=None, init=False)

    name: ClassVar[str] = "semantic_duplicates"
    version: ClassVar[int] = 4
    writes: ClassVar[pa.Schema] = _WRITES

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return (VECTOR,)

    def optional(self) -> tuple[str, ...]:
        """The commonest words; without them vectors decide alone."""
        return (WORDS_COLUMN,)

    def learns_from_corpus(self) -> bool:
        """Where the threshold has to be found."""
        return self.threshold is None

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """Find the threshold, unless it is given, and note it."""
        if self.threshold is not None:
            return self
        threshold = calibrate(sample_vectors(corpus.of_kind(("document",)), CALIBRATION_SAMPLE, self.seed))
        write_notes(folder, [f"documents of cosine {threshold} or more are alike"])
        return self.ready(found_threshold=threshold)

    def _assign(self, part: Part, centres: np.ndarray, parts: Sequence[Part]) -> Iterator[tuple[int, bytes]]:
        rows = sum(part.rows for part in parts)
        groups = -(-rows * NEAREST_CLUSTERS * (centres[:1].nbytes + WORDS_BYTES) // self.memory)
        for batch in part.read([VECTOR]):
            vectors, valid = read_vectors(batch.column(VECTOR))
            if len(vectors):
                records = members(batch.column("id").to_numpy()[valid], vectors, centres, self.keep)
                yield from partition(records, (records["cluster"] % np.uint64(max(groups, 8))).astype(np.int64))

    def _match(self, group: tuple[int, Iterable[bytes]], parts: Sequence[Part]) -> Iterator[tuple[int, bytes]]:
        found = matches(rejoin(group[1], MEMBER), parts, self.threshold or self.found_threshold or MIN_THRESHOLD)
        yield from partition(found, (found["id"] >> np.uint64(32)).astype(np.int64))

    def _choose(self, group: tuple[int, Iterable[bytes]]) -> pa.RecordBatch:
        return verdicts(rejoin(group[1], MATCH))

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        centres = parts | "Centres" >> LearnCentres(self.clusters, 2**0.5, 1, self.seed)
        every = beam.pvalue.AsList(parts)
        return (
            parts
            | "Spread" >> SpreadPieces()
            | "Assign"
            >> beam.FlatMap(self._assign, beam.pvalue.AsSingleton(centres), every).with_output_types(tuple[int, bytes])
            | "Clusters" >> beam.GroupByKey()
            | "Compare" >> beam.FlatMap(self._match, every).with_output_types(tuple[int, bytes])
            | "Parts" >> beam.GroupByKey()
            | "Choose" >> beam.Map(self._choose).with_output_types(pa.RecordBatch)
        )
