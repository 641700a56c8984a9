"""Keeps the documents of the wanted languages, by the scores that `language.py` measured.

A decision of its own, so that a new threshold does not identify a single language again.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from datapipe.checks import Language, Share
from datapipe.stage import DocumentStage, Parts
from datapipe.store.corpus import PartKind

NOT_WANTED = "language_not_wanted"
UNCERTAIN = "language_uncertain"
MIXED = "language_mixed"


@dataclasses.dataclass(eq=False)
class FilterLanguage(DocumentStage):
    """Removes documents in other languages, of uncertain language or, if asked, of mixed languages.

    The reasons: "language_not_wanted", "language_uncertain", "language_mixed", in this order of precedence. A language
    that could not be told ("und") is uncertain under any positive threshold.

    Attributes:
        keep: the wanted languages, as in the column `language` ("zh", "en", "code"); empty keeps all.
        min_score: least `language_score`: 0.5 as CCNet (LLaMA 1); FineWeb and RefinedWeb take 0.65.
        thresholds: other least scores by language; FineWeb-2 takes 0.692 for Chinese.
        drop_mixed: whether documents flagged `language_mixed` are removed.
        parts: what it works on: "document", "instruction"; of dialogues, before `chat`, what is said.
    """

    keep: list[Language] = dataclasses.field(default_factory=list)
    min_score: Share = 0.5
    thresholds: dict[Language, Share] = dataclasses.field(default_factory=dict)
    drop_mixed: bool = False
    parts: Parts = dataclasses.field(default_factory=lambda: ["document"])

    name: ClassVar[str] = "language_filter"
    writes: ClassVar[pa.Schema] = pa.schema([("language_filter_reason", pa.string())])

    def check(self) -> None:
        """No threshold is given for a language that goes anyway."""
        unkept = sorted(set(self.thresholds) - set(self.keep)) if self.keep else []
        if unkept:
            raise ValueError(f"language_filter: thresholds names {unkept[0]!r}, which keep {self.keep} removes anyway")

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("language", "language_score", "language_mixed")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns `reads`; returns the column of `writes`."""
        languages = batch.column("language").to_pylist()
        scores = batch.column("language_score").fill_null(0).to_numpy(zero_copy_only=False)
        mixed = batch.column("language_mixed").fill_null(False).to_numpy(zero_copy_only=False)
        least = np.array([self.thresholds.get(language, self.min_score) for language in languages], np.float32)
        wanted = np.array([not self.keep or language in self.keep for language in languages], bool)
        reasons = np.select(
            [~wanted, scores < least, mixed & self.drop_mixed], [NOT_WANTED, UNCERTAIN, MIXED], default=""
        )
        removed = pa.array(reasons.tolist(), pa.string(), mask=reasons == "")
        return pa.RecordBatch.from_arrays([removed], schema=self.writes)
