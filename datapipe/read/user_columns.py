"""The user's own columns: they come along to the shards under names and in types that every part can hold."""

import base64
import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from datapipe.store.schemas import DOCUMENT_SCHEMA, MAX_EXACT, OTHER_COLUMNS, float_text

# More fields than this in what one task reads are keys of data, not columns: those that come later go into one.
MAX_COLUMNS = 256
MAX_NAME_BYTES = 1024  # so is a longer name: every part and every shard would bear it
# Of the user's columns, these take the prefix: `id` is the row id of the corpus.
RESERVED_NAMES = frozenset({*DOCUMENT_SCHEMA.names, "id", "part_kind", OTHER_COLUMNS})
_PREFIX = "input_"
# What a lone surrogate of a name, which no file can hold, is written as; so a name that has this already is changed.
_ESCAPED = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|[\ud800-\udfff]")
VALUE_BYTES = 64  # about what Python and Arrow take for a value beside its characters


@functools.lru_cache(1 << 16)
def column_name(name: str, reserved: frozenset[str]) -> str:
    """Our name for a column of the user's: by their name alone, and no two of theirs have one.

    A name of ours takes the prefix `input_`, and so does what would meet it there; lone surrogates are written out.

    >>> [column_name(name, frozenset({"language"})) for name in ("stars", "id", "input_id", "input_stars", "language")]
    ['stars', 'input_id', 'input_input_id', 'input_stars', 'input_language']
    """
    if _ESCAPED.search(name):
        name = name.replace("\\", "\\\\").encode(errors="backslashreplace").decode()
    bare = name
    while bare not in RESERVED_NAMES and bare not in reserved:
        if not bare.startswith(_PREFIX):
            return name
        bare = bare.removeprefix(_PREFIX)
    return _PREFIX + name


class Json(str):
    """A value that is no boolean, number or string, as JSON that UTF-8 can hold."""

    __slots__ = ()


Value = bool | int | float | str | None


class UserColumns:
    """Turns the user's fields of one record after the other into columns, of which a task has at most MAX_COLUMNS."""

    def __init__(self, reserved: frozenset[str]) -> None:
        self._reserved = reserved
        self._names: dict[str, str] = {}  # of the user, those that have become columns: our name

    def flat(self, fields: Mapping[str, Any]) -> dict[str, Value]:
        """A record's columns by our names: what is no boolean, number or string as JSON.

        Columns are the names that come first, up to MAX_COLUMNS - 1; all other fields are one JSON object,
        each by the name that its column would have.
        """
        columns: dict[str, Value] = {}
        others: list[str] = []
        for name, value in fields.items():
            ours = self._names.get(name)
            if ours is None:
                ours = column_name(name, self._reserved)
                if len(self._names) == MAX_COLUMNS - 1 or len(ours) > MAX_NAME_BYTES:
                    others.append(f"{json_text(ours)}:{json_text(value)}")
                    continue
                self._names[name] = ours
            columns[ours] = value if value is None or isinstance(value, bool | int | float | str) else _json(value)
        if others:
            columns[OTHER_COLUMNS] = Json("{" + ",".join(others) + "}")
        return columns


def value_bytes(columns: Mapping[str, Value]) -> int:
    """About how many bytes of memory the columns of a record take."""
    return sum(VALUE_BYTES + (len(value) if isinstance(value, str) else 0) for value in columns.values())


def as_arrays(rows: list[dict[str, Value]]) -> dict[str, pa.Array]:
    """The columns of records made by `UserColumns.flat`, in the order in which they first appear.

    Columns of booleans, integers, floats or strings alone are that; any other is strings, with all that is no string as
    JSON.

    >>> user = UserColumns(frozenset())
    >>> columns = as_arrays([user.flat({"id": 7, "tags": ["a"]}), user.flat({"id": 8, "stars": 1.5})])
    >>> {name: column.to_pylist() for name, column in columns.items()}
    {'input_id': [7, 8], 'tags': ['["a"]', None], 'stars': [None, 1.5]}
    """
    places: dict[str, list[int]] = {}
    values: dict[str, list[Value]] = {}
    for place, row in enumerate(rows):
        for name, value in row.items():
            if name not in values:
                places[name], values[name] = [], []
            if value is not None:
                places[name].append(place)
                values[name].append(value)
    return {name: _spread(_column(values[name]), places[name], len(rows)) for name in values}


def _spread(column: pa.Array, places: list[int], rows: int) -> pa.Array:
    """Values at their places among so many rows, of which the others are null."""
    if len(places) == rows:
        return column
    indices = np.full(rows, -1, np.int64)
    indices[places] = np.arange(len(places))
    return column.take(pa.array(indices, mask=indices < 0))


def strings(values: Iterable[str | None]) -> pa.Array:
    values = list(values)
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # lone surrogates in a name or a user's column: no reason to lose the document
        return pa.array([value and value.encode(errors="replace") for value in values], pa.string())


def _column(values: list[Value]) -> pa.Array:
    """A column of values that are not null."""
    types = {type(value) for value in values}
    try:
        if not types:
            return pa.nulls(0)
        if types <= {str, Json}:
            return strings(values)  # type: ignore[arg-type]
        if types == {bool}:
            return pa.array(values, pa.bool_())
        if types == {int}:
            return pa.array(values, pa.int64())
        if types <= {int, float} and all(type(v) is not int or abs(v) <= MAX_EXACT for v in values):
            return pa.array(values, pa.float64())
    except OverflowError:
        pass  # integers of more than 64 bits: as JSON nothing is lost
    return strings([value if isinstance(value, str) else json_text(value) for value in values])


def json_text(value: Any) -> str:
    """A value as JSON."""
    if isinstance(value, Json):
        return value
    if isinstance(value, float):
        return float_text(value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json_default)
    return text.encode(errors="backslashreplace").decode()  # a lone surrogate stands as JSON's own escape


def _json(value: Any) -> str:
    """A value that is no boolean, number or string, as the string that its column holds."""
    return Json(json_text(value)) if isinstance(value, list | tuple | dict) else _json_default(value)


def _json_default(value: Any) -> str:
    # What tables hold and JSON does not: bytes as in Arrow's own JSON, decimals and UUIDs as they are written.
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
