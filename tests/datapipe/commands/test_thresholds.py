"""Thresholds are fitted to trusted documents, or tried from what was measured."""

import json
import pathlib
import re

import pytest
import yaml

from datapipe.cli import main
from tests.helpers import run_recipe, write_lines

PROSE = "The harbour lies where the river meets the sea, and the boats come back to it with the tide of the evening."


def test_thresholds_are_fitted_as_yaml(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": f"n{number}", "text": f"{PROSE} {number}"} for number in range(120)])
    run_recipe("stages: [documents, language, measurements]", tmp_path, [str(tmp_path / "a.jsonl")])
    command = ["thresholds", str(tmp_path / "out")]
    assert main(command) == 0
    fitted = yaml.safe_load(capsys.readouterr().out)["thresholds"]["en"]
    assert 20 < fitted["gopher_min_words"] <= 23
    assert main([*command, "--min-documents", "121"]) == 2
    assert "no language has 121 documents" in capsys.readouterr().err
    assert main([*command, "--parallel-to", "en"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["thresholds"]["en"]["gopher_min_words"] == 50
    assert main([*command, "--what-if", "en.gopher_min_words=30"]) == 2
    assert "the run has no stage 'rules'" in capsys.readouterr().err


def test_what_other_thresholds_would_do(finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["thresholds", str(finished_run), "--what-if", "en.gopher_min_words=1000"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "the run kept 24 documents, and would keep 0\n" in said
    assert "would go: 24 that it kept, " in said
    assert re.search(r"^rules +3 +29 +\+26$", said, re.MULTILINE)
    assert f"--set rules.thresholds.en.gopher_min_words=1000 --reuse {finished_run}" in said
    assert main([*command[:-1], "rules.rule_sets={en: []}"]) == 0
    assert "would keep 24 to 27" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gone"] == 24
