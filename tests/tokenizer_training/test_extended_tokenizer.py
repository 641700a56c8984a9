"""A base grows by characters, tokens and special tokens, in this order, and keeps the ids it had."""

import pathlib
from typing import Any

import pytest
from tokenizers import Tokenizer

from tests.helpers import CorpusOf
from tokenizer_training.extended_tokenizer import ExtendTokenizer
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import TrainTokenizer

TEXTS = [
    *("The quick brown fox jumps over the lazy dog again, 100 times in 2023.",) * 4,
    *("机器学习模型需要大量的中文数据，机器学习模型也需要大量的计算。",) * 4,
]


def made(stage: Any, corpus_of: CorpusOf, folder: pathlib.Path) -> tuple[Tokenizer, dict[str, Any]]:
    folder.mkdir()
    (summary,) = corpus_of(TEXTS) | stage.ready(folder=str(folder))
    return Tokenizer.from_file(str(folder / "tokenizer.json")), summary


def base(corpus_of: CorpusOf, folder: pathlib.Path, **options: Any) -> str:
    folder.mkdir()
    corpus_of(TEXTS[:4], kind="instruction") | TrainTokenizer(**options).ready(folder=str(folder))
    return str(folder / "tokenizer.json")


def names(tokenizer: Tokenizer, first: int, last: int) -> list[str]:
    return [str(tokenizer.id_to_token(number)) for number in range(first, last)]


def test_characters_then_words_then_special_tokens(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    path = base(corpus_of, tmp_path / "base", vocabulary=330, algorithm="byte_fallback", special_tokens=["<s>"])
    stage = ExtendTokenizer(path, characters=8, size=4, special_tokens=["[USER]", "<r1>"])
    tokenizer, summary = made(stage, corpus_of, tmp_path / "out")
    had = Tokenizer.from_file(path)
    size = had.get_vocab_size()
    assert (summary["base"], summary["characters"], summary["tokens"], summary["special_tokens"]) == (size, 8, 4, 2)
    assert names(tokenizer, 0, size) == names(had, 0, size)
    assert all(len(name) == 1 for name in names(tokenizer, size, size + 8))
    assert all(len(name) > 1 for name in names(tokenizer, size + 8, size + 12))
    assert names(tokenizer, size + 12, size + 14) == ["[USER]", "<r1>"]
    assert summary["vocabulary"] == size + 14
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode(TEXTS[-1]).ids) < len(had.encode(TEXTS[-1]).ids)


def test_digits_stand_alone_as_qwens(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    path = base(corpus_of, tmp_path / "base", vocabulary=300, digits=3, special_tokens=[])
    assert "100" in Tokenizer.from_file(path).get_vocab()
    tokenizer, summary = made(ExtendTokenizer(path, single_digits=True, size=0), corpus_of, tmp_path / "out")
    assert tokenizer.encode("100").tokens == list("100")
    assert summary["dropped"] >= 1
    assert summary["vocabulary"] == summary["base"] - summary["dropped"]


def test_special_tokens_of_the_base_go_where_there_are_others(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    path = base(corpus_of, tmp_path / "base", vocabulary=258, special_tokens=["<|a|>", "<|b|>"])
    stage = ExtendTokenizer(path, drop_special=True, size=0, special_tokens=["<|b|>"])
    tokenizer, _ = made(stage, corpus_of, tmp_path / "out")
    assert tokenizer.token_to_id("<|a|>") is None
    assert tokenizer.token_to_id("<|b|>") == tokenizer.get_vocab_size() - 1 == 256


@pytest.mark.parametrize("rule", ["han", "any"])
def test_the_rule_says_what_may_be_a_token(rule: str, corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    path = base(corpus_of, tmp_path / "base", vocabulary=256, special_tokens=[])
    tokenizer, _ = made(ExtendTokenizer(path, size=60, rule=rule), corpus_of, tmp_path / "out")  # type: ignore[arg-type]
    assert (len(tokenizer.encode("quick").ids) < 5) == (rule == "any")


def test_words_of_a_list_are_learnt_instead(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    path = base(corpus_of, tmp_path / "base", vocabulary=256, special_tokens=[])
    words = tmp_path / "words.tsv"
    words.write_text("图书馆\t90\n图\t400\n书\t300\n馆\t200\n", encoding="utf-8")
    tokenizer, _ = made(ExtendTokenizer(path, size=20, words=str(words)), corpus_of, tmp_path / "out")
    assert len(tokenizer.encode("图书馆").ids) == 1
    assert len(tokenizer.encode("机器").ids) == 6


def test_what_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    assert ExtendTokenizer(str(tmp_path / "no.json")).skip_reason() == f"no such file: {tmp_path}/no.json"


def test_a_special_token_twice_is_refused(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    path = base(corpus_of, tmp_path / "base", vocabulary=257, special_tokens=["<|a|>"])
    with pytest.raises(Exception, match=r"the tokenizer has '<\|a\|>' already"):
        made(ExtendTokenizer(path, size=0, special_tokens=["<|a|>"]), corpus_of, tmp_path / "out")
    assert TrainingOptions.min_frequency == ExtendTokenizer.min_frequency
