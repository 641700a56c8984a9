"""What several of these tests need: short texts, tokenizers of each kind, samples of the shared corpora."""

import functools
import io
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import sentencepiece
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from tokenizer_training.algorithms import (
    ALGORITHMS,
    CL100K_PATTERN,
    Algorithm,
    AlgorithmName,
    TokenizerJson,
    added_token,
)
from tokenizer_training.cells import NONE, Words, lay_out, words_in_cells
from tokenizer_training.count import count_pretokens
from tokenizer_training.encode import Encoder, encoder_of
from tokenizer_training.extend import learn_from
from tokenizer_training.formats import from_ranks, from_sentencepiece, read_tokenizer
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import train

CORPUS = [
    "the cat sat on the mat, the end. " * 3,
    "中文文本，中文分词。" * 3,
    "    indented  code\n\n" * 3,
    "1 2 12 ２０",
]
CHINESE = ["机器学习模型需要大量的中文数据。" * 3, "，机器学习也需要计算，模型龘龘龘。" * 3, "中文，机器学习"]

_AWKWARD = [
    *" \n\r\t\0\x7f\x85\xa0\u2028\u3000\u200b\u200c\u200d\u202e\u2066\ufeff\ufffd\ud7ff\ue000",
    *("<0x0A>", "<|endoftext|>", "<|im_start|>", "▁", "Ġ", "the", "中文"),
    *("👩‍👩‍👧", "🇨🇳", "e\u0301", "\U0010ffff", "１", "٣"),
]
# Texts that may look like tokens, or have something that is easily lost.
TEXTS = st.lists(st.one_of(st.sampled_from(_AWKWARD), st.text(max_size=5)), max_size=8).map("".join)

_SPLITTING = [
    *" \n\r\t'\u3000\xa0\x85\u2028\u200b\u200d\u180e\0",
    *"aSsſTtmdrveElLé中文アー〇1２٣½Ⅷ-。，<|😀\u0301\U00020000\U000e0100",
]
# Texts whose pre-tokens are easily mistaken.
SPLIT_TEXTS = st.text(st.one_of(st.sampled_from(_SPLITTING), st.characters(exclude_categories=["Cs"])), max_size=30)


@functools.cache
def _splitter(algorithm: Algorithm) -> pre_tokenizers.Split:
    return pre_tokenizers.Split(Regex(algorithm.pattern), "isolated")


def pretokens(text: str, algorithm: Algorithm) -> list[str]:
    """The pre-tokens of a text by the regular expression itself."""
    return [piece for piece, _ in _splitter(algorithm).pre_tokenize_str(text)]


# Each with the digits that it can have.
SPLITTING_RULES = [*ALGORITHMS.values(), *(algorithm.with_digits(3) for algorithm in ALGORITHMS.values())]


@functools.cache
def _trained(algorithm: AlgorithmName) -> str:
    options = TrainingOptions(algorithm=algorithm, vocabulary=400, chinese=8000, min_frequency=1)
    counts = count_pretokens([pa.array(CORPUS)], ALGORITHMS[algorithm])
    return json.dumps(train(counts, options))


def trained(algorithm: AlgorithmName) -> TokenizerJson:
    """A tokenizer of this project, trained on `CORPUS`; a new one each time, to be changed at will."""
    return json.loads(_trained(algorithm))


def in_cells(words: Sequence[str], counts: Sequence[int] | None = None, *, by_character: bool = True) -> Words:
    """Words in cells whose symbols are their code points or bytes, but for "b", which cannot be merged."""
    data = np.frombuffer("".join(words).encode(), np.uint8)
    offsets = np.cumsum([0, *(len(word.encode()) for word in words)])
    cells, starts = np.full(len(data) + len(words) + 2, NONE, np.int32), np.zeros(len(words) + 1, np.int64)
    ids = np.arange(0x110000, dtype=np.int32)
    ids[ord("b")] = -1
    used = lay_out(data, offsets, ids, by_character, cells, starts)
    return words_in_cells(cells[: used + 1], starts, np.array(counts or [1] * len(words), np.int64))


def _ranks() -> dict[bytes, int]:
    """The bytes; then, twice over, the beginnings and ends of some words: so each is made of two others."""
    ranks = {token: number for number, token in enumerate([bytes([byte]) for byte in range(256)])}
    for _ in range(2):
        for word in (b" the", b"cat", "中文".encode(), "，".encode(), b"aaaa"):
            for cut in range(2, len(word) + 1):
                ranks.setdefault(word[:cut], len(ranks))
                ranks.setdefault(word[-cut:], len(ranks))
    return ranks


RANKS = _ranks()


@functools.cache
def sentencepiece_model(**options: Any) -> bytes:
    """A model of SentencePiece's own trainer on `CORPUS`, BPE with byte fallback."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 20),
        model_writer=model,
        model_type="bpe",
        vocab_size=340,
        normalization_rule_name="identity",
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        remove_extra_whitespaces=False,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


# One tokenizer of each kind that can be extended, pruned and compared.
BASES: dict[str, Callable[[], TokenizerJson]] = {
    "byte_level": lambda: trained("byte_level"),
    "byte_fallback": lambda: trained("byte_fallback"),
    "ranks": lambda: from_ranks(RANKS, CL100K_PATTERN, {"<|end|>": len(RANKS) + 5}),
    "sentencepiece": lambda: from_sentencepiece(sentencepiece_model(add_dummy_prefix=True)),
}


@functools.cache
def with_chinese(name: str) -> TokenizerJson:
    """A base with 30 more tokens, learnt from `CHINESE`."""
    return learn_from(BASES[name](), [pa.array(CHINESE)], 30)


def sample(shared_data: pathlib.Path, every: int = 300) -> list[str]:
    """Some documents of each shared corpus but the largest."""
    texts: list[str] = []
    for name in ("code-python", "en-c4-300", "multi-docs", "multi-templated", "zh-poetry"):
        table = polars.read_ndjson(shared_data / "corpora" / f"{name}.jsonl.zst")
        texts += table.get_column("text").to_list()[::every]
    return texts


@functools.cache
def real_base(shared_data: pathlib.Path, name: str) -> tuple[TokenizerJson, Encoder]:
    """A published tokenizer, with its encoder."""
    tokenizer = read_tokenizer(str(shared_data / "tokenizers" / name))
    return tokenizer, encoder_of(tokenizer)


def with_special_tokens(tokenizer: TokenizerJson, tokens: Sequence[str]) -> TokenizerJson:
    """A tokenizer with more special tokens, at the highest ids."""
    ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]
    present = {token["content"] for token in tokenizer["added_tokens"]}
    new = [token for token in tokens if token not in present]
    added = [added_token(token, number) for number, token in enumerate(new, max(ids) + 1)]
    return tokenizer | {"added_tokens": tokenizer["added_tokens"] + added}
