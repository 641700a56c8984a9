"""Groups the documents by their vectors, and says of each group what a person wants to know of it.

Size, mean quality, languages, the words that tell it from others, the documents nearest to its centre, and a place on a
map: in `topics/_topics.parquet` and in the report. It only measures: `upsampling.py` decides by it, and so may a
mixture (`by: [topic]`). What a topic is depends on the model of `embeddings.py`: of the default, documents of like
words.

The map is the principal component analysis of the centres: the two directions in which they differ most. It needs no
chance and no iteration, so that the same documents always lie in the same place.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.checks import ColumnOption, Count, Seed
from datapipe.dedup.clusters import VECTOR, LearnCentres, nearest
from datapipe.dedup.embeddings import read_vectors
from datapipe.dedup.survivors import check_quality
from datapipe.flow.spread import SpreadPieces
from datapipe.mix.terms import WordCounts, top_terms
from datapipe.stage import CorpusStage
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part
from datapipe.text.bit_mixing import uniform_draw

TOPIC, TOPIC_X, TOPIC_Y = "topic", "topic_x", "topic_y"
TABLE = "_topics.parquet"  # readers of a folder pass over names that begin with "_"
SMALLEST = 100  # documents on average: with fewer, the mean quality of a topic says little
EXAMPLES = 3  # the documents nearest to the centre
SAMPLE = 20_000  # documents whose words are counted, spread over the topics
CHARACTERS = 20_000  # of each of them
COUNT_PIECES = 2  # of a part: each counts its words, and all counts come together
AT_ONCE = 256  # documents: what is known of each character takes thirty times its bytes

_WRITES = pa.schema([(TOPIC, pa.int32()), (TOPIC_X, pa.float32()), (TOPIC_Y, pa.float32())])
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])
TABLE_SCHEMA = pa.schema(
    [
        (TOPIC, pa.int32()),
        ("documents", pa.int64()),
        ("quality", pa.float64()),
        ("languages", pa.list_(pa.struct([("language", pa.string()), ("documents", pa.int64())]))),
        ("terms", pa.list_(pa.string())),
        ("examples", pa.list_(pa.uint64())),
        ("x", pa.float32()),
        ("y", pa.float32()),
    ]
)

Axes = tuple[np.ndarray, np.ndarray]  # see `map_axes`


def map_axes(centres: np.ndarray) -> Axes:
    """The middle of the centres, (dimensions,), and the two directions in which they differ most, (2, dimensions).

    A direction in which they do not differ is zeros; of the two signs that each could have, the one whose greatest
    coordinate is above 0.
    """
    middle = centres.mean(axis=0, dtype=np.float64) if len(centres) else np.zeros(centres.shape[1])
    axes = np.zeros((2, centres.shape[1]))
    if len(centres) > 1:
        _, lengths, directions = np.linalg.svd(centres - middle, full_matrices=False)
        for axis, length, direction in zip(axes, lengths[:2], directions[:2], strict=False):
            if length > 1e-6:
                axis[:] = direction * np.sign(direction[np.argmax(np.abs(direction))])
    return middle, axes


@dataclasses.dataclass(frozen=True)
class _Assigned:
    """The topics of a part's documents, and what the part tells of each topic.

    Attributes:
        places: on the map, shape (rows, 2).
        languages: how many documents of each topic and language.
        cosines, examples: of the nearest to each centre, nearest first, shape (topics, EXAMPLES); -2 where none is.
    """

    part: int
    ids: npt.NDArray[np.uint64]
    topics: npt.NDArray[np.int32]
    places: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.int64]
    scored: npt.NDArray[np.int64]
    score_sums: npt.NDArray[np.float64]
    languages: dict[tuple[int, str], int]
    cosines: npt.NDArray[np.float32]
    examples: npt.NDArray[np.uint64]


def nearest_of_each(
    topics: npt.NDArray[np.int32], cosines: npt.NDArray[np.float32], ids: npt.NDArray[np.uint64], count: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint64]]:
    """The cosines and ids of the documents nearest to each centre, of equals that of lowest id: (count, EXAMPLES).

    Args:
        topics, cosines, ids: of documents, shape (n,); topics from 0 to count - 1.
        count: of topics.
    """
    order = np.lexsort((ids, -cosines, topics))
    rank = np.arange(len(order)) - np.searchsorted(topics[order], topics[order], "left")
    best, ranks = order[rank < EXAMPLES], rank[rank < EXAMPLES]
    found, examples = np.full((count, EXAMPLES), -2, np.float32), np.zeros((count, EXAMPLES), np.uint64)
    found[topics[best], ranks], examples[topics[best], ranks] = cosines[best], ids[best]
    return found, examples


@dataclasses.dataclass(eq=False)
class FindTopics(CorpusStage):
    """Give each kept document its topic and its place on a map: parts in, a verdict on each document with a vector out.

    A topic is the cluster of vectors whose centre is nearest (spherical k-means). Its number means nothing.

    Attributes:
        count: how many topics; none: the square root of the documents, but no more than one for 100 documents.
        quality: a numeric column whose mean is told of each topic.
        terms: how many words are told of each.
        seed: of the samples and of k-means.
        folder: for the table; empty: none is written.
    """

    count: Count | None = None
    quality: ColumnOption | None = None
    terms: Count = 10
    seed: Seed = 0
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "topics"
    writes: ClassVar[pa.Schema] = _WRITES

    def optional(self) -> tuple[str, ...]:
        """Quality and language, where documents have them."""
        return (*self.named_columns(), "language")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", VECTOR)

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """The stage with the folder for its table, once the column of quality is checked."""
        check_quality(self.name, self.quality, corpus, folder)
        return self.ready(folder=folder)

    def _assign(self, part: Part, centres: np.ndarray, axes: Axes) -> _Assigned:
        middle, directions = axes
        ids, topics, cosines = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
        scores, places, languages = [np.zeros(0)], [np.zeros((0, 2), np.float32)], [pa.array([], pa.string())]
        for batch in part.read([VECTOR], optional=self.optional()):
            vectors, valid = read_vectors(batch.column(VECTOR))
            if not len(vectors):
                continue
            batch = batch.filter(pa.array(valid))
            found = nearest(vectors, centres, 1)
            cosines.append(found[0][:, 0])
            topics.append(found[1][:, 0].astype(np.int32))
            ids.append(batch.column("id").to_numpy())
            places.append(((vectors - middle) @ directions.T).astype(np.float32))
            score, language = np.full(len(batch), np.nan), pa.nulls(len(batch), pa.string())
            if self.quality in batch.schema.names:
                score = batch.column(self.quality).cast(pa.float64()).to_numpy(zero_copy_only=False)
            if "language" in batch.schema.names:
                language = batch.column("language").cast(pa.string())
            scores.append(score)
            languages.append(language)
        id_, topic, score = np.concatenate(ids), np.concatenate(topics), np.concatenate(scores)
        scored = np.isfinite(score)
        spoken = pa.table({"topic": topic, "language": pa.chunked_array(languages)})
        counted = spoken.group_by(["topic", "language"]).aggregate([([], "count_all")]).to_pylist()
        return _Assigned(
            part.number,
            id_,
            topic,
            np.concatenate(places),
            np.bincount(topic, minlength=len(centres)),
            np.bincount(topic[scored], minlength=len(centres)),
            np.bincount(topic[scored], score[scored], len(centres)).astype(np.float64),
            {(row["topic"], row["language"]): row["count_all"] for row in counted if row["language"]},
            *nearest_of_each(topic, np.concatenate(cosines), id_, len(centres)),
        )

    def _verdicts(self, assigned: _Assigned) -> pa.RecordBatch:
        x, y = assigned.places.T
        return pa.record_batch([assigned.ids, assigned.topics, x.copy(), y.copy()], schema=_VERDICTS)

    def _count_words(self, part: Part, centres: np.ndarray, statistics: Sequence[_Assigned]) -> WordCounts:
        """The words of a sample of the part's documents, about as many of each topic."""
        sizes = np.sum([some.sizes for some in statistics], axis=0)
        share = SAMPLE / max(len(sizes), 1) / np.maximum(sizes, 1)
        counts = WordCounts()
        for batch in part.read(["text", VECTOR], optional=["language"]):
            vectors, valid = read_vectors(batch.column(VECTOR))
            if not len(vectors):
                continue
            topics = nearest(vectors, centres, 1)[1][:, 0]
            batch = batch.filter(pa.array(valid))
            wanted = uniform_draw(batch.column("id").to_numpy(), self.seed) < share[topics]
            batch = batch.filter(pa.array(wanted))
            languages = (
                batch.column("language").to_pylist() if "language" in batch.schema.names else [None] * len(batch)
            )
            texts = pc.utf8_slice_codeunits(batch.column("text"), 0, CHARACTERS)
            for start in range(0, len(texts), AT_ONCE):
                some = slice(start, start + AT_ONCE)
                counts.add_documents(topics[wanted][some], languages[some], texts[some])
        counts.sum_up()
        return counts

    def _describe(
        self, _: bytes, centres: np.ndarray, axes: Axes, assigned: list[_Assigned], words: list[WordCounts]
    ) -> int:
        """Write the table, and return how many topics it has."""
        # In order of part: a sum of floats depends on its order.
        assigned = sorted(assigned, key=lambda some: some.part)
        counts = WordCounts()
        for some_words in words:
            counts.add(some_words)
        terms = top_terms(counts, self.terms)
        middle, directions = axes
        places = (centres - middle) @ directions.T
        sizes, scored, sums = (
            np.sum([getattr(some, field) for some in assigned], axis=0) for field in ("sizes", "scored", "score_sums")
        )
        spoken: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for some in assigned:
            for (topic, language), count in some.languages.items():
                spoken[topic][language] += count
        of_part = np.repeat(np.arange(len(centres), dtype=np.int32), EXAMPLES)
        cosines = np.concatenate([some.cosines.ravel() for some in assigned] or [np.zeros(0, np.float32)])
        examples = np.concatenate([some.examples.ravel() for some in assigned] or [np.zeros(0, np.uint64)])
        there = cosines > -2
        cosines, examples = nearest_of_each(
            np.tile(of_part, len(assigned))[there], cosines[there], examples[there], len(centres)
        )
        rows: list[dict[str, Any]] = [
            {
                TOPIC: topic,
                "documents": int(sizes[topic]),
                "quality": float(sums[topic] / scored[topic]) if scored[topic] else None,
                "languages": [
                    {"language": language, "documents": count}
                    for language, count in sorted(spoken[topic].items(), key=lambda item: (-item[1], item[0]))
                ],
                "terms": terms.get(topic, []),
                "examples": examples[topic, cosines[topic] > -2].tolist(),
                "x": float(places[topic, 0]),
                "y": float(places[topic, 1]),
            }
            for topic in range(len(centres))
        ]
        if self.folder:
            rows.sort(key=lambda row: (-row["documents"], row[TOPIC]))
            files.write_table(
                files.join(self.folder, TABLE), pa.Table.from_pylist(rows, TABLE_SCHEMA), files.summed_file
            )
        return len(rows)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        learnt = parts | "Centres" >> LearnCentres(self.count, 1, SMALLEST, self.seed)
        centres = beam.pvalue.AsSingleton(learnt)
        axes = beam.pvalue.AsSingleton(learnt | "Axes" >> beam.Map(map_axes).with_output_types(Axes))
        assigned = parts | "Assign" >> beam.Map(self._assign, centres, axes).with_output_types(_Assigned)
        statistics = beam.pvalue.AsList(assigned | "Strip" >> beam.Map(_statistics).with_output_types(_Assigned))
        words = (
            parts
            | "Spread" >> SpreadPieces(COUNT_PIECES)
            | "Words" >> beam.Map(self._count_words, centres, statistics).with_output_types(WordCounts)
        )
        described = (
            parts.pipeline
            | "Once" >> beam.Impulse()
            | "Describe"
            >> beam.Map(self._describe, centres, axes, statistics, beam.pvalue.AsList(words)).with_output_types(int)
        )
        # Verdicts wait for the table: what follows on them finds it written.
        return assigned | "Verdicts" >> beam.Map(
            lambda some, _: self._verdicts(some), beam.pvalue.AsSingleton(described)
        ).with_output_types(pa.RecordBatch)


def _statistics(assigned: _Assigned) -> _Assigned:
    return dataclasses.replace(assigned, ids=assigned.ids[:0], topics=assigned.topics[:0], places=assigned.places[:0])
