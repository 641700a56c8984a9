"""Keeps the documents of high quality, by the scores that other stages gave them.

By a fixed threshold, by the share to keep, or at random with better odds for better documents as GPT-3 did, so that
some that the classifier dislikes stay. Several scores combine into one, as in Qwen's data. A decision of its own, so
that another threshold scores nothing again.
"""

import copy
import dataclasses
from collections.abc import Iterable
from typing import Annotated, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import MinLen

from datapipe.checks import ColumnOption, Positive, PositiveShare, Seed, Share
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
    """The weighted mean of a document's ranks, from 0, the worst, to 1, shape (rows,).

    Args:
        batch: with the score columns and `language`.
        scores: the weight of each column; below 0 where less is better.
        edges: by column and language, the rising scores that part its documents into steps of equal size.

    Returns:
        A score that is null, or of a language without edges, is left out of the mean; 0 where all are.
    """
    languages = np.array(batch.column("language").to_pylist(), object)
    total, weights = np.zeros(len(batch)), np.zeros(len(batch))
    for column, weight in scores.items():
        values = batch.column(column).cast(pa.float32()).to_numpy(zero_copy_only=False)
        for language, steps in edges[column].items():
            rows = np.flatnonzero((languages == language) & np.isfinite(values))
            below = np.searchsorted(np.array(steps, np.float32), values[rows], "right" if weight > 0 else "left")
            total[rows] += abs(weight) * (below if weight > 0 else len(steps) - below) / len(steps)
            weights[rows] += abs(weight)
    return np.divide(total, weights, out=np.zeros(len(batch)), where=weights > 0)


def _edges(batches: list[pa.RecordBatch], columns: Iterable[str]) -> Edges:
    """The edges that `rank` takes, of all documents of some batches."""
    edges: Edges = {}
    for column in columns:
        found: dict[str, list[float]] = {}
        for batch in batches:
            values = batch.column(column).cast(pa.float32())
            for language, value in zip(batch.column("language").to_pylist(), values.to_pylist(), strict=True):
                if language is not None and value is not None:
                    found.setdefault(language, []).append(value)
        quantiles = np.arange(1, RANKS) / RANKS
        edges[column] = {
            language: np.quantile(values, quantiles, method="lower").tolist()
            for language, values in sorted(found.items())
        }
    return edges


@dataclasses.dataclass(eq=False)
class FilterQuality(DocumentStage):
    """Removes documents of low quality, with the reason "low_quality", and writes the score that it judged by.

    Attributes:
        scores: the score columns and their weights. One column is taken as it is, null as 0. Of several, each counts by
            the document's rank among those of its language, so that scores on any scale go together; a weight below 0
            means that less is better, as of `perplexity`.
        min_score: least score, from 0 to 1. RedPajama-v1, following LLaMA, takes 0.25 of its classifier; DCLM 0.018112.
        keep_rate: share of the documents to keep, the best first, instead of `min_score`; DCLM keeps 0.1. Equal scores
            stay together.
        pareto_alpha: keep a document if a draw from the Pareto (Lomax) distribution of this shape exceeds 1 - score,
            instead of `min_score`; GPT-3 takes 9.
        seed: another choice of the documents kept by chance.
        edges: what `prepare` found; no option.
    """

    scores: Annotated[dict[ColumnOption, float], MinLen(1)] = dataclasses.field(
        default_factory=lambda: {"quality_score": 1.0}
    )
    min_score: Share = 0.5
    keep_rate: PositiveShare | None = None
    pareto_alpha: Positive | None = None
    seed: Seed = 0
    edges: Edges = dataclasses.field(default_factory=dict, init=False)

    name: ClassVar[str] = "quality_filter"
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
        ready = copy.copy(self)
        columns = [name for name in self.requires() if name != "text"]
        batches = list(corpus.read(columns, named=self.named_columns()))
        if len(self.scores) > 1:
            ready.edges = _edges(batches, self.scores)
        if self.keep_rate is not None:
            scores = np.sort(np.concatenate([np.zeros(0), *(ready._score(batch) for batch in batches)]))
            ready.min_score = float(scores[-max(1, round(self.keep_rate * len(scores)))]) if len(scores) else 0.0
            ready.keep_rate = None
        files.write_json(files.join(folder, RESULT_FILE), {"min_score": ready.min_score, "edges": ready.edges})
        return ready

    def _score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        if len(self.scores) > 1:
            if not self.edges:
                raise ValueError(f"quality_filter: to rank by scores {sorted(self.scores)}, call prepare first")
            return rank(batch, self.scores, self.edges)
        ((column, _),) = self.scores.items()
        values = batch.column(column).cast(pa.float32()).fill_null(0)
        return values.to_numpy(zero_copy_only=False).astype(np.float64)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns that it requires and names; returns the columns of `writes`."""
        if self.keep_rate is not None:
            raise ValueError(f"quality_filter: to find what keep_rate {self.keep_rate} keeps, call prepare first")
        scores = self._score(batch)
        if self.pareto_alpha is None:
            kept = scores.astype(np.float32) >= np.float32(self.min_score)
        else:
            kept = uniform(batch.column("text"), self.seed) ** (-1 / self.pareto_alpha) - 1 > 1 - scores
        removed = pa.array([LOW_QUALITY] * len(batch), pa.string(), mask=kept)
        return pa.RecordBatch.from_arrays([pa.array(scores.astype(np.float32)), removed], schema=self.writes)
