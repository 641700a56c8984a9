"""Two runs over the same data: who met another fate, and why."""

import json
import pathlib

import pytest

from datapipe.cli import main
from tests.helpers import FINISHED


def test_documents_that_changed_their_fate(
    finished_run: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, other = finished_run.parent, tmp_path / "other"
    assert main(["diff", str(finished_run), str(finished_run)]) == 0
    assert capsys.readouterr().out == "every document met the same fate\n"
    (tmp_path / "toy.yaml").write_text(FINISHED)
    command = ["run", str(tmp_path / "toy.yaml"), "--input", str(base / "documents"), "--output", str(other)]
    assert main([*command, "--reuse", str(finished_run), "--set", "rules.rule_sets.en=[]", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["diff", str(finished_run), str(other)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("rules.rule_sets: {} -> {'en': []}\n4 documents changed their fate")
    assert "documents kept: 24, then 26 (+2)" in said  # what comes back has a near duplicate of its own
    assert main(["diff", str(finished_run), str(other), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(row["documents"] for row in found["changes"] if row["after"] == "kept") == 3
    assert {row["after_id"] for row in found["documents"]} >= {"0-24", "0-25", "0-26"}
