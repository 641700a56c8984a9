"""How much a document resembles the user's good examples rather than the bad ones, by a fastText classifier.

LLaMA 1 trains such a classifier on pages that Wikipedia cites against random pages, DCLM on instruction answers against
web pages. Here the examples are files of the user's, and they speak for their own languages alone: a document in
another one gets no score. `quality_training.py` says how the classifier is trained. `perplexity.py` scores how
predictable a text is, which follows its domain more than its quality; `quality_filter.py` decides.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.checks import FilesOption, Language, Share
from datapipe.filters.quality_training import GOOD, score, train_once
from datapipe.read.examples import read_examples
from datapipe.read.models import load_classifier
from datapipe.stage import DocumentStage, write_notes
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.text.characters import text_buffers
from datapipe.text.words import primary

RESULT_FILE = "quality.json"

_WEB_EXAMPLES = pathlib.Path(__file__).with_name("web_examples")


def describe(examples: dict[str, list[int]], judged: Sequence[str]) -> list[str]:
    """Lines for the user: which languages are judged, by how many examples, and which examples do not suffice."""
    lines = []
    for judges, what in ((True, "judges documents in"), (False, "does not judge for want of examples:")):
        named = [
            f"{language} ({good} good, {bad} bad examples)"
            for language, (good, bad) in examples.items()
            if (language in judged) == judges
        ]
        if named:
            lines.append(f"{what} {', '.join(named)}")
    return [*lines, "documents in other languages get no score"]


@dataclasses.dataclass(eq=False)
class ScoreQuality(DocumentStage):
    """Writes the probability that each document is of the good kind, judged by its full text.

    It is null where the document's language (the column `language`, where it is there) is not one of those judged:
    those with at least 10 different examples of either kind. Nor is a document judged that mixes languages, or of which
    it is not sure that it is in the language: what no classifier knows is called English as often as not.

    Attributes:
        positives: files of good examples; see `read_examples`. Their languages are found as the documents' are.
        negatives: files of bad ones.
        web_examples: whether examples that come along count as well, written for this project in twelve languages:
            spam, notices and menus, beside articles, reports, letters and advice, on the same subjects too. Of good
            text they know few kinds: alone they take half of a database's manual for a notice. So examples of what is
            good in your corpus belong beside them.
        languages: those judged; none: all that have the examples, or with `model`, all.
        min_language_score: a document whose `language_score` is lower is not judged.
        model: a trained fastText model, instead of examples. It sees the text as it is, with blanks for line breaks.
        model_sha256: what the SHA-256 of that file must be, in hexadecimal; empty: not checked.
        good_label: the label of `model` whose probability is the score ("hq" for DCLM's).
        trained: the model that `prepare` made; no option.
        judged: the languages that it was trained for; no option.
    """

    positives: list[FilesOption] = dataclasses.field(default_factory=list)
    negatives: list[FilesOption] = dataclasses.field(default_factory=list)
    web_examples: bool = False
    languages: list[Language] = dataclasses.field(default_factory=list)
    min_language_score: Share = 0.65
    model: FilesOption = ""
    model_sha256: str = ""
    good_label: str = GOOD
    trained: str = dataclasses.field(default="", init=False)
    judged: tuple[str, ...] = dataclasses.field(default=(), init=False)

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 5
    writes: ClassVar[pa.Schema] = pa.schema([("quality_score", pa.float32())])

    def check(self) -> None:
        """There are examples of both kinds, or a model, the one that is meant."""
        if bool(self.positives) != bool(self.negatives):
            given, lacking = ("positives", "negatives") if self.positives else ("negatives", "positives")
            raise ValueError(f"quality: {given} without {lacking}: a classifier needs both, got {lacking} []")
        if self.model and (self.positives or self.web_examples):
            raise ValueError(f"quality: give either a model or examples, got both ({self.model!r})")
        files.check_sha256("quality: model", self.model, self.model_sha256)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def optional(self) -> tuple[str, ...]:
        """What tells whether a document is judged."""
        return ("language", "language_score", "language_mixed")

    def skip_reason(self) -> str | None:
        """Why nothing can be scored, in one line; None if it can."""
        paths = [self.model] if self.model else [*self.positives, *self.negatives]
        absent = [path for path in paths if not files.exists(path)]
        if absent:
            return f"no such file: {absent[0]}"
        return None if paths or self.web_examples else "no examples and no model given"

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - the examples are the user's
        """Train on the examples; the model and its held-out AUC go into `folder`.

        Raises:
            ValueError: if no language has enough examples, or one that `languages` names has not.
        """
        if self.model:
            load_classifier(self.model)  # a file that is none is the recipe's fault, not the run's
            return self
        good = self._examples("good", self.positives)
        content, judged, examples = train_once(good, self._examples("bad", self.negatives), self.languages)
        # Loaded models are kept by path: another model must have another name.
        path = files.join(folder, f"model-{hashlib.blake2b(content, digest_size=8).hexdigest()}.bin")
        with files.whole_file(path) as sink:
            sink.write(content)
        files.write_json(files.join(folder, RESULT_FILE), judged)
        write_notes(folder, describe(examples, list(judged)))
        return self.ready(trained=path, judged=tuple(judged))

    def _examples(self, kind: str, paths: Sequence[str]) -> list[str]:
        """The texts of some files, and of those that come along."""
        own = sorted(map(str, _WEB_EXAMPLES.glob(f"*-{kind}.jsonl"))) if self.web_examples else []
        return read_examples([*paths, *own])

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score the column `text`; returns the column of `writes`."""
        texts = batch.column("text")
        if not self.trained and not self.model:
            raise ValueError("quality: no model; call prepare first")
        silent = texts.is_null().to_numpy(zero_copy_only=False)
        judged = self.judged or self.languages
        if judged:
            silent |= ~self._is_judged(batch, judged)
        scores = np.zeros(len(batch), np.float32)
        if silent.any():
            texts = texts.filter(pa.array(~silent))
        if self.trained:
            scores[~silent] = score(self.trained, texts)
        else:
            scores[~silent] = load_classifier(self.model).probability(self.good_label, *text_buffers(texts))
        return pa.RecordBatch.from_arrays([pa.array(scores, mask=silent)], schema=self.writes)

    def _is_judged(self, batch: pa.RecordBatch, languages: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which documents are surely in one of some languages, as far as the columns of `optional` are there."""
        found = {name: batch.column(name) for name in self.optional() if name in batch.schema.names}
        is_judged = np.ones(len(batch), bool)
        if "language" in found:
            is_judged &= np.array([primary(name) in languages for name in found["language"].to_pylist()], bool)
        if "language_score" in found:
            scores = found["language_score"].fill_null(0).to_numpy(zero_copy_only=False)
            is_judged &= scores >= np.float32(self.min_language_score)
        if "language_mixed" in found:
            is_judged &= ~found["language_mixed"].fill_null(False).to_numpy(zero_copy_only=False)
        return is_judged
