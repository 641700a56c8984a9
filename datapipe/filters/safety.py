"""How offensive a document is: words of the user's lists in it, and the verdict of a classifier, if one is given.

No list comes with this project: what is offensive depends on language, place and purpose. `safety_filter.py` decides.
"""

import dataclasses
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from datapipe.checks import FilesOption
from datapipe.read.examples import read_words
from datapipe.read.models import load_classifier
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text.characters import text_buffers
from datapipe.text.word_list import find_words

SCHEMA = pa.schema(
    [
        ("safety_words", pa.int32()),
        ("safety_words_per_line", pa.float32()),
        ("safety_flagged_share", pa.float32()),
        ("safety_score", pa.float32()),
    ]
)


@dataclasses.dataclass(eq=False)
class ScoreSafety(DocumentStage):
    """Writes how many different listed words a document has, also per line, and the share of its letters in them.

    `safety_score` is the classifier's probability that the document is offensive; null without a classifier.

    Words are found however they are written: case, full width, decomposed accents, traditional Chinese, entities.

    Attributes:
        words: files of listed words or phrases, one a line, of any languages.
        model: a fastText model.
        model_sha256: what the SHA-256 of that file must be, in hexadecimal; empty: not checked.
        bad_label: its label for the offensive.
    """

    words: list[FilesOption] = dataclasses.field(default_factory=list)
    model: FilesOption = ""
    model_sha256: str = ""
    bad_label: str = "toxic"

    name: ClassVar[str] = "safety"
    version: ClassVar[int] = 4
    writes: ClassVar[pa.Schema] = SCHEMA

    def check(self) -> None:
        """The model is the one that is meant."""
        files.check_sha256("safety: model", self.model, self.model_sha256)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def skip_reason(self) -> str | None:
        """Why nothing can be scored, in one line; None if it can."""
        paths = [*self.words, *([self.model] if self.model else [])]
        absent = [path for path in paths if not files.exists(path)]
        if absent:
            return f"no such file: {absent[0]}"
        return None if paths else "no word lists and no model given"

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - nothing is learnt
        """The stage, once lists and model have been read: a file that is none is the recipe's fault, not the run's."""
        read_words(tuple(self.words))
        if self.model:
            load_classifier(self.model)
        return self

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score the column `text`; returns the columns of `writes`."""
        texts = batch.column("text")
        different, flagged, letters, lines = find_words(texts, read_words(tuple(self.words)))
        scores = pa.nulls(len(batch), pa.float32())
        if self.model:
            scores = pa.array(load_classifier(self.model).probability(self.bad_label, *text_buffers(texts)))
        columns = [
            pa.array(different),
            pa.array((different / np.maximum(1, lines)).astype(np.float32)),
            pa.array((flagged / np.maximum(1, letters)).astype(np.float32)),
            scores,
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.writes)
