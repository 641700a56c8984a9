"""How `datapipe run` shows what happens: one region that moves on a terminal, one line an event in a log.

On a terminal what is finished stays, with a mark, and below it the pass that works shows how far it is. Elsewhere
each event is a line, `12:00:41 done rules ...`, which grep finds, and a pass that takes long says so now and then.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from datapipe.commands.console import BAD, GOOD, QUIET, WARNING, console, plain
from datapipe.engine.progress import Doing, Event, News, Watcher

HEARTBEAT_SECONDS = 30
_REDRAW_SECONDS = 0.5
_STAGES_SHOWN = 2
_MARKS: dict[Event, tuple[str, str]] = {
    "resumed": ("↻", WARNING),
    "done": ("✓", GOOD),
    "kept": ("✓", QUIET),
    "reused": ("✓", QUIET),
    "skipped": ("–", QUIET),
    "again": ("↻", WARNING),
    "note": (" ", QUIET),
    "warning": ("!", BAD),
}


class Screen(Watcher, Protocol):
    """A watcher that takes news, too."""

    def report(self, news: News) -> None:
        """Show a line of news."""


class Log:
    """For pipes and files."""

    seconds: float = HEARTBEAT_SECONDS

    def report(self, news: News) -> None:
        """A line: the time, the event, the stage, what is said of it."""
        self._line(news.event, news.stage or "run", " ".join(news.text.split()))

    def show(self, doing: Doing | None) -> None:
        """A line when a pass begins, and a heartbeat while it works."""
        if doing is None:
            return
        stages = ",".join(doing.stages)
        self._line("working" if doing.seconds else "begun", stages, _how_far(doing) if doing.seconds else "")

    def _line(self, *words: str) -> None:
        print(time.strftime("%H:%M:%S"), *filter(None, map(plain, words)))


class Silent:
    """For those who want to hear of warnings and errors alone."""

    seconds: float = threading.TIMEOUT_MAX

    def report(self, news: News) -> None:
        """Nothing."""

    def show(self, doing: Doing | None) -> None:
        """Nothing."""


class Terminal:
    """For people who look."""

    seconds: float = _REDRAW_SECONDS

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

        self.region = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[far]}", markup=False),
            console=console(),
            transient=True,
            refresh_per_second=4,
        )
        self._task: TaskID | None = None

    def report(self, news: News) -> None:
        """A line that stays above the region."""
        from rich.text import Text

        mark, style = _MARKS[news.event]
        line = Text.assemble((f"{mark} ", style), plain(news), style=style if news.event in ("note", "kept") else "")
        self.region.console.print(line, no_wrap=True, overflow="ellipsis", soft_wrap=False)

    def show(self, doing: Doing | None) -> None:
        """The pass in the region."""
        if doing is None:
            if self._task is not None:
                self.region.remove_task(self._task)
            self._task = None
            return
        shown = ", ".join(doing.stages[:_STAGES_SHOWN])
        more = len(doing.stages) - _STAGES_SHOWN
        description = f"{shown} and {more} more" if more > 0 else shown
        if self._task is None:
            self._task = self.region.add_task(description, total=None, far="")
        self.region.update(self._task, total=doing.total or None, completed=doing.done, far=_how_far(doing))


def _how_far(doing: Doing) -> str:
    """How far a pass has come, at which rate, and how long it will take, in a few words."""
    said = [f"{min(1, doing.done / doing.total):.0%} of {_amount(doing.total, doing.unit)}"] if doing.total else []
    if doing.notice:  # while kernels are compiled, rate and time left say nothing
        return ", ".join([*said, doing.notice])
    if doing.seconds >= 1 and doing.done >= doing.seconds:
        said.append(f"{_amount(doing.done / doing.seconds, doing.unit)}/s")
    if doing.seconds_left is not None:
        said.append(f"{doing.seconds_left:.0f} s left")
    elif doing.seconds >= 1:
        said.append(f"{doing.seconds:.0f} s")
    return ", ".join(said)


def _amount(number: float, unit: str) -> str:
    return f"{number / 1e6:,.1f} MB" if unit == "bytes" else f"{number:,.0f} {unit}"


@contextlib.contextmanager
def watching(*, quiet: bool) -> Iterator[Screen]:
    """Who shows a run: a terminal, a log, or nobody."""
    if quiet:
        yield Silent()
    elif not sys.stdout.isatty():
        yield Log()
    else:
        screen = Terminal()
        with screen.region:
            yield screen
