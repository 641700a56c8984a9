"""A file that is not what the run wrote is named, whatever was done to it; a run then mends it."""

import os
import pathlib
import shutil
from collections.abc import Callable

import pytest

from datapipe.cli import main
from datapipe.commands.verify import verify
from tests.helpers import digests, prose, run_recipe, write_lines

RECIPE = """
stages:
  - documents: {part_bytes: 9000}
  - language
  - exact_duplicates
  - decontamination: {evaluation: ["{input_parent}/evaluation.jsonl"], parts: [document]}
  - tokenizer: {vocabulary: 400}
  - shards
"""


@pytest.fixture
def again(tmp_path: pathlib.Path) -> Callable[[], list[str]]:
    """Runs the recipe into `out`, and gives what it says."""
    write_lines(tmp_path / "a.jsonl", ({"text": prose(seed)} for seed in range(40)))
    write_lines(tmp_path / "evaluation.jsonl", [{"text": prose(3)}])
    with (tmp_path / "a.jsonl").open("a") as lines:
        lines.write("{broken\n")

    def run() -> list[str]:
        lines: list[str] = []
        run_recipe(RECIPE, tmp_path, [str(tmp_path / "a.jsonl")], report=lines.append)
        return lines

    return run


def flip(path: pathlib.Path) -> None:
    """Turn a bit, and leave size and times as they are."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap(path: pathlib.Path) -> None:
    other = path.with_name(path.name.replace("0.parquet", "1.parquet"))
    kept = path.read_bytes()
    shutil.move(other, path)
    other.write_bytes(kept)


DAMAGES: dict[str, Callable[[pathlib.Path], object]] = {
    "language/part-00000.parquet": flip,
    "documents/part-00000.parquet": swap,
    "exact_duplicates/part-00001.parquet": lambda path: os.truncate(path, 100),
    "tokenizer/tokenizer.json": lambda path: path.write_text("{}"),
    "shards/train-00000.parquet": flip,
    "shards/_manifest.json": lambda path: path.unlink(),
    "rejects/documents-00000.parquet": lambda path: shutil.rmtree(path.parent),
    "leaks/documents.parquet": flip,
    "report.html": lambda path: path.write_text("all is well"),
}
MADE_AT_THE_END = {"leaks/documents.parquet", "report.html"}  # of every run, without a word


def test_what_was_damaged_is_named_and_mended(
    again: Callable[[], list[str]], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again()
    out = tmp_path / "out"
    before = digests(out)
    assert "leaks/documents.parquet" in before
    verify(str(out))
    assert capsys.readouterr().out == f"{len(before) + 1} files, each as the run wrote it\n"
    for name, damage in DAMAGES.items():
        damage(out / name)
    assert main(["verify", str(out)]) == 1
    said = capsys.readouterr()
    # A swap is of two files.
    assert {line.split()[0] for line in said.out.splitlines()} == DAMAGES.keys() | {"documents/part-00001.parquet"}
    assert "10 files of " in said.err
    lines = again()
    for name in DAMAGES.keys() - MADE_AT_THE_END:
        stage = "documents" if name.startswith("rejects/") else name.partition("/")[0]
        assert any(line.startswith(f"{stage:20}  runs again: {name} ") for line in lines), name
    assert digests(out) == before
    assert "all is well" not in (out / "report.html").read_text()
    verify(str(out))


def test_a_report_made_again_is_the_runs(again: Callable[[], list[str]], tmp_path: pathlib.Path) -> None:
    again()
    (tmp_path / "out" / "report.html").write_text("")
    assert main(["report", str(tmp_path / "out")]) == 0
    verify(str(tmp_path / "out"))


def test_only_the_stage_of_a_damaged_file_runs_again(again: Callable[[], list[str]], tmp_path: pathlib.Path) -> None:
    again()
    before = digests(tmp_path / "out")
    flip(tmp_path / "out" / "documents" / "part-00002.parquet")
    assert [line.split()[0] for line in again() if " rows " in line] == ["documents"]
    assert digests(tmp_path / "out") == before


def test_a_copy_is_as_good_and_a_file_of_somebody_elses_is_named(
    again: Callable[[], list[str]], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again()
    (tmp_path / "out").rename(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "out")
    assert not any(" rows " in line for line in again())
    verify(str(tmp_path / "out"))
    (tmp_path / "out" / "shards" / "mine.parquet").write_text("mine")
    with pytest.raises(RuntimeError, match="1 files of"):
        verify(str(tmp_path / "out"))
    assert "shards/mine.parquet was not written by the run" in capsys.readouterr().out


def test_a_folder_without_a_run_is_bad_use(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"no run\.json here"):
        verify(str(tmp_path))
