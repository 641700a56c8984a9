"""Keeps the documents of high quality, by the score that `quality.py` gave them.

By a fixed threshold, by the share to keep, or at random with better odds for better documents as GPT-3 did, so that
some that the classifier dislikes stay. A decision of its own, so that another threshold scores nothing again.
"""

import dataclasses
from typing import ClassVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe import files
from datapipe.characters import text_buffers
from datapipe.corpus import Corpus, append_columns
from datapipe.text_hashes import hash_spans, normalisation_table

LOW_QUALITY = "low_quality"
RESULT_FILE = "threshold.json"


def uniform(texts: pa.Array, seed: int) -> npt.NDArray[np.float64]:
    """A number in (0, 1] for each text, shape (n,): the same for the same text and seed, wherever it stands."""
    data, bounds = text_buffers(texts)
    hashes, _ = hash_spans(data, bounds[:-1], bounds[1:], normalisation_table("none"))
    mixed = hashes[:, 0] ^ (np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2**53 + 2.0**-53


@dataclasses.dataclass(eq=False)
class FilterQuality(beam.PTransform):
    """Removes documents of low quality, with the reason "low_quality".

    Attributes:
        min_score: least `quality_score`, from 0 to 1. RedPajama-v1, following LLaMA, takes 0.25; DCLM 0.018112 for its
            own model.
        keep_rate: share of the documents to keep, the best first, instead of `min_score`; DCLM keeps 0.1. Equal scores
            stay together.
        pareto_alpha: keep a document if a draw from the Pareto (Lomax) distribution of this shape exceeds 1 - score,
            instead of `min_score`; GPT-3 takes 9.
        seed: another choice of the documents kept by chance.
    """

    min_score: float = 0.5
    keep_rate: float | None = None
    pareto_alpha: float | None = None
    seed: int = 0

    name: ClassVar[str] = "quality_filter"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text", "quality_score")
    writes: ClassVar[pa.Schema] = pa.schema([("quality_filter_removed", pa.string())])

    def __post_init__(self) -> None:
        super().__init__()
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"quality_filter: min_score must be between 0 and 1, got {self.min_score!r}")
        if self.keep_rate is not None and not 0 < self.keep_rate <= 1:
            raise ValueError(f"quality_filter: keep_rate must be above 0 and at most 1, got {self.keep_rate!r}")
        if self.pareto_alpha is not None and self.pareto_alpha <= 0:
            raise ValueError(f"quality_filter: pareto_alpha must be positive, got {self.pareto_alpha!r}")
        if self.keep_rate is not None and self.pareto_alpha is not None:
            raise ValueError(
                f"quality_filter: give keep_rate or pareto_alpha, got {self.keep_rate} and {self.pareto_alpha}"
            )
        if self.seed < 0:
            raise ValueError(f"quality_filter: seed must not be negative, got {self.seed!r}")

    def prepare(self, corpus: Corpus, folder: str) -> "FilterQuality":
        """Find the score that keeps `keep_rate` of the documents still kept; it goes into `folder` too."""
        if self.keep_rate is None:
            return self
        scores = [batch.column("quality_score").drop_null().to_numpy() for batch in corpus.read(["quality_score"])]
        ordered = np.sort(np.concatenate([np.zeros(0, np.float32), *scores]))[::-1]
        least = float(ordered[max(1, round(self.keep_rate * len(ordered))) - 1]) if len(ordered) else 0.0
        files.write_json(files.join(folder, RESULT_FILE), {"min_score": least})
        return dataclasses.replace(self, min_score=least, keep_rate=None)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns `reads`; returns the column of `writes`."""
        scores = batch.column("quality_score").fill_null(0).to_numpy(zero_copy_only=False)
        if self.pareto_alpha is None:
            kept = scores >= np.float32(self.min_score)
        else:
            draws = uniform(batch.column("text"), self.seed) ** (-1 / self.pareto_alpha) - 1
            kept = draws > 1 - scores
        removed = pa.array([LOW_QUALITY] * len(batch), pa.string(), mask=kept)
        return pa.RecordBatch.from_arrays([removed], schema=self.writes)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Append the column to each batch."""
        return batches | beam.Map(append_columns, self).with_output_types(pa.RecordBatch)
