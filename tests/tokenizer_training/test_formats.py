"""Tokenizers of others give the ids that their own libraries give."""

import base64
import hashlib
import io
import json
import pathlib

import pytest
import sentencepiece
import tiktoken
from hypothesis import given, settings
from tiktoken_ext.openai_public import r50k_pat_str

from tests.tokenizer_training.samples import (
    CORPUS,
    RANKS,
    SPLIT_TEXTS,
    TEXTS,
    real_base,
    sample,
    sentencepiece_model,
    trained,
)
from tokenizer_training.algorithms import CL100K_PATTERN, AlgorithmName
from tokenizer_training.encode import encoder_of
from tokenizer_training.export import export_ranks
from tokenizer_training.formats import (
    ENCODINGS,
    PATTERNS,
    SPECIAL_TOKENS,
    all_merges,
    from_ranks,
    from_sentencepiece,
    read_ranks,
    read_tokenizer,
    token_bytes,
)

RANKED = encoder_of(from_ranks(RANKS, CL100K_PATTERN, {"<|end|>": len(RANKS)}))
TIKTOKEN = tiktoken.Encoding(
    "test", pat_str=CL100K_PATTERN, mergeable_ranks=RANKS, special_tokens={"<|end|>": len(RANKS)}
)
MODELS = {prefix: sentencepiece_model(add_dummy_prefix=prefix) for prefix in (True, False)}
FROM_MODELS = {prefix: encoder_of(from_sentencepiece(model)) for prefix, model in MODELS.items()}
PROCESSORS = {prefix: sentencepiece.SentencePieceProcessor(model_proto=model) for prefix, model in MODELS.items()}


@settings(max_examples=500)
@given(TEXTS)
def test_ranks_give_the_ids_of_tiktoken(text: str) -> None:
    (ids,) = RANKED.encode_batch([text])
    assert ids.tolist() == TIKTOKEN.encode_ordinary(text)
    assert RANKED.decode(ids) == text


GPT2 = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=RANKS, special_tokens={})
AS_GPT2 = encoder_of(from_ranks(RANKS, ENCODINGS["gpt2"], {}))


@settings(max_examples=500)
@given(TEXTS | SPLIT_TEXTS)
def test_the_pattern_of_gpt2_is_that_of_tiktoken(text: str) -> None:
    assert AS_GPT2.encode_batch([text])[0].tolist() == GPT2.encode_ordinary(text)


@pytest.mark.parametrize("prefix", PROCESSORS)
@settings(max_examples=300)
@given(text=TEXTS)
def test_models_give_the_ids_of_sentencepiece(prefix: bool, text: str) -> None:
    text = text.replace("\0", "")  # its Python binding ends a text there
    (ids,) = FROM_MODELS[prefix].encode_batch([text])
    assert ids.tolist() == PROCESSORS[prefix].encode(text)


def test_other_models_are_refused() -> None:
    with pytest.raises(ValueError, match="must be of the type BPE"):
        unigram = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 20), model_writer=unigram, hard_vocab_limit=False, minloglevel=2
        )
        from_sentencepiece(unigram.getvalue())
    with pytest.raises(ValueError, match="must not normalize"):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 20), model_writer=model, model_type="bpe", vocab_size=60, minloglevel=2
        )
        from_sentencepiece(model.getvalue())


def test_all_splits_of_a_token_merge_in_the_order_of_ids() -> None:
    ids = {"a": 0, "b": 1, "ab": 2, "ba": 3, "aba": 4}
    assert all_merges(ids, ids) == [["a", "b"], ["b", "a"], ["a", "ba"], ["ab", "a"]]


@pytest.mark.parametrize("algorithm", ["byte_level", "byte_fallback"])
def test_the_bytes_of_tokens_are_the_text(algorithm: AlgorithmName) -> None:
    encoder = encoder_of(trained(algorithm))
    spelt = token_bytes(trained(algorithm))
    text = "the 中文 😀\n  x"
    (ids,) = encoder.encode_batch([text])
    assert b"".join(spelt[number] for number in ids.tolist()).decode() == text
    assert len(spelt) == encoder.vocabulary_size - 3


def test_the_sign_for_a_space_is_one() -> None:
    assert b" the" in token_bytes(from_sentencepiece(MODELS[True])).values()


