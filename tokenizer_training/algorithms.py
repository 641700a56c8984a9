"""The two algorithms of tokenizers: how text falls into pre-tokens, what the smallest symbols are, how a file says so.

Both are lossless: no normalizer, no dummy prefix, no symbol that text could spell by accident. Digits are split by
the pattern itself (`\\p{N}`: also full-width digits and those of other scripts); the separate `Digits` splitter would
change how white space splits.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from datapipe.text.chat_names import CHATML as CHATML

if TYPE_CHECKING:
    from tokenizers import Tokenizer

AlgorithmName = Literal["byte_level", "byte_fallback"]

# The content of a `tokenizer.json`.
TokenizerJson = dict[str, Any]


SENTENCEPIECE_SPACE = "▁"  # how SentencePiece writes a space in its pieces

# Han, kana and their iteration and length marks: scripts written without spaces, which SentencePiece, too, splits from
# the others and not among themselves. Code points are spelt out, so that no Unicode version changes the meaning.
CJK_RANGES = (
    (0x3005, 0x3006),
    (0x3041, 0x3096),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x20000, 0x323AF),
)
_CJK = "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK_RANGES)

# Qwen's pattern: cl100k_base's with `\p{N}{1,3}` -> `\p{N}`.
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CL100K_PATTERN = QWEN_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
# What SentencePiece does with split_by_unicode_script, split_digits and allow_whitespace_only_pieces: spaces belong to
# the run that follows them; a run is CJK, other letters with their marks, or neither; other white space stands alone.
# Baichuan 2 and LLaMA train so. With `is_piece`, no token can cross from one pre-token to the next, wherever it stands:
# so SentencePiece, which does not split when it encodes, finds the same tokens.
SENTENCEPIECE_PATTERN = (
    rf"\p{{N}}| *[{_CJK}]+| *[^\s\p{{N}}\p{{P}}\p{{S}}\p{{C}}{_CJK}]+| *[^\s\p{{N}}\p{{L}}\p{{M}}{_CJK}]+"
    r"|[^\S ]+| +"
)

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """How a tokenizer reads text.

    Attributes:
        name: "byte_level" (GPT-2, Qwen: symbols are bytes) or "byte_fallback" (LLaMA, Baichuan: symbols are characters,
            and the bytes of the characters left out).
        pattern: the regular expression that finds pre-tokens, in Oniguruma's syntax.
        digits: how many digits a pre-token has at most.
    """

    name: AlgorithmName
    pattern: str
    digits: int = 1

    def with_digits(self, digits: int) -> "Algorithm":
        """The same with up to so many digits together, from the left: cl100k (GPT-4) and Llama 3 have three."""
        if digits == self.digits:
            return self
        pattern = self.pattern.replace(r"\p{N}|", rf"\p{{N}}{{1,{digits}}}|", 1)
        return dataclasses.replace(self, pattern=pattern, digits=digits)


ALGORITHMS: dict[AlgorithmName, Algorithm] = {
    "byte_level": Algorithm("byte_level", QWEN_PATTERN),
    "byte_fallback": Algorithm("byte_fallback", SENTENCEPIECE_PATTERN),
}


@functools.cache
def byte_characters() -> tuple[str, ...]:
    """The printable character that stands for each byte in a byte-level vocabulary, by GPT-2's table."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return tuple(table[byte] for byte in range(256))


def byte_alphabet() -> list[bytes]:
    """The 256 bytes in the order of HuggingFace's ids: by the character that stands for each."""
    return sorted((bytes([byte]) for byte in range(256)), key=lambda symbol: byte_characters()[symbol[0]])


def is_piece(token: bytes) -> bool:
    """Whether SentencePiece would make a token of these bytes: white space stands before the rest, once, or alone."""
    return not token.startswith(b"  ") or not token.strip(b" ")


def byte_token(byte: int) -> str:
    """The vocabulary entry of a byte, with byte fallback."""
    return f"<0x{byte:02X}>"


def added_token(token: str, number: int, *, special: bool = True) -> dict[str, Any]:
    """An entry of `added_tokens`."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": token, **flags, "special": special}


def bpe(vocabulary: Mapping[str, int], merges: Sequence[Sequence[str]], **changes: Any) -> dict[str, Any]:
    """The `model` of a `tokenizer.json`."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        **changes,
        "vocab": dict(vocabulary),
        "merges": [[*pair] for pair in merges],
    }


def tokenizer_json(
    model: Mapping[str, Any],
    added_tokens: Sequence[Mapping[str, Any]],
    pre_tokenizer: Mapping[str, Any] | None,
    decoder: Mapping[str, Any],
    normalizer: Mapping[str, Any] | None = None,
) -> TokenizerJson:
    """A `tokenizer.json` of these parts."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [dict(token) for token in added_tokens],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }


def split_by(pattern: str) -> dict[str, Any]:
    """The pre-tokenizer that splits by a regular expression."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def from_tokens(
    algorithm: Algorithm,
    tokens: Sequence[bytes],
    merges: Sequence[tuple[int, int]],
    special_tokens: Sequence[str],
) -> TokenizerJson:
    """A HuggingFace `tokenizer.json`: special tokens first, then (byte fallback) the bytes, then `tokens` in order.

    With byte fallback the bytes stand in the model's vocabulary only, never among the added tokens: so a text that
    spells `<0x0A>` stays that text.

    Args:
        algorithm: what the tokens were learnt by.
        tokens: the symbols, then the learnt tokens, as bytes of UTF-8 text, in order of ids.
        merges: the learnt pairs, as positions in `tokens`, in order of rank.
        special_tokens: never the result of encoding a document; ids from 0.
    """
    if algorithm.name == "byte_level":
        characters = byte_characters()
        spelt = ["".join(characters[byte] for byte in token) for token in tokens]
        names = [*special_tokens, *spelt]
        pre_tokenizer = {"type": "Sequence", "pretokenizers": [split_by(algorithm.pattern), BYTE_LEVEL]}
        decoder = BYTE_LEVEL
    else:
        spelt = [token.decode() for token in tokens]
        names = [*special_tokens, *(byte_token(byte) for byte in range(256)), *spelt]
        pre_tokenizer = split_by(algorithm.pattern)
        decoder = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}
    vocabulary = {name: number for number, name in enumerate(names)}
    if len(vocabulary) != len(names):
        raise ValueError("a learnt token is spelt like a special token or a byte")
    # A pair can be merged twice. HuggingFace keeps its last rank in the file, here it is the first, as it was learnt.
    pairs = dict.fromkeys((spelt[left], spelt[right]) for left, right in merges)
    return tokenizer_json(
        bpe(vocabulary, list(pairs), byte_fallback=algorithm.name == "byte_fallback"),
        [added_token(token, number) for number, token in enumerate(special_tokens)],
        pre_tokenizer,
        decoder,
    )


def load(tokenizer: TokenizerJson) -> "Tokenizer":
    """The tokenizer that a `tokenizer.json` describes."""
    from tokenizers import Tokenizer  # here: the command line knows the options of training, and seldom trains

    return Tokenizer.from_str(json.dumps(tokenizer))
