"""The stage: numbered parts, the share of rejects, fingerprints, options."""

import pathlib
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to

from datapipe.read.documents import ReadDocuments, TooManyRejectsError
from datapipe.store.corpus import Corpus, part_path
from tests.datapipe.read.helpers import Write
from tests.helpers import local_pipeline


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
    assert (first.records, first.rejects, first.rejects_by_reason) == (102, 2, {"malformed_json": 2})
    assert [part.number for part in first.parts] == list(range(len(first.parts)))
    table = pa.concat_tables(pq.read_table(part_path(str(folder), part.number)) for part in first.parts)
    assert table.column("text").to_pylist() == [f"{n}.jsonl {number:0500}" for n in "ab" for number in range(50)]
    assert sum(part.bytes for part in first.parts) == sum(table.column("bytes").to_pylist())
    assert len(list((tmp_path / "out" / "rejects").glob("*.parquet"))) == 2
    (tmp_path / "out" / "rejects" / "documents-00007.parquet").touch()
    stage.number(tasks, str(tasks_folder), str(folder), corpus)
    assert len(list((tmp_path / "out" / "rejects").glob("*.parquet"))) == 2


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
    assert before == ReadDocuments().fingerprint([f"{root}/*.jsonl"])
    assert ReadDocuments(part_bytes=1).fingerprint([root]) != before  # other ranges
    assert ReadDocuments(format="text").fingerprint([root]) != before
    pathlib.Path(root).rename(f"{root}-moved")
    assert ReadDocuments().fingerprint([f"{root}-moved"]) == before
    pathlib.Path(f"{root}-moved").rename(root)
    write("a.jsonl", {"text": "ab"})
    assert ReadDocuments().fingerprint([root]) != before


def test_the_fingerprint_holds_the_source_that_a_folder_gives(tmp_path: pathlib.Path) -> None:
    """A page bears the name of its folder: another name makes other documents."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.html").write_text("<p>A page.")
    before = ReadDocuments().fingerprint([str(tmp_path / "one")])
    (tmp_path / "one").rename(tmp_path / "two")
    assert ReadDocuments().fingerprint([str(tmp_path / "two")]) != before


def test_in_a_pipeline_of_ones_own(write: Write) -> None:
    root = write("a.jsonl", {"text": "a"}, b"bad")
    options = ReadDocuments()
    with local_pipeline() as pipeline:
        out = pipeline | beam.Create(options.plan([root])) | options
        assert_that(out["documents"] | beam.FlatMap(lambda b: b.column("text").to_pylist()), equal_to(["a"]))
        reasons = out["rejects"] | "reason" >> beam.FlatMap(lambda batch: batch.column("reason").to_pylist())
        assert_that(reasons, equal_to(["malformed_json"]), label="rejects")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": {"text": "t", "position": "p"}}, "fields cannot give 'position'"),
        ({"format": "docx"}, "unknown format 'docx'"),
        ({"text_unit": "page"}, "text_unit must be one of 'file', 'line', got 'page'"),
        ({"max_reject_share": 1.5}, "max_reject_share must be between 0 and 1, got 1.5"),
        ({"part_bytes": 0}, "part_bytes must be at least 1, got 0"),
        ({"encodings": ["klingon"]}, "unknown encoding, 'klingon'"),
        ({"encodings": ["undefined"]}, "unknown encoding, 'undefined'"),
        ({"normalization": {"from": "NFC"}}, "no option 'from'"),
        ({"normalization": {"form": "NFX"}}, "got 'NFX'"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReadDocuments(**options)
