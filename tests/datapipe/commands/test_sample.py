"""A few documents to read, with what decided on them."""

import json
import pathlib

import pytest

from datapipe.cli import main


def test_documents_of_a_reason_are_shown(finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sample", str(finished_run)]
    assert main(command) == 0
    assert "        3  rules" in capsys.readouterr().out.splitlines()
    assert main([*command, "--reason", "rules", "--borderline", "--count", "1", "--where", "language=en"]) == 0
    verdict, path, *_ = capsys.readouterr().out.splitlines()
    assert "removed by rules: " in verdict
    assert " from the threshold of " in verdict
    assert path == "more.jsonl"
    assert main([*command, "--reason", "kept", "--json", "--count", "3"]) == 0
    assert [each["verdict"] for each in json.loads(capsys.readouterr().out)] == ["kept, once in the mixture"] * 3
    assert main([*command, "--reason", "kept", "--where", "langage=en"]) == 2
    assert main([*command, "--reason", "kept", "--where", "langage"]) == 2
