"""Sorts documents into head, middle and tail by perplexity, language by language as CCNet, and keeps the wanted ones.

A decision of its own, so that other percentiles score nothing again. Skywork keeps CCNet's better groups, LLaMA's
reproduction RedPajama-v1 head and middle.
"""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Le, Len, MinLen

from datapipe.checks import Language
from datapipe.filters.order_statistics import by_language, order_statistics
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Corpus

Bucket = Literal["head", "middle", "tail"]
BUCKETS = ("head", "middle", "tail")
RESULT_FILE = "cutoffs.json"


@dataclasses.dataclass(eq=False)
class FilterPerplexity(DocumentStage):
    """Writes each document's bucket, and removes those of buckets not kept with the reason "perplexity_<bucket>".

    A document without a perplexity is in no bucket and stays: nothing speaks against it.

    Attributes:
        keep: the buckets to keep, of "head", "middle" and "tail".
        percentiles: of a language's documents, the shares in per cent that end the head and the middle: CCNet's 30, 60.
        cutoffs: the perplexities that end the head and the middle, by language, instead of percentiles.
    """

    keep: Annotated[list[Bucket], MinLen(1)] = dataclasses.field(default_factory=lambda: ["head", "middle"])
    percentiles: Annotated[list[Annotated[float, Ge(0), Le(100)]], Len(2, 2)] = dataclasses.field(
        default_factory=lambda: [30.0, 60.0]
    )
    cutoffs: dict[Language, Annotated[list[float], Len(2, 2)]] = dataclasses.field(default_factory=dict)

    name: ClassVar[str] = "perplexity_filter"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema(
        [("perplexity_bucket", pa.string()), ("perplexity_filter_reason", pa.string())]
    )

    def check(self) -> None:
        """The buckets follow on each other."""
        if self.percentiles[0] > self.percentiles[1]:
            raise ValueError(f"perplexity_filter: percentiles must be two rising per cents, got {self.percentiles!r}")
        for language, edges in self.cutoffs.items():
            if edges[0] > edges[1]:
                raise ValueError(
                    f"perplexity_filter: cutoffs of {language!r} must be two rising numbers, got {edges!r}"
                )

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("perplexity", "language")

    def learns_from_corpus(self) -> bool:
        """Whether cutoffs are to be found among the documents still kept."""
        return True

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """Find the cutoffs of each language among the documents still kept; they go into `folder` too.

        A cutoff is the perplexity of a document: that at the percentile, or the next one below.
        """

        def read() -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
            for batch in corpus.read(self.requires()):
                scores = batch.column("perplexity").cast(pa.float32()).to_numpy(zero_copy_only=False)
                for language, of_language in by_language(batch.column("language"), scores):
                    if language is not None:
                        yield language, of_language

        def places(count: int) -> list[int]:
            return [int((count - 1) * percentile / 100) for percentile in self.percentiles] if count else []

        found = sorted(order_statistics(read, places).items())
        measured = {language: edges.tolist() for language, edges in found if len(edges)}
        ready = dataclasses.replace(self, cutoffs=measured | self.cutoffs)
        files.write_json(files.join(folder, RESULT_FILE), ready.cutoffs)
        return ready

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the columns `reads`; returns the columns of `writes`."""
        languages = batch.column("language").to_pylist()
        scores = batch.column("perplexity").fill_null(np.nan).to_numpy(zero_copy_only=False)
        scored = np.isfinite(scores)
        unknown = {language for language, known in zip(languages, scored, strict=True) if known} - self.cutoffs.keys()
        if unknown:
            raise ValueError(f"perplexity_filter: no cutoffs for {sorted(map(str, unknown))}; call prepare first")
        edges = np.array([self.cutoffs.get(language, [0.0, 0.0]) for language in languages], np.float32).reshape(-1, 2)
        bucket = np.select([~scored, scores <= edges[:, 0], scores <= edges[:, 1]], [-1, 0, 1], 2)
        names = np.array([*BUCKETS, ""])[bucket]
        kept = (bucket < 0) | np.isin(names, self.keep)
        columns = [
            pa.array(names.tolist(), pa.string(), mask=bucket < 0),
            pa.array([f"perplexity_{name}" for name in names], pa.string(), mask=kept),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.writes)
