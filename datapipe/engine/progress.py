"""Progress of a running stage: workers write small counter files, the driver adds them up and draws a bar."""

import sys
import time

import pyarrow as pa
from tqdm import tqdm

from datapipe.kernels import compiling
from datapipe.store import files

FOLDER = ".progress"
_SECONDS_BETWEEN_READINGS = 0.5


def tick(root: str, name: str, done: int) -> None:
    """Say from a worker how much of a piece of work is done. Remote runners have metrics of their own."""
    if files.is_local(root):
        with files.whole_file(files.join(root, FOLDER, name)) as sink:
            sink.write(str(done).encode())


class Progress:
    """The bar of one stage, on a terminal; silent elsewhere."""

    def __init__(self, root: str, stage: str) -> None:
        self._folder = files.join(root, FOLDER)
        self._local = files.is_local(root)
        self._read = 0.0
        self._bar = tqdm(desc=stage, disable=not sys.stderr.isatty(), leave=False, unit_scale=True)

    def __enter__(self) -> "Progress":
        if self._local:
            files.remove(self._folder)
            files.make_folder(self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._local:
            files.remove(self._folder)

    def expect(self, total: int, unit: str) -> None:
        """Set how much there is to do."""
        self._bar.unit = " " + unit
        self._bar.reset(total=total)

    def show(self) -> None:
        """Draw what the workers have done so far."""
        if self._bar.disable or not self._local or time.monotonic() - self._read < _SECONDS_BETWEEN_READINGS:
            return
        self._read = time.monotonic()
        done = 0
        for path in files.list_folder(self._folder):
            if not path.endswith(".tmp"):
                with pa.OSFile(path) as source:
                    done += int(source.read())
        self._bar.n = done
        self._bar.set_postfix_str(compiling(), refresh=False)
        self._bar.refresh()
