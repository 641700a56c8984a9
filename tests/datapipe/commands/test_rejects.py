"""What was rejected, and what would read it."""

import json
import pathlib

import pytest

from datapipe.cli import main
from tests.helpers import run_recipe, write_lines


def test_rejects_are_counted_with_examples_and_advice(
    finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rejects", str(finished_run)]) == 0
    said = capsys.readouterr().out
    assert "documents  .jsonl     missing_text        1" in said
    assert '“{"story": "of no field"}”' in said
    assert "text: [text, story]" in said
    assert main(["rejects", str(finished_run), "--reason", "empty_text", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["file"], found["reason"]) == ("more.jsonl", "empty_text")
    assert main(["rejects", str(finished_run), "--reason", "empty"]) == 2
    assert "did you mean 'empty_text'" in capsys.readouterr().err


def test_a_run_that_failed_over_its_rejects_shows_them(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(tmp_path / "a.jsonl", [{"tale": "once upon a time"}])
    with pytest.raises(RuntimeError):
        run_recipe("stages: [documents]", tmp_path, [str(tmp_path / "a.jsonl")])
    assert main(["rejects", str(tmp_path / "out")]) == 0
    assert "text: [text, content, body, raw_content, tale]" in capsys.readouterr().out
    assert main(["rejects", str(tmp_path)]) == 2
    assert "there are runs in" in capsys.readouterr().err
