"""Writes dialogues in a chat form: their text as a model is to see it, and which of its pieces bear loss.

Until here the text of a dialogue is what is said in it, so that languages, rules and duplicates are found without
mark-up, and another form needs nothing but this stage anew. It comes after the tokenizer's training, which is not to
count mark-up either.
"""

import dataclasses
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.checks import check_known
from datapipe.stage import DocumentStage
from datapipe.store.corpus import PartKind
from datapipe.text.chat_forms import FORMS, PIECES, Form, Turn, cut_pieces, render, turns_of
from datapipe.text.chat_names import FormName, LossName
from datapipe.text.control_tokens import masked, spelt
from datapipe.text.dialogues import COLUMNS, read_dialogues

MARKUP = "chat_markup_in_text"


@dataclasses.dataclass(eq=False)
class RenderDialogues(DocumentStage):
    """Writes the dialogues of instruction data in a chat form, as text and as pieces of it.

    `pieces` are ranges of bytes of `text`, without gaps: control tokens and text, each with `loss`, and with the
    control token that is its label where a system trains on another one. `chat_spelt` counts what content spells of the
    form's control tokens. `chat_tokens` never encodes such content as one; who encodes `text` as a whole is deceived.

    Attributes:
        form: "chatml" (Qwen), "llama2", "chatglm2", "chatglm3", "baichuan2", "skywork", or "plain": text without any
            sign of who speaks.
        loss: what bears loss: "answers" and what ends them; "qwen_paper", "qwen_script"; or what the form's own system
            does, of the same name; null for that. See `datapipe.text.chat_forms.bears_loss`.
        system: the system message of dialogues that have none; "" adds none; null is the form's own.
        control_tokens: names of your own for the form's control tokens, such as `{"</s>": "<|endoftext|>"}`.
        spelt: what becomes of a dialogue that spells a control token: "reject", "mask" (a space instead), or "keep".
            Llama 2's tags, which are text, always reject.
    """

    form: FormName = "chatml"
    loss: LossName | None = None
    system: str | None = None
    control_tokens: dict[str, str] = dataclasses.field(default_factory=dict)
    spelt: Literal["reject", "mask", "keep"] = "reject"

    name: ClassVar[str] = "chat"
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("text", pa.string()),
            ("bytes", pa.int64()),
            ("pieces", PIECES),
            ("chat_spelt", pa.int32()),
            ("chat_reason", pa.string()),
        ]
    )

    def check(self) -> None:
        """The policy is one of the form's, and the control tokens are the form's."""
        form = FORMS[self.form]
        if self.loss is not None:
            check_known(f"chat: loss: {self.form} has no policy", self.loss, form.losses)
        for name in self.control_tokens:
            check_known(f"chat: control_tokens: {self.form} has no control token", name, form.control_tokens)
        if self.system is not None and spelt(pa.array([self.system]), self._form().reserved).any():
            raise ValueError(f"chat: system must hold no control token, got {self.system!r}")

    def _form(self) -> Form:
        return FORMS[self.form].renamed(self.control_tokens)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Instruction data."""
        return ("instruction",)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", *COLUMNS.names)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The dialogues in the form; those that are rejected as they were."""
        form = self._form()
        system = form.default_system if self.system is None else self.system
        dialogues = read_dialogues(batch.column("messages"), batch.column("tools"))
        rows = [turns_of(dialogue, form, system) for dialogue in dialogues]
        counts = count_spelt(rows, form.control_tokens)
        rejected = count_spelt(rows, form.tags) > 0
        if self.spelt == "reject":
            rejected |= counts > 0
        elif self.spelt == "mask":
            rows = mask_turns(rows, form.control_tokens)
        kept = [[] if reject else turns for reject, turns in zip(rejected.tolist(), rows, strict=True)]
        texts, pieces = render(cut_pieces(kept, form, self.loss or form.losses[0]))
        empty = pa.array([not turns for turns in kept], pa.bool_())
        texts = pc.if_else(empty, batch.column("text"), texts)
        reasons = pa.array([MARKUP if reject else None for reject in rejected.tolist()], pa.string())
        columns = [texts, pc.binary_length(texts).cast(pa.int64()), pieces, pa.array(counts), reasons]
        return pa.RecordBatch.from_arrays(columns, schema=self.writes)


def count_spelt(rows: list[list[Turn]], marks: tuple[str, ...]) -> npt.NDArray[np.int32]:
    """How often the turns of each row spell one of the marks, shape (rows,)."""
    counts = spelt(pa.array([turn.content for turns in rows for turn in turns], pa.string()), marks)
    bounds = np.cumsum([0, *map(len, rows)])
    return np.diff(np.concatenate([[0], np.cumsum(counts)])[bounds]).astype(np.int32)


def mask_turns(rows: list[list[Turn]], tokens: tuple[str, ...]) -> list[list[Turn]]:
    """The turns of all rows without what they spell of some control tokens."""
    flat = masked(pa.array([turn.content for turns in rows for turn in turns], pa.string()), tokens)
    contents = iter(flat.to_pylist())
    return [[turn._replace(content=next(contents)) for turn in turns] for turns in rows]
