"""Reads instruction records into parts of kind "instruction": their dialogue as a column, and what is said as text.

`documents` reads text that is there to be learnt as it is; here a record of questions and answers first becomes a
dialogue (`datapipe.read.dialogues`). The text that filters and deduplication see is what is said in it, without any
mark-up; the stage `chat` writes it again, in a chat form, with the pieces that bear loss.
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.checks import FilesOption
from datapipe.read.dialogues import Unreadable, fault, parse_dialogue
from datapipe.read.documents import ReadDocuments
from datapipe.read.formats import Reject, Row, Source
from datapipe.read.formats.arrow_values import shown
from datapipe.read.formats.encodings import repair
from datapipe.read.inputs import Task, plan, sample
from datapipe.read.options import ReadOptions
from datapipe.read.records import Compose
from datapipe.stage import read_notes, write_notes
from datapipe.store import files
from datapipe.store.corpus import Corpus, PartKind
from datapipe.store.record import SourceResult
from datapipe.store.schemas import DOCUMENT_SCHEMA
from datapipe.text.dialogues import COLUMNS, Dialogue, Message
from datapipe.text.normalization import normalize_one

_SHAPE = "shape "  # begins the detail of a reject that is no dialogue
MAX_NOTES = 20  # lines on bad records, the files and shapes with most of them first


@dataclasses.dataclass(eq=False)
class ReadInstructions(ReadDocuments):
    """Read instruction records as dialogues, as `ReadDocuments` reads documents.

    Besides the columns of documents, a row has `messages` (role, content, reasoning, tool_calls, weight, other) and
    `tools`; `text` is what is said, message by message. The source of a record that names none is "instructions".
    Fields that are no part of the dialogue stay columns. Records that hold no dialogue are rejects, with a reason each,
    and counted by file and shape.

    All options of the stage `documents` are options here, too; `fields` also names the parts of a dialogue, such as
    `{instruction: question, output: response, messages: dialog, role: speaker, content: utterance}`.

    Attributes:
        paths: files, folders and globs of records, in the formats that have fields. None: there is nothing to do.
    """

    paths: list[FilesOption] = dataclasses.field(default_factory=list)

    name: ClassVar[str] = "instructions"
    version: ClassVar[int] = 5
    writes: ClassVar[pa.Schema] = pa.schema([*DOCUMENT_SCHEMA, *COLUMNS])
    part_kind: ClassVar[PartKind] = "instruction"

    def skip_reason(self) -> str | None:
        """Why there is nothing to do, if so."""
        if not self.paths:
            return "no instruction data given"
        if not any(files.find(path) for path in self.paths):
            return f"no instruction data at {', '.join(self.paths)}"
        return None

    def plan(self, inputs: Sequence[str]) -> list[Task]:  # noqa: ARG002 - a run's inputs are its documents
        """The tasks of the paths: see `datapipe.read.inputs.plan`."""
        tasks = plan(self.paths, self.read_options())
        tasks = sample(tasks, self.sample) if self.sample else tasks
        return [
            dataclasses.replace(task, slices=tuple(dataclasses.replace(p, source=self.name) for p in task.slices))
            for task in tasks
        ]

    def compose(self) -> Compose:
        """What finds the dialogue of a record."""
        names = {ours: [theirs] if isinstance(theirs, str) else theirs for ours, theirs in self.fields.items()}
        return functools.partial(read_record, options=self.read_options(), names=names)

    def number(self, tasks: Sequence[Task], tasks_folder: str, folder: str, corpus: Corpus) -> SourceResult:
        """As for documents, with lines on the bad records of each file and shape."""
        result = super().number(tasks, tasks_folder, folder, corpus)
        lines = bad_records(corpus.folder("rejects"), self.name)
        if lines:
            write_notes(folder, [*read_notes(folder), *lines])
        return result


def read_record(row: Row, source: Source, options: ReadOptions, names: Mapping[str, Sequence[str]]) -> Row | Reject:
    """A record with its dialogue, or the reason why it holds none.

    Args:
        row: the record.
        source: its file.
        options: how text is normalized.
        names: see `parse_dialogue`.
    """
    parsed = parse_dialogue(row.columns, names)
    reason, shape = parsed if isinstance(parsed, Unreadable) else ("", parsed.shape)
    messages: list[Message] = []
    if not isinstance(parsed, Unreadable):
        messages = [_normalized(message, options) for message in parsed.messages]
        reason = fault(messages) or ""
    if reason or isinstance(parsed, Unreadable):
        if row.raw and any(isinstance(value, bytes) for value in row.columns.values()):
            reason = "invalid_utf8"
        raw = row.raw or shown(row.columns)
        return source.reject(row.position, reason, f"{_SHAPE}{shape}; fields: {', '.join(row.columns)}", raw)
    columns = {name: value for name, value in row.columns.items() if name not in parsed.fields}
    return row._replace(columns=columns, dialogue=Dialogue(messages, _valid(parsed.tools)))


def _normalized(message: Message, options: ReadOptions) -> Message:
    """A message as the text of a document would be."""

    def clean(text: str) -> str:
        if options.repair_encoding:
            text = repair(text)
        return normalize_one(text, options.normalization)

    return message._replace(
        content=clean(message.content), reasoning=clean(message.reasoning), other=_valid(message.other)
    )


def _valid(text: str) -> str:
    """A text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def bad_records(rejects: str, stage: str) -> list[str]:
    """A line for each file and shape with records that are no dialogue: how many, and why.

    Args:
        rejects: the folder of rejects.
        stage: whose rejects.
    """
    counts: dict[tuple[str, str], collections.Counter[str]] = {}
    for path in files.list_folder(rejects):
        if not (path.rpartition("/")[2].startswith(f"{stage}-") and path.endswith(".parquet")):
            continue
        with files.open_columns(path, ["file", "reason", "detail"]) as opened:
            table = pq.read_table(opened, columns=["file", "reason", "detail"])
        for row in table.to_pylist():
            known = row["detail"].startswith(_SHAPE)
            shape = row["detail"].removeprefix(_SHAPE).partition(";")[0] if known else "none"
            counts.setdefault((row["file"], shape), collections.Counter())[row["reason"]] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    lines = [
        f"{file}, shape {shape}: {found.total():,} bad records ({_listed(found)})"
        for (file, shape), found in ordered[:MAX_NOTES]
    ]
    left = ordered[MAX_NOTES:]
    if left:
        lines.append(f"{len(left):,} more files and shapes: {sum(c.total() for _, c in left):,} bad records")
    return lines


def _listed(counts: collections.Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])))
