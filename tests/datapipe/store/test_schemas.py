"""Batches of different columns in one schema."""

import itertools

import pyarrow as pa
import pytest

from datapipe.store.schemas import common_schema, conform, marked_schema


def test_parts_of_different_columns_stand_side_by_side() -> None:
    one = pa.RecordBatch.from_pydict({"a": [1], "b": [True], "c": pa.nulls(1)})
    two = pa.RecordBatch.from_pydict({"d": ["x"], "a": [1.5], "b": [2], "c": ["y"]})
    schema = common_schema([one.schema, two.schema])
    assert schema == pa.schema([("a", pa.float64()), ("b", pa.string()), ("c", pa.string()), ("d", pa.string())])
    assert conform(one, schema).to_pylist() == [{"a": 1.0, "b": "true", "c": None, "d": None}]
    assert conform(two, schema).to_pylist() == [{"a": 1.5, "b": "2", "c": "y", "d": "x"}]


@pytest.mark.parametrize("beyond", [2**53 + 1, -(2**53) - 1])
def test_integers_that_no_float_holds_become_strings_beside_floats(beyond: int) -> None:
    large, small = pa.RecordBatch.from_pydict({"id": [beyond]}), pa.RecordBatch.from_pydict({"id": [7]})
    floats, none = pa.RecordBatch.from_pydict({"id": [1.5, 7.0]}), pa.RecordBatch.from_pydict({"id": pa.nulls(1)})
    batches = [large, small, floats, none]
    for order in itertools.permutations(batches):
        one, *others = [marked_schema(batch) for batch in order]
        schema = common_schema([common_schema(others), one])
        assert schema.types == [pa.string()]
        assert [conform(batch, schema).to_pylist()[0]["id"] for batch in batches] == [str(beyond), "7", "1.5", None]
    assert conform(floats, pa.schema({"id": pa.string()})).to_pylist()[1] == {"id": "7"}
    assert common_schema([marked_schema(small), marked_schema(floats)]).types == [pa.float64()]
    assert common_schema([marked_schema(small), marked_schema(large)]).types == [pa.int64()]
