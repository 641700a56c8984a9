"""Removes offensive documents, by what `safety.py` measured.

A decision of its own, so that another threshold measures nothing again.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from datapipe.checks import NotNegative, Share
from datapipe.stage import DocumentStage


@dataclasses.dataclass(eq=False)
class FilterSafety(DocumentStage):
    """Removes documents with too many listed words, or that the classifier finds offensive.

    The reasons, in this order: "flagged_words_per_line", "flagged_share", "offensive".

    Attributes:
        max_words_per_line: most different listed words per line: ChineseWebText's 0.5.
        max_flagged_share: largest share of letters in listed words: 0.017, Data-Juicer's largest share of such words in
            its Chinese recipe.
        max_score: largest probability of being offensive.
    """

    max_words_per_line: NotNegative = 0.5
    max_flagged_share: Share = 0.017
    max_score: Share = 0.5

    name: ClassVar[str] = "safety_filter"
    writes: ClassVar[pa.Schema] = pa.schema([("safety_filter_reason", pa.string())])

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("safety_words_per_line", "safety_flagged_share", "safety_score")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns `reads`; returns the column of `writes`."""
        limits = (self.max_words_per_line, self.max_flagged_share, self.max_score)
        exceeded = [
            batch.column(name).fill_null(0).to_numpy(zero_copy_only=False) > np.float32(limit)
            for name, limit in zip(self.requires(), limits, strict=True)
        ]
        reasons = np.select(exceeded, ["flagged_words_per_line", "flagged_share", "offensive"], "")
        removed = pa.array(reasons.tolist(), pa.string(), mask=reasons == "")
        return pa.RecordBatch.from_arrays([removed], schema=self.writes)
