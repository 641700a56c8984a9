"""Where compiled kernels are kept: in a process of its own each, since numba is told once."""

import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

from tests.helpers import ROOT

COMPILE = """
import os
import numpy as np
from datapipe import kernels
from datapipe.text.minhash import band_hashes
said = []
from numba.core import event
class Watch(event.Listener):
    def on_start(self, event): said.append(kernels.compiling())
    def on_end(self, event): pass
kernels._load_numba()  # whose own watch comes first
event.register("numba:compile", Watch())
named = "/mine" in os.environ.get("NUMBA_CACHE_DIR", "")
band_hashes(np.zeros((1, 2), np.uint32), 1, 2)
print("" if named else kernels.folder())
print(said[0] if said else "")
print(repr(kernels.compiling()))
"""


def run(**variables: str) -> tuple[list[str], str]:
    """What a process that compiles a kernel prints, and says on the error stream."""
    set_here = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in set_here}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=environment | {"PYTHONPATH": str(ROOT)} | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines(), done.stderr


def compiled_files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.rglob("minhash.band_hashes*"))


def test_kernels_are_kept_in_the_users_cache_folder_and_loaded_from_there(tmp_path: pathlib.Path) -> None:
    (folder, said, after), warnings = run(XDG_CACHE_HOME=str(tmp_path))
    assert pathlib.Path(folder).parent == tmp_path / "datapipe" / "kernels"
    assert said.startswith("compiling kernels, first run only (0/")
    assert (after, warnings) == ("''", "")
    files = compiled_files(tmp_path)
    assert files
    assert run(XDG_CACHE_HOME=str(tmp_path))[0] == [folder, "", "''"]
    assert compiled_files(tmp_path) == files


def test_a_folder_that_the_user_names_is_taken_as_it_is(tmp_path: pathlib.Path) -> None:
    run(NUMBA_CACHE_DIR=str(tmp_path / "mine"), XDG_CACHE_HOME=str(tmp_path / "other"))
    assert compiled_files(tmp_path / "mine")
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs folders that cannot be made")
def test_without_a_cache_folder_a_temporary_one_serves_and_is_said_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "no folder").write_text("")
    places = {"XDG_CACHE_HOME": str(tmp_path / "no folder"), "TMPDIR": str(tmp_path)}
    (folder, said, _), warnings = run(**places)
    assert warnings.count("\n") == 1
    assert folder in warnings
    assert said
    private = pathlib.Path(folder).parent
    assert private.parent == tmp_path
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert run(**places)[0] == [folder, "", "''"]
    # In one where others may write, they could have put what would be run.
    private.chmod(0o777)
    assert pathlib.Path(run(**places)[0][0]).parent != private


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_a_user_without_name_and_home_has_a_temporary_folder_too() -> None:
    """As in a container that is run under a number of its own: nobody knows its name, and it has no home."""
    code = (
        "import os; from datapipe import kernels; key = kernels._key(); kernels._key = lambda: key\n"
        "os.environ.clear(); os.setuid(54321); print(kernels.folder())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    folder = pathlib.Path(done.stdout.strip())
    try:
        assert folder.parent.name == "datapipe-kernels-54321"
        assert folder.stat().st_uid == 54321
        assert done.stderr.count("\n") == 1
    finally:
        shutil.rmtree(folder.parent)


def test_folders_that_nothing_has_used_for_a_month_go(tmp_path: pathlib.Path) -> None:
    kernels = tmp_path / "datapipe" / "kernels"
    for name, days in (("old", 31), ("new", 29)):
        (kernels / name).mkdir(parents=True)
        (kernels / name / "file").touch()
        used = (kernels / name).stat().st_mtime - days * 86400
        os.utime(kernels / name, (used, used))
    folder = pathlib.Path(run(XDG_CACHE_HOME=str(tmp_path))[0][0])
    assert sorted(path.name for path in kernels.iterdir()) == sorted(["new", folder.name])


def test_the_key_follows_every_source(tmp_path: pathlib.Path) -> None:
    keys = set()
    for change in ("", "# changed\n"):
        for package in ("datapipe", "tokenizer_training"):
            shutil.copytree(ROOT / package, tmp_path / package, dirs_exist_ok=True)
        with (tmp_path / "datapipe/text/characters.py").open("a") as source:
            source.write(change)
        code = "from datapipe import kernels; print(kernels.folder())"
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        keys.add(done.stdout)
    assert len(keys) == 2


def test_every_kernel_is_declared_here() -> None:
    for package in ("datapipe", "tokenizer_training"):
        for path in (ROOT / package).rglob("*.py"):
            assert path.name == "kernels.py" or "njit" not in path.read_text("utf-8"), path


def test_a_table_is_kept_for_the_next_process_and_is_the_same(tmp_path: pathlib.Path) -> None:
    program = """
from datapipe.text import characters, normalization
import hashlib, unicodedata
unicodedata.category, unicodedata.combining = FUNCTIONS
for table in (characters.class_table(), characters.lower_table(), normalization.need_table()):
    print(table.dtype, table.flags.writeable, hashlib.sha256(table.tobytes()).hexdigest())
"""
    made, read = (
        subprocess.run(
            [sys.executable, "-c", program.replace("FUNCTIONS", functions)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "kept")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for functions in ("unicodedata.category, unicodedata.combining", "None, None")
    )
    assert made == read
    assert "True" not in made
