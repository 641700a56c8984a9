"""The output folder of a run: apart from its inputs, one run's alone, and opened once the run has finished."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

from datapipe.store import files, objects
from datapipe.store.corpus import Corpus
from datapipe.store.locks import LOCK, LockedError, Owner, locked
from datapipe.store.record import FORMAT, RUN_FILE, RecordError, RunRecord

ERROR_LOG = "error.log"


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
def lock_output(output: str, report: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Make the output folder this run's alone. Nothing is written before it is known to be empty, or a run's.

    Args:
        output: the folder.
        report: takes a line of news.

    Yields:
        A function that raises LockedError if the lock has been lost.

    Raises:
        RunError: if it cannot be made or written to, holds other files, or another run holds it.
    """
    if objects.is_read_only(output):
        raise RunError(
            f"--output {output}: the hub is for reading here, as each file would be a commit; choose another"
        )
    with contextlib.ExitStack() as held:
        try:
            files.make_folder(output)
        except OSError as error:
            raise RunError(f"cannot make the output folder {output}: {error.strerror or error}") from error
        try:
            _check_ours(output)
        except OSError as error:
            raise RunError(f"cannot look into the output folder {output}: {error.strerror or error}") from error
        try:
            check = held.enter_context(locked(output, report))
        except LockedError as error:
            raise RunError(str(error)) from error
        except OSError as error:
            raise RunError(f"cannot write into the output folder {output}: {error.strerror or error}") from error
        yield check


def _check_ours(output: str) -> None:
    """Check that a folder holds a run of ours, or nothing but what one that failed before its first word has left."""
    try:
        if RunRecord.read(output) is not None:
            return
    except RecordError as error:
        raise RunError(str(error)) from error
    for name in files.first_names(output, at_most=100):
        if not (name in (LOCK, ERROR_LOG) or (name.startswith(RUN_FILE) and files.is_temporary(name))):
            raise RunError(f"{output} is not empty and holds no datapipe run ({name}); choose an empty or a new folder")
    lock = files.join(output, LOCK)
    if files.exists(lock):
        with files.open_input(lock) as source:
            content = bytes(source.read())
        if content and Owner.read(content.partition(b"\n")[0]) is None:
            raise RunError(f"{lock} is none of datapipe's; choose an empty or a new folder")


def open_corpus(output: str) -> tuple[Corpus, RunRecord]:
    """The corpus of a finished run, with its record.

    Raises:
        RunError: if the folder holds no run, one of another version, or one that did not finish.
    """
    try:
        record = RunRecord.read(output)
    except RecordError as error:
        raise RunError(str(error)) from error
    if record is None:
        raise RunError(f"{output}: no {RUN_FILE} here, so no run of datapipe")
    if record.format != FORMAT:
        raise RunError(f"{output}: the run here is of another version of datapipe; run the recipe into a new folder")
    if record.funnel is None:
        raise RunError(f"{output}: the run did not finish; run the same command to resume")
    return record.corpus(output), record
