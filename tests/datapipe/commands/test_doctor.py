"""What a machine has is said, and what is wrong fails."""

import json

import pytest

from datapipe.cli import main
from datapipe.commands import doctor


def test_each_finding_has_a_line_and_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(lines) == len(found)
    assert {"python", "apache-beam", "kernels", "memory"} <= {each["what"] for each in found}


def test_what_a_run_cannot_do_without_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", ("no-such-package",))
    assert main(["doctor"]) == 1
    assert "datapipe: not well: no-such-package" in capsys.readouterr().err
