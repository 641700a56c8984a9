"""What an input holds, from a look at some of it: formats, sizes, columns, rejects, and what would read more.

A run reads everything, and says at its end what it could not read; this reads the first records of a few files of each
format, before there is a recipe.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datapipe.read import formats
from datapipe.read.formats import Reject
from datapipe.read.inputs import Slice, Task, plan
from datapipe.read.options import ReadOptions
from datapipe.read.records import Document, read_task
from datapipe.read.reject_summary import RejectCounts, advise, count_reject

FILES_EACH = 8  # of a format, spread over all of them by name
RECORDS_EACH = 100  # of a file, the first
_EXAMPLE_CHARACTERS = 60
_OF_INSTRUCTIONS = (
    ("messages",),
    ("conversations",),
    ("conversation",),
    ("instruction", "output"),
    ("prompt", "response"),
)


@dataclasses.dataclass
class FormatLook:
    """Files of one format: how many there are, their bytes, and what became of the records looked at."""

    files: int = 0
    bytes: int = 0
    documents: int = 0
    rejects: int = 0


@dataclasses.dataclass
class ColumnLook:
    """A column of the user's: in how many documents it has a value, of which types, and an example."""

    documents: int = 0
    types: Counter[str] = dataclasses.field(default_factory=Counter)
    example: str = ""


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        formats: by name; "unknown" where the name of a file tells none.
        passed_over: how many files are not read, by what they are.
        columns: of the documents looked at, by name.
        documents: those looked at.
        rejects: those looked at, by extension and reason.
        instructions: how many of those are dialogues or tasks with answers, by the columns that tell: what the stage
            `instructions` reads.
        advice: options of the stage `documents` that would read more.
    """

    formats: Mapping[str, FormatLook]
    passed_over: Mapping[str, int]
    columns: Mapping[str, ColumnLook]
    documents: Sequence[Document]
    rejects: Counter[tuple[str, str]]
    instructions: Counter[tuple[str, ...]]
    advice: Mapping[str, Any]


def look(inputs: Sequence[str], options: ReadOptions, given: Mapping[str, Any]) -> Look:
    """Look at some records of some files.

    Args:
        inputs: files, folders and globs.
        options: how to read them.
        given: the same as options of the stage `documents`, which the advice adds to.

    Raises:
        ValueError: if there is nothing to read.
    """
    tasks = plan(inputs, options)
    slices = [piece for task in tasks for piece in task.slices]
    seen: dict[str, FormatLook] = {}
    for piece in slices:
        if piece.start == 0:
            of = seen.setdefault(piece.format or "unknown", FormatLook())
            of.files += 1
            of.bytes += piece.size
    columns: dict[str, ColumnLook] = {}
    documents: list[Document] = []
    counts: dict[str, RejectCounts] = {}  # by extension: of few files of one kind as much is to be read as of many
    instructions: Counter[tuple[str, ...]] = Counter()
    for piece, record in _sampled(slices, options):
        of = seen[piece.format or "unknown"]
        if isinstance(record, Reject):
            of.rejects += 1
            signs = next((signs for signs in _OF_INSTRUCTIONS if {*signs} <= {*record.columns}), ())
            if signs:
                instructions[signs] += 1
            of_kind = counts.setdefault(formats.extension(record.file), RejectCounts())
            count_reject(of_kind, record.file, record.reason, record.raw, () if signs else record.columns)
            continue
        of.documents += 1
        documents.append(record)
        for name, value in record.columns.items():
            _count_column(columns.setdefault(name, ColumnLook()), value)
    advice: dict[str, Any] = {}
    rejects: Counter[tuple[str, str]] = Counter()
    for of_kind in counts.values():
        advice |= advise(of_kind, {**given, **advice})
        rejects += of_kind.reasons
    passed_over = dict(pair for task in tasks for pair in task.passed_over)
    return Look(seen, passed_over, columns, documents, rejects, instructions, advice)


def _sampled(slices: Sequence[Slice], options: ReadOptions) -> Iterator[tuple[Slice, Document | Reject]]:
    by_kind: dict[tuple[str, str], list[Slice]] = {}
    for piece in slices:
        if piece.start == 0:
            by_kind.setdefault((piece.format, formats.extension(piece.name)), []).append(piece)
    for of_kind in by_kind.values():
        step = max(1, len(of_kind) // FILES_EACH)
        for piece in of_kind[::step][:FILES_EACH]:
            records = itertools.islice(read_task(Task(0, (piece,)), options), RECORDS_EACH)
            yield from ((piece, record) for record in records)


def _count_column(column: ColumnLook, value: Any) -> None:
    if value is None or value == "":
        return
    column.documents += 1
    column.types[type(value).__name__] += 1
    column.example = column.example or str(value)[:_EXAMPLE_CHARACTERS]
