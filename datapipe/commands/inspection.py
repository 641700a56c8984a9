"""`datapipe report`: the funnel of a finished run, and its report again.

It only reads small columns, and starts without Beam and numba, which take a second to import.
"""

import pathlib

from datapipe.commands.console import say_json
from datapipe.engine.funnel import count_funnel, render_funnel
from datapipe.engine.kept_files import REPORT, record_closing
from datapipe.engine.output import RunError, open_corpus
from datapipe.engine.report.page import write_report
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.store.record import RUN_FILE, RunRecord

_RUNS_SHOWN = 5


def open_run(output: str) -> tuple[Corpus, RunRecord]:
    """The corpus of a finished run, with its record.

    Raises:
        ValueError: if the folder holds no finished run.
    """
    try:
        return open_corpus(output)
    except RunError as error:
        runs = [] if files.exists(files.join(output, RUN_FILE)) else _runs_near(output)
        said = f"; there are runs in {', '.join(runs)}" if runs else ""
        raise ValueError(f"{error}{said}") from error


def _runs_near(output: str) -> list[str]:
    """The folders of runs in a local folder, or else beside it."""
    if not files.is_local(output):
        return []
    folder = pathlib.Path(output)
    for place in (folder, folder.parent):
        found = sorted(str(path.parent) for path in place.glob(f"*/{RUN_FILE}"))
        if found:
            return found[:_RUNS_SHOWN]
    return []


def report(output: str, *, as_json: bool = False) -> None:
    """Print the funnel of a run, and write its `report.html` again.

    Args:
        output: the folder of the run.
        as_json: for programs.

    Raises:
        ValueError: if the folder holds no finished run.
    """
    corpus, record = open_run(output)
    funnel = count_funnel(corpus, record.stages)
    write_report(corpus, funnel, record)
    record.closing |= record_closing(output, (REPORT,))
    record.write(output)
    if as_json:
        say_json(funnel.as_json() | {"warnings": record.warnings})
        return
    print(render_funnel(funnel))
    for line in record.warnings:
        print(f"warning: {line}")
