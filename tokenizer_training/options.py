"""What can be chosen in training: the options of the stage `tokenizer` and of `datapipe tokenizer train`, said once.

Recipes, the command line with its help, and the trainer all take them from here.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Literal

from annotated_types import Ge

from datapipe.checks import Count, PositiveShare, check_known, check_options
from tokenizer_training.algorithms import ALGORITHMS, CHATML, SENTENCEPIECE_SPACE, Algorithm, AlgorithmName


@dataclasses.dataclass(eq=False)
class TrainingOptions:
    """How a tokenizer is trained.

    Attributes:
        vocabulary: how many entries to learn on the whole corpus, special tokens and bytes included.
        chinese: how many more entries to learn for Chinese on top; they leave text without Han exactly as it was.
        algorithm: "byte_level" (bytes: Qwen) or "byte_fallback" (characters, and bytes for rare ones: LLaMA, Baichuan),
            which SentencePiece can read.
        digits: how many digits may stand in one token, from the left: 1 (LLaMA, Qwen, Baichuan) or, for byte_level, 3
            (GPT-4, Llama 3).
        sentencepiece: for byte_fallback, only tokens that SentencePiece, too, finds in every text: white space before
            the rest and once, or alone. Without, indented code takes fewer tokens, and the export to SentencePiece and
            GGUF is refused.
        min_frequency: a pair that occurs less often is not merged.
        max_token_length: the longest token, in characters for byte_fallback and bytes for byte_level. (HuggingFace's
            option of that name allows one less.)
        coverage: for byte_fallback, the share of the corpus' characters that get an entry of their own; the rest is
            spelt in bytes. LLaMA takes 0.99995, Baichuan 2 0.9999.
        alphabet: for byte_fallback, characters that get an entry however rare.
        required_tokens: strings that become one token each, wherever they stand alone as a pre-token.
        special_tokens: entries that no text is encoded to, ids from 0.
        bos: of these, the one that begins a text; "" names none. Roles go into `tokenizer_config.json`.
        eos: the one that ends it.
        pad: the one that fills up rows.
        unk: the one that stands for what is unknown.
        sample_threshold: where there are many distinct pre-tokens, those that occur less often are sampled, without
            bias; 1 samples none.
    """

    vocabulary: Count = 40000
    chinese: Annotated[int, Ge(0)] = 0
    algorithm: AlgorithmName = "byte_level"
    digits: Literal[1, 3] = 1
    sentencepiece: bool = True
    min_frequency: Count = 2
    max_token_length: Count = 32
    coverage: PositiveShare = 0.9999
    alphabet: str = ""
    required_tokens: list[str] = dataclasses.field(default_factory=list)
    special_tokens: list[str] = dataclasses.field(default_factory=lambda: list(CHATML))
    bos: str = ""
    eos: str = ""
    pad: str = ""
    unk: str = ""
    sample_threshold: Count = 10

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: naming the option and its value.
        """
        check_options("tokenizer", self)
        self.check()

    def check(self) -> None:
        """The vocabulary holds what must be in it; special tokens are never text, required ones always one pre-token.

        Raises:
            ValueError: naming the option and its value.
        """
        min_vocabulary = len(self.special_tokens) + 256
        if self.vocabulary < min_vocabulary:
            raise ValueError(
                f"tokenizer: vocabulary must hold the special tokens and 256 bytes, at least {min_vocabulary}, "
                f"got {self.vocabulary!r}"
            )
        if self.digits != 1 and self.algorithm == "byte_fallback":
            raise ValueError(f"tokenizer: digits must be 1 for byte_fallback, as in SentencePiece, got {self.digits!r}")
        check_special_tokens(self.special_tokens, self.rules)
        for role, token in self.roles.items():
            check_known(f"tokenizer: {role} must be one of special_tokens, got", token, self.special_tokens)
        check_required_tokens(self.required_tokens, self.rules)

    @property
    def roles(self) -> dict[str, str]:
        """The special tokens that have a role, by role."""
        named = {"bos": self.bos, "eos": self.eos, "pad": self.pad, "unk": self.unk}
        return {role: token for role, token in named.items() if token}

    @property
    def rules(self) -> Algorithm:
        """The algorithm, with its digits."""
        return ALGORITHMS[self.algorithm].with_digits(self.digits)


def check_special_tokens(special_tokens: Sequence[str], algorithm: Algorithm) -> None:
    """Refuse special tokens that text could be merged into: a token never crosses a pre-token, so two of them are safe.

    Raises:
        ValueError: if a special token is empty, given twice, or is one pre-token of the algorithm.
    """
    for token in special_tokens:
        if special_tokens.count(token) > 1 or len(_pretokens(token, algorithm)) < 2:
            raise ValueError(
                f"tokenizer: special_tokens: {token!r} is given twice, or plain text could spell it as one token; "
                "write it such as '<|name|>'"
            )


def check_required_tokens(required_tokens: Sequence[str], algorithm: Algorithm) -> None:
    """Refuse required tokens that the pattern would split, since no token spans two pre-tokens.

    Raises:
        ValueError: naming the first such token and its pieces.
    """
    for token in required_tokens:
        pieces = _pretokens(token, algorithm)
        if required_tokens.count(token) > 1 or SENTENCEPIECE_SPACE in token or len(pieces) != 1:
            raise ValueError(f"tokenizer: required_tokens: {token!r} is given twice or cannot be one token: {pieces}")


def _pretokens(token: str, algorithm: Algorithm) -> list[str]:
    # By the regular expression and not by the kernel: options are checked before anything is compiled.
    from tokenizers import Regex, pre_tokenizers  # here, as in `algorithms.py`

    splitter = pre_tokenizers.Split(Regex(algorithm.pattern), "isolated")
    return [piece for piece, _ in splitter.pre_tokenize_str(token)]
