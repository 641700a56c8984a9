"""`datapipe report`: the funnel of a finished run, and its report again.

It only reads small columns, and starts without Beam and numba, which take a second to import.
"""

from datapipe.engine.funnel import count_funnel, render_funnel
from datapipe.engine.output import RunError, open_corpus
from datapipe.engine.report.page import write_report
from datapipe.store.corpus import Corpus
from datapipe.store.record import RunRecord


def open_run(output: str) -> tuple[Corpus, RunRecord]:
    """The corpus of a finished run, with its record.

    Raises:
        ValueError: if the folder holds no finished run.
    """
    try:
        return open_corpus(output)
    except RunError as error:
        raise ValueError(str(error)) from error


def report(output: str) -> None:
    """Print the funnel of a run, and write its `report.html` again.

    Raises:
        ValueError: if the folder holds no finished run.
    """
    corpus, record = open_run(output)
    funnel = count_funnel(corpus, record.stages)
    write_report(corpus, funnel, record)
    print(render_funnel(funnel))
    for line in record.warnings:
        print(f"warning: {line}")
