"""How predictable a document is to a language model of its own language: CCNet's measure of quality, for LLaMA 1.

A model is learnt for each language, from reference texts of the user's; see `ngram_model.py`. `quality.py` learns what
is good from good and bad examples; here good ones suffice. `perplexity_filter.py` decides.
"""

import dataclasses
import hashlib
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from datapipe.checks import Count, FilesOption
from datapipe.filters.language import identify
from datapipe.read.examples import read_examples
from datapipe.read.models import load_ngram_model
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text import ngram_model
from datapipe.text.words import primary


@dataclasses.dataclass(eq=False)
class ScorePerplexity(DocumentStage):
    """Writes each document's perplexity per character under the model of its language; null where there is none.

    Attributes:
        references: files of texts that are as good texts should be, in any languages; see `read_examples`.
            A language with less than `min_characters` in them gets no model.
        min_characters: least reference text of a language.
        max_characters: reference text used of a language; what exceeds it is left out, chosen by hash. Training holds
            about 300 bytes a character in memory.
        trained: the models that `prepare` made, by language; no option.
    """

    references: list[FilesOption] = dataclasses.field(default_factory=list)
    min_characters: Count = 10_000
    max_characters: int = 5_000_000
    trained: dict[str, str] = dataclasses.field(default_factory=dict, init=False)

    name: ClassVar[str] = "perplexity"
    writes: ClassVar[pa.Schema] = pa.schema([("perplexity", pa.float32())])

    def check(self) -> None:
        """A model can be learnt from what is used."""
        if self.max_characters < self.min_characters:
            raise ValueError(
                f"perplexity: max_characters must be at least min_characters ({self.min_characters}), "
                f"got {self.max_characters!r}"
            )

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "language")

    def skip_reason(self) -> str | None:
        """Why nothing can be scored, in one line; None if it can."""
        absent = [path for path in self.references if not files.exists(path)]
        if absent:
            return f"no such file: {absent[0]}"
        return None if self.references else "no reference texts given"

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - the references are the user's
        """Learn a model for each language of the references; the models go into `folder`.

        Raises:
            ValueError: if no language has enough reference text.
        """
        hashed = {
            hashlib.blake2b(text.encode(), digest_size=8).digest(): text for text in read_examples(self.references)
        }
        texts = [text for _, text in sorted(hashed.items())]
        by_language: dict[str, list[str]] = {}
        for text, language in zip(texts, identify(pa.array(texts)).column("language").to_pylist(), strict=True):
            by_language.setdefault(language, []).append(text)
        trained: dict[str, str] = {}
        for language, theirs in sorted(by_language.items()):
            ends = np.cumsum([len(text) for text in theirs])
            if ends[-1] < self.min_characters:
                continue
            model = ngram_model.train(theirs[: int(np.searchsorted(ends, self.max_characters)) + 1])
            content = ngram_model.to_bytes(model)
            # Loaded models are kept by path: another model must have another name.
            digest = hashlib.blake2b(content, digest_size=8).hexdigest()
            trained[language] = files.join(folder, f"{language}-{digest}.safetensors")
            with files.whole_file(trained[language]) as sink:
                sink.write(content)
        if not trained:
            raise ValueError(
                f"perplexity: no language has {self.min_characters} characters in references {self.references}"
            )
        return self.ready(trained=trained)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score the columns `text` and `language`; returns the column of `writes`."""
        if not self.trained:
            raise ValueError("perplexity: no model; call prepare first")
        languages = np.array([primary(language) for language in batch.column("language").to_pylist()], object)
        scores = np.full(len(batch), np.nan)
        for language, path in sorted(self.trained.items()):
            theirs = np.flatnonzero(languages == language)
            if len(theirs):
                texts = batch.column("text").take(pa.array(theirs))
                scores[theirs] = ngram_model.perplexities(texts, load_ngram_model(path))
        column = pa.array(scores.astype(np.float32), mask=np.isnan(scores))
        return pa.RecordBatch.from_arrays([column], schema=self.writes)
