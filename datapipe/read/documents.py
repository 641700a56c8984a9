"""From input files to the first columns of the corpus: what is a document, and what is a reject with a reason.

The readers of `datapipe.read.formats` know files and bytes; here begins the corpus. Every record that a reader gives
becomes either a document or a reject, never neither: records = documents + rejects. The same inputs give the same parts
whatever the number of workers, since a task's parts depend on the task alone.
"""

import base64
import dataclasses
import datetime
import decimal
import fnmatch
import itertools
import json
import math
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import apache_beam as beam
import ftfy
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from datapipe.read import formats
from datapipe.read.formats import FORMATS, Reject, Row
from datapipe.store import files
from datapipe.store.corpus import REMOVED, Corpus, part_path
from datapipe.store.schemas import common_schema, conform
from datapipe.text.normalization import Normalization, normalize

GROUP_ROWS = 2048
GROUP_BYTES = 8 << 20
# Opening and closing a file costs about as much as reading this many bytes.
MIN_FILE_WEIGHT = 4096
COMPRESSED_TEXT_SHARE = 4  # bytes of text to expect from a compressed byte
# More fields than this in a part are keys of data, not columns: they go into one.
MAX_COLUMNS = 256
OTHER_COLUMNS = "input_other"
TEXT_UNITS = ("file", "line")

DOCUMENT_SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("position", pa.int64()),
        ("bytes", pa.int64()),
    ]
)
REJECT_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("position", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("raw", pa.binary()),
    ]
)
# Of the user's columns, these take the prefix: `id` is the row id of the corpus.
RESERVED_NAMES = frozenset({*DOCUMENT_SCHEMA.names, "id", "kind"})
# In the root of a folder, prose of these names speaks about the data, as in datasets on the Hugging Face hub.
ABOUT_THE_DATA = ("readme*", "license*", "licence*", "copying*", "notice*", "source.md", "changelog*", "citation*")
PROSE = (None, "text", "markdown", "html")


class TooManyRejectsError(RuntimeError):
    """More of the input is no document than the user allows."""


@dataclasses.dataclass(frozen=True)
class Slice:
    """A file, or a byte range of it, to be read by one task.

    Attributes:
        path: where the file lies.
        name: its path relative to the folder that all inputs share: the same wherever that folder lies.
        format: a key of FORMATS, or "" where nothing tells the format.
        source: the source of its documents, unless they name one: the file's stem, or for files that are one document
            each, the folder's name.
        size: bytes of the whole file.
        modified: when it last changed, in seconds since 1970.
        start: first byte of the range.
        stop: the byte after the range; None for the end of the file.
    """

    path: str
    name: str
    format: str
    source: str
    size: int
    modified: float
    start: int = 0
    stop: int | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """What one worker reads at once, in order: a range of a large file, or several small files."""

    number: int
    slices: tuple[Slice, ...]

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum((piece.size if piece.stop is None else piece.stop) - piece.start for piece in self.slices)


class Document(NamedTuple):
    """A record that is a document: its text as UTF-8, where it comes from, and the user's other columns."""

    text: bytes
    source: str
    path: str
    position: int
    columns: dict[str, Any]


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

    kind: str
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


