"""A tokenizer trained through Beam loads, keeps its promises on any corpus, and depends on its options."""

import dataclasses
import pathlib
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from datapipe import files
from tests.conftest import CorpusOf
from tokenizer_training.extend import is_han
from tokenizer_training.forms import FORMS
from tokenizer_training.train import TrainTokenizer

TEXTS = [
    *("The quick brown fox jumps over the lazy dog again and again and again, 100 times.",) * 4,
    *("机器学习模型需要大量的中文数据，机器学习模型也需要大量的计算。",) * 4,
]


def train(corpus_of: CorpusOf, folder: pathlib.Path, texts: list[str], **options: Any) -> tuple[Tokenizer, Any]:
    stage = TrainTokenizer(**options)
    folder.mkdir()
    parts = corpus_of([*texts], rows_per_part=3) if texts else []
    (summary,) = parts | dataclasses.replace(stage, folder=str(folder / "tokenizer"))
    return Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json")), summary


@pytest.mark.parametrize("form", FORMS)
def test_small_corpora_give_small_tokenizers(form: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    tokenizer, summary = train(corpus_of, tmp_path / "a", TEXTS, form=form)
    assert summary["vocabulary"] == tokenizer.get_vocab_size() < summary["vocabulary_asked"] == 40000
    text = TEXTS[0] + TEXTS[-1] + "😀 \u2028"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    path = str(tmp_path / "a" / "tokenizer" / "tokenizer.json")
    wrapped = PreTrainedTokenizerFast(tokenizer_file=path)
    assert wrapped.decode(wrapped(text)["input_ids"]) == text


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_corpus_gives_bytes_and_specials(form: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    tokenizer, summary = train(corpus_of, tmp_path / "a", [], form=form)
    assert summary == {
        "form": form,
        "vocabulary_asked": 40000,
        "vocabulary": 259,
        "merges": 0,
        "pretokens": 0,
        "distinct_pretokens": 0,
    }
    assert tokenizer.decode(tokenizer.encode("a 中").ids) == "a 中"


@pytest.mark.parametrize("form", FORMS)
def test_chinese_comes_on_top_and_changes_nothing_else(form: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    plain, _ = train(corpus_of, tmp_path / "a", TEXTS, form=form, vocabulary=330, chinese=0)
    (tmp_path / "corpus").rename(tmp_path / "first")
    extended, summary = train(corpus_of, tmp_path / "b", TEXTS, form=form, vocabulary=330, chinese=12)
    base, more = plain.get_vocab(), extended.get_vocab()
    assert {token: more[token] for token in base} == base
    assert len(base) < summary["vocabulary"] <= len(base) + 12
    assert plain.encode(TEXTS[0]).ids == extended.encode(TEXTS[0]).ids
    assert len(extended.encode(TEXTS[-1]).ids) < len(plain.encode(TEXTS[-1]).ids)
    if form == "byte_fallback":
        assert all(is_han(character) for token in more.keys() - base.keys() for character in token)


def test_options_have_an_effect(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    def trained(name: str, **options: Any) -> Tokenizer:
        if (tmp_path / "corpus").exists():
            (tmp_path / "corpus").rename(tmp_path / f"before-{name}")
        return train(corpus_of, tmp_path / name, TEXTS, **options)[0]

    usual = trained("usual").get_vocab()
    assert len(trained("frequency", min_frequency=5).get_vocab()) < len(usual)
    assert max(map(len, trained("length", max_token_length=3, special_tokens=[]).get_vocab())) == len("<0x0A>")
    assert "x" in trained("all", coverage=1.0).get_vocab()
    assert "x" not in trained("covered", coverage=0.8).get_vocab()
    assert trained("special", special_tokens=["<|end|>"]).get_vocab()["<|end|>"] == 0


def test_the_same_corpus_gives_the_same_bytes(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    train(corpus_of, tmp_path / "a", TEXTS)
    (tmp_path / "corpus").rename(tmp_path / "before")
    train(corpus_of, tmp_path / "b", TEXTS[::-1])
    assert (tmp_path / "a/tokenizer/tokenizer.json").read_bytes() == (
        tmp_path / "b/tokenizer/tokenizer.json"
    ).read_bytes()
    assert not files.list_folder(str(tmp_path / "a" / "tokenizer" / "spill"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "unigram"}, "form must be one of .* got 'unigram'"),
        ({"vocabulary": 258}, "at least 259, got 258"),
        ({"chinese": -1}, "chinese must be at least 0, got -1"),
        ({"min_frequency": 0}, "min_frequency must be at least 1, got 0"),
        ({"max_token_length": 0}, "max_token_length must be at least 1, got 0"),
        ({"sample_threshold": 0}, "sample_threshold must be at least 1, got 0"),
        ({"coverage": 1.5}, "coverage must be above 0 and at most 1, got 1.5"),
        ({"special_tokens": ["end"]}, "special_tokens: 'end'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainTokenizer(**options)
