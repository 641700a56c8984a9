"""Readers of line-based and plain text: JSON lines, and text of which a document is a file or a line."""

import codecs
import json
from collections.abc import Iterator
from typing import Any

import orjson

from datapipe.formats.source import RAW_BYTES, Damage, Reject, Row, Source

MAX_DEPTH = 100  # of nested objects and lists: what comes after must not recurse without end


def read_json_lines(source: Source) -> Iterator[Row | Reject]:
    """One record a line. Blank lines are no records.

    What orjson refuses is tried again with Python's own parser, which takes NaN, lone surrogates and unescaped control
    characters: writers produce them, and the text around them is sound.
    """
    for line in read_lines(source):
        if isinstance(line, Reject):
            yield line
            continue
        position, raw = line
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            try:
                value = json.loads(source.decode(raw), strict=False)
            except UnicodeDecodeError as error:
                yield source.reject(position, "invalid_utf8", str(error), raw)
                continue
            except RecursionError:
                yield source.reject(position, "nested_too_deep", "deeper than the parser's limit", raw)
                continue
            except ValueError as error:
                yield source.reject(position, "malformed_json", str(error), raw)
                continue
        yield as_row(source, position, value, raw)


def as_row(source: Source, position: int, value: Any, raw: bytes) -> Row | Reject:
    """A parsed JSON value as a record."""
    if not isinstance(value, dict):
        return source.reject(position, "not_an_object", f"a JSON {type(value).__name__}", raw)
    # Counting brackets costs next to nothing, and nearly every line has too few to be deep.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return source.reject(position, "nested_too_deep", f"more than {MAX_DEPTH} levels", raw)
    return Row(position, value, raw)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        level = [
            child for v in level if isinstance(v, (dict, list)) for child in (v.values() if isinstance(v, dict) else v)
        ]
        depth += 1
    return depth


def read_text(source: Source) -> Iterator[Row | Reject]:
    """One record a file or a line, by `source.text_unit`. A line that is blank is no record."""
    records = read_lines(source) if source.text_unit == "line" else read_whole(source)
    for record in records:
        if isinstance(record, Reject):
            yield record
            continue
        position, raw = record
        try:
            yield Row(position, {"text": source.decode(raw)}, raw)
        except UnicodeDecodeError as error:
            yield source.reject(position, "invalid_utf8", str(error), raw)


def read_lines(source: Source) -> Iterator[tuple[int, bytes] | Reject]:
    """The position and bytes of each line that is not blank and begins in the source's range, without its end.

    A line of more than `max_document_bytes` is a reject; so is the place where a file cannot be read further, which
    takes with it the line begun before.
    """
    # From the byte before the range: it tells whether the range's first byte begins a line.
    position = max(0, source.start - 1)
    begins_in_range = source.start == 0
    kept_of_oversized = min(RAW_BYTES, source.max_document_bytes)
    begun, dropped = bytearray(), 0  # a line begun in earlier blocks; the bytes of it not held, since it is too long
    try:
        for block in source.blocks(position):
            *lines, rest = block.split(b"\n")
            if lines:
                lines[0] = bytes(begun) + lines[0]
                begun.clear()
            for line in lines:
                length = len(line) + dropped
                if begins_in_range:
                    yield from _line(source, position, line, length)
                position += length + 1
                if source.stop is not None and position >= source.stop:
                    return
                begins_in_range, dropped = True, 0
            begun += rest
            if len(begun) > source.max_document_bytes:
                dropped += len(begun) - kept_of_oversized
                del begun[kept_of_oversized:]
    except Damage as damage:
        yield source.reject(position, damage.reason, damage.detail, bytes(begun))
    else:
        if begins_in_range:
            yield from _line(source, position, bytes(begun), len(begun) + dropped)


def _line(source: Source, position: int, line: bytes, length: int) -> Iterator[tuple[int, bytes] | Reject]:
    if position == 0:
        line = line.removeprefix(codecs.BOM_UTF8)
    if length > source.max_document_bytes:
        yield _too_large(source, position, length, line)
    elif not line.isspace() and line:
        yield position, line.removesuffix(b"\r")


def read_whole(source: Source) -> Iterator[tuple[int, bytes] | Reject]:
    """The whole file as one record; an empty file too, so that no file goes uncounted."""
    held = bytearray()
    try:
        for block in source.blocks():
            held += block
            if len(held) > source.max_document_bytes:
                yield _too_large(source, 0, len(held), bytes(held))
                return
    except Damage as damage:
        yield source.reject(0, damage.reason, damage.detail, bytes(held))
    else:
        yield 0, bytes(held).removeprefix(codecs.BOM_UTF8)


def _too_large(source: Source, position: int, length: int, raw: bytes) -> Reject:
    detail = f"at least {length} bytes, of which {source.max_document_bytes} are allowed"
    return source.reject(position, "too_large", detail, raw)
