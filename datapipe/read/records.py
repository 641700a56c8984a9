"""From the records of a task to documents and rejects: every record becomes one of them, never neither."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from datapipe.read import formats
from datapipe.read.formats import FORMATS, Reject, Row
from datapipe.read.formats.arrow_values import shown
from datapipe.read.formats.encodings import repair
from datapipe.read.formats.text import records_within
from datapipe.read.inputs import Task
from datapipe.read.listing import FAULTS
from datapipe.read.options import ReadOptions
from datapipe.text.dialogues import Dialogue, spoken_text

NAMED_COLUMNS = 32  # of a reject: more tell nobody what the text is called

# Makes the text of a record, or says why it has none: for records in which it does not lie ready under one name.
Compose = Callable[[Row, formats.Source], Row | Reject]


class Document(NamedTuple):
    """A record that is a document: its text as UTF-8, where it comes from, the user's other columns, its dialogue."""

    text: bytes
    source: str
    path: str
    position: int
    columns: dict[str, Any]
    dialogue: Dialogue | None = None


def read_task(task: Task, options: ReadOptions, compose: Compose | None = None) -> Iterator[Document | Reject]:
    """Every record of a task's slices, in order, as a document or a reject; before normalization.

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
            encodings=options.encodings,
            repair=options.repair_encoding,
            text_unit=options.text_unit,
            main_content=options.main_content,
            wiki=options.wiki,
            post_comments=options.post_comments,
            gutenberg_notices=options.gutenberg_notices,
        )
        if piece.fault:
            yield source.reject(0, piece.fault, FAULTS[piece.fault])
            continue
        format_: str | None = piece.format
        if not format_:
            from datapipe.read.formats import sniff  # here: it knows many formats, and few files need it

            format_, start = sniff.sniff_format(source)
            if format_ is None and (command := sniff.unpacked_by(piece.name, start)):
                yield source.reject(0, "archive", f"unpack it first: {command}", start)
                continue
            if format_ is None:
                yield source.reject(0, "unknown_format", "no extension that is known, nor text in UTF-8", start)
                continue
        text_fields = options.text_fields if FORMATS[format_].has_fields else ("text",)
        rows = formats.read(source, format_)
        if format_ == "json" and compose is None:
            rows = _unwrapped(rows, source, text_fields)
        for row in itertools.islice(rows, piece.records):
            composed = row if isinstance(row, Reject) or compose is None else compose(row, source)
            if isinstance(composed, Reject):
                yield composed
            else:
                yield _admit(composed, source, piece.source, text_fields, options)


def _unwrapped(
    rows: Iterator[Row | Reject], source: formats.Source, text_fields: tuple[str, ...]
) -> Iterator[Row | Reject]:
    """Rows of a JSON file; one without a text that holds one list of objects with texts stands for these."""
    for row in rows:
        lists = [value for value in row.columns.values() if _is_objects(value)] if isinstance(row, Row) else []
        if (
            isinstance(row, Row)
            and len(lists) == 1
            and not any(name in row.columns for name in text_fields)
            and any(name in lists[0][0] for name in text_fields)
        ):
            yield from records_within(source, row)
        else:
            yield row


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _admit(
    row: Row, source: formats.Source, name: str, text_fields: tuple[str, ...], options: ReadOptions
) -> Document | Reject:
    """A record as a document, or the reason why it is none."""
    columns = row.columns

    def reject(reason: str, detail: str) -> Reject:
        raw = row.raw or (text if isinstance(text, bytes) else shown({"text": text, **columns}))
        return source.reject(row.position, reason, detail, raw)

    def lacks_text(reason: str, detail: str) -> Reject:
        return reject(reason, detail)._replace(columns=_longest_first(columns))

    field = _first_of(text_fields, columns, _is_text)
    text = None
    if row.dialogue:
        text = spoken_text(row.dialogue.messages)
    elif field is not None:
        text = columns.pop(field)
    if text is None:
        detail = f"no field {' or '.join(text_fields)}" if field is None else f"{field} is null"
        return lacks_text("missing_text", detail)
    try:
        if isinstance(text, bytes):
            text = source.decode(text)
        if not isinstance(text, str):
            return lacks_text("text_not_string", f"{field} is of type {type(text).__name__}")
        if options.repair_encoding:
            text = repair(text)
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
        return lacks_text("empty_text", "no character other than spaces")
    if row.raw:  # of text, so that bytes are a string in no encoding: no reason to lose the text beside it
        columns = {k: v.decode(errors="replace") if isinstance(v, bytes) else v for k, v in columns.items()}
    for ours, names in options.renamed_fields:
        theirs = _first_of(names, columns)
        if theirs is not None and ours not in columns:
            columns[ours] = columns.pop(theirs)
    if isinstance(columns.get("source"), str) and columns["source"]:
        said = columns.pop("source")
        name = name if options.source_from == "folder" else said
    return Document(encoded, name, source.name, row.position, columns, row.dialogue)


def _first_of(
    names: tuple[str, ...], columns: dict[str, Any], is_wanted: Callable[[Any], bool] | None = None
) -> str | None:
    """The first name whose value is wanted; else the first that has any value; else the first that is there at all."""
    present = [name for name in names if name in columns]
    for is_good in filter(None, (is_wanted, _has_value)):
        for name in present:
            if is_good(columns[name]):
                return name
    return present[0] if present else None


def _has_value(value: Any) -> bool:
    return value is not None and not (isinstance(value, str | bytes) and (not value or value.isspace()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str | bytes) and _has_value(value)


def _longest_first(columns: dict[str, Any]) -> tuple[str, ...]:
    """The names of some fields, that of the longest string first: what the text might be called."""
    lengths = {name: len(value) if isinstance(value, str) else -1 for name, value in columns.items()}
    names = sorted(lengths, key=lambda name: -lengths[name])[:NAMED_COLUMNS]
    return tuple(name.encode(errors="replace").decode() for name in names)
