"""How good each sentence and each paragraph of a document is, by the classifier that `quality.py` has trained.

A good page may have bad sentences, and a bad one good ones. Baichuan 2 scores documents, paragraphs and sentences, by
models that are not public. Here one classifier judges all three: it has learnt its examples in pieces of any length.
`passage_filter.py` cuts sentences; the means say how often a document is to be seen, beside its own score.
"""

import dataclasses
from typing import Annotated, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import MinLen

from datapipe.checks import FilesOption
from datapipe.filters.quality import RESULT_FILE
from datapipe.filters.quality_training import score
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text.characters import text_buffers
from datapipe.text.passages import PARAGRAPH, SENTENCE, split


class Passages(NamedTuple):
    """The passages of some texts, one after another.

    Attributes:
        texts: the text of each, shape (passages,).
        starts, ends: its bytes in that text, shape (passages,).
        scores: its probability to be good, shape (passages,).
    """

    texts: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def means(self, count: int) -> npt.NDArray[np.float64]:
        """Of each of so many texts the mean score, by bytes, shape (count,); NaN of one without a passage."""
        sizes = (self.ends - self.starts).astype(np.float64)
        total = np.bincount(self.texts, sizes, count)
        weighted = np.bincount(self.texts, sizes * self.scores, count)
        return np.divide(weighted, total, out=np.full(count, np.nan), where=total > 0)


def score_passages(model: str, texts: pa.Array, unit: int) -> Passages:
    """The passages of some texts, each judged by itself; those that are equal are judged once.

    Args:
        model: see `quality_training.score`.
        texts: none of them null.
        unit: of `datapipe.text.passages`.
    """
    data, bounds = text_buffers(texts)
    documents, starts, ends = split(data, bounds, unit)
    passages = pa.array([data[a:b].tobytes().decode() for a, b in zip(starts.tolist(), ends.tolist(), strict=True)])
    encoded = passages.cast(pa.large_string()).dictionary_encode()
    found = score(model, encoded.dictionary)[encoded.indices.to_numpy()] if len(passages) else np.zeros(0, np.float32)
    return Passages(documents, starts - bounds[documents], ends - bounds[documents], found)


@dataclasses.dataclass(eq=False)
class ScorePassages(DocumentStage):
    """Writes the score of each sentence, and the means over sentences and over paragraphs, by bytes.

    They are null where `quality_score` is: of languages that the classifier does not judge.

    Attributes:
        quality: the folder of the stage `quality`, which must have trained on examples.
        model: what `prepare` found in it; no option.
    """

    quality: Annotated[FilesOption, MinLen(1)] = "{output}/quality"
    model: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "passages"
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("passages_sentence_scores", pa.list_(pa.float32())),
            ("passages_sentence", pa.float32()),
            ("passages_paragraph", pa.float32()),
        ]
    )

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "quality_score")

    def learns_from_corpus(self) -> bool:
        """It waits for the classifier."""
        return True

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - the stage before has learnt
        """Find the classifier.

        Raises:
            ValueError: if the folder holds none.
        """
        models = [path for path in files.list_folder(self.quality) if path.endswith(".bin")]
        if len(models) != 1 or not files.exists(files.join(self.quality, RESULT_FILE)):
            raise ValueError(f"passages: quality must be the folder of a stage that has trained, got {self.quality!r}")
        return self.ready(model=models[0])

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Judge the column `text`; returns the columns of `writes`."""
        if not self.model:
            raise ValueError("passages: no model; call prepare first")
        judged = np.flatnonzero(batch.column("quality_score").is_valid().to_numpy(zero_copy_only=False))
        texts = batch.column("text").take(pa.array(judged)).fill_null("")
        sentences = score_passages(self.model, texts, SENTENCE)
        paragraphs = score_passages(self.model, texts, PARAGRAPH)
        place = np.full(len(batch), -1)
        place[judged] = np.arange(len(judged))
        offsets = np.searchsorted(sentences.texts, np.arange(len(judged) + 1)).astype(np.int32)
        columns = [
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(sentences.scores)),
            *(pa.array(of.means(len(judged)), pa.float32(), from_pandas=True) for of in (sentences, paragraphs)),
        ]
        rows = pa.array(place, mask=place < 0)
        return pa.RecordBatch.from_arrays([column.take(rows) for column in columns], schema=self.writes)
