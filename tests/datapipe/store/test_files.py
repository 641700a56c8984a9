"""Files are whole or absent, locally and through Beam's file systems."""

import hashlib
import os
import pathlib
import re
from typing import Literal

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
    for function in (files.join, files.is_local, files.exists, files.open_input, files.list_folder, files.fingerprint):
        with pytest.raises(MissingExtraError, match=re.escape(message)):
            function("gs://bucket/a")


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
        assert [entry[0] for entry in files.fingerprint(folder)] == [path]
        files.write_json(files.join(folder, "b.tmp"), 1)
        files.remove_temporary(folder)
        assert files.list_folder(folder) == [path]
        files.remove(folder)
        assert not files.exists(folder)


def test_a_fingerprint_sees_files_by_glob_and_by_bare_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_text("one")
    for name in (str(tmp_path / "*.bin"), "model.bin", str(tmp_path)):
        before = files.fingerprint(name)
        assert len(before) == 1
        (tmp_path / "model.bin").write_text("another" * len(name))
        assert files.fingerprint(name) != before
    before = files.fingerprint("model.bin")
    os.utime("model.bin", (1, 1))
    assert files.fingerprint("model.bin") != before
    assert files.fingerprint("absent") == []


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
            (named.rstrip("/") + file.path[len(whole) :], file.size_in_bytes, file.last_updated_in_seconds)
            for file in FileSystems.match([whole + below])[0].metadata_list
        }
        assert set(files._match(named, below)) == expected


def test_a_name_is_no_pattern_for_others(tmp_path: pathlib.Path) -> None:
    for name in ("a[1]", "a(1]"):
        files.make_folder(str(tmp_path / name))
        files.write_json(str(tmp_path / name / "b[2].json"), 1)
        files.write_json(str(tmp_path / name / "b(2].json"), 1)
    folder = str(tmp_path / "a[1]")
    assert files.list_folder(folder) == [f"{folder}/b(2].json", f"{folder}/b[2].json"]
    assert [entry[0] for entry in files.fingerprint(f"{folder}/b[2].json")] == [f"{folder}/b[2].json"]
