"""Columns of the user come along, under names and in types that all parts can hold."""

import datetime
import decimal
import json
import pathlib
import tempfile
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datapipe.read.inputs import plan
from datapipe.read.options import ReadOptions
from datapipe.read.parts import read_groups
from datapipe.read.user_columns import RESERVED_NAMES, UserColumns, as_arrays, column_name
from datapipe.store.schemas import DOCUMENT_SCHEMA, float_text
from tests.datapipe.read.helpers import Write, written
from tests.helpers import at_most


def user_columns(rows: list[dict[str, Any]], reserved: frozenset[str]) -> dict[str, pa.Array]:
    user = UserColumns(reserved)
    return as_arrays([user.flat(row) for row in rows])


def test_user_columns_keep_their_types_where_they_agree(write: Write) -> None:
    root = write(
        "a.jsonl",
        {
            "text": "a",
            "s": "x",
            "i": 1,
            "f": 1,
            "b": True,
            "mixed": 1,
            "nested": {"中": [1]},
            "big": 2**63,
            "null": None,
        },
        {"text": "b", "s": None, "i": 2, "f": 1.5, "b": False, "mixed": "x", "nested": [None], "new": "\ud800"},
    )
    (batch,) = read_groups(plan([root], ReadOptions())[0], ReadOptions())
    assert {field.name: str(field.type) for field in batch.schema}.items() >= {
        "s": "string", "i": "int64", "f": "double", "b": "bool", "mixed": "string", "nested": "string",
        "big": "string", "null": "null", "new": "string"}.items()  # fmt: skip
    first, second = batch.to_pylist()
    assert (first["mixed"], second["mixed"], first["nested"], first["big"]) == ("1", "x", '{"中":[1]}', str(2**63))
    assert second["new"] == "?"


def test_values_of_tables_are_columns_as_they_are_written(write: Write, tmp_path: pathlib.Path) -> None:
    root = write("a.jsonl", {"text": "a"})
    (tmp_path / "input" / "a.jsonl").unlink()
    values = {"text": "a", "price": decimal.Decimal("1.50"), "raw": b"\xff", "day": datetime.date(2024, 5, 1)}
    nested = {"at": {"when": datetime.datetime(2024, 5, 1)}, "list": [1, None]}
    pq.write_table(pa.Table.from_pylist([values | nested]), f"{root}/a.parquet")
    (batch,) = read_groups(plan([root], ReadOptions())[0], ReadOptions())
    (row,) = batch.to_pylist()
    assert (row["price"], row["raw"], row["day"]) == ("1.50", "/w==", "2024-05-01")
    assert (row["at"], row["list"]) == ('{"when":"2024-05-01 00:00:00.000000"}', "[1,null]")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.text(max_size=4) | st.just("id"), JSON_VALUES, max_size=5), min_size=1, max_size=5))
def test_whatever_columns_users_have_are_written(write: Write, tmp_path: pathlib.Path, rows: list[Any]) -> None:
    root = write("a.jsonl", *(row | {"text": "a"} for row in rows))
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        (manifest,) = written(root, pathlib.Path(folder) / "out")
        table = pq.read_table(manifest.path)
    assert len(table) == len(rows)
    for name, column in zip(
        table.column_names[len(DOCUMENT_SCHEMA) :], table.columns[len(DOCUMENT_SCHEMA) :], strict=True
    ):
        values = [{column_name(theirs, frozenset()): v for theirs, v in row.items()}.get(name) for row in rows]
        if any(isinstance(value, list | dict) for value in values) and not any(isinstance(v, str) for v in values):
            loaded = [None if value is None else json.loads(value) for value in column.to_pylist()]
            # A whole float beside others is the integer that it was.
            said = [json.loads(float_text(value)) if isinstance(value, float) else value for value in values]
            assert json.dumps(loaded) == json.dumps(said)


RESERVED = frozenset({"ours", "rules_reason"})
PIECES = st.lists(
    st.sampled_from(["input_", "id", "other", "ours", "text", "\\", "\\ud800", "\ud800", "\\uDFFF", "u", "?"]),
    max_size=5,
)


@settings(max_examples=500)
@given(st.lists(PIECES.map("".join), unique=True, max_size=30))
def test_no_two_names_meet_and_none_is_ours(names: list[str]) -> None:
    ours = [column_name(name, RESERVED) for name in names]
    assert len(set(ours)) == len(names)
    assert not {*ours} & {*RESERVED, *RESERVED_NAMES}
    assert [name.encode().decode() for name in ours] == ours


def test_a_name_is_the_same_whatever_stands_beside_it() -> None:
    rows = [{"id": 7, "input_id": 8}, {"input_id": 9}, {"input_id": 10, "id": 11}]
    assert [list(user_columns([row], RESERVED)) for row in rows] == [
        ["input_id", "input_input_id"], ["input_input_id"], ["input_input_id", "input_id"]]  # fmt: skip
    columns = user_columns(rows, RESERVED)
    assert (columns["input_id"].to_pylist(), columns["input_input_id"].to_pylist()) == ([7, None, 11], [8, 9, 10])


@pytest.mark.parametrize(("fields", "last"), [(255, "key 254"), (256, "input_other")])
def test_of_many_fields_the_last_share_a_column(fields: int, last: str) -> None:
    columns = user_columns([{f"key {number}": number for number in range(fields)}], frozenset())
    assert len(columns) == min(fields, 256)
    assert list(columns)[-1] == last


def test_countless_fields_are_one_column(write: Write) -> None:
    root = write("a.jsonl", *({"text": "a", "kept": 1, f"key {n}": n} for n in range(1000)))
    (batch,) = read_groups(plan([root], ReadOptions())[0], ReadOptions())
    assert len(batch.schema) == len(DOCUMENT_SCHEMA) + 256
    assert json.loads(batch.column("input_other")[999].as_py()) == {"key 999": 999}


def test_a_record_of_very_many_fields_takes_no_time(write: Write) -> None:
    root = write("a.jsonl", {"text": "a", **{f"key {n}": n for n in range(200_000)}})
    with at_most(seconds=10):
        (batch,) = read_groups(plan([root], ReadOptions())[0], ReadOptions())
    assert len(json.loads(batch.column("input_other")[0].as_py())) == 200_000 - 255


def test_what_has_no_room_is_as_exact() -> None:
    row = {
        **{f"key {n}": n for n in range(255)},
        "input_other": "mine",
        "\ud800": 2**70,
        "nested": ["\ud800", 0.1, None],
    }
    columns = user_columns([row], frozenset())
    assert columns["input_other"].to_pylist() == [
        r'{"input_input_other":"mine","\\ud800":1180591620717411303424,"nested":["\ud800",0.1,null]}'
    ]


def test_a_name_of_kilobytes_is_no_column() -> None:
    assert list(user_columns([{"n" * 2000: 1, "m": 2}], frozenset())) == ["m", "input_other"]


def test_integers_beside_floats_are_exact() -> None:
    columns = user_columns([{"a": 2**53 + 1, "b": 3}, {"a": 1.5, "b": 0.5}, {"a": 7.0, "b": None}], frozenset())
    assert columns["a"].to_pylist() == ["9007199254740993", "1.5", "7"]
    assert columns["b"].to_pylist() == [3.0, 0.5, None]


def test_what_json_has_no_type_for_is_written_without_quotes() -> None:
    identity = uuid.UUID(int=5)
    assert user_columns([{"a": identity}], frozenset())["a"].to_pylist() == [str(identity)]
