"""What is made of files is made once, and again whenever they hold something else."""

import os
import pathlib
import threading

import pytest

from datapipe.store.by_content import content_hash, made_by_content


@pytest.fixture
def read() -> "Reader":
    return Reader()


class Reader:
    """Reads files, and counts how often."""

    def __init__(self) -> None:
        self.times = 0
        self.one = made_by_content(self._one)
        self.all = made_by_content(self._all)

    def _one(self, path: str, suffix: str = "") -> str:
        self.times += 1
        return pathlib.Path(path).read_text() + suffix

    def _all(self, paths: tuple[str, ...]) -> str:
        self.times += 1
        return "".join(pathlib.Path(path).read_text() for path in paths)


def test_the_same_content_is_read_once(tmp_path: pathlib.Path, read: Reader) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    assert [read.one(str(path)) for _ in range(3)] == ["one"] * 3
    assert (read.one(str(path), "!"), read.one(str(path), suffix="?")) == ("one!", "one?")
    assert read.times == 3
    os.utime(path, ns=(1, 1))
    assert (read.one(str(path)), read.times) == ("one", 3)


def test_another_content_is_read_however_alike_the_file(tmp_path: pathlib.Path, read: Reader) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    for content in ("one", "two", "one"):
        other.write_text(content)
        other.replace(path)
        os.utime(path, ns=(1, 1))
        assert read.one(str(path)) == content
        path.write_text(content.upper())
        os.utime(path, ns=(1, 1))
        assert read.one(str(path)) == content.upper()


def test_each_of_several_files_counts(tmp_path: pathlib.Path, read: Reader) -> None:
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_text(path.name)
    names = tuple(map(str, paths))
    assert (read.all(names), read.all(names), read.times) == ("ab", "ab", 1)
    paths[1].write_text("c")
    assert read.all(names) == "ac"
    assert read.all(names[::-1]) == "ca"


def test_what_cannot_be_made_is_tried_again(tmp_path: pathlib.Path, read: Reader) -> None:
    with pytest.raises(FileNotFoundError):
        read.one(str(tmp_path / "a"))
    (tmp_path / "a").write_text("there")
    assert read.one(str(tmp_path / "a")) == "there"


def test_threads_make_it_once(tmp_path: pathlib.Path, read: Reader) -> None:
    (tmp_path / "a").write_text("one")
    threads = [threading.Thread(target=read.one, args=(str(tmp_path / "a"),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read.times == 1


def test_a_folder_is_its_files_and_their_names(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("one")
    first = content_hash(str(folder))
    assert first == content_hash(str(folder))
    (folder / "sub" / "a").rename(folder / "a")
    second = content_hash(str(folder))
    (folder / "a").write_text("two")
    assert len({first, second, content_hash(str(folder)), content_hash(str(tmp_path / "nowhere"))}) == 4
