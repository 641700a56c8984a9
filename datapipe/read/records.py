"""From the records of a task to documents and rejects: every record becomes one of them, never neither."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import ftfy

from datapipe.read import formats
from datapipe.read.formats import FORMATS, Reject, Row
from datapipe.read.inputs import Task
from datapipe.read.options import ReadOptions

# Makes the text of a record, or says why it has none: for records in which it does not lie ready under one name.
Compose = Callable[[Row, formats.Source], Row | Reject]


class Document(NamedTuple):
    """A record that is a document: its text as UTF-8, where it comes from, and the user's other columns."""

    text: bytes
    source: str
    path: str
    position: int
    columns: dict[str, Any]


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
        )
        if not piece.format:
            yield source.reject(0, "unknown_format", "neither read nor looked into")
            continue
        text_fields = options.text_fields if FORMATS[piece.format].has_fields else ("text",)
        for row in formats.read(source, piece.format):
            composed = row if isinstance(row, Reject) or compose is None else compose(row, source)
            if isinstance(composed, Reject):
                yield composed
            else:
                yield _admit(composed, source, piece.source, text_fields, options)


def _admit(
    row: Row, source: formats.Source, name: str, text_fields: tuple[str, ...], options: ReadOptions
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
