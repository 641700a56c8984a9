"""Files are whole or absent, locally and through Beam's file systems."""

import hashlib
import os
import pathlib
import re
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems

from datapipe.extras import MissingExtraError
from datapipe.store import files


def test_a_written_file_reads_back(tmp_path: pathlib.Path) -> None:
    path = files.join(str(tmp_path), "a", "table.parquet")
    files.make_folder(files.join(str(tmp_path), "a"))
    files.write_table(path, pa.table({"x": [1, 2]}))
    assert pq.read_table(path).to_pydict() == {"x": [1, 2]}
    assert files.list_folder(files.join(str(tmp_path), "a")) == [path]


def test_json_keeps_chinese_readable(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "value.json")
    files.write_json(path, {"语言": ["zh"]})
    assert "语言" in pathlib.Path(path).read_text(encoding="utf-8")
    assert files.read_json(path) == {"语言": ["zh"]}


def test_a_file_that_fails_leaves_the_old_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "value.json"
    files.write_json(str(path), 1)
    with pytest.raises(RuntimeError), files.whole_file(str(path)) as sink:
        sink.write(b"half")
        raise RuntimeError
    assert files.read_json(str(path)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["value.json"]


def test_removing_what_is_not_there_is_no_error(tmp_path: pathlib.Path) -> None:
    files.remove(str(tmp_path / "absent"))
    files.make_folder(str(tmp_path / "there"))
    files.make_folder(str(tmp_path / "there"))
    files.remove(str(tmp_path / "there"))
    assert not files.exists(str(tmp_path / "there"))


def test_remote_paths_are_told_from_local_ones() -> None:
    assert files.is_local("/a/b")
    assert files.is_local("a/b")
    assert not files.is_local("hdfs://server/a")


def test_a_remote_path_names_the_extra_that_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(files.REMOTE, "gs", ("no_such_package", "gcp"))
    message = "gs://bucket/a needs the package no_such_package: pip install 'datapipe-llm[gcp]'"
    for function in (files.join, files.is_local, files.exists, files.open_input, files.list_folder, files.find):
        with pytest.raises(MissingExtraError, match=re.escape(message)):
            function("gs://bucket/a")


@pytest.mark.parametrize("path", ["s3://", "s3:///a", "gs:/bucket/a", "s3:bucket"])
def test_a_slip_in_a_stores_path_makes_no_folder(path: str) -> None:
    with pytest.raises(ValueError, match=r"BUCKET/…$"):
        files.make_folder(path)


def test_a_scheme_that_nobody_knows_names_those_that_there_are() -> None:
    for function in (files.join, files.is_local, files.exists, files.open_input, files.list_folder, files.find):
        with pytest.raises(ValueError, match=r"^adl://c/a: there is no file system adl:// here; .*azfs://, gs://"):
            function("adl://c/a")


def test_a_store_is_reached_where_no_flags_were_given(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put_object(Bucket="bucket", Key="a/b.json", Body=b"1")
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    for name, value in (
        ("AWS_ENDPOINT_URL", s3.meta.endpoint_url),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    assert files.list_folder("s3://bucket/a") == ["s3://bucket/a/b.json"]
    assert files.read_json("s3://bucket/a/b.json") == 1


def test_a_file_is_the_one_meant_or_an_error(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    meant, found = "0" * 64, hashlib.sha256(b"weights").hexdigest()
    files.check_sha256("stage: model", str(path), found.upper())
    files.check_sha256("stage: model", str(path), "")
    files.check_sha256("stage: model", str(tmp_path / "absent"), meant)
    message = f"stage: model '{path}' is another file: expected SHA-256 {meant}, found {found}"
    with pytest.raises(ValueError, match=re.escape(message)):
        files.check_sha256("stage: model", str(path), meant)
    with pytest.raises(ValueError, match="stage: model_sha256 needs model, got"):
        files.check_sha256("stage: model", "", meant)


def test_names_that_look_like_patterns_are_names(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (str(tmp_path / "out 中文 [x]*"), "relative [y]"):
        files.make_folder(folder)
        path = files.join(folder, "a.json")
        files.write_json(path, 1)
        assert files.list_folder(folder) == [path]
        assert [file.path for file in files.find(folder)] == [path]
        half, mine = files.join(folder, f"b.{'0' * 32}.tmp"), files.join(folder, "mine.tmp")
        files.write_json(half, 1)
        files.write_json(mine, 1)
        files.remove_temporary(folder)
        assert files.list_folder(folder) == [path, mine]
        files.remove(folder)
        assert not files.exists(folder)


def test_files_are_found_by_glob_and_by_bare_name_and_a_change_is_seen(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_text("one")
    for name in (str(tmp_path / "*.bin"), "model.bin", "*.bin", f"{tmp_path}/**/m*", str(tmp_path)):
        before = files.find(name)
        assert len(before) == 1
        (tmp_path / "model.bin").write_text("another" * len(name))
        assert files.find(name) != before
    before = files.find("model.bin")
    (tmp_path / "other").write_text("x" * before[0].size)
    os.utime("other", ns=(1, os.stat("model.bin").st_mtime_ns))  # noqa: PTH116
    (tmp_path / "other").replace("model.bin")
    assert files.find("model.bin")[0].size == before[0].size
    assert files.find("model.bin") != before
    (tmp_path / "empty").mkdir()
    assert files.find("absent") == files.find("empty") == files.find("*.absent") == []


TREE = ("inner", "one.txt", "empty", "folder", "link", "dead", "absent")


@pytest.mark.parametrize("below", ["", "/*", "/**"])
@pytest.mark.parametrize("base", ["", "tree", "tree/", "./tree", *(f"tree/{name}" for name in TREE)])
def test_local_files_are_found_as_beam_finds_them(
    base: str, below: Literal["", "/*", "/**"], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one.txt", ".hidden", "line\nbreak", "inner/two 中文.txt", "inner/.deep/three", "outside/four"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "tree" / "outside").rename(tmp_path / "outside")
    (tmp_path / "tree" / "empty").mkdir()
    (tmp_path / "tree" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "outside" / "four")
    (tmp_path / "tree" / "dead").symlink_to(tmp_path / "absent")
    monkeypatch.chdir(tmp_path)
    for named in {base, f"{tmp_path}/{base}"} - {""}:
        whole = os.path.abspath(named)  # noqa: PTH100
        expected = {
            (named.rstrip("/") + file.path[len(whole) :], file.size_in_bytes)
            for file in FileSystems.match([whole + below])[0].metadata_list
        }
        assert {(file.path, file.size) for file in files._match(named, below)} == expected


def test_a_name_is_no_pattern_for_others(tmp_path: pathlib.Path) -> None:
    for name in ("a[1]", "a(1]"):
        files.make_folder(str(tmp_path / name))
        files.write_json(str(tmp_path / name / "b[2].json"), 1)
        files.write_json(str(tmp_path / name / "b(2].json"), 1)
    folder = str(tmp_path / "a[1]")
    assert files.list_folder(folder) == [f"{folder}/b(2].json", f"{folder}/b[2].json"]
    assert [file.path for file in files.find(f"{folder}/b[2].json")] == [f"{folder}/b[2].json"]


@pytest.mark.parametrize("name", ["", "inner", "inner/locked", "inner/locked/a.jsonl", "**/*.jsonl", "inner/*/*.jsonl"])
def test_a_folder_without_permission_is_an_error_that_names_it(locked_folder: pathlib.Path, name: str) -> None:
    with pytest.raises(PermissionError, match="inner/locked"):
        files.find(f"{locked_folder}/{name}")
    assert len(files.find(f"{locked_folder}/inner/*.jsonl")) == 1


def test_whether_something_is_there_is_not_guessed(locked_folder: pathlib.Path) -> None:
    with pytest.raises(PermissionError, match=r"inner/locked/a\.jsonl"):
        files.exists(f"{locked_folder}/inner/locked/a.jsonl")


def test_a_sum_lies_beside_what_a_stage_writes_in_bulk(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "part.parquet")
    with files.summed_file(path) as sink, pq.ParquetWriter(sink, pa.schema({"x": pa.int64()})) as writer:
        for number in range(3):
            writer.write_table(pa.table({"x": [number]}))
    assert pq.read_table(path).column("x").to_pylist() == [0, 1, 2]
    content = pathlib.Path(path).read_bytes()
    assert files.kept_sum(path) == files.read_sum(path) == (len(content), hashlib.sha256(content).hexdigest())
    beside = pathlib.Path(files.sum_path(path))
    beside.write_bytes(beside.read_bytes()[:9])
    assert files.kept_sum(path) is None
    files.remove(path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError), files.summed_file(path) as sink:
        sink.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_reading_a_table_names_the_file_and_the_columns(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"score": list(range(10_000))}), path)
    content = bytearray(path.read_bytes())
    content[100:140] = b"\xff" * 40
    path.write_bytes(content)
    with (
        pytest.raises(OSError, match=rf"^cannot read column score of {re.escape(str(path))}: "),
        files.open_columns(str(path), ["score"]) as source,
    ):
        pq.read_table(source)
