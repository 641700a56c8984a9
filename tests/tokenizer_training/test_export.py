"""What is exported is read back by its own library with the same ids."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import gguf
import pyarrow as pa
import pytest
import sentencepiece
import tiktoken
from hypothesis import given, settings
from tiktoken.load import load_tiktoken_bpe
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.tokenizer_training.samples import BASES, CORPUS, TEXTS, sample, trained, with_chinese
from tokenizer_training.algorithms import ALGORITHMS, AlgorithmName, TokenizerJson, load
from tokenizer_training.count import count_pretokens
from tokenizer_training.encode import encoder_of
from tokenizer_training.export import (
    CHATML_TEMPLATE,
    export_gguf,
    export_ranks,
    export_sentencepiece,
    export_transformers,
)
from tokenizer_training.formats import from_sentencepiece
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import train

MESSAGES = [{"role": "user", "content": "中文?"}, {"role": "assistant", "content": "the end"}]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_transformers_folder_loads_with_its_template(algorithm: AlgorithmName, tmp_path: pathlib.Path) -> None:
    export_transformers(trained(algorithm), str(tmp_path))
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    encoder = encoder_of(trained(algorithm))
    for text in CORPUS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == encoder.encode_batch([text])[0].tolist()
        assert tokenizer.decode(ids) == text
    rendered = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert rendered == (
        "<|im_start|>user\n中文?<|im_end|>\n<|im_start|>assistant\nthe end<|im_end|>\n<|im_start|>assistant\n"
    )
    ids = tokenizer.apply_chat_template(MESSAGES)["input_ids"]
    assert [number for number in ids if number < 3] == [1, 2, 1, 2]
    assert tokenizer.eos_token == tokenizer.pad_token == "<|endoftext|>"


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "ranks"])
def test_a_transformers_folder_is_what_transformers_writes(name: str, tmp_path: pathlib.Path) -> None:
    tokenizer = BASES[name]()
    template = CHATML_TEMPLATE if name != "ranks" else "{{ messages }}"
    end = "<|endoftext|>" if name != "ranks" else None
    export_transformers(tokenizer, str(tmp_path / "ours"), template)
    theirs = PreTrainedTokenizerFast(
        tokenizer_object=load(tokenizer),
        eos_token=end,
        pad_token=end,
        clean_up_tokenization_spaces=False,
        chat_template=template,
    )
    theirs.save_pretrained(str(tmp_path / "theirs"))
    names = sorted(path.name for path in (tmp_path / "theirs").iterdir())
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == names
    for name in names:
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_another_template_needs_no_chatml(tmp_path: pathlib.Path) -> None:
    counts = count_pretokens([pa.array(CORPUS)], ALGORITHMS["byte_level"])
    tokenizer = train(counts, TrainingOptions(algorithm="byte_level", vocabulary=300, special_tokens=["<|end|>"]))
    with pytest.raises(ValueError, match="ChatML needs the special tokens"):
        export_transformers(tokenizer, str(tmp_path))
    export_transformers(tokenizer, str(tmp_path), "{{ messages[0]['content'] }}<|end|>")
    loaded = AutoTokenizer.from_pretrained(str(tmp_path))
    assert loaded.apply_chat_template(MESSAGES, tokenize=False) == "中文?<|end|>"


def as_tiktoken(tokenizer: TokenizerJson, folder: pathlib.Path) -> tiktoken.Encoding:
    export_ranks(tokenizer, str(folder / "test.tiktoken"))
    rest = json.loads((folder / "test.json").read_text())
    ranks = load_tiktoken_bpe(str(folder / "test.tiktoken"))
    return tiktoken.Encoding("test", mergeable_ranks=ranks, **rest)


def as_sentencepiece(tokenizer: TokenizerJson, folder: pathlib.Path) -> sentencepiece.SentencePieceProcessor:
    export_sentencepiece(tokenizer, str(folder / "test.model"))
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "test.model"))


@pytest.mark.parametrize("name", ["byte_level", "extended"])
def test_tiktoken_gives_the_same_ids(name: str, tmp_path: pathlib.Path) -> None:
    tokenizer = trained("byte_level") if name == "byte_level" else with_chinese("byte_level")
    encoding, encoder = as_tiktoken(tokenizer, tmp_path), encoder_of(tokenizer)

    @settings(max_examples=300)
    @given(TEXTS)
    def same(text: str) -> None:
        (ids,) = encoder.encode_batch([text])
        assert encoding.encode_ordinary(text) == ids.tolist()

    same()
    assert encoding.encode("<|im_end|>", allowed_special="all") == [2]


@pytest.mark.parametrize("name", ["byte_fallback", "extended"])
def test_sentencepiece_gives_the_same_ids_and_text(name: str, tmp_path: pathlib.Path) -> None:
    tokenizer = trained("byte_fallback") if name == "byte_fallback" else with_chinese("byte_fallback")
    processor, encoder = as_sentencepiece(tokenizer, tmp_path), encoder_of(tokenizer)

    @settings(max_examples=300)
    @given(TEXTS)
    def same(text: str) -> None:
        text = text.replace("▁", " ").replace("\0", "")  # SentencePiece's space; its binding ends a text at a null
        (ids,) = encoder.encode_batch([text])
        assert processor.encode(text) == ids.tolist()
        assert processor.decode(ids.tolist()) == text

    same()
    # And back: the model read again is the same tokenizer but for <unk>.
    again = encoder_of(from_sentencepiece((tmp_path / "test.model").read_bytes()))
    for text in CORPUS:
        assert again.encode_batch([text])[0].tolist() == encoder.encode_batch([text])[0].tolist()


def fields(path: pathlib.Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


def test_gguf_of_bytes_is_read_by_transformers(tmp_path: pathlib.Path) -> None:
    tokenizer = trained("byte_level")
    export_gguf(tokenizer, str(tmp_path / "test.gguf"))
    loaded = AutoTokenizer.from_pretrained(str(tmp_path), gguf_file="test.gguf")
    encoder = encoder_of(tokenizer)
    for text in CORPUS:
        assert loaded(text, add_special_tokens=False)["input_ids"] == encoder.encode_batch([text])[0].tolist()
    read = fields(tmp_path / "test.gguf")
    assert read["tokenizer.ggml.pre"] == "qwen2"
    assert read["tokenizer.ggml.eot_token_id"] == 2
    assert "<|im_start|>" in read["tokenizer.chat_template"]


def test_gguf_of_pieces_holds_what_the_model_holds(tmp_path: pathlib.Path) -> None:
    # transformers prepends a space to these whatever the file says, so the file itself is compared.
    tokenizer = trained("byte_fallback")
    processor = as_sentencepiece(tokenizer, tmp_path)
    export_gguf(tokenizer, str(tmp_path / "test.gguf"))
    read = fields(tmp_path / "test.gguf")
    ids = range(processor.get_piece_size() - 1)  # the last is <unk>
    assert read["tokenizer.ggml.tokens"] == [processor.id_to_piece(number) for number in ids]
    assert read["tokenizer.ggml.scores"] == [processor.get_score(number) for number in ids]
    controls = [kind == gguf.TokenType.CONTROL for kind in read["tokenizer.ggml.token_type"]]
    assert controls == [processor.is_control(number) for number in ids]
    bytes_ = [kind == gguf.TokenType.BYTE for kind in read["tokenizer.ggml.token_type"]]
    assert bytes_ == [processor.is_byte(number) for number in ids]
    assert read["tokenizer.ggml.add_space_prefix"] is False


def test_what_cannot_be_expressed_is_refused(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "never")
    with pytest.raises(ValueError, match="tiktoken needs a byte-level tokenizer"):
        export_ranks(trained("byte_fallback"), path)
    with pytest.raises(ValueError, match="needs a tokenizer with byte fallback"):
        export_sentencepiece(trained("byte_level"), path)
    with pytest.raises(ValueError, match="that is not Qwen's"):
        export_gguf(with_chinese("ranks"), path)
    with_sign = trained("byte_fallback")
    with_sign["model"]["vocab"]["▁"] = 999
    with pytest.raises(ValueError, match="without ▁"):
        export_sentencepiece(with_sign, path)


def test_real_text_has_the_same_ids_everywhere(shared_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    texts = sample(shared_data, 30)
    for algorithm in ALGORITHMS.values():
        counts = count_pretokens([pa.array(texts)], algorithm)
        tokenizer = train(counts, TrainingOptions(algorithm=algorithm.name, vocabulary=6000, chinese=1000))
        encoder = encoder_of(tokenizer)
        other: Callable[[str], list[int]] = (
            as_sentencepiece(tokenizer, tmp_path).encode
            if algorithm.name == "byte_fallback"
            else as_tiktoken(tokenizer, tmp_path).encode_ordinary
        )
        ids = encoder.encode_batch(texts)
        assert [text for text, own in zip(texts, ids, strict=True) if other(text) != own.tolist()] == []
        assert [encoder.decode(own) for own in ids] == texts


def test_tokens_that_sentencepiece_would_not_find_are_refused(tmp_path: pathlib.Path) -> None:
    code = [pa.array(["    return x\n        return y\n"] * 9)]
    for free in (False, True):
        options = TrainingOptions(algorithm="byte_fallback", sentencepiece=not free)
        tokenizer = train(count_pretokens(code, ALGORITHMS["byte_fallback"]), options)
        if not free:
            export_sentencepiece(tokenizer, str(tmp_path / "some.model"))
        else:
            with pytest.raises(ValueError, match="a token has spaces within"):
                export_sentencepiece(tokenizer, str(tmp_path / "other.model"))
