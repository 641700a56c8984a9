"""The commands go from files to files, as the command line calls them."""

import pathlib
import sys
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from datapipe.cli import main
from datapipe.commands.tokenizer import parse_range, read_texts
from tests.helpers import run_recipe, write_lines
from tests.tokenizer_training.samples import CORPUS
from tokenizer_training.algorithms import AlgorithmName

Refused = Callable[..., str]


def run(*arguments: object) -> None:
    assert main(["tokenizer", *map(str, arguments)]) == 0


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """A function that runs a command which cannot be done, and returns the line that says so."""

    def refuse(*arguments: object) -> str:
        capsys.readouterr()
        assert main(["tokenizer", *map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return refuse


@pytest.fixture
def texts(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "texts.jsonl"
    write_lines(path, [{"text": text, "language": "zh" if "中" in text else "en"} for text in CORPUS])
    return path


def load(folder: pathlib.Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture
def trained(texts: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    out = tmp_path / "t"
    run("train", "--input", texts, "--output", out, "--algorithm", "byte_level", "--vocabulary", 280, "--chinese", 0)
    return out


def test_train_takes_the_options_of_the_stage(texts: pathlib.Path, tmp_path: pathlib.Path, refused: Refused) -> None:
    out = tmp_path / "out"
    run("train", "--input", texts, "--output", out, "--vocabulary", 350, "--chinese", 5, "--min-frequency", 1,
        "--max-token-length", 9, "--sample-threshold", 1, "--coverage", 0.99, "--alphabet", "ß",
        "--required-tokens", "meow", "--special-tokens", "<|end|>")  # fmt: skip
    tokenizer = load(out)
    assert 300 < tokenizer.get_vocab_size() <= 355
    assert tokenizer.encode("meow").tokens == ["meow"]
    assert tokenizer.encode("ß").tokens == ["ß"]
    assert tokenizer.token_to_id("<|end|>") == 0
    assert "vocabulary must hold" in refused("train", "--input", texts, "--output", out, "--vocabulary", 5)


def test_extend_by_texts_or_words(
    texts: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path, refused: Refused
) -> None:
    run("extend", trained, "--input", texts, "--output", tmp_path / "e", "--size", 3)
    assert load(tmp_path / "e").get_vocab_size() == 283
    words = tmp_path / "words.tsv"
    words.write_text("unbelievable\t9\n")
    run("extend", trained, "--words", words, "--output", tmp_path / "w", "--size", 20)
    assert load(tmp_path / "w").encode("unbelievable").tokens == ["unbelievable"]
    assert "either texts or a word list" in refused("extend", trained, "--output", tmp_path / "w", "--size", 20)


def test_prune_by_ranges_or_texts(
    texts: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path, refused: Refused
) -> None:
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
    assert "give ranges" in refused("prune", trained, "--output", tmp_path / "q")


def test_compare_by_language(
    texts: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path, refused: Refused
) -> None:
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
    assert "different names" in refused("compare", trained, trained, "--input", texts, "--output", tmp_path / "c")
    assert "have no column 'lang'" in refused(
        "compare", trained, "--input", texts, "--output", tmp_path / "c", "--column", "lang"
    )


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


def test_a_package_that_is_not_installed_is_one_line_with_its_extra(
    trained: pathlib.Path, tmp_path: pathlib.Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    said = refused("export", trained, "--to", "gguf", "--output", tmp_path / "x.gguf")
    assert said.endswith("needs the package gguf: pip install 'datapipe-llm[export]'")
    assert not (tmp_path / "x.gguf").exists()


def test_no_documents_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="no documents in"):
        list(read_texts([str(tmp_path / "empty.jsonl")]))


def test_the_output_of_a_run_gives_its_kept_documents_and_any_column(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "in.jsonl", [{"text": text, "site": "here"} for text in ("one", "two", "one")])
    run_recipe("stages: [documents, exact_duplicates]", tmp_path, [str(tmp_path / "in.jsonl")])
    rows = [row for batch in read_texts([str(tmp_path / "out")], "site") for row in batch.to_pylist()]
    assert rows == [{"text": "one", "site": "here"}, {"text": "two", "site": "here"}]
    with pytest.raises(ValueError, match="have no column 'language'"):
        list(read_texts([str(tmp_path / "out")], "language"))
