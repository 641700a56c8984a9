"""Cuts the worst sentences out of each text, by the scores of `passages.py`: Baichuan 2's "sentence-wise quality".

A decision of its own, so that another threshold scores nothing again. `lines.py` cuts by rules, `cut_repeated_text.py`
what occurs again and again.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from datapipe.checks import Share
from datapipe.stage import DocumentStage
from datapipe.text.characters import text_buffers
from datapipe.text.passages import SENTENCE, split


@dataclasses.dataclass(eq=False)
class CutSentences(DocumentStage):
    """Writes the text without its sentences of low quality, and removes a document of which too little is left.

    Such a document keeps its text, and bears the reason "too_little_left".

    Attributes:
        min_score: a sentence with a lower score is cut.
        min_characters: sentences of fewer characters are too short to be judged, and stay.
        min_kept_share: of a document's bytes that must be left for it to stay.
    """

    min_score: Share = 0.1
    min_characters: int = 20
    min_kept_share: Share = 0.5

    name: ClassVar[str] = "passage_filter"
    writes: ClassVar[pa.Schema] = pa.schema(
        [("text", pa.string()), ("passage_filter_cut_bytes", pa.int64()), ("passage_filter_reason", pa.string())]
    )
    offsets_into_text: ClassVar[tuple[str, ...]] = ("passages_sentence_scores",)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "passages_sentence_scores")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The text that stays, how many bytes went, and the reason where the document goes."""
        texts, scores = batch.column("text"), batch.column("passages_sentence_scores")
        touched = np.array([bool(of) and min(of) < self.min_score for of in scores.to_pylist()], bool)
        data, bounds = text_buffers(texts.filter(pa.array(touched)))
        documents, starts, ends = split(data, bounds, SENTENCE)
        low = scores.filter(pa.array(touched)).flatten().to_numpy(zero_copy_only=False) < np.float32(self.min_score)
        left: list[list[bytes]] = [[] for _ in range(int(touched.sum()))]
        end_cut = np.zeros(len(left), bool)  # then the white space before it need not stay
        for document, start, end, bad in zip(*map(np.ndarray.tolist, (documents, starts, ends, low)), strict=True):
            sentence = data[start:end].tobytes()
            end_cut[document] = bad and len(sentence.decode().strip()) >= self.min_characters
            if not end_cut[document]:
                left[document].append(sentence)
        whole = np.diff(bounds)
        kept = [b"".join(sentences) for sentences in left]
        kept = [text.rstrip() if cut else text for text, cut in zip(kept, end_cut.tolist(), strict=True)]
        sizes = np.array([len(text) for text in kept], np.int64)
        gone = sizes < self.min_kept_share * whole
        changed = np.zeros(len(batch), bool)
        changed[touched] = ~gone
        cut = np.zeros(len(batch), np.int64)
        cut[touched] = np.where(gone, 0, whole - sizes)
        removed = np.zeros(len(batch), bool)
        removed[touched] = gone
        replacements = iter([text.decode() for text, lost in zip(kept, gone.tolist(), strict=True) if not lost])
        new = [
            next(replacements) if is_changed else text
            for text, is_changed in zip(texts.to_pylist(), changed.tolist(), strict=True)
        ]
        reasons = pa.array(np.full(len(batch), "too_little_left"), pa.string(), mask=~removed)
        return pa.record_batch([pa.array(new, pa.string()), pa.array(cut), reasons], schema=self.writes)