def test_files_are_read_by_their_kind(tmp_path: pathlib.Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "tokenizer.json").write_text(json.dumps(trained("byte_level")))
    (tmp_path / "some.model").write_bytes(MODELS[True])
    export_ranks(trained("byte_level"), str(tmp_path / "some.tiktoken"))
    assert read_tokenizer(str(tmp_path / "folder")) == trained("byte_level")
    assert read_tokenizer(str(tmp_path / "folder" / "tokenizer.json")) == trained("byte_level")
    assert read_tokenizer(str(tmp_path / "some.model"))["model"]["unk_token"] == "<unk>"
    assert read_tokenizer(str(tmp_path / "some.tiktoken"), CL100K_PATTERN)["model"]["ignore_merges"]
    with pytest.raises(ValueError, match="give one"):
        read_tokenizer(str(tmp_path / "some.tiktoken"))
    with pytest.raises(ValueError, match="neither"):
        read_tokenizer(str(tmp_path / "some.txt"))


def test_ranks_are_lines_of_base64() -> None:
    line = base64.b64encode("中".encode()) + b" 7\n"
    assert read_ranks(line) == {"中".encode(): 7}


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


@pytest.mark.parametrize("algorithm", ["byte_level", "byte_fallback"])
def test_merges_as_strings_are_read_as_pairs(algorithm: AlgorithmName, tmp_path: pathlib.Path) -> None:
    tokenizer = trained(algorithm)
    merges = [pair for pair in tokenizer["model"]["merges"] if not any(" " in part for part in pair)]
    tokenizer["model"]["merges"] = merges
    model = {**tokenizer["model"], "merges": [" ".join(pair) for pair in merges]}
    del model["type"]  # nor did all files say it
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**tokenizer, "model": model}))
    assert read_tokenizer(str(path)) == read_tokenizer(str(tmp_path)) == tokenizer


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("not json", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"version": "1.0"}', "has no 'model'"),
        ("[]", "has no 'model'"),
        ('{"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}', "only BPE tokenizers can be read, this is Unigram"),
        ('{"model": {"type": "WordPiece", "vocab": {"a": 0}}}', "this is WordPiece"),
        ('{"model": {"vocab": {"a": 0}}}', "a model without a type"),
        ('{"model": {"type": "BPE", "vocab": [], "merges": []}}', "'vocab' of entries with ids"),
        ('{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a a"]}}', "merge 0 is not of two entries"),
        ('{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a"]]}}', "merge 0 is not of two entries"),
    ],
)
def test_what_is_no_bpe_is_refused_with_its_path(content: str, reason: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{path}: .*{reason}"):
        read_tokenizer(str(path))


def test_damaged_ranks_are_refused_with_their_line(tmp_path: pathlib.Path) -> None:
    lines = [f"{base64.b64encode(token).decode()} {rank}" for token, rank in sorted(RANKS.items(), key=lambda i: i[1])]
    path = tmp_path / "ranks.tiktoken"

    def read(changed: list[str]) -> dict[bytes, int]:
        path.write_text("\n".join(changed))
        tokenizer = read_tokenizer(str(path), CL100K_PATTERN)
        return {token: number for number, token in token_bytes(tokenizer).items()}

    assert read(lines) == RANKS
    assert read([*lines[:-1], "", lines[-1].split()[0] + " 99999"]) == {
        **RANKS,
        max(RANKS, key=RANKS.__getitem__): 99999,
    }
    for changed, reason in (
        ([*lines, "dGhl"], f"line {len(lines) + 1}: not a token in base 64 and a rank"),
        ([*lines, "dGhl x"], "not a token in base 64 and a rank"),
        ([*lines, "dGhl -1"], "not a token in base 64 and a rank"),
        ([*lines, "d!Ghl 999"], "no base 64"),
        ([*lines, lines[3]], r"the token b'\\x03' has the rank 3 already"),
        ([*lines, "enp6eno= 7"], "the rank 7 stands in line 8 already"),
        (lines[:0x41] + lines[0x43:], "the byte 0x41 has no rank, and 1 more have none"),
    ):
        with pytest.raises(ValueError, match=reason) as failure:
            read(changed)
        assert str(failure.value).startswith(str(path))


def test_encodings_have_a_name(
    shared_data: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    address = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    path = shared_data / "tokenizers" / "cl100k_base.tiktoken"
    (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_bytes(path.read_bytes())
    assert read_tokenizer("cl100k_base") == read_tokenizer(str(path))


def test_a_run_gives_its_tokenizer(tmp_path: pathlib.Path) -> None:
    (tmp_path / "out" / "tokenizer").mkdir(parents=True)
    (tmp_path / "out" / "tokenizer" / "tokenizer.json").write_text(json.dumps(trained("byte_level")))
    assert read_tokenizer(str(tmp_path / "out")) == trained("byte_level")
