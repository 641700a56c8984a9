"""The output folder: apart from the inputs, empty or a run's, and one run's alone."""

import pathlib
from typing import Any

import pytest

from datapipe.engine.output import RunError, check_disjoint, lock_output, open_corpus
from datapipe.read.listing import list_input
from datapipe.store import files


@pytest.mark.parametrize(
    ("path", "output"),
    [
        ("a", "a"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("a/", "a/b"),
        ("hdfs://b/x", "hdfs://b/x/out"),
        ("hdfs://b/x/in", "hdfs://b/x/"),
    ],
)
def test_overlapping_folders_are_refused(path: str, output: str) -> None:
    with pytest.raises(RunError, match=f"--output {output} overlaps --input {path}; choose a separate folder"):
        check_disjoint([path], output)


def test_neighbours_are_no_overlap() -> None:
    check_disjoint(["a/in", "a/in2", "hdfs://b/in"], "a/out")


def test_a_link_does_not_hide_an_overlap(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(RunError, match="overlaps"):
        check_disjoint([str(tmp_path / "in")], str(tmp_path / "link" / "out"))


def test_a_folder_of_other_files_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty and holds no datapipe run"), lock_output(str(tmp_path), print):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_folder_made_in_the_console_of_a_store_is_empty(s3: Any) -> None:
    for key in ("out/", "in/", "in/deeper/"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"")
    s3.put_object(Bucket="bucket", Key="in/a.txt", Body=b"text")
    with lock_output("s3://bucket/out", print):
        pass
    for named in ("s3://bucket/in", "s3://bucket/in/*"):
        assert [*list_input(named).files] == ["s3://bucket/in/a.txt"]


def test_nothing_is_written_to_the_hub() -> None:
    said = r"--output hf://datasets/a/b: the hub is for reading here"
    with pytest.raises(RunError, match=said), lock_output("hf://datasets/a/b", print):
        pass


def test_two_runs_never_write_into_one_folder(tmp_path: pathlib.Path) -> None:
    output = str(tmp_path / "out")
    with (
        lock_output(output, print),
        pytest.raises(RunError, match="another run is writing into"),
        lock_output(output, print),
    ):
        pass
    with lock_output(output, print):
        pass


def test_no_run_in_a_folder(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RunError, match=r"no run\.json"):
        open_corpus(str(tmp_path))


@pytest.mark.parametrize("name", ["precious.txt", "documents/precious.txt", ".hidden", "run.json.mine", "run.json"])
def test_what_is_no_run_is_left_alone_on_any_file_system(name: str, shelf: str, tmp_path: pathlib.Path) -> None:
    for folder in (shelf, str(tmp_path / "out")):
        files.make_folder(files.join(folder, name).rpartition("/")[0])
        files.write_json(files.join(folder, name), "mine")
        for _ in range(2):
            refused = pytest.raises(RunError, match=r"holds no datapipe run|is no record of datapipe's")
            with refused as refusal, lock_output(folder, print):
                pass
            assert "\n" not in str(refusal.value)
        assert [file.path for file in files.files_below(folder)] == [files.join(folder, name)]


def test_what_a_run_that_failed_at_once_has_left_locks_nobody_out(shelf: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").mkdir()
    for folder in (shelf, str(tmp_path / "out")):
        for name in (".lock", "error.log", f"run.json.{'0' * 32}.tmp"):
            with files.whole_file(files.join(folder, name)):
                pass
        with lock_output(folder, print) as check:
            check()


def test_a_lock_of_somebody_elses_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".lock").write_text("mine")
    with pytest.raises(RunError, match=r"\.lock is none of datapipe's"), lock_output(str(tmp_path), print):
        pass
    assert (tmp_path / ".lock").read_text() == "mine"


@pytest.mark.parametrize("content", ["", '{"format": 4, "rec'])
def test_half_a_record_is_one_line(content: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run\.json is damaged"), lock_output(str(tmp_path), print):
        pass
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        open_corpus(str(tmp_path))
