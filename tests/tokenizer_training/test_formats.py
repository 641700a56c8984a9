"""Tokenizers of others give the ids that their own libraries give."""

import base64
import functools
import io
import json
import pathlib
from typing import Any

import polars
import pytest
import sentencepiece
import tiktoken
from hypothesis import given, settings

from tests.tokenizer_training.test_algorithms import CORPUS, TEXTS, document
from tokenizer_training.algorithms import TokenizerJson
from tokenizer_training.encode import Encoder, encoder_of
from tokenizer_training.export import export_ranks
from tokenizer_training.formats import (
    CL100K_PATTERN,
    PATTERNS,
    SPECIAL_TOKENS,
    all_merges,
    from_ranks,
    from_sentencepiece,
    read_ranks,
    read_tokenizer,
    token_bytes,
)


def sentencepiece_model(**options: Any) -> bytes:
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


RANKS = {token: number for number, token in enumerate([bytes([byte]) for byte in range(256)])}
for _ in range(2):  # every pair of the first words, then pairs of those
    for word in (b" the", b"cat", "中文".encode(), "，".encode(), b"aaaa"):
        for cut in range(2, len(word) + 1):
            RANKS.setdefault(word[:cut], len(RANKS))
            RANKS.setdefault(word[-cut:], len(RANKS))
RANKED = encoder_of(from_ranks(RANKS, CL100K_PATTERN, {"<|end|>": len(RANKS)}))
TIKTOKEN = tiktoken.Encoding(
    "test", pat_str=CL100K_PATTERN, mergeable_ranks=RANKS, special_tokens={"<|end|>": len(RANKS)}
)
MODELS = {prefix: sentencepiece_model(add_dummy_prefix=prefix) for prefix in (True, False)}


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_ranks_give_the_ids_of_tiktoken(text: str) -> None:
    (ids,) = RANKED.encode_batch([text])
    assert ids.tolist() == TIKTOKEN.encode_ordinary(text)
    assert RANKED.decode(ids) == text


@pytest.mark.parametrize("prefix", MODELS)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_models_give_the_ids_of_sentencepiece(prefix: bool, text: str) -> None:
    text = text.replace("\0", "")  # its Python binding ends a text there
    (ids,) = FROM_MODELS[prefix].encode_batch([text])
    assert ids.tolist() == PROCESSORS[prefix].encode(text)


FROM_MODELS = {prefix: encoder_of(from_sentencepiece(model)) for prefix, model in MODELS.items()}
PROCESSORS = {prefix: sentencepiece.SentencePieceProcessor(model_proto=model) for prefix, model in MODELS.items()}


def test_other_models_are_refused() -> None:
    with pytest.raises(ValueError, match="must be of the kind BPE"):
        unigram = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 20), model_writer=unigram, hard_vocab_limit=False, minloglevel=2
        )
        from_sentencepiece(unigram.getvalue())
    with pytest.raises(ValueError, match="must not normalise"):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 20), model_writer=model, model_type="bpe", vocab_size=60, minloglevel=2
        )
        from_sentencepiece(model.getvalue())


def test_all_splits_of_a_token_merge_in_the_order_of_ids() -> None:
    ids = {"a": 0, "b": 1, "ab": 2, "ba": 3, "aba": 4}
    assert all_merges(ids, ids) == [["a", "b"], ["b", "a"], ["a", "ba"], ["ab", "a"]]


@pytest.mark.parametrize("algorithm", ["byte_level", "byte_fallback"])
def test_the_bytes_of_tokens_are_the_text(algorithm: str) -> None:
    encoder = encoder_of(document(algorithm))
    spelt = token_bytes(document(algorithm))
    text = "the 中文 😀\n  x"
    (ids,) = encoder.encode_batch([text])
    assert b"".join(spelt[number] for number in ids.tolist()).decode() == text
    assert len(spelt) == encoder.vocabulary_size - 3


def test_the_sign_for_a_space_is_one() -> None:
    assert " the" in {
        token.decode(errors="replace") for token in token_bytes(from_sentencepiece(MODELS[True])).values()
    }


def test_files_are_read_by_their_kind(tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "tokenizer.json").write_text(json.dumps(document("byte_level")))
    (tmp_path / "some.model").write_bytes(MODELS[True])
    export_ranks(document("byte_level"), str(tmp_path / "some.tiktoken"))
    assert read_tokenizer(str(tmp_path / "folder")) == document("byte_level")
    assert read_tokenizer(str(tmp_path / "folder" / "tokenizer.json")) == document("byte_level")
    assert read_tokenizer(str(tmp_path / "some.model"))["model"]["unk_token"] == "<unk>"
    assert read_tokenizer(str(tmp_path / "some.tiktoken"), CL100K_PATTERN)["model"]["ignore_merges"]
    with pytest.raises(ValueError, match="give one"):
        read_tokenizer(str(tmp_path / "some.tiktoken"))
    with pytest.raises(ValueError, match="neither"):
        read_tokenizer(str(tmp_path / "some.txt"))


def test_ranks_are_lines_of_base64() -> None:
    line = base64.b64encode("中".encode()) + b" 7\n"
    assert read_ranks(line) == {"中".encode(): 7}


def sample(shared_data: pathlib.Path, every: int = 300) -> list[str]:
    """Some documents of each shared corpus but the largest."""
    texts: list[str] = []
    for name in ("code-python", "en-c4-300", "multi-docs", "multi-templated", "zh-poetry"):
        table = polars.read_ndjson(shared_data / "corpora" / f"{name}.jsonl.zst")
        texts += table.get_column("text").to_list()[::every]
    return texts


@functools.cache
def real_base(shared_data: pathlib.Path, name: str) -> tuple[TokenizerJson, Encoder]:
    tokenizer = read_tokenizer(str(shared_data / "tokenizers" / name))
    return tokenizer, encoder_of(tokenizer)


def test_real_ranks_are_exact_on_real_text(shared_data: pathlib.Path) -> None:
    _, encoder = real_base(shared_data, "cl100k_base.tiktoken")
    oracle = tiktoken.Encoding(
        "cl100k_base",
        pat_str=PATTERNS["cl100k_base"],
        mergeable_ranks=read_ranks((shared_data / "tokenizers" / "cl100k_base.tiktoken").read_bytes()),
        special_tokens=SPECIAL_TOKENS["cl100k_base"],
    )
    texts = sample(shared_data)
    for text, ids in zip(texts, encoder.encode_batch(texts), strict=True):
        assert ids.tolist() == oracle.encode_ordinary(text)


def test_a_real_model_is_exact_on_real_text(shared_data: pathlib.Path) -> None:
    _, encoder = real_base(shared_data, "mistral_v1_32k.spm.model")
    path = str(shared_data / "tokenizers" / "mistral_v1_32k.spm.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=path)
    texts = sample(shared_data)
    for text, ids in zip(texts, encoder.encode_batch(texts), strict=True):
        assert ids.tolist() == processor.encode(text)
