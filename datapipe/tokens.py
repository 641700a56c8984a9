"""Counts the tokens of each document, the unit in which mixtures and budgets are stated.

The counts are exact: `tokenizer_training.encode` uses a fast backend only where it equals HuggingFace's.
"""

import dataclasses
from typing import ClassVar

import apache_beam as beam
import pyarrow as pa

from datapipe.corpus import append_columns
from tokenizer_training.encode import load_encoder


@dataclasses.dataclass(eq=False)
class CountTokens(beam.PTransform):
    """Counts each document's tokens, without any that a template would add.

    Attributes:
        tokenizer: path of the `tokenizer.json`.
    """

    tokenizer: str = ""

    name: ClassVar[str] = "tokens"
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("document", "instruction")
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[pa.Schema] = pa.schema([("tokens", pa.int32())])

    def __post_init__(self) -> None:
        super().__init__()

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The number of tokens of each text; 0 for a null."""
        return pa.record_batch([load_encoder(self.tokenizer).count(batch.column("text"))], schema=self.writes)

    def expand(self, batches: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        return batches | beam.Map(append_columns, self).with_output_types(pa.RecordBatch)
