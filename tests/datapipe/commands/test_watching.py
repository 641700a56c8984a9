"""A log has one line an event; a terminal one region, and no colours where NO_COLOR is set."""

import os
import pathlib
import pty
import re
import subprocess
import sys

import pytest

from datapipe.commands.watching import Log, watching
from datapipe.engine.progress import Doing, News
from tests.helpers import write_lines

DOING = Doing(("language", "rules"), 250, 1000, "rows", 10.0, "")


def test_a_log_has_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(quiet=False) as screen:
        screen.report(News("done", "rules", f"{'3 of 5 rows':>24}  0.1 s"))
        screen.report(News("note", "rules", "a\nb\x1b[2J"))
        screen.show(DOING._replace(seconds=0, done=0))
        screen.show(DOING)
        screen.show(Doing(("documents",), 4_000_000, 8_000_000, "bytes", 10.0, ""))
        screen.show(DOING._replace(notice="compiling kernels"))
        screen.show(None)
    lines = capsys.readouterr().out.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    assert [line[9:] for line in lines] == [
        "done rules 3 of 5 rows 0.1 s",
        "note rules a b\\x1b[2J",
        "begun language,rules",
        "working language,rules 25% of 1,000 rows, 25 rows/s, 30 s left",
        "working documents 50% of 8.0 MB, 0.4 MB/s, 10 s left",
        "working language,rules 25% of 1,000 rows, compiling kernels",
    ]
    assert Log.seconds == 30


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(quiet=True) as screen:
        screen.report(News("done", "rules", "x"))
        screen.show(DOING)
    assert capsys.readouterr().out == ""


def on_terminal(arguments: list[str], **environment: str) -> str:
    """What a command writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    wide = {"COLUMNS": "100", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "datapipe.cli", *arguments], stdout=theirs, env=os.environ | wide | environment
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        said += read
    os.close(ours)
    assert process.wait() == 0
    return said.decode()


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_has_marks_and_a_region_and_colours_if_wanted(colours: bool, tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [{"text": f"text {number}"} for number in range(3)])
    (tmp_path / "short.yaml").write_text("stages: [documents, exact_duplicates, shards]")
    arguments = [
        "run",
        str(tmp_path / "short.yaml"),
        "--input",
        str(tmp_path / "in"),
        "--output",
        str(tmp_path / "out"),
    ]
    said = on_terminal(arguments, **({} if colours else {"NO_COLOR": "1"}))
    assert "✓ documents" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    assert "\x1b[?25l" in said  # the region hides the cursor
    assert ("\x1b[32m" in said) == colours
    assert "100% of" not in re.split("done in", said)[1]
