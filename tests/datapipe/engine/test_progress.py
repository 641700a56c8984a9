"""Progress: what workers write is added up, and gone afterwards."""

import pathlib

import pytest

from datapipe.engine.progress import FOLDER, Progress, tick


def test_the_bar_adds_up_what_workers_say(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(str(tmp_path), "toy") as progress:
        progress.expect(10, "rows")
        tick(str(tmp_path), "one", 2)
        tick(str(tmp_path), "one", 3)
        tick(str(tmp_path), "two", 4)
        (tmp_path / FOLDER / "three.1f.tmp").write_text("8")  # half written
        progress.show()
        assert progress._bar.n == 7
        tick(str(tmp_path), "two", 6)
        progress.show()
        assert progress._bar.n == 7  # files are not read again at once
        progress._read = 0
        progress.show()
        assert progress._bar.n == 9
    assert not (tmp_path / FOLDER).exists()


def test_it_is_silent_away_from_a_terminal(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(str(tmp_path), "toy") as progress:
        progress.expect(1, "rows")
        progress.show()
    assert capsys.readouterr().err == ""
