"""What was rejected, and what would read it."""

import json
import pathlib

import pytest

from datapipe.cli import main


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
