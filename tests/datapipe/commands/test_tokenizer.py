"""The commands go from files to files, as the command line calls them."""

import pathlib
import re
import sys
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from datapipe.cli import main
from datapipe.commands.tokenizer import parse_range, read_texts
from tests.helpers import run_recipe, write_lines
from tests.tokenizer_training.samples import CHINESE, CORPUS, sentencepiece_model
from tokenizer_training.algorithms import AlgorithmName
from tokenizer_training.formats import read_tokenizer

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
    run("train", "--input", texts, "--output", out, "--algorithm", "byte_fallback", "--no-sentencepiece",
        "--vocabulary", 350, "--chinese", 5, "--min-frequency", 1,
        "--max-token-length", 9, "--sample-threshold", 1, "--coverage", 0.99, "--alphabet", "ß",
        "--required-tokens", "meow", "--special-tokens", "<|end|>")  # fmt: skip
    tokenizer = load(out)
    assert 300 < tokenizer.get_vocab_size() <= 355
    assert tokenizer.encode("meow").tokens == ["meow"]
    assert tokenizer.encode("ß").tokens == ["ß"]
    assert tokenizer.token_to_id("<|end|>") == 0
    assert "vocabulary must hold" in refused("train", "--input", texts, "--output", out, "--vocabulary", 5)


