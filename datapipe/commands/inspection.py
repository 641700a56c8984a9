"""`datapipe report | thresholds`: what can be learnt from a finished run.

The first only reads small columns: it starts without Beam and numba, which take a second to import.
"""

from datapipe.engine.funnel import count_funnel, render_funnel
from datapipe.engine.kept_files import record_closing
from datapipe.engine.output import RunError, open_corpus
from datapipe.engine.report import REPORT, write_report
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
    record.closing[REPORT] = record_closing(output)[REPORT]
    record.write(output)
    print(render_funnel(funnel))
    for line in record.warnings:
        print(f"warning: {line}")


def thresholds(output: str, *, removed_share: float, min_documents: int, parallel_to: str | None = None) -> None:
    """Print thresholds of the rules, fitted to the languages of a run over trusted documents.

    Args:
        output: the folder of a run with the stages `language` and `measurements`.
        removed_share: of a language's documents, by each rule.
        min_documents: a language with fewer is left out.
        parallel_to: a language; the documents are the same in each, and thresholds on words are scaled from it.

    Raises:
        ValueError: if the run does not have what it takes.
    """
    # Imported here: the stages pull in Beam.
    from datapipe.filters.measurements import MeasureText
    from datapipe.filters.thresholds import fit_thresholds, scale_thresholds, thresholds_yaml

    corpus, _ = open_run(output)
    columns = [*MeasureText.writes.names, "language"]
    # All documents are trusted: what the rules of that run removed counts too.
    batches = (batch for part in corpus.of_kind(["document"]) for batch in part.read(columns, kept_only=False))
    if parallel_to:
        fitted = scale_thresholds(batches, parallel_to)
    else:
        fitted = fit_thresholds(batches, removed_share, min_documents=min_documents)
    print(thresholds_yaml(fitted), end="")
