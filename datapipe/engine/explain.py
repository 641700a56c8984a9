"""Why is this document in, or out? Everything that the stages wrote down about one document."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datapipe.store.corpus import REASON, ROW_BITS, Corpus, Part

_TEXT_SHOWN = 500
_ITEMS_SHOWN = 20


class UnknownDocumentError(LookupError):
    """No document bears the id that was asked for."""


def find(corpus: Corpus, name: str) -> tuple[Part, int]:
    """The part and row of a document.

    Args:
        corpus: the corpus.
        name: `part-row` (`3-1207`), the 64-bit id as a number, or the user's own `id` (`input_id` in the corpus).

    Raises:
        UnknownDocumentError: if there is none.
    """
    for part in corpus.parts:
        if "input_id" in part.columns:
            row = pc.index(part.column("input_id").cast("string"), name).as_py()
            if row >= 0:
                return part, row
    number, dash, row_text = name.partition("-")
    if dash and number.isdecimal() and row_text.isdecimal():
        place = int(number), int(row_text)
    elif name.isdecimal():
        place = int(name) >> ROW_BITS, int(name) & (1 << ROW_BITS) - 1
    else:
        place = (-1, -1)
    for part in corpus.parts:
        if part.number == place[0] and place[1] < part.rows:
            return part, place[1]
    raise UnknownDocumentError(
        f"no document {name!r}: give `part-row`, such as 0-17, or a value of the documents' own `id`"
    )


def explain(corpus: Corpus, name: str) -> dict[str, Any]:
    """Every column of one document, ids of partners written as `part-row`."""
    part, row = find(corpus, name)
    record: dict[str, Any] = {"document": f"{part.number}-{row}", "part_kind": part.kind}
    verdict = next((d for d in part.decisions if part.column(d)[row].is_valid), None)
    record["verdict"] = f"removed by {verdict.removesuffix(REASON)}: {part.column(verdict)[row]}" if verdict else "kept"
    record.update(_columns(part, row))
    return record


def _readable(value: Any, kind: pa.DataType) -> Any:
    """A value with the ids in it, at any depth, as `part-row`."""
    if value is None:
        return None
    if kind == pa.uint64():  # the type of ids, and of nothing else that a stage writes
        return f"{value >> ROW_BITS}-{value & (1 << ROW_BITS) - 1}"
    if pa.types.is_struct(kind):
        return {field.name: _readable(value[field.name], field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_readable(item, kind.value_type) for item in value]
    return value


def _columns(part: Part, row: int) -> Iterator[tuple[str, Any]]:
    for name in part.columns:
        scalar = part.column(name)[row]
        # The user's own columns may be of any type.
        value = scalar.as_py() if name in part.user_columns else _readable(scalar.as_py(), scalar.type)
        if isinstance(value, str) and len(value) > _TEXT_SHOWN:
            value = f"{value[:_TEXT_SHOWN]}… ({len(value):,} characters)"
        if isinstance(value, bytes):
            value = f"{len(value)} bytes"
        if isinstance(value, list) and len(value) > _ITEMS_SHOWN:
            nested = pa.types.is_nested(scalar.type.value_type)
            value = [*value[:_ITEMS_SHOWN], f"… ({len(value)})"] if nested else f"{len(value)} numbers"
        yield name, value
