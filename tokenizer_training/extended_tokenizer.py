"""More tokens for a base tokenizer, learnt from a run's own corpus: Qwen's prune, extend and append; Skywork's words.

The algorithm is `extend.py`; here is the stage, which counts by many workers as `tokenizer.py` does.
"""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

import apache_beam as beam
import pyarrow as pa
from annotated_types import Ge, MinLen

from datapipe.checks import ColumnOption, Count, FilesOption, PositiveShare
from datapipe.flow.gather import Gather
from datapipe.stage import ProductStage, write_notes
from datapipe.store import files
from datapipe.store.corpus import Part, PartKind
from tokenizer_training import extend as extension
from tokenizer_training.algorithms import CL100K_PATTERN, QWEN_PATTERN, AlgorithmName, TokenizerJson, added_token
from tokenizer_training.count import CountPretokens, read_totals
from tokenizer_training.encode import encoder_of
from tokenizer_training.formats import read_tokenizer
from tokenizer_training.learn import Allowed
from tokenizer_training.options import TrainingOptions
from tokenizer_training.prune import prune
from tokenizer_training.roles import read_roles, write_with_roles
from tokenizer_training.tokenizer import SUMMARY_FILE

RULES: dict[str, Allowed] = {
    "han": extension.is_chinese,
    "punctuated": extension.is_chinese_or_punctuated,
    "any": extension.is_whole,
}


def is_character(token: bytes) -> bool:
    """Whether a token is one character, or the first bytes of one.

    >>> is_character("中".encode()), is_character("中国".encode()), is_character("中".encode()[:2])
    (True, False, True)
    """
    try:
        return len(token.decode()) == 1
    except UnicodeDecodeError:
        return extension.is_whole(token)


def append_special(tokenizer: TokenizerJson, names: list[str]) -> TokenizerJson:
    """The tokenizer with special tokens after all it has, in order.

    Raises:
        ValueError: if it has one of them.
    """
    there = {token["content"] for token in tokenizer["added_tokens"]} | tokenizer["model"]["vocab"].keys()
    twice = [name for number, name in enumerate(names) if name in there or name in names[:number]]
    if twice:
        raise ValueError(f"special_tokens: the tokenizer has {twice[0]!r} already, or it is named twice")
    ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]
    added = [added_token(name, number) for number, name in enumerate(names, max(ids) + 1)]
    return {**tokenizer, "added_tokens": [*tokenizer["added_tokens"], *added]}


