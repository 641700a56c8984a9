"""From documents and rejects to the parts and the reject files of the corpus, each written whole or not at all."""

import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.read import formats
from datapipe.read.formats import Reject
from datapipe.read.inputs import Task
from datapipe.read.options import GROUP_ROWS, ReadOptions
from datapipe.read.records import Compose, Document, read_task
from datapipe.read.user_columns import UserColumns, Value, as_arrays, strings, value_bytes
from datapipe.store import files
from datapipe.store.corpus import Corpus, PartKind, part_path, repeating
from datapipe.store.record import PartRecord, SourceResult
from datapipe.store.schemas import DOCUMENT_SCHEMA, REJECT_SCHEMA, common_schema, conform, marked_schema
from datapipe.text.dialogues import message_columns
from datapipe.text.normalization import normalize

GROUP_BYTES = 8 << 20  # of text
# Of text and all other columns: so many times as much as of text alone.
WITH_COLUMNS = 2
NULL_BYTES = 8  # what a null of a fixed width takes


@dataclasses.dataclass(frozen=True)
class PartManifest:
    """A file that `write_parts` wrote.

    Attributes:
        kind: "document", "instruction" or "reject".
        task: the number of the task.
        sequence: its place among the files of that kind of the task, from 0.
        path: where it lies.
        rows: how many.
        text_bytes: of the text column; of the raw bytes for rejects.
        columns: the names of its columns.
        reasons: rejects by reason.
    """

    kind: PartKind | Literal["reject"]
    task: int
    sequence: int
    path: str
    rows: int
    text_bytes: int
    columns: list[str]
    reasons: dict[str, int]


@dataclasses.dataclass(frozen=True)
class TaskManifest:
    """What came of a task: the records read, and the files they went to, documents first, in order."""

    records: int
    files: tuple[PartManifest, ...]


def read_groups(task: Task, options: ReadOptions, compose: Compose | None = None) -> Iterator[pa.RecordBatch]:
    """The task's documents, normalized, and its rejects, each in batches of at most a row group.

    The schema tells which: REJECT_SCHEMA, or DOCUMENT_SCHEMA followed by the user's columns.
    """
    return _groups(read_task(task, options, compose), options)


def _groups(records: Iterable[Document | Reject], options: ReadOptions) -> Iterator[pa.RecordBatch]:
    user = UserColumns(options.reserved)
    documents: list[Document] = []
    columns: list[dict[str, Value]] = []
    rejects: list[Reject] = []
    text_bytes = column_bytes = 0
    for record in records:
        if isinstance(record, Reject):
            rejects.append(record)
        else:
            columns.append(user.flat(record.columns))
            documents.append(record._replace(columns={}))
            text_bytes += len(record.text)
            column_bytes += value_bytes(columns[-1])
        full = text_bytes >= GROUP_BYTES or text_bytes + column_bytes >= WITH_COLUMNS * GROUP_BYTES
        if len(documents) >= options.rows_per_group or full:
            yield _document_batch(documents, columns, rejects, options)
            documents, columns, text_bytes, column_bytes = [], [], 0, 0
        if len(rejects) >= GROUP_ROWS:
            yield _reject_batch(rejects)
            rejects = []
    if documents:
        yield _document_batch(documents, columns, rejects, options)
    if rejects:
        yield _reject_batch(rejects)


def is_rejects(batch: pa.RecordBatch) -> bool:
    """Whether a batch of `read_groups` holds rejects."""
    return batch.schema.equals(REJECT_SCHEMA)


def _document_batch(
    documents: list[Document], columns: list[dict[str, Value]], rejects: list[Reject], options: ReadOptions
) -> pa.RecordBatch:
    """Documents and their user's columns as a batch; what normalization leaves empty is appended to the rejects."""
    texts = normalize(_texts([document.text for document in documents]), options.normalization)
    kept = pc.invert(pc.or_(pc.equal(pc.binary_length(texts), 0), pc.utf8_is_space(texts)))
    if not pc.all(kept).as_py():
        flags = kept.to_pylist()
        detail = "no character other than spaces after normalization"
        rejects += [
            Reject(document.path, document.position, "empty_text", detail, document.text[: formats.RAW_BYTES])
            for document, keep in zip(documents, flags, strict=True)
            if not keep
        ]
        documents = list(itertools.compress(documents, flags))
        columns = list(itertools.compress(columns, flags))
        texts = texts.filter(kept)
    arrays = {
        "text": texts,
        "source": strings([document.source for document in documents]),
        "path": strings([document.path for document in documents]),
        "position": pa.array([document.position for document in documents], pa.int64()),
        "bytes": pc.binary_length(texts).cast(pa.int64()),
    }
    dialogues = [document.dialogue for document in documents if document.dialogue]
    if dialogues:
        arrays["messages"] = message_columns(dialogue.messages for dialogue in dialogues)
        arrays["tools"] = pa.array([dialogue.tools or None for dialogue in dialogues], pa.string())
    return pa.RecordBatch.from_pydict(arrays | as_arrays(columns))


def _texts(encoded: list[bytes]) -> pa.Array:
    """Texts known to be UTF-8 as an array, without looking at them again."""
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _reject_batch(rejects: list[Reject]) -> pa.RecordBatch:
    file, position, reason, detail, raw, columns = zip(*rejects, strict=True)
    arrays = [
        strings(file),
        pa.array(position, pa.int64()),
        strings(reason),
        strings(detail),
        pa.array(raw),
        pa.array(columns, pa.list_(pa.string())),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=REJECT_SCHEMA)


