"""Removes offensive documents, by what `safety.py` measured.

A decision of its own, so that another threshold measures nothing again.
"""

import dataclasses
from typing import ClassVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe.store.corpus import append_columns


@dataclasses.dataclass(eq=False)
class FilterSafety(beam.PTransform):
    """Removes documents with too many listed words, or that the classifier finds offensive.

    The reasons, in this order: "flagged_words_per_line", "flagged_share", "offensive".

    Attributes:
        max_words_per_line: most different listed words per line: ChineseWebText's 0.5.
        max_flagged_share: largest share of letters in listed words: 0.017, Data-Juicer's largest share of such words in
            its Chinese recipe.
        max_score: largest probability of being offensive.
    """

    max_words_per_line: float = 0.5
    max_flagged_share: float = 0.017
    max_score: float = 0.5

    name: ClassVar[str] = "safety_filter"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("safety_words_per_line", "safety_flagged_share", "safety_score")
    writes: ClassVar[pa.Schema] = pa.schema([("safety_filter_removed", pa.string())])

    def __post_init__(self) -> None:
        super().__init__()
        if self.max_words_per_line < 0:
            raise ValueError(f"safety_filter: max_words_per_line must not be negative, got {self.max_words_per_line!r}")
        for field in ("max_flagged_share", "max_score"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"safety_filter: {field} must be between 0 and 1, got {getattr(self, field)!r}")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns `reads`; returns the column of `writes`."""
        limits = (self.max_words_per_line, self.max_flagged_share, self.max_score)
        exceeded = [
            batch.column(name).fill_null(0).to_numpy(zero_copy_only=False) > np.float32(limit)
            for name, limit in zip(self.reads, limits, strict=True)
        ]
        reasons = np.select(exceeded, ["flagged_words_per_line", "flagged_share", "offensive"], "")
        removed = pa.array(reasons.tolist(), pa.string(), mask=reasons == "")
        return pa.RecordBatch.from_arrays([removed], schema=self.writes)

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Append the column to each batch."""
        return batches | beam.Map(append_columns, self).with_output_types(pa.RecordBatch)
