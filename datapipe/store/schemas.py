"""The columns of documents and rejects, and what their types become where batches or parts differ."""

from collections.abc import Iterable

import pyarrow as pa

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


def common_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """A schema in which the batches of all of them can stand side by side; columns in the order of first appearance.

    A column null everywhere yields to any type, integers yield to floats, and any other difference makes strings.

    >>> one, other = pa.schema({"stars": pa.int64(), "note": pa.null()}), pa.schema({"stars": pa.float64()})
    >>> [(field.name, str(field.type)) for field in common_schema([one, other])]
    [('stars', 'double'), ('note', 'null')]
    """
    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            types[field.name] = _common_type(types.get(field.name, field.type), field.type)
    return pa.schema(list(types.items()))


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else pa.string()


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch in a schema of `common_schema`: columns it lacks are null.

    >>> conform(pa.record_batch({"stars": [3]}), pa.schema({"stars": pa.float64(), "note": pa.string()})).to_pylist()
    [{'stars': 3.0, 'note': None}]
    """
    arrays = [
        batch.column(field.name).cast(field.type, safe=False)
        if field.name in batch.schema.names
        else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
