"""What can go goes, what tells of documents stays, and a run makes again what it needs."""

import pathlib

import pytest

from datapipe.cli import main
from tests.helpers import run_recipe, write_lines

RECIPE = "stages: [documents, signatures, exact_duplicates, shards]"


def test_columns_that_decide_on_nothing_can_go(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": f"a text of a few words {number}"} for number in range(5)])
    run_recipe(RECIPE, tmp_path, [str(tmp_path / "a.jsonl")])
    out = str(tmp_path / "out")
    assert main(["clean", out]) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"datapipe clean {out} --stages signatures")
    for stage in ("documents", "exact_duplicates", "shards"):
        assert main(["clean", out, "--stages", stage]) == 2
        assert "its files stay" in capsys.readouterr().err
    assert main(["clean", out, "--stages", "signature"]) == 2
    assert "did you mean 'signatures'" in capsys.readouterr().err
    assert main(["clean", out, "--stages", "signatures"]) == 0
    assert not (tmp_path / "out" / "signatures").exists()
    capsys.readouterr()
    assert main(["explain", out, "0-0"]) == 0
    assert main(["verify", out]) == 0
    run_recipe(RECIPE, tmp_path, [str(tmp_path / "a.jsonl")])
    assert (tmp_path / "out" / "signatures").exists()
