"""Trains a tokenizer on a corpus: counts by many workers, merges on one, Chinese on top, one `tokenizer.json`."""

import dataclasses
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe.checks import ColumnOption
from datapipe.flow.gather import Gather
from datapipe.stage import ProductStage, write_notes
from datapipe.store import files
from datapipe.store.corpus import Part, PartKind
from datapipe.text.characters import text_buffers
from tokenizer_training import learn
from tokenizer_training.algorithms import (
    SENTENCEPIECE_SPACE,
    TokenizerJson,
    byte_alphabet,
    from_tokens,
    is_piece,
)
from tokenizer_training.count import SCHEMA, CountPretokens, read_totals, split_digits
from tokenizer_training.extend import is_chinese
from tokenizer_training.options import TrainingOptions
from tokenizer_training.roles import write_with_roles

SUMMARY_FILE = "summary.json"


@dataclasses.dataclass(eq=False)
class TrainTokenizer(TrainingOptions, ProductStage):
    """Learns a tokenizer from the kept text of all parts and writes `tokenizer.json` into its folder.

    Takes parts; gives one dict: what was asked for and what came of it. `summary.json` and the counts, in `counts/`,
    lie beside `tokenizer.json`. Its options are those of `TrainingOptions`, and:

    Attributes:
        weight_column: the column that says how often a document counts, such as `mixture_copies`; "" for once.
    """

    weight_column: ColumnOption = ""
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "tokenizer"
    version: ClassVar[int] = 4
    follows_in_pass: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: naming the stage, the option and its value.
        """
        ProductStage.__post_init__(self)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        return (
            parts
            | "CountPretokens" >> CountPretokens(self, self.folder, self.weight_column)
            | "Gather" >> Gather()
            | "Learn" >> beam.Map(_train, self, self.folder).with_output_types(dict[str, Any])
        )


def _train(paths: list[str], options: TrainingOptions, folder: str) -> dict[str, Any]:
    """Learn from the files of counts, write the tokenizer, and say what it became."""
    counts = read_totals(paths)
    files.remove(files.join(folder, "spill"))
    summary = write_tokenizer(train(counts, options), counts, 1, options, folder)
    note = "a vocabulary of {vocabulary:,} entries from {distinct_pretokens:,} distinct pre-tokens"
    if summary["vocabulary"] < summary["vocabulary_asked"]:
        note += "; the corpus has no more than that of the {vocabulary_asked:,} asked for"
    write_notes(folder, [note.format(**summary)])
    return summary


def write_tokenizer(
    tokenizer: TokenizerJson, counts: pa.Table, unit: int, options: TrainingOptions, folder: str
) -> dict[str, Any]:
    """Write `tokenizer.json` and `summary.json`, and return the latter: what was asked for and what came of it.

    Args:
        tokenizer: what was learnt.
        counts, unit: what it was learnt from, see `count.weighted`.
        options: what was asked for.
        folder: where to write.
    """
    files.make_folder(folder)
    write_with_roles(folder, tokenizer, options.roles)
    summary: dict[str, Any] = {
        "algorithm": options.algorithm,
        "vocabulary_asked": options.vocabulary + options.chinese,
        "vocabulary": len(tokenizer["model"]["vocab"]),
        "merges": len(tokenizer["model"]["merges"]),
        "pretokens": int(np.sum(counts.column("count").to_numpy())) // unit,
        "distinct_pretokens": len(counts),
    }
    if options.algorithm == "byte_fallback":
        summary["characters_covered"] = covered_share(counts, tokenizer)
    files.write_json(files.join(folder, SUMMARY_FILE), summary)
    return summary


def covered_share(counts: pa.Table, tokenizer: TokenizerJson) -> float:
    """The share of characters that have an entry, and are not spelt in bytes; 1.0 of none.

    Args:
        counts: a table of `count.SCHEMA`.
        tokenizer: of byte fallback.
    """
    totals = learn.character_counts(*text_buffers(counts.column("word")), counts.column("count").to_numpy())
    has_entry = [ord(entry) for entry in tokenizer["model"]["vocab"] if len(entry) == 1]
    return float(totals[has_entry].sum() / totals.sum()) if totals.any() else 1.0


def train(
    counts: pa.Table, options: TrainingOptions, progress: learn.Progress | None = None, *, unit: int = 1
) -> TokenizerJson:
    """Learn a tokenizer from pre-token counts.

    Args:
        counts: a table of `count.SCHEMA`, split by the pattern of `count.counting`.
        options: what to learn.
        progress: see `Learner.learn`.
        unit: what one occurrence counts, see `count.weighted`.
    """
    algorithm = options.rules
    counts = split_digits(counts, options.digits)
    by_character = algorithm.name == "byte_fallback"
    # What the learner does not see: the special tokens, and the bytes that characters fall back to.
    capacity = options.vocabulary - len(options.special_tokens) - 256 * by_character
    if by_character:
        always = options.alphabet + "".join(options.required_tokens)
        symbols = character_alphabet(counts, options.coverage, always, capacity)
    else:
        symbols = byte_alphabet()
    # Required tokens take part as words that occur once, so that the learner splits them as it does all others.
    required = pa.table([options.required_tokens, np.ones(len(options.required_tokens), np.int64)], schema=SCHEMA)
    words = pa.concat_tables([required, counts])
    numbers = words.column("count").to_numpy()
    learner = learn.start(words.column("word"), numbers, symbols, by_character=by_character)
    rules: dict[str, Any] = {
        "min_frequency": options.min_frequency * unit,
        "max_length": options.max_token_length,
        "progress": progress,
    }
    # The more is learnt, the fewer merges the required tokens still need.
    while (size := capacity - learner.merges_needed(len(required))) > len(learner.tokens):
        before = len(learner.tokens)
        learner.learn(size, allowed=is_piece if by_character and options.sentencepiece else None, **rules)
        if len(learner.tokens) == before:
            break
    learner.merge_words(len(required))
    learner.learn(len(learner.tokens) + options.chinese, allowed=is_chinese, **rules)
    return from_tokens(algorithm, learner.tokens, learner.merges, options.special_tokens)


def character_alphabet(counts: pa.Table, coverage: float, required: str, max_characters: int) -> list[bytes]:
    """The most frequent characters that make up a share of all, and some required ones, in order of code points.

    Args:
        counts: a table of `count.SCHEMA`.
        coverage: the share.
        required: characters to take first.
        max_characters: how many characters there may be.
    """
    totals = learn.character_counts(*text_buffers(counts.column("word")), counts.column("count").to_numpy())
    # SentencePiece's sign for a space: as a symbol of its own it would make the tokenizer impossible to express there.
    totals[ord(SENTENCEPIECE_SPACE)] = 0
    order = np.argsort(-totals, kind="stable")[: np.count_nonzero(totals)]
    cumulative = np.cumsum(totals[order])
    needed = int(np.searchsorted(cumulative, coverage * cumulative[-1])) + 1 if len(order) else 0
    chosen = dict.fromkeys([*map(ord, required), *order[:needed].tolist()])
    return [chr(code_point).encode() for code_point in sorted([*chosen][:max_characters])]
