"""The output folder of a run: apart from its inputs, one run's alone, and opened once the run has finished."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence

from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.store.record import FORMAT, RUN_FILE, RunRecord


class RunError(RuntimeError):
    """A run that cannot begin or resume, in one line that says what to do."""


def check_disjoint(inputs: Sequence[str], output: str) -> None:
    """Refuse to write where the documents are: a stage's folder is emptied before the stage fills it.

    Raises:
        RunError: if the output is an input, or lies in one, or an input lies in the output.
    """
    there = os.path.realpath(output) if files.is_local(output) else output.rstrip("/")
    for path in inputs:
        here = os.path.realpath(path) if files.is_local(path) else path.rstrip("/")
        if here == there or here.startswith(there + "/") or there.startswith(here + "/"):
            raise RunError(f"--output {output} overlaps --input {path}; choose a separate folder")


@contextlib.contextmanager
def lock_output(output: str) -> Iterator[None]:
    """Make the output folder this run's alone.

    Raises:
        RunError: if it cannot be made or written to, holds other files, or another run holds it.
    """
    try:
        files.make_folder(output)
    except OSError as error:
        raise RunError(f"cannot make the output folder {output}: {error.strerror or error}") from error
    if not files.is_local(output):
        yield
        return
    if set(os.listdir(output)) - {".lock"} and not files.exists(files.join(output, RUN_FILE)):  # noqa: PTH208
        raise RunError(f"{output} is not empty and holds no datapipe run; choose an empty or a new folder")
    try:
        lock = open(files.join(output, ".lock"), "w")  # noqa: PTH123, SIM115 - held until the run ends
    except OSError as error:
        raise RunError(f"cannot write into the output folder {output}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"another run is writing into {output}: wait for it, or choose another folder") from None
        yield


def open_corpus(output: str) -> tuple[Corpus, RunRecord]:
    """The corpus of a finished run, with its record.

    Raises:
        RunError: if the folder holds no run, one of another version, or one that did not finish.
    """
    record = RunRecord.read(output)
    if record is None:
        raise RunError(f"{output}: no {RUN_FILE} here, so no run of datapipe")
    if record.format != FORMAT:
        raise RunError(f"{output}: the run here is of another version of datapipe; run the recipe into a new folder")
    if record.funnel is None:
        raise RunError(f"{output}: the run did not finish; run the same command to resume")
    return record.corpus(output), record
