"""Admission: every record is a document, or a reject with its reason."""

import json
import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.read.formats import Reject
from datapipe.read.inputs import plan
from datapipe.read.options import ReadOptions
from datapipe.read.parts import read_groups
from datapipe.read.records import Document
from datapipe.store.schemas import DOCUMENT_SCHEMA
from tests.datapipe.read.helpers import Write, read, reasons


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"title": "a"}, "missing_text"),
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


def test_the_text_is_the_first_field_that_holds_one(write: Write) -> None:
    lines = [
        {"text": "a", "content": "x"},
        {"text": "", "content": " ", "body": "b"},
        {"text": None, "content": 5, "raw_content": "c"},
        {"story": "x", "body": "d"},
    ]
    root = write("a.jsonl", *lines)
    assert [record.text for record in read(root)] == [b"a", b"b", b"c", b"d"]
    named = read(root, fields={"text": ["story", "raw_content"], "source": "none"})
    assert [getattr(record, "text", None) for record in named] == [b"a", None, b"c", b"x"]
    assert [getattr(record, "text", None) for record in read(root, fields={"source": "none"})] == [
        b"a",
        b"b",
        b"c",
        b"d",
    ]


def test_a_record_without_text_names_its_fields_that_of_the_longest_string_first(write: Write) -> None:
    (reject,) = read(write("a.jsonl", {"id": 7, "title": "short", "story": "a long story", "text": None}))
    assert reject.columns == ("story", "title", "id")


def test_files_whose_name_tells_nothing_are_looked_into(write: Write) -> None:
    write("Makefile", b"all:\n\techo")
    write("part-00000", {"text": "a"}, {"text": "b"})
    write("a.py", b"print('a')")
    root = write("blob.bin", b"\xff\0\1")
    records = {record.position: record for record in read(root) if isinstance(record, Reject)}
    assert [(r.file, r.reason, r.raw) for r in records.values()] == [("blob.bin", "unknown_format", b"\xff\0\1\n")]
    documents = [(r.path, r.text) for r in read(root) if isinstance(r, Document)]
    assert documents == [
        ("Makefile", b"all:\n\techo\n"),
        ("a.py", b"print('a')\n"),
        ("part-00000", b"a"),
        ("part-00000", b"b"),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_string_in_no_encoding_does_not_cost_the_text_beside_it(write: Write, name: str) -> None:
    if name == "a.csv":
        root = write(name, b"text,note", b"good,caf\xe9", b"caf\xe9,good")
    else:
        root = write(name, b'{"text": "good", "note": "caf\xe9"}', b'{"text": "caf\xe9", "note": "good"}')
    document, reject = read(root)
    assert (document.text, document.columns) == (b"good", {"note": "caf\ufffd"})
    assert reject.reason == "invalid_utf8"
    assert [record.text for record in read(root, encodings=["latin-1"])] == [b"good", "café".encode()]


def test_an_object_that_holds_the_records_is_no_record(write: Write) -> None:
    whole = (
        b'{"version": {"x": [1]}, "tags": ["a]", 5], "data": [{"text": "one", "of": {"n": 1}}, {"text": "t]wo"}, {}]}'
    )
    root = write("a.json", whole)
    one, two, none = read(root)
    assert (one.text, one.position, one.columns) == (b"one", whole.index(b'{"text": "one"'), {"of": {"n": 1}})
    assert (two.text, two.position) == (b"t]wo", whole.index(b'{"text": "t]wo"'))
    assert none.reason == "missing_text"


@pytest.mark.parametrize(
    "whole",
    [
        b'{"text": "mine", "data": [{"text": "one"}]}',
        b'{"data": [{"text": "one"}], "more": [{"text": "two"}]}',
        b'{"data": [{"title": "one"}]}',
        b'{"data": ["one"]}',
    ],
)
def test_other_objects_are_what_they_are(write: Write, whole: bytes) -> None:
    assert len(read(write("a.json", whole))) == 1
    assert len(read(write("a.jsonl", whole, b'{"data": [{"text": "one"}]}'))) == 3