@dataclasses.dataclass(eq=False)
class ReadDocuments(beam.PTransform):
    """Read tasks of `plan`: a PCollection of `Task` to one of RecordBatches, `documents`, and one of `rejects`.

    Attributes:
        fields: our column names, each with the user's name for it, or with several of which the first that has a value
            is taken. Columns not named keep their names. Formats without fields (text, HTML) give `text` whatever
            stands here.
        format: read every file as this key of FORMATS; "" goes by the file's name.
        text_unit: "file" or "line": what one document of a plain text file is.
        main_content: of HTML pages, leave out navigation, advertisements and the like; otherwise keep all visible text.
        normalization: the fields of `Normalization` that differ from its defaults.
        encodings: tried in order for records that are no UTF-8, such as gb18030 or big5.
        repair_encoding: mend mis-decoded text ("schÃ¶n") by ftfy, and replace a few invalid bytes or lone surrogates.
        max_document_bytes: a larger record is rejected, unread.
        max_expansion: decompressed bytes per compressed byte, above which reading a file ends.
        max_reject_share: of all records, above which the run fails.
        part_bytes: text in one part at most, unless a single row group has more.
        rows_per_group: rows in one Parquet row group at most.
    """

    fields: dict[str, str | list[str]] = dataclasses.field(default_factory=lambda: {"text": "text"})
    format: str = ""
    text_unit: str = "file"
    main_content: bool = True
    normalization: dict[str, bool | str] = dataclasses.field(default_factory=dict)
    encodings: list[str] = dataclasses.field(default_factory=list)
    repair_encoding: bool = False
    max_document_bytes: int = 50_000_000
    max_expansion: float = 1000.0
    max_reject_share: float = 1.0
    part_bytes: int = 32 << 20
    rows_per_group: int = GROUP_ROWS
    # Names that later stages write, and that columns of the user's must leave to them; set by the recipe.
    reserved: frozenset[str] = dataclasses.field(default=frozenset(), init=False)

    name: ClassVar[str] = "documents"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[pa.Schema] = DOCUMENT_SCHEMA
    kind: ClassVar[str] = "document"

    def __post_init__(self) -> None:
        super().__init__()
        if "text" not in self.fields:
            raise ValueError(f"{self.name}: fields must say which field is the text, got {self.fields!r}")
        for ours in self.fields:
            if ours in RESERVED_NAMES - {"text", "source"} or ours.endswith(REMOVED):
                raise ValueError(f"{self.name}: fields cannot give {ours!r}, which is a name of the corpus itself")
        if self.format and self.format not in FORMATS:
            raise ValueError(f"{self.name}: format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        if self.text_unit not in TEXT_UNITS:
            raise ValueError(f"{self.name}: text_unit must be one of {', '.join(TEXT_UNITS)}, got {self.text_unit!r}")
        for field in ("max_document_bytes", "max_expansion", "part_bytes", "rows_per_group"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{self.name}: {field} must be above 0, got {getattr(self, field)!r}")
        if not 0 <= self.max_reject_share <= 1:
            raise ValueError(f"{self.name}: max_reject_share must be between 0 and 1, got {self.max_reject_share!r}")
        for encoding in self.encodings:
            try:
                "".encode(encoding)
            except (LookupError, UnicodeError):
                raise ValueError(f"{self.name}: encodings holds an unknown encoding, {encoding!r}") from None
        known = {field.name for field in dataclasses.fields(Normalization)}
        for key in self.normalization:
            if key not in known:
                raise ValueError(f"{self.name}: normalization has no option {key!r}, only {', '.join(sorted(known))}")
        self.normalizer = Normalization(**self.normalization)  # type: ignore[arg-type]
        theirs = {ours: (names,) if isinstance(names, str) else tuple(names) for ours, names in self.fields.items()}
        self.text_fields = theirs.pop("text")
        self.renamed_fields = [*theirs.items()]

    def compose(self, row: Row, source: formats.Source) -> Row | Reject:  # noqa: ARG002 - `ReadInstructions` rejects
        """A record with its text: here as it is, in `ReadInstructions` made of the messages of a dialogue."""
        return row

    def plan(self, inputs: Iterable[str]) -> list[Task]:
        """The tasks of the inputs: see `plan`."""
        return plan(inputs, self)

    def fingerprint(self, inputs: Iterable[str]) -> list[tuple[str, int, float]]:
        """What tells whether the inputs have changed: name, size and time of change of each file."""
        return sorted({(piece.name, piece.size, piece.modified) for task in self.plan(inputs) for piece in task.slices})

    def read(self, task: Task, folder: str) -> None:
        """Write a task's parts and their manifests into a folder, unless an earlier run has."""
        manifest = files.join(folder, f"task-{task.number:05d}.json")
        if not files.exists(manifest):
            files.make_folder(files.join(folder, "rejects"))
            files.write_json(manifest, dataclasses.asdict(write_parts(task, self, folder)))

    def number(self, tasks: Iterable[Task], tasks_folder: str, folder: str, corpus: Corpus) -> dict[str, Any]:
        """Give the parts of all tasks their numbers in the corpus, and account for them: see `number_parts`.

        Raises:
            TooManyRejectsError: if more records than `max_reject_share` were rejected.
        """
        done = number_parts(tasks, tasks_folder, folder, corpus)
        if done["rejects"] > self.max_reject_share * done["records"]:
            reason, count = max(done["rejects_by_reason"].items(), key=lambda item: item[1])
            raise TooManyRejectsError(
                f"{self.name}: {done['rejects']:,} of {done['records']:,} records rejected, more than max_reject_share "
                f"= {self.max_reject_share:g}; {count:,} are {reason}, see {corpus.folder('rejects')}"
            )
        return done

    def expand(self, tasks: beam.PCollection) -> Any:
        groups = tasks | "read" >> beam.FlatMap(read_groups, self).with_output_types(pa.RecordBatch)
        documents, rejects = groups | "separate" >> beam.Partition(lambda batch, _: int(is_rejects(batch)), 2)
        return {"documents": documents, "rejects": rejects}


def plan(inputs: Iterable[str], options: ReadDocuments) -> list[Task]:
    """The tasks that read all inputs, in the order of the files' names, whatever the order of the inputs.

    Of a folder, all files below it are read, but for names that begin with "." or "_" (as Hadoop and Arrow do). A file
    of unknown format there becomes a reject, and so do pipes and devices, and a file right in the folder that speaks
    about the data (ABOUT_THE_DATA): name it, or use a glob, to have it read.

    Args:
        inputs: files, folders and globs (`*`, `?`, `[…]`, and `**` across folders), on any Beam file system.
        options: how to read them.

    Raises:
        ValueError: if an input matches nothing, or no file of a known format.
    """
    found = {path: _find(path) for path in inputs}
    base = _common_folder([listing.root for listing in found.values()])
    slices: dict[str, Slice] = {}
    for path, listing in found.items():
        formats_of = {
            file: "" if file in listing.not_data else options.format or formats.format_of(file) or ""
            for file in listing.files
        }
        if not any(formats_of.values()):
            known = ", ".join(extension for format_ in FORMATS.values() for extension in format_.extensions)
            holds = f"no file of a known format ({known})" if formats_of else "nothing"
            raise ValueError(f"{options.name}: there is {holds} in the input {path!r}")
        for file, format_ in formats_of.items():
            metadata, name = listing.files[file], file.removeprefix(base).lstrip("/")
            new = Slice(
                file,
                name,
                format_,
                _source_of(file, format_, options),
                metadata.size_in_bytes,
                metadata.last_updated_in_seconds,
            )
            # The same file by two inputs is read once, and read if either of them says so.
            slices[file] = max(new, slices.get(file, new), key=lambda slice_: bool(slice_.format))
    return _pack([slices[file] for file in sorted(slices)], options)


class _Listing(NamedTuple):
    """What an input names: the folder to which file names are relative, the files, and those that are no data."""

    root: str
    files: dict[str, FileMetadata]
    not_data: frozenset[str] = frozenset()


def _find(path: str) -> _Listing:
    if files.is_local(path):
        path = str(pathlib.Path(path).absolute())
    path = path.rstrip("/")
    below = _match_literally(path, "/**")
    if below:
        names = {file: file.removeprefix(path).lstrip("/") for file in below}
        names = {file: name for file, name in names.items() if not re.search(r"(^|/)[._]", name)}
        not_data = {file for file, name in names.items() if _is_no_data(file, name)}
        return _Listing(path, {file: below[file] for file in names}, frozenset(not_data))
    if files.is_local(path) and pathlib.Path(path).is_dir():
        return _Listing(path, {})
    itself = _match_literally(path)
    if itself:
        return _Listing(path.rpartition("/")[0], itself)
    before_wildcard = re.split(r"[*?[]", path, maxsplit=1)[0]
    return _Listing(before_wildcard.rpartition("/")[0], _match(path))


def _is_no_data(file: str, name: str) -> bool:
    # A pipe or a device would be read for ever.
    if files.is_local(file) and not pathlib.Path(file).is_file():
        return True
    named = "/" not in name and any(fnmatch.fnmatch(name.lower(), about) for about in ABOUT_THE_DATA)
    return named and formats.format_of(name) in PROSE


def _match(pattern: str) -> dict[str, FileMetadata]:
    return {metadata.path: metadata for metadata in FileSystems.match([pattern])[0].metadata_list}


def _match_literally(path: str, below: str = "") -> dict[str, FileMetadata]:
    # Beam's patterns have no escape that works for all characters, but "?" matches each of them.
    matched = _match(re.sub(r"[*?[]", "?", path) + below)
    return {file: metadata for file, metadata in matched.items() if file.startswith(path)}


def _common_folder(folders: list[str]) -> str:
    segments = [folder.split("/") for folder in folders]
    shared = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*segments, strict=False))
    return "/".join(level[0] for level in shared)


