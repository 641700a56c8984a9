"""Keeps the documents of high quality, by the scores that other stages gave them.

By a fixed threshold, by the share to keep, or at random with better odds for better documents as GPT-3 did, so that
some that the classifier dislikes stay. Several scores combine into one, as in Qwen's data. A decision of its own, so
that another threshold scores nothing again. What no score judges, this stage does not remove.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import MinLen

from datapipe.checks import ColumnOption, Positive, PositiveShare, Seed, Share
from datapipe.filters.order_statistics import by_language, order_statistics
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text.bit_mixing import fractions, golden_multiple, splitmix64
from datapipe.text.characters import text_buffers
from datapipe.text.hashes import hash_spans, normalization_table

LOW_QUALITY = "low_quality"
RESULT_FILE = "threshold.json"
RANKS = 1000  # steps in which a combined score ranks a document among those of its language

Edges = dict[str, dict[str, list[float]]]


def uniform(texts: pa.Array, seed: int) -> npt.NDArray[np.float64]:
    """A number in (0, 1] for each text, shape (n,): the same for the same text and seed, wherever it stands."""
    data, bounds = text_buffers(texts)
    hashes, _ = hash_spans(data, bounds[:-1], bounds[1:], normalization_table("none"))
    return fractions(splitmix64(hashes[:, 0] ^ golden_multiple(seed))) + 2.0**-53


def rank(batch: pa.RecordBatch, scores: dict[str, float], edges: Edges) -> npt.NDArray[np.float64]:
    """The weighted mean of a document's ranks, from 0, the worst, to 1, shape (rows,); NaN where it has none.

    Args:
        batch: with the score columns and `language`.
        scores: the weight of each column; below 0 where less is better.
        edges: by column and language, the rising scores that part its documents into steps of equal size.

    Returns:
        A score that is null, or of a language without edges, is left out of the mean.
    """
    languages = np.array(batch.column("language").to_pylist(), object)
    total, weights = np.zeros(len(batch)), np.zeros(len(batch))
    for column, weight in scores.items():
        values = _numbers(batch, column)
        for language, steps in edges[column].items():
            rows = np.flatnonzero((languages == language) & ~np.isnan(values))
            below = np.searchsorted(np.array(steps, np.float32), values[rows], "right" if weight > 0 else "left")
            total[rows] += abs(weight) * (below if weight > 0 else len(steps) - below) / len(steps)
            weights[rows] += abs(weight)
    return np.divide(total, weights, out=np.full(len(batch), np.nan), where=weights > 0)


def _numbers(batch: pa.RecordBatch, column: str) -> npt.NDArray[np.float32]:
    """The numbers of a column, NaN where it is null."""
    return batch.column(column).cast(pa.float32()).to_numpy(zero_copy_only=False)


def _find_edges(corpus: Corpus, columns: Iterable[str]) -> Edges:
    """The edges that `rank` takes, of all documents still kept."""
    columns = list(columns)

    def read() -> Iterator[tuple[tuple[str, str], npt.NDArray[np.float32]]]:
        for batch in corpus.read(["language"], named=columns):
            for column in columns:
                for language, values in by_language(batch.column("language"), _numbers(batch, column)):
                    if language is not None:
                        yield (column, language), values

    def places(count: int) -> list[int]:
        return [(count - 1) * step // RANKS for step in range(1, RANKS)] if count else []

    edges: Edges = {column: {} for column in columns}
    for (column, language), steps in sorted(order_statistics(read, places).items()):
        if len(steps):
            edges[column][language] = steps.tolist()
    return edges


@dataclasses.dataclass(eq=False)
class FilterQuality(DocumentStage):
    """Removes documents of low quality, with the reason "low_quality", and writes the score that it judged by.

    Attributes:
        scores: the score columns and their weights; a weight below 0 means that less is better, as of `perplexity`. One
            column is taken as it is, or subtracted from 1. Of several, each counts by the document's rank among those
            of its language, so that scores on any scale go together. Null is no judgement: a document all of whose
            scores are null is kept, and its score is null.
        min_score: least score, from 0 to 1. RedPajama-v1, following LLaMA, takes 0.25 of its classifier; DCLM 0.018112.
        keep_rate: share of the documents that have a score to keep, the best first, instead of `min_score`; DCLM keeps
            0.1. Equal scores stay together.
        pareto_alpha: keep a document if a draw from the Pareto (Lomax) distribution of this shape exceeds 1 - score,
            instead of `min_score`; GPT-3 takes 9.
        seed: another choice of the documents kept by chance.
        edges: what `prepare` found; no option.
        least: what `prepare` found that a document must reach, in the terms of `_order`; no option.
    """

    scores: Annotated[dict[ColumnOption, float], MinLen(1)] = dataclasses.field(
        default_factory=lambda: {"quality_score": 1.0}
    )
    min_score: Share = 0.5
    keep_rate: PositiveShare | None = None
    pareto_alpha: Positive | None = None
    seed: Seed = 0
    edges: Edges = dataclasses.field(default_factory=dict, init=False)
    least: float | None = dataclasses.field(default=None, init=False)

    name: ClassVar[str] = "quality_filter"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema(
        [("quality_filter_score", pa.float32()), ("quality_filter_reason", pa.string())]
    )

    def check(self) -> None:
        """Each score counts, and one way of choosing is given."""
        if not all(self.scores.values()):
            raise ValueError(f"quality_filter: scores must name columns with weights other than 0, got {self.scores!r}")
        if self.keep_rate is not None and self.pareto_alpha is not None:
            raise ValueError(f"quality_filter: keep_rate or pareto_alpha, got {self.keep_rate} and {self.pareto_alpha}")

    def requires(self) -> tuple[str, ...]:
        """What ranking and chance need besides the scores."""
        return ("text",) * (self.pareto_alpha is not None) + ("language",) * (len(self.scores) > 1)

    def learns_from_corpus(self) -> bool:
        """Whether scores are ranked, or the least of those to keep is to be found."""
        return len(self.scores) > 1 or self.keep_rate is not None

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """Rank the documents still kept, and find the score that keeps `keep_rate`; both go into `folder` too."""
        ready = self
        if len(self.scores) > 1:
            ready = ready.ready(edges=_find_edges(corpus, self.scores))
        if self.keep_rate is not None:
            ready = ready.ready(least=ready._find_least(corpus, self.keep_rate))
        found = {"min_score": self.min_score if ready.least is None else ready.least + self._offset()}
        files.write_json(files.join(folder, RESULT_FILE), found | {"edges": ready.edges})
        return ready

    def _find_least(self, corpus: Corpus, share: float) -> float:
        """What that share of the documents reach; 0 if none has a score."""
        columns = [name for name in self.requires() if name != "text"]

        def read() -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
            for batch in corpus.read(columns, named=self.named_columns()):
                order = self._order(batch)
                yield "all", order[~np.isnan(order)]

        found = order_statistics(read, lambda count: [count - max(1, round(share * count))] if count else [])
        return float(found["all"][0]) if len(found.get("all", ())) else 0.0

    def _offset(self) -> int:
        """What makes a score of an order: of a column of which less is better, 1."""
        return int(len(self.scores) == 1 and min(self.scores.values()) < 0)

    def _order(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """What rises with quality, shape (rows,): a mean rank, or a single column, negative if less is better."""
        if len(self.scores) > 1:
            if not self.edges:
                raise ValueError(f"quality_filter: to rank by scores {sorted(self.scores)}, call prepare first")
            return rank(batch, self.scores, self.edges).astype(np.float32)
        ((column, weight),) = self.scores.items()
        return _numbers(batch, column) * np.float32(np.sign(weight))

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns that it requires and names; returns the columns of `writes`."""
        order = self._order(batch)
        scores = order + np.float32(self._offset())
        if self.pareto_alpha is not None:
            low = uniform(batch.column("text"), self.seed) ** (-1 / self.pareto_alpha) - 1 <= 1 - scores.astype(
                np.float64
            )
        elif self.keep_rate is None:
            low = order < np.float32(self.min_score - self._offset())
        elif self.least is not None:
            low = order < np.float32(self.least)
        else:
            raise ValueError(f"quality_filter: to find what keep_rate {self.keep_rate} keeps, call prepare first")
        removed = pa.array([LOW_QUALITY] * len(batch), pa.string(), mask=~low)
        return pa.RecordBatch.from_arrays([pa.array(scores, from_pandas=True), removed], schema=self.writes)
