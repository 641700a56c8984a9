"""A finished run can be asked how many there are of what."""

import json
import pathlib
import subprocess
import sys

import pytest

from datapipe.commands.inspection import open_run, report
from tests.helpers import run_recipe, write_lines

PROSE = "The harbour lies where the river meets the sea, and the boats come back to it with the tide of the evening."


@pytest.fixture
def finished(tmp_path: pathlib.Path) -> str:
    records = [{"id": f"n{number}", "text": f"{PROSE} {number}"} for number in range(120)]
    write_lines(tmp_path / "a.jsonl", records)
    run_recipe("stages: [documents, language, measurements]", tmp_path, [str(tmp_path / "a.jsonl")])
    return str(tmp_path / "out")


def test_a_report_is_written_again(finished: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = pathlib.Path(finished, "report.html")
    before = page.read_bytes()
    page.unlink()
    report(finished)
    assert "120" in capsys.readouterr().out
    assert page.read_bytes() == before


def test_a_folder_without_a_run_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"no run\.json here"):
        open_run(str(tmp_path))


def test_commands_that_read_a_run_start_without_beam_and_numba(finished_run: pathlib.Path) -> None:
    run = str(finished_run)
    commands = [
        ["report", run, "--json"],
        ["explain", run, "near", "--all"],
        ["rules", run],
        ["sample", run, "--reason", "kept", "--borderline"],
        ["diff", run, run],
        ["stats", run],
        ["rejects", run],
        ["clean", run],
        ["doctor"],
    ]
    code = "import json, sys; from datapipe.cli import main; print([main(each) for each in json.loads(sys.argv[1])]);"
    code += "print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    *_, statuses, modules = done.stdout.splitlines()
    assert statuses == str([0] * len(commands))
    assert not {"apache_beam", "numba"} & {*modules.split()}


def test_the_funnel_is_there_as_json(finished_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(str(finished_run), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["read"]["documents"], found["kept"]["documents"]) == (29, 24)


def test_runs_in_or_beside_a_folder_that_is_none_are_named(finished_run: pathlib.Path) -> None:
    for folder in (finished_run.parent, finished_run.parent / "oot"):
        with pytest.raises(ValueError, match=f"there are runs in {finished_run}"):
            open_run(str(folder))
