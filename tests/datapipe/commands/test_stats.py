"""What a run holds by any column."""

import json
import pathlib

import pytest

from datapipe.cli import main


def test_groups_with_what_is_kept_of_them(finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(finished_run), "--by", "path", "language"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:5] == ["good.jsonl", "en", "24", "24", "100%"]
    assert lines[2][:5] == ["more.jsonl", "en", "5", "0", "0%"]
    assert main(["stats", str(finished_run), "--json"]) == 0
    assert sum(group["documents"] for group in json.loads(capsys.readouterr().out)) == 29
    assert main(["stats", str(finished_run), "--by", "langage"]) == 2
    assert "no document has a column 'langage'" in capsys.readouterr().err
