"""What a run says while it works: a line of news for each event, and how far the stage that works has come.

Workers write small counter files, and the driver adds them up. Who watches decides what becomes of it: `datapipe run`
draws it on a terminal or writes a line now and then into a log (`datapipe/commands/watching.py`).
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, NamedTuple, Protocol, Self

import pyarrow as pa

from datapipe.kernels import compiling
from datapipe.store import files

FOLDER = ".progress"

Event = Literal["resumed", "done", "kept", "reused", "skipped", "again", "note", "warning"]


class News(str):
    """A line of news.

    Attributes:
        event: what has happened; "kept" is a stage that need not run, "reused" one that another run has done, "again"
            one whose files are not as it left them.
        stage: of which stage; empty: of the run.
        text: what is said of it.
    """

    event: Event
    stage: str
    text: str

    def __new__(cls, event: Event, stage: str, text: str) -> Self:
        """The line, as a string: the stage, unless it was named just before, and the text."""
        made = super().__new__(cls, f"{'' if event == 'note' else stage:20}  {text}" if stage else text)
        made.event, made.stage, made.text = event, stage, text
        return made


class Doing(NamedTuple):
    """How far a pass has come.

    Attributes:
        stages: that work, in order.
        done, total: of `unit`; a total of 0 is not known yet.
        unit: bytes, rows or parts.
        seconds: since it began.
        notice: what a user should know who waits, such as that kernels are being compiled; or empty.
    """

    stages: tuple[str, ...]
    done: int
    total: int
    unit: str
    seconds: float
    notice: str

    @property
    def seconds_left(self) -> float | None:
        """As it has gone so far; None where nothing can be said."""
        if not 0 < self.done <= self.total:
            return None
        return self.seconds * (self.total - self.done) / self.done


class Watcher(Protocol):
    """Who is told how far a pass has come."""

    @property
    def seconds(self) -> float:
        """How long to leave between two tellings."""

    def show(self, doing: Doing | None) -> None:
        """Take how far it has come; None: the pass has ended."""


def tick(root: str, name: str, done: int) -> None:
    """Say from a worker how much of a piece of work is done, where it shares a disk with the driver."""
    if files.is_local(root):
        with files.whole_file(files.join(root, FOLDER, name)) as sink:
            sink.write(str(done).encode())


class Progress:
    """How far one pass has come, told to a watcher: by a thread of its own, so that what only learns or adds up is told
    of, too."""

    def __init__(
        self,
        root: str,
        stages: tuple[str, ...],
        watcher: Watcher | None,
        counted: Callable[[], int] = int,
    ) -> None:
        """Begin.

        Args:
            root: the output folder.
            stages: that work, in order.
            watcher: who is told.
            counted: how much is done, where no worker's files can tell: by the engine's counters.
        """
        self._counted = counted
        self._folder = files.join(root, FOLDER)
        self._local = files.is_local(root)
        self._watcher = watcher
        self._began = time.monotonic()
        self._doing = Doing(stages, 0, 0, "", 0, "")
        self._over = threading.Event()
        self._telling: Future[None] | None = None

    def __enter__(self) -> Self:
        if self._local:
            files.remove(self._folder)
            files.make_folder(self._folder)
        if self._watcher:
            self._watcher.show(self._doing)
            teller = ThreadPoolExecutor(1, "progress")
            self._telling = teller.submit(self._tell, self._watcher)
            teller.shutdown(wait=False)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._over.set()
        if self._telling and self._watcher:
            error = self._telling.exception()  # waits
            self._watcher.show(None)
            if error and kind is None:
                raise error
        if self._local:
            files.remove(self._folder)

    def expect(self, total: int, unit: str) -> None:
        """Set how much there is to do."""
        self._doing = self._doing._replace(total=total, unit=unit)

    def _tell(self, watcher: Watcher) -> None:
        """Tell what the workers have done so far, now and then."""
        while not self._over.wait(watcher.seconds):
            seconds = time.monotonic() - self._began
            watcher.show(self._doing._replace(done=self._count(), seconds=seconds, notice=compiling()))

    def _count(self) -> int:
        if not self._local:
            return self._counted()
        done = 0
        for path in files.list_folder(self._folder):
            if not path.endswith(".tmp"):
                with pa.OSFile(path) as source:
                    done += int(source.read())
        return done
