"""Counts the tokens of each document, the unit in which mixtures and budgets are stated.

The counts are exact: `tokenizer_training.encode` uses a fast backend only where it equals HuggingFace's.
"""

import dataclasses
from typing import Annotated, ClassVar, Self

import pyarrow as pa
from annotated_types import MinLen

from datapipe.checks import FilesOption
from datapipe.stage import DocumentStage
from datapipe.store.corpus import Corpus, PartKind
from tokenizer_training.encode import Encoder, load_encoder


@dataclasses.dataclass(eq=False)
class CountTokens(DocumentStage):
    """Counts each document's tokens as `tokenizers` encodes it, without any that a template would add.

    A special token that the text spells counts as one: so does the ChatML of instruction data.

    Attributes:
        tokenizer: path of the `tokenizer.json`.
    """

    tokenizer: Annotated[FilesOption, MinLen(1)]

    name: ClassVar[str] = "tokens"
    writes: ClassVar[pa.Schema] = pa.schema([("tokens", pa.int32())])

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns nothing
        """Load the tokenizer, which the threads of a local run share."""
        self._encoder()
        return self

    def _encoder(self) -> Encoder:
        return load_encoder(self.tokenizer, special=True)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The number of tokens of each text; 0 for a null."""
        return pa.record_batch([self._encoder().count(batch.column("text"))], schema=self.writes)
