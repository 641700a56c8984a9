"""Counts the tokens of each document, the unit in which mixtures and budgets are stated.

The counts are exact: `tokenizer_training.encode` uses a fast backend only where it equals HuggingFace's.
"""

import dataclasses
from typing import ClassVar

import apache_beam as beam
import pyarrow as pa

from datapipe.store.corpus import append_columns
from tokenizer_training.encode import load_encoder


@dataclasses.dataclass(eq=False)
class CountTokens(beam.PTransform):
    """Counts each document's tokens as `tokenizers` encodes it, without any that a template would add.

    A special token that the text spells counts as one: so does the ChatML of instruction data.

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
        encoder = load_encoder(self.tokenizer, special=True)
        return pa.record_batch([encoder.count(batch.column("text"))], schema=self.writes)

    def expand(self, batches: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        return batches | beam.Map(append_columns, self).with_output_types(pa.RecordBatch)
