"""What a killed process leaves is cleared by the next; what a living one works in stays."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

from datapipe.store.temporary import temporary_folder

WAITS = """
import sys, time
from datapipe.store.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "examples.txt").write_text("a")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_the_folder_of_a_killed_process_is_cleared(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as process:
        assert process.stdout
        left = pathlib.Path(process.stdout.readline().strip())
        os.utime(left, (0, 0))  # long ago
        with temporary_folder() as mine:
            assert mine.is_dir()
            assert (left / "examples.txt").exists()
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == [left]
    with temporary_folder():
        assert not left.exists()
    assert not list(tmp_path.iterdir())
