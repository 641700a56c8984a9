"""Trains a tokenizer on a corpus: counts by many workers, merges on one, Chinese on top, one `tokenizer.json`."""

import dataclasses
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe import files
from datapipe.characters import text_buffers
from datapipe.corpus import Part
from tokenizer_training import learn
from tokenizer_training.count import CountPretokens, read_counts
from tokenizer_training.extend import is_chinese
from tokenizer_training.forms import (
    CHATML,
    FORMS,
    Form,
    Name,
    byte_alphabet,
    check_special_tokens,
    is_piece,
    tokenizer_json,
)

# LLaMA 0.99995, Baichuan 2 0.9999 of all characters; the rest is spelt in bytes.
COVERAGE = 0.9999


@dataclasses.dataclass(eq=False)
class TrainTokenizer(beam.PTransform):
    """Learns a tokenizer from the kept text of all parts and writes `tokenizer.json` into its folder.

    Takes parts; gives one dict: what was asked for and what came of it.

    Attributes:
        vocabulary: how many entries to learn on the whole corpus, special tokens and bytes included.
        chinese: how many more entries to learn for Chinese on top; they leave text without Han exactly as it was.
        form: "byte_fallback" (characters, and bytes for rare ones: LLaMA, Baichuan) or "byte_level" (bytes: Qwen).
        min_frequency: a pair that occurs less often is not merged.
        max_token_length: the longest token, in characters for byte_fallback and bytes for byte_level. (HuggingFace's
            option of that name allows one less.)
        coverage: for byte_fallback, the share of the corpus' characters that get an entry of their own.
        special_tokens: entries that no text is encoded to, ids from 0.
        sample_threshold: how rare pre-tokens are sampled; see `CountPretokens`. 1 = exact.
        folder: where the files go: `tokenizer.json`, and the counts in `counts/`.
    """

    vocabulary: int = 32000
    chinese: int = 8000
    form: Name = "byte_fallback"
    min_frequency: int = 2
    max_token_length: int = 32
    coverage: float = COVERAGE
    special_tokens: list[str] = dataclasses.field(default_factory=lambda: list(CHATML))
    sample_threshold: int = 10
    folder: str = ""

    name: ClassVar[str] = "tokenizer"
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("document", "instruction")
    reads: ClassVar[tuple[str, ...]] = ("text",)

    def __post_init__(self) -> None:
        super().__init__()
        if self.form not in FORMS:
            raise ValueError(f"tokenizer: form must be one of {sorted(FORMS)}, got {self.form!r}")
        least = len(self.special_tokens) + 256
        if self.vocabulary < least:
            raise ValueError(
                f"tokenizer: vocabulary must hold the special tokens and 256 bytes, at least {least}, "
                f"got {self.vocabulary!r}"
            )
        for field, smallest in (("chinese", 0), ("min_frequency", 1), ("max_token_length", 1), ("sample_threshold", 1)):
            if getattr(self, field) < smallest:
                raise ValueError(f"tokenizer: {field} must be at least {smallest}, got {getattr(self, field)!r}")
        if not 0 < self.coverage <= 1:
            raise ValueError(f"tokenizer: coverage must be above 0 and at most 1, got {self.coverage!r}")
        check_special_tokens(self.special_tokens, FORMS[self.form])

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        return (
            parts
            | "CountPretokens" >> CountPretokens(self.form, self.folder, self.sample_threshold)
            | "Gather" >> beam.combiners.ToList()
            | "Learn" >> beam.Map(_train, self).with_output_types(dict[str, Any])
        )


def _train(paths: list[str], options: TrainTokenizer) -> dict[str, Any]:
    """Learn from the files of counts, write the tokenizer, and say what it became."""
    counts = read_counts(paths)
    document = train(
        counts,
        FORMS[options.form],
        vocabulary=options.vocabulary,
        chinese=options.chinese,
        min_frequency=options.min_frequency,
        max_token_length=options.max_token_length,
        coverage=options.coverage,
        special_tokens=options.special_tokens,
    )
    files.remove_folder(files.join(options.folder, "spill"))
    files.make_folder(options.folder)
    files.write_json(files.join(options.folder, "tokenizer.json"), document)
    return {
        "form": options.form,
        "vocabulary_asked": options.vocabulary + options.chinese,
        "vocabulary": len(document["model"]["vocab"]),
        "merges": len(document["model"]["merges"]),
        "pretokens": int(np.sum(counts.column("count").to_numpy())),
        "distinct_pretokens": len(counts),
    }


def train(
    counts: pa.Table,
    form: Form,
    *,
    vocabulary: int = 32000,
    chinese: int = 0,
    min_frequency: int = 2,
    max_token_length: int = 32,
    coverage: float = COVERAGE,
    special_tokens: list[str],
    progress: learn.Progress | None = None,
) -> dict[str, Any]:
    """Learn a tokenizer from pre-token counts; the options are those of `TrainTokenizer`.

    Args:
        counts: a table of `count.SCHEMA`.
        form: by whose pattern the pre-tokens were counted.
        progress: see `Learner.learn`.

    Returns:
        The `tokenizer.json` document.
    """
    words, number = counts.column("word"), counts.column("count").to_numpy()
    by_character = form.name == "byte_fallback"
    # What the learner does not see: the special tokens, and the bytes that characters fall back to.
    others = len(special_tokens) + 256 * by_character
    symbols = character_alphabet(counts, coverage, vocabulary - others) if by_character else byte_alphabet()
    learner = learn.start(words, number, symbols, by_character=by_character)
    learner.learn(
        vocabulary - others,
        min_frequency=min_frequency,
        max_length=max_token_length,
        allowed=is_piece if by_character else None,
        progress=progress,
    )
    learner.learn(
        len(learner.tokens) + chinese,
        min_frequency=min_frequency,
        max_length=max_token_length,
        allowed=is_chinese,
        progress=progress,
    )
    return tokenizer_json(form, learner.tokens, learner.merges, special_tokens)


def character_alphabet(counts: pa.Table, coverage: float, room: int) -> list[bytes]:
    """The most frequent characters that make up a share of all, at most `room`, in order of code points."""
    totals = learn.character_counts(*text_buffers(counts.column("word")), counts.column("count").to_numpy())
    order = np.argsort(-totals, kind="stable")[: np.count_nonzero(totals)]
    cumulative = np.cumsum(totals[order])
    if not len(order):
        return []
    needed = int(np.searchsorted(cumulative, coverage * cumulative[-1])) + 1
    return [chr(code_point).encode() for code_point in sorted(order[: min(needed, room)].tolist())]
