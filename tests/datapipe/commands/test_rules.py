"""`datapipe rules`: of a run with counts, or as they are built in."""

import json
import pathlib

import pytest

from datapipe.cli import main


def test_the_rules_of_a_run_and_of_a_language(finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", str(finished_run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (words,) = [line.split() for line in lines if " gopher_min_words " in line]
    assert words == ["en", "gopher_min_words", "words", ">=", "50", "Gopher", "29", "1", "1", words[-1]]
    assert main(["rules", "--language", "zh", "--json"]) == 0
    assert {rule["source"] for rule in json.loads(capsys.readouterr().out)} == {"FineWeb-2", "MAP-NEO", "datapipe"}
    assert main(["rules", str(finished_run), "--language", "de"]) == 2
    assert "the rules have judged no document in 'de'; there are en" in capsys.readouterr().err
