"""The user's own columns: they come along to the shards under names and in types that every part can hold."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from datapipe.store.schemas import DOCUMENT_SCHEMA, MAX_EXACT, float_text

# More fields than this in a part are keys of data, not columns: they go into one.
MAX_COLUMNS = 256
OTHER_COLUMNS = "input_other"
# Of the user's columns, these take the prefix: `id` is the row id of the corpus.
RESERVED_NAMES = frozenset({*DOCUMENT_SCHEMA.names, "id", "part_kind"})


def user_columns(rows: list[dict[str, Any]], reserved: frozenset[str]) -> dict[str, pa.Array]:
    """The users' columns of a batch, in the order in which they first appear.

    A name of ours takes the prefix `input_`. Columns of booleans, integers, floats or strings alone are that; any other
    is strings, with all that is no string as JSON, and bytes, decimals and UUIDs as they would stand in JSON.

    >>> columns = user_columns([{"id": 7, "tags": ["a"]}, {"id": 8, "stars": 1.5}], frozenset())
    >>> {name: column.to_pylist() for name, column in columns.items()}
    {'input_id': [7, 8], 'tags': ['["a"]', None], 'stars': [None, 1.5]}
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
    if name in RESERVED_NAMES or name in reserved:
        name = f"input_{name}"
    while name in taken:
        name = f"input_{name}"
    return name


def strings(values: Iterable[str | None]) -> pa.Array:
    values = list(values)
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # lone surrogates in a name or a user's column: no reason to lose the document
        return pa.array([value and value.encode(errors="replace") for value in values], pa.string())


def _column(values: list[Any]) -> pa.Array:
    types = {type(value) for value in values} - {type(None)}
    try:
        if not types:
            return pa.nulls(len(values))
        if types == {str}:
            return strings(values)
        if types == {bool}:
            return pa.array(values, pa.bool_())
        if types == {int}:
            return pa.array(values, pa.int64())
        if types <= {int, float} and all(type(v) is not int or abs(v) <= MAX_EXACT for v in values):
            return pa.array(values, pa.float64())
    except OverflowError:
        pass  # integers of more than 64 bits: as JSON nothing is lost
    return strings([value if value is None or isinstance(value, str) else _json(value) for value in values])


def _json(value: Any) -> str:
    if not isinstance(value, bool | int | float | list | tuple | dict):
        return _json_default(value)
    if isinstance(value, float):
        return float_text(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json_default)


def _json_default(value: Any) -> str:
    # What tables hold and JSON does not: bytes as in Arrow's own JSON, decimals and UUIDs as they are written.
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
