"""What an input names: what is read, what is passed over, and links of every kind."""

import json
import pathlib
from collections.abc import Callable

import pytest

from datapipe.read.listing import Listing, list_input
from datapipe.store import files
from tests.helpers import write_lines

Tree = Callable[..., pathlib.Path]


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    """`tree("a/x.py", "b")` makes files of some bytes and returns the folder."""

    def make(*names: str) -> pathlib.Path:
        for name in names:
            path = tmp_path / "input" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        return tmp_path / "input"

    return make


def found(listing: Listing) -> dict[str, str]:
    """The faults of all files, by name."""
    return {file.removeprefix(listing.root).lstrip("/"): there.fault for file, there in listing.files.items()}


def names(path: pathlib.Path | str) -> list[str]:
    return list(found(list_input(str(path))))


def test_what_is_no_document_is_passed_over_and_counted(tree: Tree) -> None:
    root = tree(
        *("a.txt", "src/b.py", "README.md", "sub/README.md", ".hidden", "_logs/x.txt", ".git/config", ".git/objects/1"),
        *("sub/CVS/Root", "node_modules/x/a.js", "sub/node_modules/y.js", "sub/env/pyvenv.cfg", "sub/env/lib/a.py"),
        *("id_rsa", "sub/server.PEM", "monkey.txt", "environment/a.txt"),
    )
    listing = list_input(str(root))
    assert list(found(listing)) == ["a.txt", "environment/a.txt", "monkey.txt", "src/b.py", "sub/README.md"]
    assert listing.passed_over == {
        "about the data": 1,
        "hidden": 2,
        "version control": 3,
        "installed packages": 2,
        "virtual environments": 2,
        "keys": 2,
    }
    assert names(root / "**") == ["README.md", "a.txt", "environment/a.txt", "monkey.txt", "src/b.py", "sub/README.md"]


def test_what_is_named_is_read_whatever_it_is(tree: Tree) -> None:
    root = tree(".hidden", "id_rsa", "node_modules/a.js", "README.md", "_x/a.txt", "_x/b.txt")
    for name in (".hidden", "id_rsa", "README.md"):
        assert names(root / name) == [name]
    assert names(root / "node_modules") == ["a.js"]
    assert names(root / "_x/*.txt") == ["a.txt", "b.txt"]
    assert names(f"{root}/_*/a.txt") == ["_x/a.txt"]
    assert names(f"{root}/*/a.txt") == []


def test_globs_across_folders(tree: Tree) -> None:
    root = tree("a.txt", "b/a.txt", "b/c/a.txt", "b/a.py")
    assert names(f"{root}/**/*.txt") == ["a.txt", "b/a.txt", "b/c/a.txt"]
    assert names(f"{root}/b/**/a.txt") == ["a.txt", "c/a.txt"]
    assert names(f"{root}/*/*.txt") == ["b/a.txt"]
    assert names(f"{root}/*.txt") == ["a.txt"]


def test_the_output_of_a_run_is_not_read_again(tree: Tree) -> None:
    root = tree("a.parquet", "out/shards/b.parquet", "other/run.json", "other/c.parquet")
    (root / "out" / "run.json").write_text(json.dumps({"recipe": {}, "stages": {}, "versions": {}}))
    listing = list_input(f"{root}/**/*.parquet")
    assert list(found(listing)) == ["a.parquet", "other/c.parquet"]
    assert listing.passed_over == {"output of a run": 1}
    assert names(root / "out" / "shards") == ["b.parquet"]


def test_a_glob_elsewhere_leaves_out_the_output_of_a_run(shelf: str) -> None:
    write_lines(f"{shelf}/mine/documents/a.jsonl", [{"text": "a"}])
    write_lines(f"{shelf}/out/documents/b.jsonl", [{"text": "b"}])
    files.write_json(f"{shelf}/out/run.json", {"recipe": {}, "stages": {}, "versions": {}})
    listing = list_input(f"{shelf}/*/documents/*.jsonl")
    assert list(found(listing)) == ["mine/documents/a.jsonl"]
    assert listing.passed_over == {"output of a run": 1}


def test_a_folder_without_permission_is_a_fault_that_names_it(locked_folder: pathlib.Path) -> None:
    faults = {"inner/b.jsonl": "", "inner/locked": "no_permission"}
    assert found(list_input(str(locked_folder))) == faults
    for pattern in ("**", "**/*.jsonl", "**.jsonl", "inner/**/b.jsonl", "*/*/x.jsonl", "inner/*d/*.jsonl"):
        listed = list_input(f"{locked_folder}/{pattern}").files
        assert listed[f"{locked_folder}/inner/locked"].fault == "no_permission", pattern
    assert "no_permission" not in found(list_input(f"{locked_folder}/inner/*.jsonl")).values()
    assert found(list_input(f"{locked_folder}/**")) == faults
    with pytest.raises(PermissionError, match=r"inner/locked/a\.jsonl"):
        list_input(f"{locked_folder}/inner/locked/a.jsonl")


def test_links_are_followed_and_nothing_is_read_twice(tree: Tree, tmp_path: pathlib.Path) -> None:
    root = tree("a.txt", "sub/b.txt", ".store/c.txt", ".d.txt")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "e.txt").write_text("e")
    for link, target in {
        "broken": "nowhere",
        "self": "self",
        "loop": ".",
        "sub/up": "../..",
        "again": "sub",
        "again.txt": "a.txt",
        "stored": ".store",
        "d.txt": ".d.txt",
        "outside": "../outside",
        "outside.txt": "../outside/e.txt",
    }.items():
        (root / link).symlink_to(target)
    assert found(list_input(str(root))) == {
        "a.txt": "",
        "again": "linked_twice",
        "again.txt": "linked_twice",
        "broken": "broken_link",
        "d.txt": "",
        "loop": "linked_twice",
        "outside.txt": "linked_twice",
        "outside/e.txt": "",
        "self": "broken_link",
        "stored/c.txt": "",
        "sub/b.txt": "",
        "sub/up": "linked_twice",
    }
    assert found(list_input(str(root / "again"))) == {"b.txt": "", "up": "linked_twice"}


def test_an_empty_folder_holds_nothing(tree: Tree) -> None:
    root = tree("a")
    (root / "a").unlink()
    assert list_input(str(root)) == (str(root), {}, {})