def write_parts(
    task: Task, options: ReadOptions, folder: str, kind: PartKind = "document", compose: Compose | None = None
) -> TaskManifest:
    """Read a task and write its documents to `folder`, its rejects to `folder/rejects`.

    The files are `task-00003-0000.parquet` and so on, whole or not there; the same task always writes the same bytes.

    Args:
        task: of `plan`.
        options: how to read it.
        folder: where to; it must exist, with `rejects` in it.
        kind: of the parts.
        compose: see `Compose`.
    """
    documents = _PartWriter(kind, "text", task.number, folder, options.part_bytes)
    rejects = _PartWriter("reject", "raw", task.number, files.join(folder, "rejects"), options.part_bytes)
    read = 0

    def counted() -> Iterator[Document | Reject]:
        nonlocal read
        for record in read_task(task, options, compose):
            read += 1
            yield record

    for batch in _groups(counted(), options):
        (rejects if is_rejects(batch) else documents).add(batch)
    return TaskManifest(read, tuple(documents.close() + rejects.close()))


class _PartWriter:
    """Gathers batches and writes a file whenever the next would make it too large, in what is measured or in all."""

    def __init__(
        self, kind: PartKind | Literal["reject"], measured: str, task: int, folder: str, part_bytes: int
    ) -> None:
        self._kind = kind
        self._measured = measured
        self._task = task
        self._folder = folder
        self._part_bytes = part_bytes
        self._batches: list[pa.RecordBatch] = []
        self._held = self._held_in_all = 0
        self._columns: set[str] = set()
        self._manifests: list[PartManifest] = []

    def add(self, batch: pa.RecordBatch) -> None:
        if len(batch):
            size = pc.sum(pc.binary_length(batch.column(self._measured))).as_py()
            columns = self._columns.union(batch.schema.names)
            nulls = len(batch) * (len(columns) - batch.num_columns)
            nulls += sum(map(len, self._batches)) * (len(columns) - len(self._columns or columns))
            in_all = self._held_in_all + batch.nbytes + NULL_BYTES * nulls
            if self._held + size > self._part_bytes or in_all > WITH_COLUMNS * self._part_bytes:
                self._write()
                columns, in_all = set(batch.schema.names), batch.nbytes
            self._batches.append(batch)
            self._columns = columns
            self._held += size
            self._held_in_all = in_all

    def close(self) -> list[PartManifest]:
        self._write()
        return self._manifests

    def _write(self) -> None:
        if not self._batches:
            return
        sequence = len(self._manifests)
        path = files.join(self._folder, f"task-{self._task:05d}-{sequence:04d}.parquet")
        schema = common_schema(map(marked_schema, self._batches))
        reasons: Counter[str] = Counter()
        with (
            files.summed_file(path) as sink,
            pq.ParquetWriter(
                sink,
                schema,
                compression="zstd",
                compression_level=files.COLUMN_COMPRESSION_LEVEL,
                use_dictionary=repeating(schema),
            ) as writer,
        ):
            for batch in self._batches:
                writer.write_batch(conform(batch, schema), row_group_size=len(batch))
                if self._kind == "reject":
                    reasons.update(batch.column("reason").to_pylist())
        rows = sum(map(len, self._batches))
        manifest = PartManifest(
            self._kind, self._task, sequence, path, rows, self._held, schema.names, dict(sorted(reasons.items()))
        )
        self._manifests.append(manifest)
        self._batches, self._columns, self._held, self._held_in_all = [], set(), 0, 0


def number_parts(tasks: Sequence[Task], tasks_folder: str, folder: str, corpus: Corpus) -> SourceResult:
    """Rename the parts that all tasks have written, in the order of the tasks, to parts of the corpus.

    It can be interrupted anywhere and run again.

    Args:
        tasks: all of them.
        tasks_folder: where their parts and manifests lie.
        folder: of the stage. Its parts get the numbers after those of the corpus; rejects go beside it, to
            `rejects/<stage>-00000.parquet`.
        corpus: before the stage.

    """
    outcomes = [files.read_json(files.join(tasks_folder, f"task-{task.number:05d}.json")) for task in tasks]
    manifests = [PartManifest(**manifest) for outcome in outcomes for manifest in outcome["files"]]
    parts: list[PartRecord] = []
    rejects: list[PartManifest] = []
    for manifest in manifests:
        if manifest.kind == "reject":
            rejects.append(manifest)
            continue
        number = len(corpus.parts) + len(parts)
        _rename(manifest.path, part_path(folder, number))
        own = tuple(name for name in manifest.columns if name not in DOCUMENT_SCHEMA.names)
        columns = tuple(manifest.columns)
        parts.append(PartRecord(number, manifest.kind, manifest.rows, manifest.text_bytes, columns, own))
    stage = folder.rpartition("/")[2]
    rejects_folder = corpus.folder("rejects")
    files.make_folder(rejects_folder)
    kept = [files.join(rejects_folder, f"{stage}-{number:05d}.parquet") for number in range(len(rejects))]
    for manifest, path in zip(rejects, kept, strict=True):
        _rename(manifest.path, path)
    earlier = [path for path in files.list_folder(rejects_folder) if path.rpartition("/")[2].startswith(f"{stage}-")]
    files.remove_files([path for path in earlier if path not in kept])
    by_reason: Counter[str] = Counter()
    for manifest in rejects:
        by_reason.update(manifest.reasons)
    return SourceResult(
        parts=tuple(parts),
        records=sum(outcome["records"] for outcome in outcomes),
        rejects=sum(manifest.rows for manifest in rejects),
        rejects_by_reason=dict(sorted(by_reason.items())),
    )


def _rename(path: str, to: str) -> None:
    # Not there: an earlier, interrupted run has renamed it.
    for old, new in ((files.sum_path(path), files.sum_path(to)), (path, to)):  # what bears the name has its sum
        with contextlib.suppress(FileNotFoundError):
            files.rename(old, new)
