"""Documents that spell a control token, such as a page on ChatML: counted, and removed, masked or kept.

A tokenizer that is not told otherwise reads `<|im_end|>` in a document as the token itself. Of dialogues the stage
`chat` takes care, which knows the control tokens of its form.
"""

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import MinLen

from datapipe.stage import DocumentStage
from datapipe.text.chat_names import CHATML
from datapipe.text.control_tokens import masked, spelt


@dataclasses.dataclass(eq=False)
class CheckControlTokens(DocumentStage):
    """Count what each document spells of control tokens, and remove it, mask that, or keep it as text.

    Attributes:
        tokens: those of your tokenizer; ChatML's without. A `</s>` is also how HTML ends what is struck out.
        action: "remove" the document, "mask" (a space instead), or "keep".
    """

    tokens: Annotated[list[Annotated[str, MinLen(1)]], MinLen(1)] = dataclasses.field(
        default_factory=lambda: list(CHATML)
    )
    action: Literal["remove", "mask", "keep"] = "remove"

    name: ClassVar[str] = "control_tokens"
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("text", pa.string()),
            ("bytes", pa.int64()),
            ("control_tokens_spelt", pa.int32()),
            ("control_tokens_reason", pa.string()),
        ]
    )

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The texts, the counts and the reasons."""
        texts = batch.column("text")
        counts = spelt(texts, self.tokens)
        if self.action == "mask" and counts.any():
            texts = masked(texts, self.tokens)
        removed = (counts > 0) & np.bool_(self.action == "remove")
        reasons = pc.if_else(pa.array(removed), "control_token_in_text", pa.scalar(None, pa.string()))
        columns = [texts, pc.binary_length(texts).cast(pa.int64()), pa.array(counts), reasons]
        return pa.RecordBatch.from_arrays(columns, schema=self.writes)
