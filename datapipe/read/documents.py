"""Reads input files into the first columns of the corpus: what is a document, and what is a reject with a reason.

The readers of `datapipe.read.formats` know files and bytes; here begins the corpus. `inputs.py` plans what is read at
once, `records.py` tells documents from rejects, `parts.py` writes both. Every record becomes a document or a reject,
never neither: records = documents + rejects.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import apache_beam as beam
import pyarrow as pa
from annotated_types import Gt

from datapipe.checks import Count, Share, check_known
from datapipe.flow import counters
from datapipe.read.formats import FORMATS
from datapipe.read.formats.source import WikiOptions
from datapipe.read.inputs import Task, passed_over_note, plan, sample
from datapipe.read.options import GROUP_ROWS, TEXT_FIELDS, ReadOptions
from datapipe.read.parts import is_rejects, number_parts, read_groups, write_parts
from datapipe.read.records import Compose
from datapipe.read.user_columns import RESERVED_NAMES
from datapipe.stage import Source, write_notes
from datapipe.store import files
from datapipe.store.corpus import Corpus, PartKind
from datapipe.store.record import SourceResult
from datapipe.store.schemas import DOCUMENT_SCHEMA
from datapipe.text.normalization import Normalization


class TooManyRejectsError(RuntimeError):
    """More of the input is no document than the user allows; `result` is what a `stage` has read."""

    def __init__(self, message: str, stage: str, result: SourceResult) -> None:
        super().__init__(message)
        self.stage = stage
        self.result = result


@dataclasses.dataclass(eq=False)
class ReadDocuments(Source[Task]):
    """Reads files into documents and rejects; in a pipeline, tasks of `plan` to batches of `documents` and `rejects`.

    Attributes:
        fields: our column names, each with the user's name for it, or with several of which the first that has a value
            is taken; `text` is looked for last whatever stands here. Columns not named keep their names. Formats
            without fields (text, HTML) give `text`.
        source_from: what a document's `source` is. "record": what its record says or, of a dump, which wiki or site it
            is; else the file's stem, or the folder's name where each file is one document. "folder": the first folder
            below the input, however many files, wikis and sites are in it, and whatever they say; of a file that lies
            in the input itself, its stem.
        format: read every file as this key of FORMATS; "" goes by the file's name.
        text_unit: "file" or "line": what one document of a plain text file is.
        main_content: of HTML pages, leave out navigation, advertisements and the like; otherwise keep all text.
        wiki: of dumps of wikis, the fields of `WikiOptions` that differ from its defaults: `language`, `variant` (of
            Chinese, such as zh-cn), `namespaces`.
        post_comments: in Stack Exchange dumps, under each post the comments on it, from the `Comments.xml` beside.
        gutenberg_notices: keep the licence and the other notices of Project Gutenberg around its books.
        normalization: the fields of `Normalization` that differ from its defaults.
        encodings: for records that are no UTF-8, such as gb18030 or big5: of several the one that makes most sense.
        repair_encoding: mend mis-decoded text ("schÃ¶n") by ftfy, and replace a few invalid bytes or lone surrogates.
        max_document_bytes: a larger record is rejected, unread.
        max_expansion: decompressed bytes per compressed byte, above which reading a file ends.
        max_reject_share: of all records, above which the run fails.
        sample: read about so many records alone, the first of each file: to try a recipe. None: all.
        part_bytes: text in one part at most, unless a single row group has more.
        rows_per_group: rows in one Parquet row group at most.
    """

    fields: dict[str, str | list[str]] = dataclasses.field(default_factory=lambda: {"text": list(TEXT_FIELDS)})
    source_from: Literal["record", "folder"] = "record"
    format: str = ""
    text_unit: Literal["file", "line"] = "file"
    main_content: bool = True
    wiki: dict[str, str | list[int]] = dataclasses.field(default_factory=dict)
    post_comments: bool = False
    gutenberg_notices: bool = False
    normalization: dict[str, bool | str] = dataclasses.field(default_factory=dict)
    encodings: list[str] = dataclasses.field(default_factory=list)
    repair_encoding: bool = False
    max_document_bytes: Count = 50_000_000
    max_expansion: Annotated[float, Gt(0)] = 1000.0
    max_reject_share: Share = 1.0
    sample: Count | None = None
    part_bytes: Count = 32 << 20
    rows_per_group: Count = GROUP_ROWS
    reserved: frozenset[str] = dataclasses.field(default=frozenset(), init=False)

    name: ClassVar[str] = "documents"
    version: ClassVar[int] = 14
    writes: ClassVar[pa.Schema] = DOCUMENT_SCHEMA
    part_kind: ClassVar[PartKind] = "document"

    def check(self) -> None:
        """Fields are the user's to name, and formats, encodings and normalization are known."""
        for ours in self.fields:
            if ours in RESERVED_NAMES - {"text", "source"}:
                raise ValueError(f"{self.name}: fields cannot give {ours!r}, which is a name of the corpus itself")
        if self.format:
            check_known(f"{self.name}: format: unknown format", self.format, FORMATS)
        for encoding in self.encodings:
            try:
                "".encode(encoding)
            except (LookupError, UnicodeError):
                raise ValueError(f"{self.name}: encodings holds an unknown encoding, {encoding!r}") from None
        known = {field.name for field in dataclasses.fields(Normalization)}
        for key in self.normalization:
            check_known(f"{self.name}: normalization has no option", key, known)
        fields = {field.name: type(field.default) for field in dataclasses.fields(WikiOptions)}
        for key, value in self.wiki.items():
            check_known(f"{self.name}: wiki has no option", key, fields)
            if isinstance(value, str) != (fields[key] is str):
                raise ValueError(f"{self.name}: wiki: {key} is {value!r}, not {fields[key].__name__}")
        self.read_options()

    def read_options(self) -> ReadOptions:
        """The options as the functions of this package take them."""
        theirs = {ours: (names,) if isinstance(names, str) else tuple(names) for ours, names in self.fields.items()}
        text_fields = theirs.pop("text", TEXT_FIELDS)
        return ReadOptions(
            text_fields=tuple(dict.fromkeys((*text_fields, "text"))),
            renamed_fields=tuple(theirs.items()),
            reserved=self.reserved,
            source_from=self.source_from,
            format=self.format,
            text_unit=self.text_unit,
            main_content=self.main_content,
            wiki=WikiOptions(**{k: v if isinstance(v, str) else tuple(v) for k, v in self.wiki.items()}),  # type: ignore[arg-type]
            post_comments=self.post_comments,
            gutenberg_notices=self.gutenberg_notices,
            normalization=Normalization(**self.normalization),  # type: ignore[arg-type]
            encodings=tuple(self.encodings),
            repair_encoding=self.repair_encoding,
            max_document_bytes=self.max_document_bytes,
            max_expansion=self.max_expansion,
            part_bytes=self.part_bytes,
            rows_per_group=self.rows_per_group,
        )

    def compose(self) -> Compose | None:
        """What makes the text of a record: nothing here, where it lies ready in a field."""
        return None

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that it makes."""
        return (self.part_kind,)

    def plan(self, inputs: Sequence[str]) -> list[Task]:
        """The tasks of the inputs: see `datapipe.read.inputs.plan`."""
        tasks = plan(inputs, self.read_options())
        return sample(tasks, self.sample) if self.sample else tasks

    def fingerprint(self, inputs: Sequence[str]) -> list[Any]:
        """All that was planned, but for where the folder of the inputs lies: see `Slice`."""
        return [
            [dataclasses.astuple(dataclasses.replace(piece, path="")) for piece in task.slices]
            for task in self.plan(inputs)
        ]

    def read(self, task: Task, folder: str) -> None:
        """Write a task's parts and their manifests into a folder, unless an earlier run has."""
        manifest = files.join(folder, f"task-{task.number:05d}.json")
        if files.exists(manifest) and all(
            files.exists(written["path"]) for written in files.read_json(manifest)["files"]
        ):
            return
        files.make_folder(files.join(folder, "rejects"))
        written = write_parts(task, self.read_options(), folder, self.part_kind, self.compose())
        for made in written.files:
            rejected = {f"rejected_{reason}": rows for reason, rows in made.reasons.items()}
            counters.count(self.name, **(rejected if made.kind == "reject" else {"rows": made.rows}))
        files.write_json(manifest, dataclasses.asdict(written), files.summed_file)

    def number(self, tasks: Sequence[Task], tasks_folder: str, folder: str, corpus: Corpus) -> SourceResult:
        """Give the parts of all tasks their numbers in the corpus, and account for them: see `number_parts`.

        Raises:
            TooManyRejectsError: if more records than `max_reject_share` were rejected.
        """
        result = number_parts(tasks, tasks_folder, folder, corpus)
        notes = passed_over_note(tasks)
        if notes:
            write_notes(folder, notes)
        if result.rejects > self.max_reject_share * result.records:
            reason, count = max(result.rejects_by_reason.items(), key=lambda item: item[1])
            raise TooManyRejectsError(
                f"{self.name}: {result.rejects:,} of {result.records:,} records rejected, more than max_reject_share "
                f"= {self.max_reject_share:g}; {count:,} are {reason}, see {corpus.folder('rejects')}",
                self.name,
                result,
            )
        return result

    def expand(self, tasks: beam.PCollection[Task]) -> Any:
        groups = tasks | "read" >> beam.FlatMap(read_groups, self.read_options(), self.compose()).with_output_types(
            pa.RecordBatch
        )
        documents, rejects = groups | "separate" >> beam.Partition(lambda batch, _: int(is_rejects(batch)), 2)
        return {"documents": documents, "rejects": rejects}
