"""The output folder: apart from the inputs, empty or a run's, and one run's alone."""

import pathlib

import pytest

from datapipe.engine.output import RunError, check_disjoint, lock_output, open_corpus


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
    with pytest.raises(RunError, match="is not empty and holds no datapipe run"), lock_output(str(tmp_path)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_two_runs_never_write_into_one_folder(tmp_path: pathlib.Path) -> None:
    output = str(tmp_path / "out")
    with lock_output(output), pytest.raises(RunError, match="another run is writing into"), lock_output(output):
        pass
    with lock_output(output):
        pass


def test_no_run_in_a_folder(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RunError, match=r"no run\.json"):
        open_corpus(str(tmp_path))
