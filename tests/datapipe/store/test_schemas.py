"""Batches of different columns in one schema."""

import pyarrow as pa

from datapipe.store.schemas import common_schema, conform


def test_parts_of_different_columns_stand_side_by_side() -> None:
    one = pa.RecordBatch.from_pydict({"a": [1], "b": [True], "c": pa.nulls(1)})
    two = pa.RecordBatch.from_pydict({"d": ["x"], "a": [1.5], "b": [2], "c": ["y"]})
    schema = common_schema([one.schema, two.schema])
    assert schema == pa.schema([("a", pa.float64()), ("b", pa.string()), ("c", pa.string()), ("d", pa.string())])
    assert conform(one, schema).to_pylist() == [{"a": 1.0, "b": "true", "c": None, "d": None}]
    assert conform(two, schema).to_pylist() == [{"a": 1.5, "b": "2", "c": "y", "d": "x"}]
