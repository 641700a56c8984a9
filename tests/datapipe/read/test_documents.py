"""Planning, admission, user columns, and the parts written."""

import datetime
import decimal
import gzip
import hashlib
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datapipe.read.documents import (
    DOCUMENT_SCHEMA,
    REJECT_SCHEMA,
    Document,
    PartManifest,
    ReadDocuments,
    TooManyRejectsError,
    plan,
    read_groups,
    read_task,
    write_parts,
)
from datapipe.read.formats import Reject
from datapipe.store.corpus import Corpus, part_path

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Write:
    """`write("folder/name.jsonl", {"text": "a"}, b"not JSON", ...)` writes lines and returns the input's root."""

    def make(name: str, *lines: dict[str, object] | bytes) -> str:
        path = tmp_path / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(tmp_path / "input")

    return make


def read(root: str, **options: Any) -> list[Any]:
    reading = ReadDocuments(**options)
    return [record for task in plan([root], reading) for record in read_task(task, reading)]


def reasons(root: str, **options: Any) -> list[str | None]:
    return [record.reason if isinstance(record, Reject) else None for record in read(root, **options)]


def names(inputs: list[str], **options: Any) -> list[str]:
    return [piece.name for task in plan(inputs, ReadDocuments(**options)) for piece in task.slices]


# Planning


def test_files_folders_and_globs_in_any_order_give_the_same_plan(write: Write) -> None:
    for name in ("a/x.jsonl", "a/y.jsonl.gz", "b/z.txt", "b/c/d.parquet"):
        root = write(name, {"text": name})
    whole = plan([root], ReadDocuments())
    assert [piece.name for task in whole for piece in task.slices] == [
        "a/x.jsonl", "a/y.jsonl.gz", "b/c/d.parquet", "b/z.txt"]  # fmt: skip
    assert plan([f"{root}/b", f"{root}/a/y.jsonl.gz", f"{root}/a/*.jsonl"], ReadDocuments()) == whole
    assert names([f"{root}/**.txt"]) == ["b/z.txt"]
    assert names([f"{root}/a"]) == ["x.jsonl", "y.jsonl.gz"]
    assert names([f"{root}/a/x.jsonl", f"{root}/a"]) == ["x.jsonl", "y.jsonl.gz"]


def test_names_with_glob_characters_are_found_as_they_are(write: Write) -> None:
    write("a[1]/x*.jsonl", {"text": "a"})
    root = write("a1/x.jsonl", {"text": "b"})
    assert names([f"{root}/a[1]"]) == ["x*.jsonl"]
    assert names([f"{root}/a[1]/x*.jsonl"]) == ["x*.jsonl"]


def test_what_is_not_data_is_not_read_unless_asked_for(write: Write) -> None:
    data = ("a.jsonl", "citations.jsonl", "licences/a.jsonl", "notices/a.txt")
    for name in ("README.md", "LICENSE", ".hidden.jsonl", "_logs/x.jsonl", "sub/notes.docx", *data):
        root = write(name, {"text": name})
    records = read(root)
    rejects = [record for record in records if isinstance(record, Reject)]
    assert [reject.file for reject in rejects] == ["LICENSE", "README.md", "sub/notes.docx"]
    assert {reject.reason for reject in rejects} == {"unknown_format"}
    assert tuple(r.path for r in records if isinstance(r, Document)) == data
    assert reasons(f"{root}/LICENSE", format="text") == [None]


