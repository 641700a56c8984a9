"""Planning: the same tasks whatever the order of the inputs, and nothing that is not data."""

import dataclasses
import os
import pathlib
import re
from collections import Counter

import pytest

from datapipe.read.inputs import COMPRESSED_TEXT_SHARE, passed_over_note, plan, sample
from datapipe.read.options import ReadOptions
from datapipe.read.records import Document, read_task
from tests.datapipe.read.helpers import Write, names, read, reasons
from tests.helpers import write_lines


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
    for name in ("README.md", "LICENSE", ".hidden.jsonl", "_logs/x.jsonl", "sub/notes.story", *data):
        root = write(name, {"text": name})
    records = read(root)
    assert tuple(r.path for r in records if isinstance(r, Document)) == (*data, "sub/notes.story")
    assert len(records) == len(data) + 1
    assert passed_over_note(plan([root], ReadOptions())) == ["files passed over: 2 about the data, 2 hidden"]
    assert reasons(f"{root}/LICENSE") == [None]


def test_a_pipe_in_a_folder_is_not_waited_for(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"})
    os.mkfifo(f"{root}/b.jsonl")
    assert reasons(root) == [None, "not_a_file"]


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/*.jsonl", "empty", "*.jsonl"])
def test_an_input_without_data_is_an_error_that_names_it(write: Write, tmp_path: pathlib.Path, missing: str) -> None:
    root = write(".hidden.txt", b"")
    (tmp_path / "input" / "empty").mkdir()
    sought = "it is not there" if missing == "nowhere" else "looked for .jsonl, .*, and any text in UTF-8"
    with pytest.raises(ValueError, match=f"{re.escape(missing)}'; {sought}"):
        plan([f"{root}/{missing}"], ReadOptions())
    with pytest.raises(ValueError, match="passed over: 1 hidden"):
        plan([root], ReadOptions())


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


def test_compressed_bytes_are_more_text(write: Write, tmp_path: pathlib.Path) -> None:
    for ending, tasks in ((".jsonl", 1), (".jsonl.zst", 2)):
        for name in ("a", "b"):
            root = write(f"{ending}/{name}{ending}")
            (tmp_path / "input" / ending / f"{name}{ending}").write_bytes(bytes(8000))
        assert len(plan([f"{root}/{ending}"], ReadOptions(part_bytes=20_000))) == tasks


def test_a_text_is_split_where_its_lines_are_documents(write: Write) -> None:
    root = write("a.txt", *[b"x" * 999] * 100)
    options = ReadOptions(part_bytes=30_000)
    assert len(plan([root], options)) == 1
    assert len(plan([root], dataclasses.replace(options, text_unit="line"))) == 4
    assert read(root, part_bytes=30_000, text_unit="line") == read(root, text_unit="line")


@pytest.mark.parametrize("turn", [1, -1])
def test_a_file_is_read_if_either_input_says_so(write: Write, turn: int) -> None:
    root = write("README.md", b"Read me.")
    write("a.jsonl", {"text": "a"})
    (task,) = plan([root, f"{root}/README.md"][::turn], ReadOptions())
    assert [(piece.name, piece.format) for piece in task.slices] == [("README.md", "markdown"), ("a.jsonl", "jsonl")]


def test_a_file_weighs_what_opening_it_costs(write: Write) -> None:
    for number in range(6):
        root = write(f"{number}.jsonl", {"text": "tiny"})
    assert [len(task.slices) for task in plan([root], ReadOptions(part_bytes=10_000))] == [2, 2, 2]


def test_a_name_that_is_no_utf8_is_read_and_shown(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"})
    pathlib.Path(root, os.fsdecode(b"caf\xe9.txt")).write_bytes(b"coffee")
    documents = read(root)
    assert [(document.path, document.text) for document in documents] == [
        ("a.jsonl", b"a"),
        ("caf\\xe9.txt", b"coffee"),
    ]


def test_a_link_that_leads_nowhere_is_one_reject(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"})
    pathlib.Path(root, "b.jsonl").symlink_to("nowhere")
    _, reject = read(root)
    assert (reject.file, reject.reason) == ("b.jsonl", "broken_link")


@pytest.mark.parametrize("part_bytes", [1, 3, 50])
def test_no_range_is_empty(write: Write, part_bytes: int) -> None:
    root = write("a.jsonl", {"text": "a"}, {"text": "b"})
    assert [document.text for document in read(root, part_bytes=part_bytes)] == [b"a", b"b"]


def test_a_sample_reads_some_of_each_file(tmp_path: pathlib.Path) -> None:
    for name, count in (("a", 5), ("b", 400)):
        write_lines(tmp_path / f"{name}.jsonl", [{"text": f"{name} {number}"} for number in range(count)])
    whole = plan([str(tmp_path)], ReadOptions())
    (task,) = sample(whole, 100)
    documents = [record for record in read_task(task, ReadOptions()) if isinstance(record, Document)]
    counts = Counter(document.path for document in documents)
    assert counts["a.jsonl"] == 5
    assert 70 <= counts["b.jsonl"] <= 100
    assert documents[5].text == b"b 0"


def test_a_folder_is_the_source_of_all_that_lies_in_it_if_so_asked(tmp_path: pathlib.Path) -> None:
    for path in ("c4/en.00001.jsonl", "c4/deep/er/en.00002.jsonl", "wikipedia/enwiki.jsonl", "cc.jsonl"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write_lines(tmp_path / path, [{"text": path, "source": "said"}, {"text": path}])
    found = {}
    for way in ("record", "folder"):
        options = ReadOptions(source_from=way)
        tasks = plan([str(tmp_path)], options)
        records = [record for task in tasks for record in read_task(task, options) if isinstance(record, Document)]
        found[way] = [record.source for record in records]
    assert found["record"] == ["said", "en.00002", "said", "en.00001", "said", "cc", "said", "enwiki"]
    assert found["folder"] == ["c4"] * 4 + ["cc"] * 2 + ["wikipedia"] * 2


def test_how_much_text_to_expect_of_ranges_and_of_what_is_compressed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"{}\n" * 10_000)
    (tmp_path / "b.jsonl.gz").write_bytes(b"-" * 10_000)
    tasks = plan([str(tmp_path)], ReadOptions(part_bytes=16_000))
    assert len(tasks) > 2
    assert sum(task.text_bytes for task in tasks) == 30_000 + 10_000 * COMPRESSED_TEXT_SHARE


def test_an_input_that_is_not_there_has_a_suggestion(tmp_path: pathlib.Path) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(ValueError, match="it is not there; did you mean 'docs'"):
        plan([str(tmp_path / "dcos")], ReadOptions())
