"""Admission: every record is a document, or a reject with its reason."""

import json
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.read.inputs import plan
from datapipe.read.options import ReadOptions
from datapipe.read.parts import read_groups
from datapipe.store.schemas import DOCUMENT_SCHEMA
from tests.datapipe.read.helpers import Write, read, reasons


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"content": "a"}, "missing_text"),
        ({"text": None}, "missing_text"),
        ({"text": 5}, "text_not_string"),
        ({"text": ["a"]}, "text_not_string"),
        ({"text": ""}, "empty_text"),
        ({"text": " \u3000\n"}, "empty_text"),
        ({"text": "a\0b"}, "nul_byte"),
        ({"text": "\ud800"}, "lone_surrogate"),
        ({"text": "a" * 1001}, "too_large"),
        (b"{", "malformed_json"),
    ],
)
def test_every_reason(write: Write, line: Any, reason: str) -> None:
    root = write("a.jsonl", {"text": "a"}, line, {"text": "b"})
    before, reject, after = read(root, max_document_bytes=1000)
    assert (before.text, after.text) == (b"a", b"b")
    assert (reject.reason, reject.file, reject.position) == (reason, "a.jsonl", 14)
    assert reject.raw == (line if isinstance(line, bytes) else json.dumps(line).encode())


def test_a_text_as_large_as_it_may_be_is_a_document(write: Write) -> None:
    root = write("a.txt", b"x" * 999)  # and its line feed
    assert reasons(root, max_document_bytes=1000) == [None]
    assert reasons(root, max_document_bytes=999) == ["too_large"]


def test_repair_and_encodings_save_what_they_can(write: Write) -> None:
    bad = [{"text": "a\ud800"}, b'{"text": "' + b"a" * 200 + b'\xff"}', '{"text": "中文"}'.encode("gb18030")]
    root = write("a.jsonl", *bad)
    assert reasons(root) == ["lone_surrogate", "invalid_utf8", "invalid_utf8"]
    assert reasons(root, repair_encoding=True) == [None, None, "invalid_utf8"]
    assert reasons(root, encodings=["gb18030"])[2] is None
    root = write("a.jsonl", {"text": "schÃ¶n"})
    assert [read(root, repair_encoding=repair)[0].text.decode() for repair in (False, True)] == ["schÃ¶n", "schön"]


def test_fields_are_mapped(write: Write) -> None:
    line = {"body": "a", "text": "b", "where": "w", "id": 7, "position": 3, "x_reason": True}
    root = write("a.jsonl", line)
    (document,) = read(root, fields={"text": ["content", "body"], "source": "where", "own_id": "id"})
    assert (document.text, document.source) == (b"a", "w")
    assert document.columns == {"text": "b", "own_id": 7, "position": 3, "x_reason": True}
    (batch,) = read_groups(plan([root], ReadOptions())[0], ReadOptions())
    assert batch.schema.names[len(DOCUMENT_SCHEMA) :] == [
        "body",
        "where",
        "input_id",
        "input_position",
        "x_reason",
    ]


def test_a_field_of_the_name_that_another_is_to_take_stays(write: Write) -> None:
    root = write("a.jsonl", {"text": "a", "id": 7, "own_id": 8})
    (document,) = read(root, fields={"text": "text", "own_id": "id"})
    assert document.columns == {"id": 7, "own_id": 8}


def test_of_several_fields_the_first_with_a_value_is_taken(write: Write) -> None:
    root = write("a.jsonl", {"content": None, "body": "a", "id": None}, {"content": None})
    document, reject = read(root, fields={"text": ["content", "body"], "own_id": "id"})
    assert (document.text, document.columns) == (b"a", {"content": None, "own_id": None})
    assert (reject.reason, reject.detail) == ("missing_text", "content is null")


def test_the_source_is_the_records_own_or_the_file_or_the_folder(write: Write) -> None:
    write(
        "news.2024.jsonl.gz",
        {"text": "a"},
        {"text": "b", "source": "own"},
        {"text": "c", "source": 5},
        {"text": "d", "source": ""},
    )
    root = write("books/one.txt", b"d")
    assert [record.source for record in read(root)] == ["books", "news.2024", "own", "news.2024", "news.2024"]
    assert next(record.source for record in read(root, text_unit="line")) == "one"


def test_a_reject_of_a_table_shows_its_raw_bytes(write: Write, tmp_path: pathlib.Path) -> None:
    root = write("a.jsonl", {"text": "a"})
    (tmp_path / "input" / "a.jsonl").unlink()
    texts = pa.array([b"bad \xff", b"x" * 2_000_000], pa.binary())
    pq.write_table(pa.table({"n": [7, 8], "text": texts}), f"{root}/a.parquet")
    invalid, large = read(root, max_document_bytes=1_000_000)
    assert (invalid.reason, invalid.raw, invalid.position) == ("invalid_utf8", b"bad \xff", 0)
    assert (large.reason, large.position, len(large.raw)) == ("too_large", 1, 4096)