@dataclasses.dataclass(eq=False)
class ExtendTokenizer(ProductStage):
    """Adds tokens to a base and writes `tokenizer.json` into its folder: what the base had keeps its ids.

    First digits are made to stand alone, then come single characters, then tokens of several, then special tokens.
    Takes parts; gives one dict: what was asked for and what came of it, also in `summary.json`.

    Attributes:
        base: see `datapipe tokenizer extend`: a tokenizer.json, ranks of tiktoken's, or a SentencePiece model.
        drop_special: whether the special tokens of the base go, as Qwen has its own, ids closing up.
        single_digits: whether to drop the tokens of several digits, ids closing up, as Qwen did to cl100k_base.
        characters: how many single characters to add that the base spells in bytes, the most frequent first.
        size: how many tokens to add then at most.
        rule: what these may be: "han", "punctuated" (Han after one punctuation mark), or "any" whole characters.
        words: a list of words and frequencies to learn from instead of the corpus; see `datapipe tokenizer extend`.
        min_frequency: a pair that occurs less often is not merged.
        coverage: the share of characters in what is learnt from that get an entry before the merges, with byte
            fallback and where `characters` asks for none.
        special_tokens: entries that no text is encoded to, after all others.
        weight_column: the column that says how often a document counts, such as `mixture_copies`; "" for once.
    """

    base: Annotated[FilesOption, MinLen(1)]
    drop_special: bool = False
    single_digits: bool = False
    characters: Annotated[int, Ge(0)] = 0
    size: Annotated[int, Ge(0)] = 20_000
    rule: Literal["han", "punctuated", "any"] = "han"
    words: FilesOption = ""
    min_frequency: Count = TrainingOptions.min_frequency
    coverage: PositiveShare = TrainingOptions.coverage
    special_tokens: list[str] = dataclasses.field(default_factory=list)
    weight_column: ColumnOption = ""
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "extended_tokenizer"

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def skip_reason(self) -> str | None:
        """Why there is nothing to do: a file of the user's that is not there."""
        absent = [path for path in (self.base, self.words) if path and not files.exists(path)]
        return f"no such file: {absent[0]}" if absent else None

    @staticmethod
    def algorithm(base: TokenizerJson) -> AlgorithmName:
        """By whose pattern pre-tokens are counted: of one that splits like neither, only runs of Han are whole."""
        return "byte_level" if extension.pattern_of(base) in (QWEN_PATTERN, CL100K_PATTERN) else "byte_fallback"

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        options = TrainingOptions(algorithm=self.algorithm(read_tokenizer(self.base)))
        return (
            parts
            | "CountPretokens" >> CountPretokens(options, self.folder, self.weight_column)
            | "Gather" >> Gather()
            | "Extend" >> beam.Map(self._extend).with_output_types(dict[str, Any])
        )

    def grown(self, tokenizer: TokenizerJson, counts: pa.Table) -> tuple[TokenizerJson, dict[str, int]]:
        """The base with what the options add, and how many entries of each kind.

        Args:
            tokenizer: the base.
            counts: a table of `count.SCHEMA`, pre-tokens of the algorithm that `expand` counts by.
        """
        had = len(tokenizer["model"]["vocab"])
        if self.drop_special:
            tokenizer, _ = prune(tokenizer, [token["id"] for token in tokenizer["added_tokens"]])
        if self.single_digits:
            tokenizer = extension.with_single_digits(tokenizer)
        before = len(tokenizer["model"]["vocab"])

        def learn(tokenizer: TokenizerJson, size: int, allowed: Allowed, coverage: float) -> TokenizerJson:
            runs = extension.count_runs(counts, encoder_of(tokenizer), extension.mergeable(tokenizer, allowed))
            return extension.extend(
                tokenizer, runs, size, allowed=allowed, min_frequency=self.min_frequency, coverage=coverage
            )

        if self.characters:
            tokenizer = learn(tokenizer, self.characters, is_character, 1.0)
        characters = len(tokenizer["model"]["vocab"]) - before
        if self.size and self.words:
            with files.open_input(self.words) as source:
                runs = extension.word_runs(tokenizer, extension.read_words(bytes(source.read()).decode()))
            tokenizer = extension.extend(
                tokenizer, runs, self.size, allowed=extension.is_whole, min_frequency=self.min_frequency
            )
        elif self.size:
            tokenizer = learn(tokenizer, self.size, RULES[self.rule], 0.0 if self.characters else self.coverage)
        words = len(tokenizer["model"]["vocab"]) - before - characters
        tokenizer = append_special(tokenizer, self.special_tokens)
        ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]
        return tokenizer, {
            "base": had,
            "dropped": had - before,
            "characters": characters,
            "tokens": words,
            "special_tokens": len(self.special_tokens),
            "vocabulary": max(ids) + 1,
        }

    def _extend(self, paths: list[str]) -> dict[str, Any]:
        counts = read_totals(paths)
        files.remove(files.join(self.folder, "spill"))
        tokenizer, summary = self.grown(read_tokenizer(self.base), counts)
        write_with_roles(self.folder, tokenizer, read_roles(self.base))
        files.write_json(files.join(self.folder, SUMMARY_FILE), summary)
        note = (
            "{base:,} entries, less {dropped:,} of several digits, and {characters:,} characters, {tokens:,} tokens "
            "and {special_tokens:,} special tokens more: {vocabulary:,}"
        )
        write_notes(self.folder, [note.format(**summary)])
        return summary
