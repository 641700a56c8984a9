"""The parts and rejects written: whole, within their size, the same for the same task."""

import gzip
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datapipe.read.documents import ReadDocuments
from datapipe.read.inputs import plan
from datapipe.read.options import GROUP_ROWS, ReadOptions
from datapipe.read.parts import is_rejects, read_groups
from datapipe.store.schemas import REJECT_SCHEMA
from tests.datapipe.read.helpers import Write, written
from tests.helpers import digests


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
    assert (tmp_path / "out" / "rejects").is_dir()
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
        "missing.jsonl": (good + b'{"title": "a"}', "missing_text", len(good)),
        "number.jsonl": (good + b'{"text": 5}', "text_not_string", len(good)),
        "empty.csv": (b"text,n\na,1\n,2\n", "empty_text", 11),
        "large.jsonl": (good + b'{"text": "' + b"a" * 200_000 + b'"}', "too_large", len(good)),
        "nested.jsonl": (good + b"[" * 100_000, "nested_too_deep", len(good)),
        "nested.html": (b"<div>" * 10_000, "html_bomb", 0),
        "bomb.jsonl.zst": (zstandard.compress(good + bytes(80 << 20)), "decompression_bomb", len(good)),
        "binary.docx": (b"PK\3\4", "unknown_format", 0),
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
    for run in ("one", "two"):
        assert len(written(root, tmp_path / run)) == 2
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_batches_are_bounded_in_rows_and_bytes(write: Write) -> None:
    long = {"text": "x" * 5_000_000}
    root = write("a.jsonl", *[b"bad"] * (GROUP_ROWS + 5), long, long, long, {"text": "short"})
    batches = list(read_groups(plan([root], ReadOptions())[0], ReadOptions()))
    assert [(len(batch), is_rejects(batch)) for batch in batches] == [
        (GROUP_ROWS, True), (2, False), (2, False), (5, True)]  # fmt: skip


def test_normalization_is_applied_and_what_it_empties_is_a_reject(write: Write) -> None:
    root = write("a.jsonl", {"text": "a\r\nb\x07"}, {"text": "\u200b \x01"}, {"text": "e\u0301"})
    options = ReadDocuments(normalization={"form": "none"}).read_options()
    documents, rejects = read_groups(plan([root], options)[0], options)
    assert documents.column("text").to_pylist() == ["a\nb", "e\u0301"]
    assert rejects.select(["file", "position", "reason", "raw"]).to_pylist() == [
        {"file": "a.jsonl", "position": 25, "reason": "empty_text", "raw": "\u200b \x01".encode()}
    ]
    assert next(read_groups(plan([root], ReadOptions())[0], ReadOptions())).column("text")[1].as_py() == "é"
