"""`datapipe clean`: what the folders of a run take on the disk, and what can go of it.

The columns of a stage that decides on no document, such as vectors, can go once the run is done: all else still tells
why a document is in or out, and a run that needs them again makes them again. What decides, what was read and what was
made for users stays.
"""

from collections.abc import Sequence

from datapipe.checks import check_known
from datapipe.commands.console import GOOD, QUIET, say, say_json, say_table
from datapipe.commands.inspection import open_run
from datapipe.store import files
from datapipe.store.corpus import REASON
from datapipe.store.record import Done, RunRecord, Skipped

_CLEANED = "its columns were removed by `datapipe clean`"


def clean(output: str, *, stages: Sequence[str], as_json: bool = False) -> None:
    """Print what each stage's files take, or remove those of some stages.

    Args:
        output: the folder of the run.
        stages: whose columns to remove; none: only print.
        as_json: for programs.

    Raises:
        ValueError: if there is no such run, or the columns of a stage cannot go.
    """
    _, record = open_run(output)
    done = {name: entry for name in record.stages if (entry := record.done(name))}
    free = {name for name, entry in done.items() if _can_go(entry, record)}
    sizes = {name: sum(kept.size for kept in entry.files.values()) for name, entry in done.items()}
    if not stages:
        if as_json:
            say_json([{"stage": name, "bytes": sizes[name], "can_go": name in free} for name in done])
            return
        rows = [("stage", "can go", "MB")]
        rows += [(name, "yes" if name in free else "", f"{sizes[name] / 1e6:,.1f}") for name in done]
        say_table(rows, left=(0, 1), styles=["" if name in free else QUIET for name in done])
        if free:
            say(f"to remove what can go: datapipe clean {output} --stages {' '.join(sorted(free))}")
        return
    for name in stages:
        check_known("--stages: the run has no stage", name, list(done))
        if name not in free:
            raise ValueError(f"--stages: {name} decides on documents, holds them or is a product: its files stay")
    record.stages = {name: Skipped(_CLEANED) if name in stages else entry for name, entry in record.stages.items()}
    record.write(output)  # before the files go: a record never speaks of columns that are not there
    for name in stages:
        files.remove(files.join(output, name))
    say((f"{sum(sizes[name] for name in stages) / 1e6:,.1f} MB removed", GOOD))


def _can_go(entry: Done, record: RunRecord) -> bool:
    """Whether nothing that is read of a finished run is lost with a stage's columns."""
    decides = any(column.endswith(REASON) for column in entry.columns)
    later = {column for other in list(record.stages.values()) if isinstance(other, Done) for column in other.columns}
    return bool(entry.columns) and not (decides or entry.source or _NEEDED & {*entry.columns} & later)


# Columns that commands read of every run that has them.
_NEEDED = {"text", "bytes", "language", "language_score", "tokens", "words", "messages", "pieces", "quality_score"}
