"""A look at some files says what a run would read, and what a recipe must say so that it reads more."""

import pathlib

import pytest

from datapipe.read.look import RECORDS_EACH, look
from datapipe.read.options import ReadOptions
from tests.helpers import write_lines


def test_formats_columns_rejects_and_advice(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": f"one {number}", "site": "a"} for number in range(3 * RECORDS_EACH)])
    write_lines(tmp_path / "b.jsonl", [{"tale": "once upon a time"}, {"messages": [{"role": "user", "content": "hi"}]}])
    (tmp_path / "c.csv").write_text("id;inhalt\n1;ein langer Satz, der hier steht\n")
    (tmp_path / "d.pdf").write_bytes(b"%PDF-1.7\0")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x").touch()
    seen = look([str(tmp_path)], ReadOptions(), {"fields": {"text": ["text"]}})
    counts = {name: (of.files, of.documents, of.rejects) for name, of in seen.formats.items()}
    assert counts == {"jsonl": (2, RECORDS_EACH, 2), "csv": (1, 0, 1), "unknown": (1, 0, 1)}
    assert seen.formats["csv"].bytes == (tmp_path / "c.csv").stat().st_size
    assert seen.passed_over == {"version control": 1}
    assert (seen.columns["site"].documents, seen.columns["site"].example) == (RECORDS_EACH, "a")
    assert seen.instructions == {("messages",): 1}
    assert seen.advice == {"fields": {"text": ["text", "tale", "inhalt"]}}
    assert seen.rejects[".pdf", "unknown_format"] == 1


def test_of_many_files_some_are_read(tmp_path: pathlib.Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text(f"text {number}")
    seen = look([str(tmp_path)], ReadOptions(), {})
    assert seen.formats["text"].files == 40
    assert [document.path for document in seen.documents] == [f"{number:02}.txt" for number in range(0, 40, 5)]


def test_nothing_to_look_at_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="there is nothing in the input"):
        look([str(tmp_path)], ReadOptions(), {})
