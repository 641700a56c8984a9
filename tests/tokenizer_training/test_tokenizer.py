"""A tokenizer trained through Beam loads, keeps its promises on any corpus, and depends on its options."""

import dataclasses
import pathlib
from typing import Any

import pyarrow as pa
import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from datapipe.store import files
from tests.helpers import CorpusOf
from tokenizer_training.algorithms import ALGORITHMS, AlgorithmName, load
from tokenizer_training.count import count_by_group, count_pretokens, named, weighted
from tokenizer_training.extend import is_han
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import TrainTokenizer
from tokenizer_training.tokenizer import train as train_from

TEXTS = [
    *("The quick brown fox jumps over the lazy dog again and again and again, 100 times.",) * 4,
    *("机器学习模型需要大量的中文数据，机器学习模型也需要大量的计算。",) * 4,
]


def train(corpus_of: CorpusOf, folder: pathlib.Path, texts: list[str], **options: Any) -> tuple[Tokenizer, Any]:
    stage = TrainTokenizer(**options)
    folder.mkdir()
    parts = corpus_of([*texts], rows_per_part=3) if texts else []
    (summary,) = parts | stage.ready(folder=str(folder / "tokenizer"))
    return Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json")), summary


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_small_corpora_give_small_tokenizers(
    algorithm: AlgorithmName, corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    tokenizer, summary = train(corpus_of, tmp_path / "a", TEXTS, algorithm=algorithm)
    assert summary["vocabulary"] == tokenizer.get_vocab_size() < summary["vocabulary_asked"] == 40000
    text = TEXTS[0] + TEXTS[-1] + "😀 \u2028"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    path = str(tmp_path / "a" / "tokenizer" / "tokenizer.json")
    wrapped = PreTrainedTokenizerFast(tokenizer_file=path)
    assert wrapped.decode(wrapped(text)["input_ids"]) == text


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_corpus_gives_bytes_and_specials(
    algorithm: AlgorithmName, corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    tokenizer, summary = train(corpus_of, tmp_path / "a", [], algorithm=algorithm)
    assert summary.pop("characters_covered", 1.0) == 1.0
    assert summary == {
        "algorithm": algorithm,
        "vocabulary_asked": 40000,
        "vocabulary": 259,
        "merges": 0,
        "pretokens": 0,
        "distinct_pretokens": 0,
    }
    assert tokenizer.decode(tokenizer.encode("a 中").ids) == "a 中"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_chinese_comes_on_top_and_changes_nothing_else(
    algorithm: AlgorithmName, corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    plain, _ = train(corpus_of, tmp_path / "a", TEXTS, algorithm=algorithm, vocabulary=330, chinese=0)
    (tmp_path / "corpus").rename(tmp_path / "first")
    extended, summary = train(corpus_of, tmp_path / "b", TEXTS, algorithm=algorithm, vocabulary=330, chinese=12)
    base, more = plain.get_vocab(), extended.get_vocab()
    assert {token: more[token] for token in base} == base
    assert len(base) < summary["vocabulary"] <= len(base) + 12
    assert plain.encode(TEXTS[0]).ids == extended.encode(TEXTS[0]).ids
    assert len(extended.encode(TEXTS[-1]).ids) < len(plain.encode(TEXTS[-1]).ids)
    if algorithm == "byte_fallback":
        assert all(is_han(character) for token in more.keys() - base.keys() for character in token)


def test_options_have_an_effect(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    def trained(name: str, texts: list[str] = TEXTS, **options: Any) -> Tokenizer:
        if (tmp_path / "corpus").exists():
            (tmp_path / "corpus").rename(tmp_path / f"before-{name}")
        return train(corpus_of, tmp_path / name, texts, **options)[0]

    pieces: dict[str, Any] = {"algorithm": "byte_fallback"}
    usual = trained("usual", **pieces).get_vocab()
    assert len(trained("frequency", min_frequency=5, **pieces).get_vocab()) < len(usual)
    long = trained("length", max_token_length=3, special_tokens=[], **pieces)
    assert max(map(len, long.get_vocab())) == len("<0x0A>")
    assert "x" in trained("all", coverage=1.0, **pieces).get_vocab()
    assert "x" not in trained("covered", coverage=0.8, **pieces).get_vocab()
    assert trained("special", special_tokens=["<|end|>"]).get_vocab()["<|end|>"] == 0
    assert "ß" in trained("alphabet", alphabet="ß", **pieces).get_vocab()
    assert "xylophone" in trained("required", required_tokens=["xylophone"]).get_vocab()
    assert "100" not in trained("digit", vocabulary=1000).get_vocab()
    assert "100" in trained("digits", digits=3).get_vocab()
    code = ["    return x\n        return y\n"] * 9
    assert "    return" not in trained("pieces", texts=code, **pieces).get_vocab()
    assert "    return" in trained("free", texts=code, sentencepiece=False, **pieces).get_vocab()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("vocabulary", [310, 330, 2000])
def test_required_tokens_fit_into_the_vocabulary(algorithm: AlgorithmName, vocabulary: int) -> None:
    required = ["unthinkable", "人工智能", "thermos", "t"]
    counts = count_pretokens(
        [pa.array(["the theory of thermal physics, thermometer 人工智能是人工"] * 5)], ALGORITHMS[algorithm]
    )
    document = train_from(
        counts, TrainingOptions(algorithm=algorithm, vocabulary=vocabulary, chinese=0, required_tokens=required)
    )
    assert len(document["model"]["vocab"]) <= vocabulary
    for token in required:
        assert len(load(document).encode(token).ids) == 1


def test_documents_count_as_often_as_their_weight_says(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["aaab", "bbba", "cdcd"], copies=[5, 0, None])
    stage = TrainTokenizer(algorithm="byte_level", min_frequency=1, weight_column="copies").ready(
        folder=str(tmp_path / "t")
    )
    assert stage.named_columns() == ("copies",)
    (summary,) = parts | stage
    assert summary["pretokens"] == 6
    assert files.read_json(str(tmp_path / "t" / "summary.json")) == summary
    tokenizer = Tokenizer.from_file(str(tmp_path / "t" / "tokenizer.json"))
    assert tokenizer.encode("aaab").tokens == ["aaab"]
    assert len(tokenizer.encode("bbba").tokens) > 1


def test_notes_say_when_the_corpus_was_too_small(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    train(corpus_of, tmp_path / "a", TEXTS)
    (note,) = files.read_json(str(tmp_path / "a" / "tokenizer" / "_notes.json"))
    assert "no more than that of the 40,000 asked for" in note


def test_the_same_corpus_gives_the_same_bytes(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    train(corpus_of, tmp_path / "a", TEXTS)
    (tmp_path / "corpus").rename(tmp_path / "before")
    train(corpus_of, tmp_path / "b", TEXTS[::-1])
    assert (tmp_path / "a/tokenizer/tokenizer.json").read_bytes() == (
        tmp_path / "b/tokenizer/tokenizer.json"
    ).read_bytes()
    assert not files.list_folder(str(tmp_path / "a" / "tokenizer" / "spill"))


def test_counts_train_for_another_weight_as_texts_do() -> None:
    algorithm = ALGORITHMS["byte_level"]
    sources = {"a": TEXTS[:4], "b": TEXTS[4:], "c": ["never", "seen"]}
    batches = [pa.record_batch({"text": texts, "source": [name] * len(texts)}) for name, texts in sources.items()]
    counts = named(*count_by_group(batches, algorithm.with_digits(3)))
    repeated = [pa.array([*sources["a"], *sources["b"] * 3])]
    for factor in (1, 0.5):
        options = TrainingOptions(min_frequency=4)
        summed, unit = weighted(counts, lambda source, _: {"a": 1, "b": 3, "c": 0}[source] * factor)  # noqa: B023
        again = train_from(
            count_pretokens(repeated, algorithm), dataclasses.replace(options, min_frequency=int(4 / factor))
        )
        assert train_from(summed, options, unit=unit) == again
