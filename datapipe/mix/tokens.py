"""Counts the tokens of each document, the unit in which mixtures and budgets are stated.

The counts are exact: `tokenizer_training.encode` uses a fast backend only where it equals HuggingFace's.
"""

import dataclasses
from typing import Annotated, ClassVar, Self

import numpy as np
import pyarrow as pa
from annotated_types import MinLen

from datapipe.checks import FilesOption
from datapipe.mix.chat_tokens import encode_pieces, load_piece_encoder
from datapipe.stage import DocumentStage
from datapipe.store.corpus import Corpus, PartKind
from tokenizer_training.encode import Encoder, load_encoder


@dataclasses.dataclass(eq=False)
class CountTokens(DocumentStage):
    """Counts each document's tokens as `tokenizers` encodes it, without any that a template would add.

    A special token that the text of a document spells counts as one. A dialogue that `chat` has rendered counts as
    `chat_tokens` encodes it: control tokens as one each, and as text what content spells of them.

    Attributes:
        tokenizer: path of the `tokenizer.json`.
    """

    tokenizer: Annotated[FilesOption, MinLen(1)]

    name: ClassVar[str] = "tokens"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema([("tokens", pa.int32())])

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def optional(self) -> tuple[str, ...]:
        """The pieces of dialogues."""
        return ("pieces",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns nothing
        """Load the tokenizer, which the threads of a local run share."""
        self._encoder()
        return self

    def _encoder(self) -> Encoder:
        return load_encoder(self.tokenizer, special=True)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The number of tokens of each text; 0 for a null."""
        texts = batch.column("text")
        if "pieces" in batch.schema.names:
            rows = encode_pieces(texts, batch.column("pieces"), load_piece_encoder(self.tokenizer))
            return pa.record_batch([np.diff(rows.offsets).astype(np.int32)], schema=self.writes)
        return pa.record_batch([self._encoder().count(texts)], schema=self.writes)