def test_train_says_what_it_read_and_made(
    texts: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("train", "--input", texts, "--output", tmp_path / "out", "--algorithm", "byte_fallback", "--coverage", 0.9)
    said = capsys.readouterr().out
    assert "read 4 documents, 0.0 MB of text" in said
    assert f"made {load(tmp_path / 'out').get_vocab_size()} entries of 40,000 asked for" in said
    (share,) = [line for line in said.splitlines() if "of characters have an entry" in line]
    assert 90 <= float(share.split("%")[0]) < 100
    encoded = dict.fromkeys(("en", "zh"), 0)
    for text in CORPUS:
        encoded["zh" if "中" in text else "en"] += len(load(tmp_path / "out").encode(text).ids)
    for language, tokens in encoded.items():
        size = sum(len(text.encode()) for text in CORPUS if ("中" in text) == (language == "zh"))
        (line,) = [line for line in said.splitlines() if line.startswith(f"{language} ")]
        assert f"{size / tokens:.2f} bytes a token" in line


def test_train_again_from_counts(
    texts: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    first, again, full = tmp_path / "first", tmp_path / "again", tmp_path / "full"
    run("train", "--input", texts, "--output", first, "--vocabulary", 300)
    texts.rename(tmp_path / "gone.jsonl")
    run("train", "--input", first, "--output", again, "--vocabulary", 320, "--digits", 3, "--weights", "zh=3")
    assert "counts of" in capsys.readouterr().out
    chinese = [text for text in CORPUS if "中" in text]
    write_lines(texts, [{"text": text} for text in [*CORPUS, *chinese, *chinese]])
    run("train", "--input", texts, "--output", full, "--vocabulary", 320, "--digits", 3)
    assert (again / "tokenizer.json").read_bytes() == (full / "tokenizer.json").read_bytes()
    for weight, reason in (
        ("text=3", "no source or language is 'text'; did you mean 'texts'?"),
        ("zh=x", "must be name=factor, such as zh=2, got 'zh=x'"),
        ("zh=-1", "zh must be from 0 to 1000, got -1"),
    ):
        assert reason in refused("train", "--input", first, "--output", again, "--weights", weight)


def test_a_runs_counts_weigh_as_its_mixture(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = """
stages:
  - documents
  - tokenizer: {vocabulary: 300}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture: {by: [source], shares: {b: 0.9}}
  - shards
"""
    lines = [{"text": text, "source": name} for name, text in (("a", "abcabc abcabc"), ("b", "xyzxyz xyzxyz"))]
    write_lines(tmp_path / "in.jsonl", [line | {"id": number} for number, line in enumerate(lines * 40)])
    run_recipe(recipe, tmp_path, [str(tmp_path / "in.jsonl")])
    run("train", "--input", tmp_path / "out", "--output", tmp_path / "t", "--vocabulary", 270)
    assert "counts as often as the mixture of" in capsys.readouterr().out
    once = load(tmp_path / "out" / "tokenizer").get_vocab()
    weighed = load(tmp_path / "t").get_vocab()
    assert min(once[token] for token in once if "xy" in token) > min(once[token] for token in once if "ab" in token)
    assert min(weighed[token] for token in weighed if "xy" in token) < min(
        (weighed[token] for token in weighed if "ab" in token), default=1000
    )


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


def test_extend_a_model_and_its_weights(
    texts: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    (tmp_path / "base.model").write_bytes(sentencepiece_model(add_dummy_prefix=True))
    save_file({"embed_tokens.weight": torch.eye(340)}, tmp_path / "w.safetensors")
    write_lines(texts, [{"text": text} for text in CHINESE])
    extend = ("extend", tmp_path / "base.model", "--input", texts, "--size", 3, "--weights", tmp_path / "w.safetensors")
    run(*extend, "--output", tmp_path / "e")
    assert "added 3 tokens of 3 asked for" in capsys.readouterr().out
    rows = load_file(tmp_path / "e" / "w.safetensors")["embed_tokens.weight"]
    assert rows.shape == (343, 340)
    assert rows[340:].sum(1).tolist() == pytest.approx([1, 1, 1])
    both = [read_tokenizer(str(tmp_path / "e" / name)) for name in ("tokenizer.model", "tokenizer.json")]
    assert both[0]["model"]["vocab"] == both[1]["model"]["vocab"]
    export = ("export", tmp_path / "e" / "tokenizer.model", "--to", "gguf", "--output", tmp_path / "e.gguf")
    run(*export, "--chat-form", "llama2")
    fields = GGUFReader(tmp_path / "e.gguf").fields
    assert fields["tokenizer.ggml.add_space_prefix"].contents() is True
    assert fields["tokenizer.ggml.bos_token_id"].contents() == 1
    assert fields["tokenizer.ggml.tokens"].contents()[:4] == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert fields["tokenizer.ggml.token_type"].contents()[:4] == [2, 3, 3, 6]
    assert "single digits renumber" in refused(*extend, "--output", tmp_path / "d", "--single-digits")


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
        ("t", "all"),
        ("e", "all"),
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


def test_each_command_says_what_it_read_rejected_and_made(
    texts: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with texts.open("a") as lines:
        lines.write("no record\n")

    def said(*arguments: object) -> str:
        capsys.readouterr()
        run(*arguments)
        return capsys.readouterr().out

    read = f"read {len(CORPUS)} documents, 0.0 MB of text; rejected 1 records: 1 malformed_json"
    extended = said("extend", trained, "--input", texts, "--size", 5, "--min-frequency", 1, "--output", tmp_path / "e")
    assert read in extended
    before, now = map(
        float, re.findall(r"of the texts learnt from: ([\d.]+) bytes a token before, ([\d.]+) now", extended)[0]
    )
    assert now > before
    pruned = said("prune", tmp_path / "e", "--input", texts, "--output", tmp_path / "p")
    assert read in pruned
    assert re.search(r"dropped \d+ of 28\d entries, \d+ are left", pruned)
    compared = said("compare", trained, tmp_path / "p", "--input", texts, "--output", tmp_path / "c").splitlines()
    assert compared[0] == read
    assert compared[1].split() == ["bytes", "a", "token", "t", "p"]
    assert compared[-1].startswith(f"written to {tmp_path / 'c' / 'comparison.md'}")
    assert f"for json written to {tmp_path / 'x'}" in said(
        "export", trained, "--to", "json", "--output", tmp_path / "x"
    )


def test_texts_of_another_name_are_named_and_read(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": CORPUS[0]}, {"tale": CORPUS[1]}])
    start = ["train", "--input", tmp_path / "a.jsonl", "--output", tmp_path / "t", "--vocabulary", 280, "--chinese", 0]
    run(*start)
    assert "where the text is called otherwise: --text-field NAME; `datapipe inspect" in capsys.readouterr().out
    run(*start, "--text-field", "tale")
    said = capsys.readouterr().out
    assert "read 2 documents" in said
    assert "--text-field" not in said


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
    assert [(row["text"], row["site"]) for row in rows] == [("one", "here"), ("two", "here")]
    with pytest.raises(ValueError, match="have no column 'language'"):
        list(read_texts([str(tmp_path / "out")], "language"))
