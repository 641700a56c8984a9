"""The commands go from files to files, as the command line calls them."""

import argparse
import json
import pathlib

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from tests.tokenizer_training.samples import CORPUS
from tokenizer_training.algorithms import AlgorithmName
from tokenizer_training.cli import add_commands, call
from tokenizer_training.commands import parse_range, read_texts


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(dest="action", required=True))
    call(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def texts(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "texts.jsonl"
    rows = [{"text": text, "language": "zh" if "中" in text else "en"} for text in CORPUS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(folder: pathlib.Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture
def trained(texts: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    run(
        "train",
        "--input",
        texts,
        "--output",
        tmp_path / "t",
        "--algorithm",
        "byte_level",
        "--vocabulary",
        280,
        "--chinese",
        0,
    )
    return tmp_path / "t"


def test_train_takes_the_options_of_the_stage(texts: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    run("train", "--input", texts, "--output", out, "--vocabulary", 350, "--chinese", 5, "--min-frequency", 1,
        "--max-token-length", 9, "--sample-threshold", 1, "--coverage", 0.99, "--alphabet", "ß",
        "--required-tokens", "meow", "--special-tokens", "<|end|>")  # fmt: skip
    tokenizer = load(out)
    assert 300 < tokenizer.get_vocab_size() <= 355
    assert tokenizer.encode("meow").tokens == ["meow"]
    assert tokenizer.encode("ß").tokens == ["ß"]
    assert tokenizer.token_to_id("<|end|>") == 0
    with pytest.raises(ValueError, match="vocabulary must hold"):
        run("train", "--input", texts, "--output", out, "--vocabulary", 5)


def test_extend_by_texts_or_words(texts: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run("extend", trained, "--input", texts, "--output", tmp_path / "e", "--size", 3)
    assert load(tmp_path / "e").get_vocab_size() == 283
    words = tmp_path / "words.tsv"
    words.write_text("unbelievable\t9\n")
    run("extend", trained, "--words", words, "--output", tmp_path / "w", "--size", 20)
    assert load(tmp_path / "w").encode("unbelievable").tokens == ["unbelievable"]
    with pytest.raises(ValueError, match="either texts or a word list"):
        run("extend", trained, "--output", tmp_path / "w", "--size", 20)


def test_prune_by_ranges_or_texts(texts: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    save_file({"lm_head.weight": torch.arange(560).reshape(280, 2)}, tmp_path / "model.safetensors")
    run(
        "prune", trained, "--ranges", "270-279", "--output", tmp_path / "p", "--weights", tmp_path / "model.safetensors"
    )
    old = pq.read_table(tmp_path / "p" / "ids.parquet").column("old").to_pylist()
    assert load(tmp_path / "p").get_vocab_size() == len(old) < 280
    assert load_file(tmp_path / "p" / "model.safetensors")["lm_head.weight"][:, 0].tolist() == [
        2 * number for number in old
    ]
    run("prune", trained, "--input", texts, "--output", tmp_path / "q")
    assert load(tmp_path / "q").encode(CORPUS[0]).tokens == load(trained).encode(CORPUS[0]).tokens
    with pytest.raises(ValueError, match="give ranges"):
        run("prune", trained, "--output", tmp_path / "q")


def test_compare_by_language(texts: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run("extend", trained, "--input", texts, "--output", tmp_path / "e", "--size", 3)
    run("compare", trained / "tokenizer.json", tmp_path / "e", "--input", texts, "--output", tmp_path / "c")
    table = pq.read_table(tmp_path / "c" / "comparison.parquet").to_pylist()
    assert [(row["tokenizer"], row["language"]) for row in table] == [
        ("t", "en"),
        ("e", "en"),
        ("t", "zh"),
        ("e", "zh"),
    ]
    assert table[1]["tokens_ratio"] == 1 > table[3]["tokens_ratio"]
    assert (tmp_path / "c" / "comparison.md").read_text().startswith("| tokenizer |")
    assert (tmp_path / "c" / "bytes_per_token.svg").exists()
    with pytest.raises(ValueError, match="different names"):
        run("compare", trained, trained, "--input", texts, "--output", tmp_path / "c")
    with pytest.raises(ValueError, match="have no column 'lang'"):
        run("compare", trained, "--input", texts, "--output", tmp_path / "c", "--column", "lang")


@pytest.mark.parametrize(
    ("to", "algorithm"),
    [
        ("transformers", "byte_level"),
        ("json", "byte_level"),
        ("tiktoken", "byte_level"),
        ("sentencepiece", "byte_fallback"),
        ("gguf", "byte_fallback"),
    ],
)
def test_export(to: str, algorithm: AlgorithmName, texts: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run("train", "--input", texts, "--output", tmp_path / "t", "--algorithm", algorithm, "--vocabulary", 320)
    template = tmp_path / "template"
    template.write_text("{{ messages }}")
    run("export", tmp_path / "t", "--to", to, "--output", tmp_path / "x", "--chat-template", template)
    written = tmp_path / "x" / "tokenizer.json" if to in ("transformers", "json") else tmp_path / "x"
    assert written.stat().st_size > 0


def test_ranges_of_ids() -> None:
    assert parse_range("3-5") == range(3, 6)
    assert parse_range("7") == range(7, 8)
    for wrong in ("5-3", "a", "-1", "1-b", ""):
        with pytest.raises(ValueError, match="first-last"):
            parse_range(wrong)


def test_no_documents_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="no documents in"):
        list(read_texts([str(tmp_path / "empty.jsonl")]))
