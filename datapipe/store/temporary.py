"""Folders for what must be a local file for a while, which a later process clears away where this one is killed.

A folder of Python's own stays where its process gets no chance to end. Ours holds a lock of the kernel's, which goes
with the process, whatever ends it: who can take the lock may delete the folder.
"""

import contextlib
import fcntl
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

_PREFIX, _LOCK = "datapipe-work-", "lock"
_MADE_WITHIN_SECONDS = 60  # a folder so young may be about to be locked


@contextlib.contextmanager
def temporary_folder() -> Iterator[pathlib.Path]:
    """A new folder on this machine, gone at the end; those that killed processes have left go at the beginning."""
    _clear()
    folder = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder)


def _clear() -> None:
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Another user's cannot be opened; another process may be clearing the same one.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _MADE_WITHIN_SECONDS:
                continue
            with (folder / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
