"""Readers of JSON and of plain text: a record a line, a value of an array, or a file."""

import codecs
import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from datapipe.read.formats.gutenberg import book_of, declared_encoding
from datapipe.read.formats.source import BLOCK_BYTES, RAW_BYTES, Damage, Reject, Row, Source

# Of joined files the byte order marks, of arrays the commas, of JSON text sequences (RFC 7464) the separators.
_AROUND_VALUES = codecs.BOM_UTF8 + b", \t\r\n\x1e"
MAX_DEPTH = 100  # of nested objects and lists: what comes after must not recurse without end
MAX_VALUES = 1_000_000  # in a record: each takes Python up to 64 bytes, and two in the record


def read_json_lines(source: Source) -> Iterator[Row | Reject]:
    """One record a line. Blank lines are no records.

    What orjson refuses is tried again with Python's own parser, which takes NaN, lone surrogates and unescaped control
    characters: writers produce them, and the text around them is sound. A file whose first value is no line, an array
    or an object over several lines, is read value by value, all of it by its first range.
    """
    if source.start and _goes_over_lines(source):
        return
    first = source.start == 0
    for line in read_lines(source):
        if first and (isinstance(line, Reject) or not _is_json(line[1])) and _goes_over_lines(source):
            yield from _read_values(dataclasses.replace(source, stop=None))
            return
        first = False
        yield line if isinstance(line, Reject) else _json_row(source, *line)


def _goes_over_lines(source: Source) -> bool:
    """Whether the first line of a file is no value, but the values that begin on it, or the first below, are objects.

    By the first block alone. An object with something else behind it is a damaged line, and what follows are lines.
    """
    blocks = dataclasses.replace(source, start=0, stop=None).blocks()
    try:
        head = next(blocks, b"")
    except Damage:
        return False
    first_line = head.lstrip(_AROUND_VALUES).partition(b"\n")[0]
    if _is_json(first_line):
        return False
    try:
        goes_on = bool(next(blocks, b""))
    except Damage:
        goes_on = True
    line_end = head.index(first_line) + len(first_line)
    found = False
    for value in _json_values(source, iter((head,))):
        position, raw = (value.position, b"") if isinstance(value, Reject) else value
        cut_off = goes_on and position + len(raw) >= len(head.rstrip(_AROUND_VALUES))
        if found and (position > line_end or cut_off):
            return True
        if not _is_json(raw, dict):
            return False
        found = True
    return found


def _is_json(raw: bytes, kind: type = object) -> bool:
    try:
        return isinstance(orjson.loads(raw.strip(_AROUND_VALUES)), kind)
    except orjson.JSONDecodeError:
        return False


def _json_row(source: Source, position: int, raw: bytes) -> Row | Reject:
    if len(raw) > MAX_VALUES and _count_values(raw) > MAX_VALUES:
        return source.reject(position, "too_many_values", f"more than {MAX_VALUES} values", raw)
    try:
        value = _parse(source, raw)
    except UnicodeDecodeError as error:
        return source.reject(position, "invalid_utf8", str(error), raw)
    except RecursionError:
        return source.reject(position, "nested_too_deep", "deeper than the parser's limit", raw)
    except ValueError as error:
        return source.reject(position, "malformed_json", str(error), raw)
    if not isinstance(value, dict):
        return source.reject(position, "not_an_object", f"a JSON {type(value).__name__}", raw)
    # Most lines have nothing nested, and nearly all others too few brackets to be deep, which costs little to count.
    nested = any(isinstance(item, dict | list) for item in value.values())
    if nested and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return source.reject(position, "nested_too_deep", f"more than {MAX_DEPTH} levels", raw)
    return Row(position, value, raw)


def _count_values(raw: bytes) -> int:
    """About how many values some JSON holds: the commas and opening brackets outside of strings."""
    bare = raw.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    found, in_string = 0, 0
    for start in range(0, len(bare), BLOCK_BYTES):
        block = np.frombuffer(bare, np.uint8, min(BLOCK_BYTES, len(bare) - start), start)
        within = np.bitwise_xor.accumulate((block == ord('"')).astype(np.uint8)) ^ in_string
        marks = (block == ord(",")) | (block == ord("{")) | (block == ord("["))
        found += int((marks & (within == 0)).sum())
        in_string = int(within[-1])
    return found


def _parse(source: Source, raw: bytes) -> Any:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _lenient(source, raw.strip(_AROUND_VALUES))
    if isinstance(value, dict) and _holds_huge_float(value):
        return json.loads(raw, parse_int=_integer)  # orjson makes floats of integers of more than 64 bits
    return value


def _lenient(source: Source, raw: bytes) -> Any:
    """A value as Python's parser reads it; of an object, strings that are no text in any encoding are their bytes."""
    try:
        return json.loads(source.decode(raw), strict=False, parse_int=_integer)
    except UnicodeDecodeError as error:
        try:
            value = json.loads(raw.decode(errors="surrogateescape"), strict=False, parse_int=_integer)
        except ValueError:
            raise error from None
        if isinstance(value, dict):
            value = {name: source.decode_if_it_can(v) if isinstance(v, str) else v for name, v in value.items()}
        return value


def _holds_huge_float(value: dict[str, Any]) -> bool:
    """Whether an object holds, at any depth, a float that may stand for an integer of more than 64 bits."""
    containers: list[dict[str, Any] | list[Any]] = [value]
    while containers:
        container = containers.pop()
        for item in container.values() if isinstance(container, dict) else container:
            kind = type(item)
            if kind is float:
                if abs(item) >= 2.0**63:
                    return True
            elif kind is dict or kind is list:
                containers.append(item)
    return False


