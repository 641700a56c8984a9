"""The columns of documents and rejects, and what their types become where batches or parts differ."""

import json
import math
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

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
        ("columns", pa.list_(pa.string())),
    ]
)
# In the folder of `contaminated_tokens`: the evaluation records, `record` and the list `tokens`.
EVALUATION_RECORDS = "records.parquet"

# Of fields that are too many to be columns each: one JSON object a row.
OTHER_COLUMNS = "input_other"
# A float holds all integers up to here, and of those beyond only some.
MAX_EXACT = 2**53
# On a field of integers: some are beyond that, so that the column becomes strings beside one of floats.
BEYOND_FLOAT = {b"datapipe.beyond_float": b"true"}


def marked_schema(batch: pa.RecordBatch) -> pa.Schema:
    """The schema of a batch, with the mark BEYOND_FLOAT on the columns that it speaks of."""
    fields = [
        field.with_metadata(BEYOND_FLOAT) if field.type == pa.int64() and _beyond_float(column) else field
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.schema(fields)


def _beyond_float(column: pa.Array) -> bool:
    least, greatest = pc.min_max(column).as_py().values()
    return least is not None and max(-least, greatest) > MAX_EXACT


def common_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """A schema in which the batches of all of them can stand side by side; columns in the order of first appearance.

    A column null everywhere yields to any type, integers yield to floats that hold them exactly, and any other
    difference makes strings. Whatever the order and the groups in which schemas are joined, the same comes out.

    >>> one, other = pa.schema({"stars": pa.int64(), "note": pa.null()}), pa.schema({"stars": pa.float64()})
    >>> [(field.name, str(field.type)) for field in common_schema([one, other])]
    [('stars', 'double'), ('note', 'null')]
    """
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            fields[field.name] = _common_field(fields.get(field.name, field), field)
    return pa.schema(list(fields.values()))


def _common_field(one: pa.Field, other: pa.Field) -> pa.Field:
    marked = is_beyond_float(one) or is_beyond_float(other)
    if pa.types.is_null(one.type) or pa.types.is_null(other.type) or one.type == other.type:
        type_ = other.type if pa.types.is_null(one.type) else one.type
    elif {one.type, other.type} == {pa.int64(), pa.float64()} and not marked:
        type_ = pa.float64()
    else:
        type_ = pa.string()
    return pa.field(one.name, type_, metadata=BEYOND_FLOAT if marked and type_ == pa.int64() else None)


def is_beyond_float(field: pa.Field) -> bool:
    """Whether a field bears the mark."""
    return bool(field.metadata) and BEYOND_FLOAT.items() <= field.metadata.items()


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch in a schema of `common_schema`: columns it lacks are null.

    >>> conform(pa.record_batch({"stars": [3]}), pa.schema({"stars": pa.float64(), "note": pa.string()})).to_pylist()
    [{'stars': 3.0, 'note': None}]
    """
    arrays = [
        conform_column(batch.column(field.name), field.type)
        if field.name in batch.schema.names
        else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def conform_column(column: pa.Array, type_: pa.DataType) -> pa.Array:
    """A column in the type that `common_schema` found; numbers that become strings are as in JSON.

    >>> conform_column(pa.array([1e22, 0.5, None]), pa.string()).to_pylist()
    ['1e+22', '0.5', None]
    """
    if pa.types.is_float64(column.type) and pa.types.is_string(type_):
        return pa.array([None if value is None else float_text(value) for value in column.to_pylist()], type_)
    return column.cast(type_)


def float_text(value: float) -> str:
    """A float as in JSON, but a whole one as the integer that it was before it stood beside others.

    >>> float_text(7.0), float_text(7.5), float_text(1e22), float_text(-0.0)
    ('7', '7.5', '1e+22', '-0.0')
    """
    whole = abs(value) <= MAX_EXACT and value.is_integer() and (value or math.copysign(1, value) > 0)
    return str(int(value)) if whole else json.dumps(value)
