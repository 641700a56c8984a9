"""Cuts out of each document the spans that `repeated_text.py` found, and drops what has too little left.

A stage of its own, so that one can look at the spans before they go, and cut with another limit without a new search.
"""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.checks import Count, Share
from datapipe.dedup.pieces import Unit
from datapipe.stage import DocumentStage


def without(text: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """A text without some spans of it, which may overlap; if there are any, without white space at its ends too.

    >>> without(b"home | about\\nThe story.\\nhome | about\\n", [(0, 13), (24, 37)])
    b'The story.'
    """
    spans = sorted(spans)
    if not spans:
        return text
    kept = []
    at = 0
    for start, end in spans:
        kept.append(text[at : max(at, start)])
        at = max(at, end)
    kept.append(text[at:])
    return b"".join(kept).strip()


@dataclasses.dataclass(eq=False)
class CutRepeatedText(DocumentStage):
    """Cut the repeated spans out of each text; a document with too little left is removed and keeps its text.

    No stage between this one and `repeated_text` may change the text. One that removes documents there may take the
    copy that was to stay.

    Books more than 90 % of which stand in others are dropped by LLaMA (Touvron et al. 2023, 2.1): that is
    `max_share: 0.9` and `cut: false` after `repeated_text: {keep_copies: {window: 1}, keep: longest}`. As the copy of
    the longest stays of each window, a book that is contained in another goes, in whatever order they come; of two that
    are equally long the later one by id.

    Attributes:
        min_characters: a document that loses a span is removed as `too_little_left` where fewer characters stay.
        max_share: a document of whose characters more than this share is repeated is removed as `mostly_repeated`.
        cut: cut the spans out of documents that stay; otherwise they keep their texts.
        units: of spans of these units only, see `datapipe.dedup.pieces.UNITS`; none: of all.
    """

    min_characters: Count = 1
    max_share: Share = 1.0
    cut: bool = True
    units: list[Unit] | None = None

    name: ClassVar[str] = "cut_repeated_text"
    version: ClassVar[int] = 2
    offsets_into_text: ClassVar[tuple[str, ...]] = ("repeated_text_spans",)
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("text", pa.string()),
            ("cut_repeated_text_characters", pa.uint32()),
            ("cut_repeated_text_cut_bytes", pa.int64()),
            ("cut_repeated_text_reason", pa.string()),
        ]
    )

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "repeated_text_spans")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The text that stays, how many characters went, and the reason where the document goes."""
        texts, spans = batch.column("text"), batch.column("repeated_text_spans")
        touched = np.flatnonzero(spans.is_valid().to_numpy(zero_copy_only=False))
        rows = pa.array(touched)
        cut = [
            without(
                text.encode(),
                [(span["start"], span["end"]) for span in found if self.units is None or span["unit"] in self.units],
            ).decode()
            for text, found in zip(texts.take(rows).to_pylist(), spans.take(rows).to_pylist(), strict=True)
        ]
        before = pc.utf8_length(texts.take(rows)).to_numpy()
        left = np.array([len(text) for text in cut], np.int64)
        lost = np.zeros(len(batch), np.uint32)
        lost[touched] = before - left
        reasons = np.full(len(batch), "", object)
        reasons[touched[(left < self.min_characters) & (left < before)]] = "too_little_left"
        reasons[touched[before - left > self.max_share * before]] = "mostly_repeated"
        if not self.cut:
            reasons[reasons == "too_little_left"] = ""
            lost[reasons == ""] = 0
        gone = reasons != ""
        changed = np.zeros(len(batch), bool)
        changed[touched] = ~gone[touched] & self.cut
        new = pa.array(cut, pa.string())
        bytes_lost = np.zeros(len(batch), np.int64)
        bytes_lost[touched] = np.where(
            changed[touched], pc.subtract(pc.binary_length(texts.take(rows)), pc.binary_length(new)).to_numpy(), 0
        )
        replacements = new.filter(pa.array(changed[touched]))
        return pa.record_batch(
            [
                pc.replace_with_mask(texts, pa.array(changed), replacements.cast(texts.type)).cast(pa.string()),
                pa.array(lost),
                pa.array(bytes_lost),
                pa.array(reasons, pa.string(), mask=~gone),
            ],
            schema=self.writes,
        )