def _source_of(file: str, format_: str, options: ReadDocuments) -> str:
    whole = bool(format_) and FORMATS[format_].one_document and (format_ != "text" or options.text_unit == "file")
    return file.split("/")[-2] if whole else formats.stem(file)


def _pack(slices: Iterable[Slice], options: ReadDocuments) -> list[Task]:
    """Slices of about `part_bytes` of expected text in a task each: large files split, small ones together."""
    packs: list[list[Slice]] = [[]]
    room = float(options.part_bytes)
    for whole in slices:
        text_bytes = _expected_text(whole)
        pieces = math.ceil(text_bytes / options.part_bytes) if _splittable(whole, options) else 1
        if pieces > 1:
            bounds = [whole.size * piece // pieces for piece in range(pieces + 1)]
            ranges = [*zip(bounds[:-1], [*bounds[1:-1], None], strict=True)]
            packs += [[dataclasses.replace(whole, start=start, stop=stop)] for start, stop in ranges]
            room = 0
            continue
        if text_bytes > room and packs[-1]:
            packs.append([])
            room = options.part_bytes
        packs[-1].append(whole)
        room -= text_bytes
    return [Task(number, tuple(pack)) for number, pack in enumerate(filter(None, packs))]


def _expected_text(whole: Slice) -> float:
    share = FORMATS[whole.format].text_share if whole.format else 0
    if whole.path.lower().endswith(formats.COMPRESSIONS):
        share *= COMPRESSED_TEXT_SHARE
    return max(MIN_FILE_WEIGHT, whole.size * share)


def _splittable(whole: Slice, options: ReadDocuments) -> bool:
    if not whole.format or whole.path.lower().endswith(formats.COMPRESSIONS):
        return False
    return FORMATS[whole.format].splittable or (whole.format == "text" and options.text_unit == "line")


def read_task(task: Task, options: ReadDocuments) -> Iterator[Document | Reject]:
    """Every record of a task's slices, in order, as a document or a reject; before normalisation.

    Raises:
        OSError: if a file cannot be opened. What a file holds never raises.
    """
    for piece in task.slices:
        source = formats.Source(
            path=piece.path,
            name=piece.name,
            start=piece.start,
            stop=piece.stop,
            max_document_bytes=options.max_document_bytes,
            max_expansion=options.max_expansion,
            encodings=tuple(options.encodings),
            repair=options.repair_encoding,
            text_unit=options.text_unit,
            main_content=options.main_content,
        )
        if not piece.format:
            yield source.reject(0, "unknown_format", "neither read nor looked into")
            continue
        text_fields = options.text_fields if FORMATS[piece.format].has_fields else ("text",)
        for row in formats.read(source, piece.format):
            composed = row if isinstance(row, Reject) else options.compose(row, source)
            if isinstance(composed, Reject):
                yield composed
            else:
                yield _admit(composed, source, piece.source, text_fields, options)


def _admit(
    row: Row, source: formats.Source, name: str, text_fields: tuple[str, ...], options: ReadDocuments
) -> Document | Reject:
    """A record as a document, or the reason why it is none."""
    columns = row.columns

    def reject(reason: str, detail: str) -> Reject:
        raw = row.raw or (text if isinstance(text, bytes) else _raw_row({"text": text, **columns}))
        return source.reject(row.position, reason, detail, raw)

    field = _first_of(text_fields, columns)
    text = None if field is None else columns.pop(field)
    if text is None:
        return reject("missing_text", f"no field {' or '.join(text_fields)}" if field is None else f"{field} is null")
    try:
        if isinstance(text, bytes):
            text = source.decode(text)
        if not isinstance(text, str):
            return reject("text_not_string", f"{field} is of type {type(text).__name__}")
        if options.repair_encoding:
            text = ftfy.fix_encoding(text).encode(errors="replace").decode()
        encoded = text.encode()
    except UnicodeDecodeError as error:
        return reject("invalid_utf8", str(error))
    except UnicodeEncodeError as error:
        return reject("lone_surrogate", f"{error.object[error.start]!r} at character {error.start}")
    if len(encoded) > options.max_document_bytes:
        return reject("too_large", f"{len(encoded)} bytes of text, of which {options.max_document_bytes} are allowed")
    if b"\0" in encoded:
        return reject("nul_byte", f"at byte {encoded.index(0)}: binary data, or an encoding of two bytes a character")
    if not text or text.isspace():
        return reject("empty_text", "no character other than spaces")
    for ours, names in options.renamed_fields:
        theirs = _first_of(names, columns)
        if theirs is not None and ours not in columns:
            columns[ours] = columns.pop(theirs)
    if isinstance(columns.get("source"), str) and columns["source"]:
        name = columns.pop("source")
    return Document(encoded, name, source.name, row.position, columns)


def _first_of(names: tuple[str, ...], columns: dict[str, Any]) -> str | None:
    """The first name that has a value; else the first that is there at all."""
    present = [name for name in names if name in columns]
    return next((name for name in present if columns[name] is not None), present[0] if present else None)


def _raw_row(columns: dict[str, Any]) -> bytes:
    """What a reject shows of a table's row: JSON, its strings no longer than all of it may be."""
    short = {k: v[: formats.RAW_BYTES] if isinstance(v, str | bytes) else v for k, v in columns.items()}
    return json.dumps(short, default=str).encode()


def read_groups(task: Task, options: ReadDocuments) -> Iterator[pa.RecordBatch]:
    """The task's documents, normalised, and its rejects, each in batches of at most a row group.

    The schema tells which: REJECT_SCHEMA, or DOCUMENT_SCHEMA followed by the user's columns.
    """
    return _groups(read_task(task, options), options)


def _groups(records: Iterable[Document | Reject], options: ReadDocuments) -> Iterator[pa.RecordBatch]:
    documents: list[Document] = []
    rejects: list[Reject] = []
    held = 0
    for record in records:
        if isinstance(record, Reject):
            rejects.append(record)
        else:
            documents.append(record)
            held += len(record.text)
        if len(documents) >= options.rows_per_group or held >= GROUP_BYTES:
            yield _document_batch(documents, rejects, options)
            documents, held = [], 0
        if len(rejects) >= GROUP_ROWS:
            yield _reject_batch(rejects)
            rejects = []
    if documents:
        yield _document_batch(documents, rejects, options)
    if rejects:
        yield _reject_batch(rejects)


def is_rejects(batch: pa.RecordBatch) -> bool:
    """Whether a batch of `read_groups` holds rejects."""
    return batch.schema.equals(REJECT_SCHEMA)


def _document_batch(documents: list[Document], rejects: list[Reject], options: ReadDocuments) -> pa.RecordBatch:
    """The documents as a batch; what normalisation leaves empty is appended to the rejects."""
    texts = normalize(_texts([document.text for document in documents]), options.normalizer)
    kept = pc.invert(pc.or_(pc.equal(pc.binary_length(texts), 0), pc.utf8_is_space(texts)))
    if not pc.all(kept).as_py():
        flags = kept.to_pylist()
        detail = "no character other than spaces after normalisation"
        rejects += [
            Reject(document.path, document.position, "empty_text", detail, document.text[: formats.RAW_BYTES])
            for document, keep in zip(documents, flags, strict=True)
            if not keep
        ]
        documents = list(itertools.compress(documents, flags))
        texts = texts.filter(kept)
    arrays = {
        "text": texts,
        "source": _strings([document.source for document in documents]),
        "path": _strings([document.path for document in documents]),
        "position": pa.array([document.position for document in documents], pa.int64()),
        "bytes": pc.binary_length(texts).cast(pa.int64()),
    }
    return pa.RecordBatch.from_pydict(
        arrays | _user_columns([document.columns for document in documents], options.reserved)
    )


def _texts(encoded: list[bytes]) -> pa.Array:
    """Texts known to be UTF-8 as an array, without looking at them again."""
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def _reject_batch(rejects: list[Reject]) -> pa.RecordBatch:
    columns = zip(*rejects, strict=True)
    file, position, reason, detail, raw = columns
    arrays = [_strings(file), pa.array(position, pa.int64()), _strings(reason), _strings(detail), pa.array(raw)]
    return pa.RecordBatch.from_arrays(arrays, schema=REJECT_SCHEMA)


def _user_columns(rows: list[dict[str, Any]], reserved: frozenset[str]) -> dict[str, pa.Array]:
    """The users' columns of a batch, in the order in which they first appear.

    A name of ours takes the prefix `input_`. Columns of booleans, integers, floats or strings alone are that; any other
    is strings, with all that is no string as JSON, and bytes, dates and decimals as they would stand in JSON.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for row in rows:
        for name in row:
            if name not in names:
                names[name] = _free_name(name, taken, reserved)
                taken.add(names[name])
    if len(names) > MAX_COLUMNS:
        rest = dict.fromkeys(list(names)[MAX_COLUMNS - 1 :])
        rows = [
            {**{k: v for k, v in row.items() if k not in rest}, OTHER_COLUMNS: {k: row[k] for k in rest if k in row}}
            for row in rows
        ]
        names = {name: ours for name, ours in names.items() if name not in rest} | {OTHER_COLUMNS: OTHER_COLUMNS}
    return {ours: _column([row.get(name) for row in rows]) for name, ours in names.items()}


def _free_name(name: str, taken: set[str], reserved: frozenset[str]) -> str:
    name = name.encode(errors="replace").decode()  # lone surrogates
    if name in RESERVED_NAMES or name in reserved or name.endswith(REMOVED):
        name = f"input_{name}"
    while name in taken:
        name = f"input_{name}"
    return name


def _strings(values: Iterable[str | None]) -> pa.Array:
    values = list(values)
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # lone surrogates in a name or a user's column: no reason to lose the document
        return pa.array([value and value.encode(errors="replace") for value in values], pa.string())


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values} - {type(None)}
    try:
        if not kinds:
            return pa.nulls(len(values))
        if kinds == {str}:
            return _strings(values)
        if kinds == {bool}:
            return pa.array(values, pa.bool_())
        if kinds <= {int, float}:
            return pa.array(values, pa.float64() if float in kinds else pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        pass  # integers of more than 64 bits, or of more than a float holds exactly: as JSON nothing is lost
    return _strings([value if value is None or isinstance(value, str) else _json(value) for value in values])


def _json(value: Any) -> str:
    if isinstance(value, bytes | decimal.Decimal | datetime.date | datetime.time):
        return _json_default(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json_default)


def _json_default(value: Any) -> str:
    # What tables hold and JSON does not: bytes as in Arrow's own JSON, dates and decimals as they are written.
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def write_parts(task: Task, options: ReadDocuments, folder: str) -> TaskManifest:
    """Read a task and write its documents to `folder`, its rejects to `folder/rejects`.

    The files are `task-00003-0000.parquet` and so on, whole or not there; the same task always writes the same bytes.

    Args:
        task: of `plan`.
        options: how to read it.
        folder: where to; it must exist, with `rejects` in it.
    """
    documents = _PartWriter(options.kind, "text", task.number, folder, options.part_bytes)
    rejects = _PartWriter("reject", "raw", task.number, files.join(folder, "rejects"), options.part_bytes)
    read = 0

    def counted() -> Iterator[Document | Reject]:
        nonlocal read
        for record in read_task(task, options):
            read += 1
            yield record

    for batch in _groups(counted(), options):
        (rejects if is_rejects(batch) else documents).add(batch)
    return TaskManifest(read, tuple(documents.close() + rejects.close()))


class _PartWriter:
    """Gathers batches and writes a file whenever the next one would make it too large."""

    def __init__(self, kind: str, measured: str, task: int, folder: str, part_bytes: int) -> None:
        self._kind = kind
        self._measured = measured
        self._task = task
        self._folder = folder
        self._part_bytes = part_bytes
        self._batches: list[pa.RecordBatch] = []
        self._held = 0
        self._manifests: list[PartManifest] = []

    def add(self, batch: pa.RecordBatch) -> None:
        if len(batch):
            size = pc.sum(pc.binary_length(batch.column(self._measured))).as_py()
            if self._held + size > self._part_bytes:
                self._write()
            self._batches.append(batch)
            self._held += size

    def close(self) -> list[PartManifest]:
        self._write()
        return self._manifests

    def _write(self) -> None:
        if not self._batches:
            return
        sequence = len(self._manifests)
        path = files.join(self._folder, f"task-{self._task:05d}-{sequence:04d}.parquet")
        schema = common_schema(batch.schema for batch in self._batches)
        reasons: Counter[str] = Counter()
        with (
            files.whole_file(path) as sink,
            pq.ParquetWriter(
                sink, schema, compression="zstd", compression_level=files.COLUMN_COMPRESSION_LEVEL
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
        self._batches, self._held = [], 0


def number_parts(tasks: Iterable[Task], tasks_folder: str, folder: str, corpus: Corpus) -> dict[str, Any]:
    """Rename the parts that all tasks have written, in the order of the tasks, to parts of the corpus.

    It can be interrupted anywhere and run again.

    Args:
        tasks: all of them.
        tasks_folder: where their parts and manifests lie.
        folder: of the stage. Its parts get the numbers after those of the corpus; rejects go beside it, to
            `rejects/<stage>-00000.parquet`.
        corpus: before the stage.

    Returns:
        The stage's entry in `run.json`: columns, parts (number, kind, rows, columns, bytes), records, rejects, and
        rejects_by_reason.
    """
    outcomes = [files.read_json(files.join(tasks_folder, f"task-{task.number:05d}.json")) for task in tasks]
    manifests = [PartManifest(**manifest) for outcome in outcomes for manifest in outcome["files"]]
    documents = [manifest for manifest in manifests if manifest.kind != "reject"]
    rejects = [manifest for manifest in manifests if manifest.kind == "reject"]
    parts = []
    for number, manifest in enumerate(documents, len(corpus.parts)):
        _rename(manifest.path, part_path(folder, number))
        entry = {"number": number, "kind": manifest.kind, "rows": manifest.rows, "columns": manifest.columns}
        parts.append(entry | {"bytes": manifest.text_bytes})
    stage = folder.rpartition("/")[2]
    rejects_folder = corpus.folder("rejects")
    files.make_folder(rejects_folder)
    kept = [files.join(rejects_folder, f"{stage}-{number:05d}.parquet") for number in range(len(rejects))]
    for manifest, path in zip(rejects, kept, strict=True):
        _rename(manifest.path, path)
    earlier = [path for path in files.list_folder(rejects_folder) if path.rpartition("/")[2].startswith(f"{stage}-")]
    FileSystems.delete([path for path in earlier if path not in kept])
    by_reason: Counter[str] = Counter()
    for manifest in rejects:
        by_reason.update(manifest.reasons)
    return {
        "columns": DOCUMENT_SCHEMA.names,
        "parts": parts,
        "records": sum(outcome["records"] for outcome in outcomes),
        "rejects": sum(manifest.rows for manifest in rejects),
        "rejects_by_reason": dict(sorted(by_reason.items())),
    }


def _rename(path: str, to: str) -> None:
    # Not there: an earlier, interrupted run has renamed it.
    if files.exists(path):
        FileSystems.rename([path], [to])
