"""A run whose inputs and outputs lie on a remote file system gives the bytes of a local one."""

import io
import pathlib
import shutil
import urllib.parse
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem

from datapipe.engine.run import Outcome
from datapipe.store import files
from datapipe.store.record import Skipped
from tests.helpers import prose, run_recipe, write_lines

RECIPE = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - measurements
  - rules
  - quality: {positives: ["{input_parent}/good.jsonl"], negatives: ["{input_parent}/bad.jsonl"]}
  - quality_filter: {min_score: 0.0}
  - exact_duplicates
  - repeated_text: {keep_copies: {line: 1, window: 1}}
  - cut_repeated_text
  - near_duplicates
  - instructions: {paths: ["{input_parent}/instructions"]}
  - decontamination: {evaluation: ["{input_parent}/evaluation"]}
  - tokenizer: {vocabulary: 600}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture
  - shards: {shard_bytes: 60000}
"""


class Shelf(FileSystem):
    """Names and bytes, as object stores have: no folder exists, and deleting or renaming takes exact names."""

    root = pathlib.Path()

    @classmethod
    def scheme(cls) -> str:
        return "shelf"

    def _file(self, path: str) -> pathlib.Path:
        assert path.startswith("shelf://")
        return self.root / urllib.parse.quote(path, safe="")

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *(path.strip("/") for path in paths)])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        raise AssertionError(f"no folder can be made here: {path}")

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for file in sorted(self.root.iterdir()):
            path = urllib.parse.unquote(file.name)
            if path.startswith(dir_or_prefix):
                yield self.metadata(path)

    def create(self, path: str, mime_type: str = "", compression_type: str = "") -> BinaryIO:  # noqa: ARG002
        return self._file(path).open("wb")

    def open(self, path: str, mime_type: str = "", compression_type: str = "") -> BinaryIO:  # noqa: ARG002
        return io.BytesIO(self._file(path).read_bytes())

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            shutil.copy(self._file(source), self._file(destination))

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path: str) -> bool:
        return self._file(path).exists()

    def size(self, path: str) -> int:
        return self._file(path).stat().st_size

    def last_updated(self, path: str) -> float:
        return self._file(path).stat().st_mtime

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            if not self.exists(path):
                raise BeamIOError("Delete operation failed", {path: "no such object"})
            self._file(path).unlink()


@pytest.fixture
def shelf(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder on an empty shelf."""
    root = tmp_path / "objects"
    root.mkdir()
    monkeypatch.setattr(Shelf, "root", root)
    return "shelf://bucket/work"


def write_inputs(base: str) -> None:
    for folder in ("documents", "instructions", "evaluation"):
        files.make_folder(files.join(base, folder))
    for number in range(3):
        records = [{"text": prose(number * 100 + row % 70), "mine": row} for row in range(80)]
        write_lines(files.join(base, "documents", f"{number}.jsonl"), records)
    write_lines(files.join(base, "good.jsonl"), [{"text": prose(seed)} for seed in range(1000, 1100)])
    write_lines(files.join(base, "bad.jsonl"), [{"text": f"buy {seed} now, buy {seed}"} for seed in range(100)])
    dialogues = [{"instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(20)]
    write_lines(files.join(base, "instructions", "a.jsonl"), dialogues)
    write_lines(files.join(base, "evaluation", "a.jsonl"), [{"text": prose(5)}])


def do(base: str) -> tuple[Outcome, list[str]]:
    """Run the recipe, and return what it came to and its lines."""
    lines: list[str] = []
    return run_recipe(RECIPE, base, [files.join(base, "documents")], report=lines.append), lines


def outputs(base: str) -> dict[str, bytes]:
    """The bytes of every file of a run, but for the two that carry times and paths."""
    found = {}
    for path, *_ in files.fingerprint(files.join(base, "out", "**")):
        name = str(path).removeprefix(files.join(base, "out") + "/")
        if name not in ("run.json", "report.html", ".lock"):
            with files.open_input(str(path)) as source:
                found[name] = bytes(source.read())
    return found


def test_a_run_on_a_remote_file_system_gives_the_bytes_of_a_local_one(tmp_path: pathlib.Path, shelf: str) -> None:
    local = str(tmp_path / "local")
    for base in (local, shelf):
        files.make_folder(base)
        write_inputs(base)
    (here, _), (there, _) = do(local), do(shelf)
    assert there.funnel.as_json() == here.funnel.as_json()
    assert not any(isinstance(stage, Skipped) for stage in there.record.stages.values())
    assert {"shards/train-00000.parquet", "tokenizer/tokenizer.json"} <= outputs(local).keys()
    assert outputs(shelf) == outputs(local)
    assert not any(" rows " in line for line in do(shelf)[1])
    write_lines(files.join(shelf, "evaluation", "b.jsonl"), [{"text": prose(6)}])
    assert next(line.split()[0] for line in do(shelf)[1] if " rows " in line) == "decontamination"


def test_a_remote_folder_is_there_and_can_be_removed(shelf: str) -> None:
    folder, path = files.join(shelf, "a"), files.join(shelf, "a", "b", "c.json")
    files.write_json(path, 1)
    files.write_json(files.join(shelf, "ab.json"), 2)
    assert files.exists(folder)
    assert files.exists(path)
    assert files.list_folder(files.join(shelf, "a", "b")) == [path]
    files.remove(folder)
    assert not files.exists(folder)
    assert files.exists(files.join(shelf, "ab.json"))
    files.remove(folder)