def test_a_pipe_in_a_folder_is_not_waited_for(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"})
    os.mkfifo(f"{root}/b.jsonl")
    assert reasons(root) == [None, "unknown_format"]


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/*.jsonl", "empty", "a.docx"])
def test_an_input_without_data_is_an_error_that_names_it(write: Write, tmp_path: pathlib.Path, missing: str) -> None:
    root = write("a.docx", b"")
    (tmp_path / "input" / "empty").mkdir()
    with pytest.raises(ValueError, match=missing.replace("*", ".")):
        plan([f"{root}/{missing}"], ReadDocuments())


def test_large_files_are_split_and_small_ones_packed(write: Write) -> None:
    for name in ("a.jsonl", "b.jsonl", "d.jsonl"):
        write(name, {"text": "small"})
    root = write("c.jsonl", *({"text": f"{number:01000}"} for number in range(100)))
    tasks = plan([root], ReadDocuments(part_bytes=30_000))
    assert [[piece.name for piece in task.slices] for task in tasks] == [
        ["a.jsonl", "b.jsonl"], ["c.jsonl"], ["c.jsonl"], ["c.jsonl"], ["c.jsonl"], ["d.jsonl"]]  # fmt: skip
    whole = read(root)
    assert len(whole) == 103
    assert read(root, part_bytes=30_000) == whole
    assert len(plan([root], ReadDocuments())) == 1


# Admission


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


def test_repair_and_encodings_save_what_they_can(write: Write) -> None:
    bad = [{"text": "a\ud800"}, b'{"text": "' + b"a" * 200 + b'\xff"}', '{"text": "中文"}'.encode("gb18030")]
    root = write("a.jsonl", *bad)
    assert reasons(root) == ["lone_surrogate", "invalid_utf8", "invalid_utf8"]
    assert reasons(root, repair_encoding=True) == [None, None, "invalid_utf8"]
    assert reasons(root, encodings=["gb18030"])[2] is None
    root = write("a.jsonl", {"text": "schÃ¶n"})
    assert [read(root, repair_encoding=repair)[0].text.decode() for repair in (False, True)] == ["schÃ¶n", "schön"]


def test_fields_are_mapped(write: Write) -> None:
    line = {"body": "a", "text": "b", "where": "w", "id": 7, "position": 3, "x_removed": True}
    root = write("a.jsonl", line)
    (document,) = read(root, fields={"text": ["content", "body"], "source": "where", "own_id": "id"})
    assert (document.text, document.source) == (b"a", "w")
    assert document.columns == {"text": "b", "own_id": 7, "position": 3, "x_removed": True}
    (batch,) = read_groups(plan([root], ReadDocuments())[0], ReadDocuments())
    assert batch.schema.names[len(DOCUMENT_SCHEMA) :] == [
        "body",
        "where",
        "input_id",
        "input_position",
        "input_x_removed",
    ]


def test_of_several_fields_the_first_with_a_value_is_taken(write: Write) -> None:
    root = write("a.jsonl", {"content": None, "body": "a", "id": None}, {"content": None})
    document, reject = read(root, fields={"text": ["content", "body"], "own_id": "id"})
    assert (document.text, document.columns) == (b"a", {"content": None, "own_id": None})
    assert (reject.reason, reject.detail) == ("missing_text", "content is null")


def test_the_source_is_the_records_own_or_the_file_or_the_folder(write: Write) -> None:
    write("news.2024.jsonl.gz", {"text": "a"}, {"text": "b", "source": "own"}, {"text": "c", "source": 5})
    root = write("books/one.txt", b"d")
    assert [record.source for record in read(root)] == ["books", "news.2024", "own", "news.2024"]
    assert next(record.source for record in read(root, text_unit="line")) == "one"


# Columns and parts


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
    (batch,) = read_groups(plan([root], ReadDocuments())[0], ReadDocuments())
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
    (batch,) = read_groups(plan([root], ReadDocuments())[0], ReadDocuments())
    (row,) = batch.to_pylist()
    assert (row["price"], row["raw"], row["day"]) == ("1.50", "/w==", "2024-05-01")
    assert (row["at"], row["list"]) == ('{"when":"2024-05-01 00:00:00"}', "[1,null]")


def test_a_reject_of_a_table_shows_its_raw_bytes(write: Write, tmp_path: pathlib.Path) -> None:
    root = write("a.jsonl", {"text": "a"})
    (tmp_path / "input" / "a.jsonl").unlink()
    texts = pa.array([b"bad \xff", b"x" * 2_000_000], pa.binary())
    pq.write_table(pa.table({"n": [7, 8], "text": texts}), f"{root}/a.parquet")
    invalid, large = read(root, max_document_bytes=1_000_000)
    assert (invalid.reason, invalid.raw, invalid.position) == ("invalid_utf8", b"bad \xff", 0)
    assert (large.reason, large.position, len(large.raw)) == ("too_large", 1, 4096)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        values = [row.get("id" if name == "input_id" else name) for row in rows]
        if any(isinstance(value, list | dict) for value in values) and not any(isinstance(v, str) for v in values):
            loaded = [None if value is None else json.loads(value) for value in column.to_pylist()]
            assert json.dumps(loaded) == json.dumps(values)


def test_countless_fields_are_one_column(write: Write) -> None:
    root = write("a.jsonl", *({"text": "a", "kept": 1, f"key {n}": n} for n in range(1000)))
    (batch,) = read_groups(plan([root], ReadDocuments())[0], ReadDocuments())
    assert len(batch.schema) == len(DOCUMENT_SCHEMA) + 256
    assert json.loads(batch.column("input_other")[999].as_py()) == {"key 999": 999}


def test_a_record_of_very_many_fields_takes_no_time(write: Write) -> None:
    root = write("a.jsonl", {"text": "a", **{f"key {n}": n for n in range(200_000)}})
    begin = time.monotonic()
    (batch,) = read_groups(plan([root], ReadDocuments())[0], ReadDocuments())
    assert len(json.loads(batch.column("input_other")[0].as_py())) == 200_000 - 255
    assert time.monotonic() - begin < 10


def written(root: str, folder: pathlib.Path, **options: Any) -> list[PartManifest]:
    reading = ReadDocuments(**options)
    (folder / "rejects").mkdir(parents=True)
    return [part for task in plan([root], reading) for part in write_parts(task, reading, str(folder)).files]


def test_parts_hold_every_record_within_their_size(write: Write, tmp_path: pathlib.Path) -> None:
    lines = [{"text": f"{number:0500}"} if number % 10 else b"bad" for number in range(1000)]
    root = write("a.jsonl.gz", *lines)
    manifests = written(root, tmp_path / "out", part_bytes=100_000, rows_per_group=50)
    documents = [manifest for manifest in manifests if manifest.kind == "document"]
    (rejects,) = [manifest for manifest in manifests if manifest.kind == "reject"]
    assert sum(manifest.rows for manifest in documents) == 900
    assert rejects.reasons == {"malformed_json": 100}
    assert len(documents) == 5
    for manifest in documents:
        file = pq.ParquetFile(manifest.path)
        assert manifest.text_bytes <= 100_000
        assert max(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)) <= 50
    texts = [text for manifest in documents for text in pq.read_table(manifest.path).column("text").to_pylist()]
    assert texts == [line["text"] for line in lines if isinstance(line, dict)]
    assert pq.read_schema(rejects.path).remove_metadata() == REJECT_SCHEMA
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[0] == "rejects"
    assert documents[0].path.endswith("out/task-00000-0000.parquet")


def test_every_bad_input_is_written_to_the_rejects(write: Write, tmp_path: pathlib.Path) -> None:
    good = b'{"text": "good"}\n'
    plenty = b"".join(b'{"text": "%d"}\n' % number for number in range(20_000))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a" * 999, None, "b"]}), sink)
    parquet = sink.getvalue().to_pybytes()
    bad = {
        "malformed.jsonl": (good + b"{", "malformed_json", len(good)),
        "cut.jsonl.gz": (gzip.compress(plenty)[:-99], "truncated_file", None),
        "cut.jsonl.zst": (zstandard.compress(plenty)[:-99], "truncated_file", None),
        "corrupt.parquet": (parquet[:-20] + b"\xff" * 20, "corrupt_file", 0),
        "null.parquet": (parquet, "missing_text", 1),
        "encoding.jsonl": (good + b'{"text": "\xff"}', "invalid_utf8", len(good)),
        "nul.jsonl": (good + b'{"text": "a\\u0000"}', "nul_byte", len(good)),
        "surrogate.jsonl": (good + b'{"text": "\\udc00"}', "lone_surrogate", len(good)),
        "missing.jsonl": (good + b'{"body": "a"}', "missing_text", len(good)),
        "number.jsonl": (good + b'{"text": 5}', "text_not_string", len(good)),
        "empty.csv": (b"text,n\na,1\n,2\n", "empty_text", 11),
        "large.jsonl": (good + b'{"text": "' + b"a" * 200_000 + b'"}', "too_large", len(good)),
        "nested.jsonl": (good + b"[" * 100_000, "nested_too_deep", len(good)),
        "nested.html": (b"<div>" * 10_000, "html_bomb", 0),
        "bomb.jsonl.zst": (zstandard.compress(good + bytes(80 << 20)), "decompression_bomb", len(good)),
        "binary.docx": (b"PK", "unknown_format", 0),
    }
    for name, (data, _, _) in bad.items():
        root = write(name)
        (tmp_path / "input" / name).write_bytes(data)
    parts = written(root, tmp_path / "out", max_document_bytes=100_000)
    tables = [pq.read_table(part.path) for part in parts if part.kind == "reject"]
    rejects = {row["file"]: row for row in pa.concat_tables(tables).to_pylist()}
    assert {name: reject["reason"] for name, reject in rejects.items()} == {
        n: reason for n, (_, reason, _) in bad.items()
    }
    for name, (data, _, position) in bad.items():
        assert position is None or rejects[name]["position"] == position, name
        assert len(rejects[name]["raw"]) <= 4096
        if name.endswith("n.jsonl") or name == "large.jsonl":
            assert rejects[name]["raw"] == data[len(good) :][:4096]


def test_the_same_task_writes_the_same_bytes(write: Write, tmp_path: pathlib.Path) -> None:
    root = write("a.jsonl", *({"text": f"text {number}", "n": number} for number in range(100)), b"bad")
    digests = []
    for run in ("one", "two"):
        manifests = written(root, tmp_path / run)
        digests.append([hashlib.sha256(pathlib.Path(manifest.path).read_bytes()).digest() for manifest in manifests])
    assert digests[0] == digests[1]


def test_normalisation_is_applied_and_what_it_empties_is_a_reject(write: Write) -> None:
    root = write("a.jsonl", {"text": "a\r\nb\x07"}, {"text": "\u200b \x01"}, {"text": "e\u0301"})
    options = ReadDocuments(normalization={"form": "none"})
    documents, rejects = read_groups(plan([root], options)[0], options)
    assert documents.column("text").to_pylist() == ["a\nb", "e\u0301"]
    assert rejects.column("reason").to_pylist() == ["empty_text"]
    assert next(read_groups(plan([root], ReadDocuments())[0], ReadDocuments())).column("text")[1].as_py() == "é"


def test_numbered_parts_hold_every_task_in_order(write: Write, tmp_path: pathlib.Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        root = write(name, *({"text": f"{name} {number:0500}"} for number in range(50)), b"bad")
    stage = ReadDocuments(part_bytes=10_000)
    corpus = Corpus(str(tmp_path / "out"))
    folder, tasks_folder = tmp_path / "out" / "documents", tmp_path / "out" / "documents" / "tasks"
    tasks_folder.mkdir(parents=True)
    tasks = stage.plan([root])
    assert len(tasks) > 2
    for task in reversed(tasks):
        stage.read(task, str(tasks_folder))
    first = stage.number(tasks, str(tasks_folder), str(folder), corpus)
    assert stage.number(tasks, str(tasks_folder), str(folder), corpus) == first  # as after an interruption
    assert (first["records"], first["rejects"], first["rejects_by_reason"]) == (102, 2, {"malformed_json": 2})
    assert [part["number"] for part in first["parts"]] == list(range(len(first["parts"])))
    table = pa.concat_tables(pq.read_table(part_path(str(folder), part["number"])) for part in first["parts"])
    assert table.column("text").to_pylist() == [f"{n}.jsonl {number:0500}" for n in "ab" for number in range(50)]
    assert sum(part["bytes"] for part in first["parts"]) == sum(table.column("bytes").to_pylist())
    assert len(list((tmp_path / "out" / "rejects").iterdir())) == 2
    (tmp_path / "out" / "rejects" / "documents-00007.parquet").touch()
    stage.number(tasks, str(tasks_folder), str(folder), corpus)
    assert len(list((tmp_path / "out" / "rejects").iterdir())) == 2


def test_too_many_rejects_fail_the_run(write: Write, tmp_path: pathlib.Path) -> None:
    root = write("a.jsonl", {"text": "a"}, b"bad", b"worse", {"text": ""})
    for folder in ("tasks", "documents"):
        (tmp_path / folder).mkdir()
    for share in (0.75, 0.7):
        stage = ReadDocuments(max_reject_share=share)
        tasks = stage.plan([root])
        stage.read(tasks[0], str(tmp_path / "tasks"))
        if share == 0.75:
            stage.number(tasks, str(tmp_path / "tasks"), str(tmp_path / "documents"), Corpus(str(tmp_path)))
        else:
            with pytest.raises(TooManyRejectsError, match=r"3 of 4 records rejected, .* = 0\.7; 2 are malformed_json"):
                stage.number(tasks, str(tmp_path / "tasks"), str(tmp_path / "documents"), Corpus(str(tmp_path)))


def test_the_fingerprint_changes_with_the_input(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"})
    before = ReadDocuments().fingerprint([root])
    assert before == ReadDocuments(part_bytes=1).fingerprint([root])
    write("a.jsonl", {"text": "ab"})
    assert ReadDocuments().fingerprint([root]) != before


def test_in_a_pipeline_of_ones_own(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"}, b"bad")
    options = ReadDocuments()
    with TestPipeline() as pipeline:
        out = pipeline | beam.Create(plan([root], options)) | options
        assert_that(out["documents"] | beam.FlatMap(lambda b: b.column("text").to_pylist()), equal_to(["a"]))
        reasons = out["rejects"] | "reason" >> beam.FlatMap(lambda batch: batch.column("reason").to_pylist())
        assert_that(reasons, equal_to(["malformed_json"]), label="rejects")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": {"source": "s"}}, "fields must say which field is the text"),
        ({"fields": {"text": "t", "position": "p"}}, "fields cannot give 'position'"),
        ({"format": "docx"}, "format must be one of .*, got 'docx'"),
        ({"text_unit": "page"}, "text_unit must be one of file, line, got 'page'"),
        ({"max_reject_share": 1.5}, "max_reject_share must be between 0 and 1, got 1.5"),
        ({"part_bytes": 0}, "part_bytes must be above 0, got 0"),
        ({"encodings": ["klingon"]}, "unknown encoding, 'klingon'"),
        ({"encodings": ["undefined"]}, "unknown encoding, 'undefined'"),
        ({"normalization": {"from": "NFC"}}, "no option 'from'"),
        ({"normalization": {"form": "NFX"}}, "got 'NFX'"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReadDocuments(**options)
