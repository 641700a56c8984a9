"""Trains a tokenizer on a corpus: counts by many workers, merges on one, Chinese on top, one `tokenizer.json`."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe.store import files
from datapipe.store.corpus import Part
from datapipe.text.characters import text_buffers
from tokenizer_training import learn
from tokenizer_training.algorithms import (
    ALGORITHMS,
    CHATML,
    SENTENCEPIECE_SPACE,
    Algorithm,
    AlgorithmName,
    TokenizerJson,
    byte_alphabet,
    check_special_tokens,
    from_tokens,
    is_piece,
)
from tokenizer_training.count import SCHEMA, CountPretokens, read_counts
from tokenizer_training.extend import is_chinese
from tokenizer_training.split import split

# LLaMA 0.99995, Baichuan 2 0.9999 of all characters; the rest is spelt in bytes.
COVERAGE = 0.9999


@dataclasses.dataclass(eq=False)
class TrainTokenizer(beam.PTransform):
    """Learns a tokenizer from the kept text of all parts and writes `tokenizer.json` into its folder.

    Takes parts; gives one dict: what was asked for and what came of it.

    Attributes:
        vocabulary: how many entries to learn on the whole corpus, special tokens and bytes included.
        chinese: how many more entries to learn for Chinese on top; they leave text without Han exactly as it was.
        algorithm: "byte_fallback" (characters, and bytes for rare ones: LLaMA, Baichuan) or "byte_level" (bytes: Qwen).
        min_frequency: a pair that occurs less often is not merged.
        max_token_length: the longest token, in characters for byte_fallback and bytes for byte_level. (HuggingFace's
            option of that name allows one less.)
        coverage: for byte_fallback, the share of the corpus' characters that get an entry of their own.
        alphabet: for byte_fallback, characters that get an entry however rare.
        required_tokens: strings that become one token each, wherever they stand alone as a pre-token.
        special_tokens: entries that no text is encoded to, ids from 0.
        sample_threshold: how rare pre-tokens are sampled; see `CountPretokens`. 1 = exact.
        weight_column: the column that says how often a document counts, such as `mixture_copies`; "" for once.
        folder: where the files go: `tokenizer.json`, `summary.json`, and the counts in `counts/`.
    """

    vocabulary: int = 32000
    chinese: int = 8000
    algorithm: AlgorithmName = "byte_fallback"
    min_frequency: int = 2
    max_token_length: int = 32
    coverage: float = COVERAGE
    alphabet: str = ""
    required_tokens: list[str] = dataclasses.field(default_factory=list)
    special_tokens: list[str] = dataclasses.field(default_factory=lambda: list(CHATML))
    sample_threshold: int = 10
    weight_column: str = ""
    folder: str = ""

    name: ClassVar[str] = "tokenizer"
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("document", "instruction")
    reads: ClassVar[tuple[str, ...]] = ("text",)

    def __post_init__(self) -> None:
        super().__init__()
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"tokenizer: algorithm must be one of {sorted(ALGORITHMS)}, got {self.algorithm!r}")
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
        check_special_tokens(self.special_tokens, ALGORITHMS[self.algorithm])
        check_required_tokens(self.required_tokens, ALGORITHMS[self.algorithm])
        if self.weight_column:
            self.reads = ("text", self.weight_column)  # type: ignore[misc]

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        return (
            parts
            | "CountPretokens" >> CountPretokens(self.algorithm, self.folder, self.sample_threshold, self.weight_column)
            | "Gather" >> beam.combiners.ToList()
            | "Learn" >> beam.Map(_train, self).with_output_types(dict[str, Any])
        )


def _train(paths: list[str], options: TrainTokenizer) -> dict[str, Any]:
    """Learn from the files of counts, write the tokenizer, and say what it became."""
    counts = read_counts(paths)
    tokenizer = train(
        counts,
        ALGORITHMS[options.algorithm],
        vocabulary=options.vocabulary,
        chinese=options.chinese,
        min_frequency=options.min_frequency,
        max_token_length=options.max_token_length,
        coverage=options.coverage,
        alphabet=options.alphabet,
        required_tokens=options.required_tokens,
        special_tokens=options.special_tokens,
    )
    files.remove(files.join(options.folder, "spill"))
    files.make_folder(options.folder)
    files.write_json(files.join(options.folder, "tokenizer.json"), tokenizer)
    summary: dict[str, Any] = {
        "algorithm": options.algorithm,
        "vocabulary_asked": options.vocabulary + options.chinese,
        "vocabulary": len(tokenizer["model"]["vocab"]),
        "merges": len(tokenizer["model"]["merges"]),
        "pretokens": int(np.sum(counts.column("count").to_numpy())),
        "distinct_pretokens": len(counts),
    }
    files.write_json(files.join(options.folder, "summary.json"), summary)
    note = "a vocabulary of {vocabulary:,} entries from {distinct_pretokens:,} distinct pre-tokens"
    if summary["vocabulary"] < summary["vocabulary_asked"]:
        note += "; the corpus has no more than that of the {vocabulary_asked:,} asked for"
    files.write_json(files.join(options.folder, "notes.json"), [note.format(**summary)])
    return summary


def train(
    counts: pa.Table,
    algorithm: Algorithm,
    *,
    vocabulary: int = 32000,
    chinese: int = 8000,
    min_frequency: int = 2,
    max_token_length: int = 32,
    coverage: float = COVERAGE,
    alphabet: str = "",
    required_tokens: Sequence[str] = (),
    special_tokens: Sequence[str] = CHATML,
    progress: learn.Progress | None = None,
) -> TokenizerJson:
    """Learn a tokenizer from pre-token counts; the options are those of `TrainTokenizer`.

    Args:
        counts: a table of `count.SCHEMA`.
        algorithm: by whose pattern the pre-tokens were counted.
        progress: see `Learner.learn`.
    """
    by_character = algorithm.name == "byte_fallback"
    # What the learner does not see: the special tokens, and the bytes that characters fall back to.
    room = vocabulary - len(special_tokens) - 256 * by_character
    if by_character:
        symbols = character_alphabet(counts, coverage, alphabet + "".join(required_tokens), room)
    else:
        symbols = byte_alphabet()
    # Required tokens take part as words that occur once, so that the learner splits them as it does all others.
    required = pa.table([required_tokens, np.ones(len(required_tokens), np.int64)], schema=SCHEMA)
    words = pa.concat_tables([required, counts])
    numbers = words.column("count").to_numpy()
    learner = learn.start(words.column("word"), numbers, symbols, by_character=by_character)
    rules: dict[str, Any] = {"min_frequency": min_frequency, "max_length": max_token_length, "progress": progress}
    # The more is learnt, the fewer merges the required tokens still need.
    while (size := room - learner.merges_needed(len(required))) > len(learner.tokens):
        before = len(learner.tokens)
        learner.learn(size, allowed=is_piece if by_character else None, **rules)
        if len(learner.tokens) == before:
            break
    learner.merge_words(len(required))
    learner.learn(len(learner.tokens) + chinese, allowed=is_chinese, **rules)
    return from_tokens(algorithm, learner.tokens, learner.merges, special_tokens)


def character_alphabet(counts: pa.Table, coverage: float, required: str, room: int) -> list[bytes]:
    """The most frequent characters that make up a share of all, and some required ones, in order of code points.

    Args:
        counts: a table of `count.SCHEMA`.
        coverage: the share.
        required: characters to take first.
        room: how many characters there may be.
    """
    totals = learn.character_counts(*text_buffers(counts.column("word")), counts.column("count").to_numpy())
    # SentencePiece's sign for a space: as a symbol of its own it would make the tokenizer impossible to express there.
    totals[ord(SENTENCEPIECE_SPACE)] = 0
    order = np.argsort(-totals, kind="stable")[: np.count_nonzero(totals)]
    cumulative = np.cumsum(totals[order])
    needed = int(np.searchsorted(cumulative, coverage * cumulative[-1])) + 1 if len(order) else 0
    chosen = dict.fromkeys([*map(ord, required), *order[:needed].tolist()])
    return [chr(code_point).encode() for code_point in sorted([*chosen][:room])]


def check_required_tokens(required_tokens: Sequence[str], algorithm: Algorithm) -> None:
    """Refuse required tokens that the pattern would split, since no token spans two pre-tokens.

    Raises:
        ValueError: naming the first such token and its pieces.
    """
    for token in required_tokens:
        if required_tokens.count(token) > 1 or SENTENCEPIECE_SPACE in token or len(split(token, algorithm)) != 1:
            pieces = split(token, algorithm)
            raise ValueError(f"tokenizer: required_tokens: {token!r} is given twice or cannot be one token: {pieces}")
