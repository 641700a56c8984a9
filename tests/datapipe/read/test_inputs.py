"""Planning: the same tasks whatever the order of the inputs, and nothing that is not data."""

import os
import pathlib

import pytest

from datapipe.read.formats import Reject
from datapipe.read.inputs import plan
from datapipe.read.options import ReadOptions
from datapipe.read.records import Document
from tests.datapipe.read.helpers import Write, names, read, reasons


def test_files_folders_and_globs_in_any_order_give_the_same_plan(write: Write) -> None:
    for name in ("a/x.jsonl", "a/y.jsonl.gz", "b/z.txt", "b/c/d.parquet"):
        root = write(name, {"text": name})
    whole = plan([root], ReadOptions())
    assert [piece.name for task in whole for piece in task.slices] == [
        "a/x.jsonl", "a/y.jsonl.gz", "b/c/d.parquet", "b/z.txt"]  # fmt: skip
    assert plan([f"{root}/b", f"{root}/a/y.jsonl.gz", f"{root}/a/*.jsonl"], ReadOptions()) == whole
    assert names([f"{root}/**.txt"]) == ["b/z.txt"]
    assert names([f"{root}/a"]) == ["x.jsonl", "y.jsonl.gz"]
    assert names([f"{root}/a/x.jsonl", f"{root}/a"]) == ["x.jsonl", "y.jsonl.gz"]


def test_names_with_glob_characters_are_found_as_they_are(write: Write) -> None:
    write("a[1]/x*.jsonl", {"text": "a"})
    root = write("a1/x.jsonl", {"text": "b"})
    assert names([f"{root}/a[1]"]) == ["x*.jsonl"]
    assert names([f"{root}/a[1]/x*.jsonl"]) == ["x*.jsonl"]


def test_what_is_not_data_is_not_read_unless_asked_for(write: Write) -> None:
    data = ("a.jsonl", "citations.jsonl", "licences/a.jsonl", "notices/a.txt")
    for name in ("README.md", "LICENSE", ".hidden.jsonl", "_logs/x.jsonl", "sub/notes.docx", *data):
        root = write(name, {"text": name})
    records = read(root)
    rejects = [record for record in records if isinstance(record, Reject)]
    assert [reject.file for reject in rejects] == ["LICENSE", "README.md", "sub/notes.docx"]
    assert {reject.reason for reject in rejects} == {"unknown_format"}
    assert tuple(r.path for r in records if isinstance(r, Document)) == data
    assert reasons(f"{root}/LICENSE", format="text") == [None]


def test_a_pipe_in_a_folder_is_not_waited_for(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"})
    os.mkfifo(f"{root}/b.jsonl")
    assert reasons(root) == [None, "unknown_format"]


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/*.jsonl", "empty", "a.docx"])
def test_an_input_without_data_is_an_error_that_names_it(write: Write, tmp_path: pathlib.Path, missing: str) -> None:
    root = write("a.docx", b"")
    (tmp_path / "input" / "empty").mkdir()
    with pytest.raises(ValueError, match=missing.replace("*", ".")):
        plan([f"{root}/{missing}"], ReadOptions())


def test_large_files_are_split_and_small_ones_packed(write: Write) -> None:
    for name in ("a.jsonl", "b.jsonl", "d.jsonl"):
        write(name, {"text": "small"})
    root = write("c.jsonl", *({"text": f"{number:01000}"} for number in range(100)))
    tasks = plan([root], ReadOptions(part_bytes=30_000))
    assert [[piece.name for piece in task.slices] for task in tasks] == [
        ["a.jsonl", "b.jsonl"], ["c.jsonl"], ["c.jsonl"], ["c.jsonl"], ["c.jsonl"], ["d.jsonl"]]  # fmt: skip
    whole = read(root)
    assert len(whole) == 103
    assert read(root, part_bytes=30_000) == whole
    assert len(plan([root], ReadOptions())) == 1


def test_a_file_weighs_what_opening_it_costs(write: Write) -> None:
    for number in range(6):
        root = write(f"{number}.jsonl", {"text": "tiny"})
    assert [len(task.slices) for task in plan([root], ReadOptions(part_bytes=10_000))] == [2, 2, 2]
