"""What a stage wrote is known by its sum; what a stopped run has left is taken up only where a sum vouches for it."""

import pathlib

import pytest

from datapipe.engine import kept_files
from datapipe.store import files
from datapipe.store.record import ConservationError, Done


def write(path: pathlib.Path, content: bytes = b"content") -> None:
    path.parent.mkdir(exist_ok=True)
    with files.summed_file(str(path)) as sink:
        sink.write(content)


def record(root: pathlib.Path) -> Done:
    kept, _ = kept_files.record_files(str(root), "toy", rejects=False, before={})
    return Done("key", 0.0, 0, ("document",), files=kept)


def test_what_was_summed_is_not_read_again(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "toy" / "part")
    (tmp_path / "toy" / "notes").write_text("notes")
    read: list[str] = []
    read_sum = files.read_sum

    def watched(path: str) -> files.Sum:
        read.append(path)
        return read_sum(path)

    monkeypatch.setattr(files, "read_sum", watched)
    done = record(tmp_path)
    assert list(done.files) == ["toy/notes", "toy/part"]
    assert read == [str(tmp_path / "toy" / "notes")]
    kept_files.remove_sums(str(tmp_path), ["toy/notes", "toy/part", "toy/.part.sum"])
    assert kept_files.compare(str(tmp_path), "toy", done) == ([], done.files, [])
    kept_files.record_files(str(tmp_path), "toy", rejects=False, before=done.files)
    assert len(read) == 1


def test_a_disk_that_kept_less_than_was_written_is_told(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "toy" / "part")
    (tmp_path / "toy" / "part").write_bytes(b"con")
    with pytest.raises(ConservationError, match=r"toy: 7 bytes written to .*part, 3 are there"):
        record(tmp_path)


def test_of_what_a_stopped_run_has_left_only_what_is_sure_stays(tmp_path: pathlib.Path) -> None:
    for name in ("whole", "cut", "altered", "unknown", "gone", "before", "other"):
        write(tmp_path / "toy" / name)
    before = record(tmp_path).files
    for name in ("unknown", "before", "other"):
        files.remove(files.sum_path(str(tmp_path / "toy" / name)))
    (tmp_path / "toy" / "cut").write_bytes(b"con")
    (tmp_path / "toy" / "altered").write_bytes(b"CONTENT")
    (tmp_path / "toy" / "other").write_bytes(b"CONTENT")
    (tmp_path / "toy" / "gone").unlink()
    known = {name: before[name] for name in ("toy/before", "toy/other")}
    kept_files.remove_unsure(str(tmp_path), "toy", known, rejects=False)
    assert sorted(path.name for path in (tmp_path / "toy").iterdir()) == [".whole.sum", "before", "whole"]


def test_many_differences_are_a_few_lines() -> None:
    many = [kept_files.Difference(str(number), "is gone") for number in range(5)]
    lines = ["0 is gone", "1 is gone", "2 is gone", "and 2 more files are not what was written"]
    assert list(kept_files.say(many)) == lines
    assert list(kept_files.say(many[:1])) == lines[:1]


def test_what_a_retried_step_left_half_written_goes_at_the_end_of_its_stage(tmp_path: pathlib.Path, shelf: str) -> None:
    for root in (str(tmp_path / "out"), shelf):
        for name in ("toy/part", "rejects/toy-00000.parquet", "rejects/other-00000.parquet"):
            path = files.join(root, name)
            files.make_folder(path.rpartition("/")[0])
            for half in ("", f".{'0' * 32}.tmp"):
                files.write_json(path + half, "content")
        kept, _ = kept_files.record_files(root, "toy", rejects=True, before={})
        assert list(kept) == ["rejects/toy-00000.parquet", "toy/part"]
        left = sorted(file.path.removeprefix(f"{root}/") for file in files.files_below(root))
        others = ["rejects/other-00000.parquet", f"rejects/other-00000.parquet.{'0' * 32}.tmp"]  # it may be at work
        assert left == [*others, "rejects/toy-00000.parquet", "toy/part"]