def _integer(digits: str) -> int | str:
    """An integer; its digits where there are more than Python takes (the time would be quadratic)."""
    return int(digits) if len(digits) <= sys.int_info.default_max_str_digits else digits


def read_json(source: Source) -> Iterator[Row | Reject]:
    """One record a value of the array that the file is, or of the values that stand in it one after the other.

    A file whose first line is a whole object is read as JSON lines: many bear the extension of JSON, and lines allow to
    go on after a malformed one. In an array that is possible only while quotes are in pairs. An array without its end
    is a truncated file.
    """
    try:
        first = source.stream().readline(source.max_document_bytes).removeprefix(codecs.BOM_UTF8)
        lines = isinstance(orjson.loads(first), dict)
    except (Damage, orjson.JSONDecodeError):
        lines = False
    if lines:
        yield from read_json_lines(source)
        return
    yield from _read_values(source)


def _read_values(source: Source) -> Iterator[Row | Reject]:
    for value in _json_values(source, source.blocks()):
        yield value if isinstance(value, Reject) else _json_row(source, *value)


def records_within(source: Source, row: Row) -> Iterator[Row | Reject]:
    """The objects of the one list of objects that an object holds, each as a record where it stands.

    For files such as `{"version": "1.1", "data": [{…}, {…}]}`; what else the object says is no record's.
    """
    inner = dataclasses.replace(source, start=0, stop=None)
    for value in _json_values(inner, iter((row.raw[row.raw.index(b"{") + 1 :],))):
        if not isinstance(value, Reject) and _is_json(value[1], dict):
            position, raw = value
            yield _json_row(source, row.position + row.raw.index(b"{") + 1 + position, raw)


_OUTSIDE_STRINGS = re.compile(rb'["{}\[\],]')
_IN_STRINGS = re.compile(rb'["\\]')


def _json_values(source: Source, blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes] | Reject]:
    """The position and bytes of each value of a top-level array, and of each top-level object, in a source's blocks."""
    depth, in_array, in_string, escaped = 0, False, False, False
    begun = _Begun(source)
    try:
        for block in blocks:
            taken, at = 0, int(escaped)
            escaped = False
            while match := (_IN_STRINGS if in_string else _OUTSIDE_STRINGS).search(block, at):
                at, mark = match.end(), match.group()
                if mark == b'"':
                    in_string = not in_string
                elif mark == b"\\":
                    escaped = at == len(block)
                    at += 1
                elif depth == 0 and mark == b"[":
                    yield from begun.end(block[taken : at - 1], separator=1)
                    taken, depth, in_array = at, 1, True
                elif mark in b"{[":
                    depth += 1
                elif mark in b"}]":
                    depth = max(0, depth - 1)
                    if depth == 0:
                        end = at - in_array
                        yield from begun.end(block[taken:end], separator=at - end)
                        taken, in_array = at, False
                elif depth == 1 and in_array:
                    yield from begun.end(block[taken : at - 1], separator=1)
                    taken = at
            begun.add(block[taken:])
    except Damage as damage:
        yield source.reject(begun.position, damage.reason, damage.detail, bytes(begun.held))
    else:
        yield from begun.end(b"")
        if in_array and depth == 1 and not in_string:
            yield source.reject(begun.position, "truncated_file", "the array does not end")


class _Begun:
    """A value begun in earlier blocks: its position, its bytes, and how many of them are not held as it is too long."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.position = 0
        self.held = bytearray()
        self._dropped = 0

    def add(self, piece: bytes) -> None:
        self.held += piece
        if len(self.held) > self._source.max_document_bytes:
            kept = min(RAW_BYTES, self._source.max_document_bytes)
            self._dropped += len(self.held) - kept
            del self.held[kept:]

    def end(self, piece: bytes, separator: int = 0) -> Iterator[tuple[int, bytes] | Reject]:
        self.add(piece)
        raw = bytes(self.held)
        value = raw.lstrip(_AROUND_VALUES)
        at, length = self.position + len(raw) - len(value), len(value) + self._dropped
        self.position += len(raw) + self._dropped + separator
        self._dropped = 0
        self.held.clear()
        if length > self._source.max_document_bytes:
            yield _too_large(self._source, at, length, value)
        elif value:
            yield at, value.rstrip()


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        level = [
            child for v in level if isinstance(v, (dict, list)) for child in (v.values() if isinstance(v, dict) else v)
        ]
        depth += 1
    return depth


def read_text(source: Source) -> Iterator[Row | Reject]:
    """One record a file or a line, by `source.text_unit`. A line that is blank is no record.

    A book of Project Gutenberg is read without its notices: see `gutenberg.py`.
    """
    if source.text_unit == "line":
        yield from _decoded(source, read_lines(source))
        return
    for record in _decoded(source, read_whole(source)):
        if isinstance(record, Row) and not source.gutenberg_notices and (book := book_of(record.columns["text"])):
            yield record._replace(columns={"text": book.text, **book.columns})
        else:
            yield record


def read_as_it_is(source: Source) -> Iterator[Row | Reject]:
    """One record a file, Markdown or source code with all its mark-up: models are to write it."""
    return _decoded(source, read_whole(source))


def _decoded(source: Source, records: Iterator[tuple[int, bytes] | Reject]) -> Iterator[Row | Reject]:
    for record in records:
        if isinstance(record, Reject):
            yield record
            continue
        position, raw = record
        try:
            yield Row(position, {"text": source.decode(raw, declared_encoding(raw))}, raw)
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
