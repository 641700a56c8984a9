"""The user's own files are read whole, or the error says where one cannot be."""

import json
import pathlib
from typing import Any

import pytest

from datapipe.read.examples import read_evaluation, read_examples, read_words
from tests.helpers import write_lines


def test_examples_of_every_format(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "b.jsonl").write_text('{"text": "three"}\n{"text": " "}\n')
    assert read_examples([str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl")]) == ["one", "two", "three"]
    (tmp_path / "c.jsonl").write_text('{"body": "x"}\n')
    (tmp_path / "s.jsonl").write_text('{"text": "\\ud800"}\n')
    assert read_examples([str(tmp_path / "s.jsonl")]) == ["?"]
    with pytest.raises(ValueError, match=r"c\.jsonl.* at 0: no field 'text'"):
        read_examples([str(tmp_path / "c.jsonl")])
    (tmp_path / "d.jsonl").write_text("{\n")
    with pytest.raises(ValueError, match="malformed_json"):
        read_examples([str(tmp_path / "d.jsonl")])
    (tmp_path / "e.jsonl").write_bytes(b'{"text": "caf\xe9"}\n')
    with pytest.raises(ValueError, match="at 0: invalid_utf8: text"):
        read_examples([str(tmp_path / "e.jsonl")])
    with pytest.raises(ValueError, match="neither JSON lines nor Parquet nor text"):
        read_examples(["e.doc"])


def test_words(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.txt").write_text("Two\n")
    paths = (str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))
    assert read_words(paths).words == 2
    assert read_words(paths) is read_words(paths)
    (tmp_path / "b.txt").write_text("six\n")
    assert read_words(paths).words == 3


RECORDS: list[dict[str, Any]] = [
    {"id": 1, "question": "What?", "choices": ["At three.", {"text": "At four."}]},
    {"id": 2, "question": "Why?", "choices": []},
]


def test_evaluation_records_are_named_by_file_and_number(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "b.jsonl", RECORDS)
    (tmp_path / "a.json").write_text(json.dumps([{"question": "How?"}]))
    (tmp_path / "notes.txt").write_text("no records")
    every = [
        ("a.json#0", "How?"),
        ("b.jsonl#0", "What?"),
        ("b.jsonl#0", "At three."),
        ("b.jsonl#0", "At four."),
        ("b.jsonl#1", "Why?"),
    ]
    assert list(read_evaluation([str(tmp_path)], [])) == every
    assert list(read_evaluation([f"{tmp_path}/*.jsonl"], [])) == every[1:]
    assert list(read_evaluation([str(tmp_path)], [], options=False)) == [*every[:2], every[-1]]
    assert list(read_evaluation([f"{tmp_path}/*.jsonl"], ["choices"], options=False)) == every[2:4]
    assert list(read_evaluation([str(tmp_path / "b.jsonl")], ["choices"])) == every[2:4]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: pathlib.Path) -> None:
    for name in ("one/a/test.jsonl", "one/b/test.jsonl", "two/b/test.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_lines(tmp_path / name, [{"question": name}])
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert [record for record, _ in read_evaluation([one], [])] == ["a/test.jsonl#0", "b/test.jsonl#0"]
    # A file that is named twice is read once.
    every = list(read_evaluation([one, two, f"{two}/b/test.jsonl"], []))
    assert every == [(f"{text}#0", text) for text in ("one/a/test.jsonl", "one/b/test.jsonl", "two/b/test.jsonl")]


def test_an_evaluation_set_is_read_whole_or_not_at_all(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"question": "whole"}\n{"question": "cut')
    with pytest.raises(ValueError, match=r"broken\.jsonl at 22: malformed_json"):
        list(read_evaluation([str(path)], []))
    with pytest.raises(ValueError, match=r"broken\.jsonl at 0: no field 'query'"):
        list(read_evaluation([str(path)], ["query"]))
    with pytest.raises(ValueError, match=r"evaluation names no file of records, .*answers\.docx"):
        list(read_evaluation([str(tmp_path / "answers.docx")], []))


@pytest.mark.parametrize(
    ("record", "texts"),
    [
        ({"question": "q", "A": "x", "B": "y", "answer": "A"}, ["q", "A"]),
        ({"goal": "q", "sol1": "x", "sol2": "y"}, ["q"]),
        ({"question": "q", "opa": "x", "opb": "y", "exp": "e"}, ["q", "e"]),
        ({"ctx": "q", "endings": ["x", "y"]}, ["q"]),
        ({"question": {"stem": "q", "choices": {"text": ["x"], "label": ["A"]}}}, ["q"]),
        ({"q": "question", "a": "answer"}, ["question", "answer"]),
        ({"messages": [{"role": "user", "content": "q"}]}, ["user", "q"]),
    ],
)
def test_answers_to_choose_from_are_known_by_their_names(
    tmp_path: pathlib.Path, record: dict[str, Any], texts: list[str]
) -> None:
    write_lines(tmp_path / "e.jsonl", [record])
    assert [text for _, text in read_evaluation([str(tmp_path)], [], options=False)] == texts
