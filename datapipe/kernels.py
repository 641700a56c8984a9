"""Kernels: functions that numba compiles, how they call each other, and where what is compiled is kept.

A kernel is compiled when it is first called, for the types of its arguments, and kept on disk for the next process. The
folder is named by a hash of all sources, since numba does not see a change in a module that a kernel inlines from; of
numba, llvmlite and Python; and of the processor. So nothing old is ever loaded, and a folder can be copied to a machine
with the same processor where datapipe lies in the same place.

A small function takes a tenth of a second to compile. So that there is little to compile, Python calls a `kernel`,
which alone is kept and alone may allocate memory; kernels call `helper`s and what is `inlined`. Dear are arrays copied
into slices of arrays, for which numba compiles what an error would say, lists, and sums and the like of whole arrays.
"""

import functools
import gc
import getpass
import hashlib
import os
import pathlib
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import llvmlite
import numba
from llvmlite import binding
from numba.core import event
from numba.extending import register_jitable

_SOURCES = ("datapipe", "tokenizer_training")
_UNUSED_SECONDS = 30 * 86400.0  # a folder with which no process has begun for so long is removed
_MARK_SECONDS = 86400.0  # how exactly the last use is known

_kernels: list[Any] = []


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, when it is first called, and keep it."""
    others = numba.config.CACHE_DIR  # the user's setting, and that of kernels that are not ours
    numba.config.CACHE_DIR = others or folder()
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = others
    _kernels.append(compiled)
    return compiled


def helper(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call, with them; Python runs it as it is written.

    It allocates nothing: then no references are counted, which would take longer than a short function itself.
    """
    return register_jitable(nogil=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a helper that costs no call, whatever its size."""
    return register_jitable(nogil=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)(
        function
    )


def compiling() -> str:
    """What to tell a user who waits for a kernel to be compiled, and how many of those loaded are; empty if none is."""
    if not _watch.depth:
        return ""
    ready = sum(bool(compiled.signatures) for compiled in _kernels)
    return f"compiling kernels, first run only ({ready}/{len(_kernels)})"


class _Watch(event.Listener):  # type: ignore[misc]
    """How many functions are being compiled, one within the other; numba lets one thread compile at a time.

    Meanwhile no garbage is collected: numba makes many objects and drops few, and looking for those takes a sixth of
    the time.
    """

    def __init__(self) -> None:
        self.depth = 0
        self._collects = False

    def on_start(self, event: event.Event) -> None:  # noqa: ARG002
        if not self.depth:
            self._collects = gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: event.Event) -> None:  # noqa: ARG002
        self.depth -= 1
        if not self.depth and self._collects:
            gc.enable()


_watch = _Watch()
event.register("numba:compile", _watch)


@functools.cache
def folder() -> str:
    """Where compiled kernels are kept, made if need be: in the user's cache folder, or else in a temporary one."""
    key = _key()
    ours = pathlib.Path(_user_cache()) / "datapipe" / "kernels"
    made = ours / key
    if _make_writable(made):
        _remove_unused(ours, made)
        return str(made)
    temporary = pathlib.Path(tempfile.gettempdir()) / f"datapipe-kernels-{getpass.getuser()}"
    if not _make_private(temporary):
        temporary = pathlib.Path(tempfile.mkdtemp(prefix="datapipe-kernels-"))
    chosen = temporary / key
    if made.is_dir():  # shipped where nobody may write: numba would not read it there
        shutil.copytree(made, chosen, dirs_exist_ok=True)
    chosen.mkdir(exist_ok=True)
    print(f"datapipe: {made} cannot be written; compiled kernels are kept in {chosen}", file=sys.stderr)  # noqa: T201
    os.environ["NUMBA_CACHE_DIR"] = str(chosen)  # of worker processes, which would say it again
    return str(chosen)


def _key() -> str:
    digest = hashlib.sha256()
    above = pathlib.Path(__file__).parent.parent
    for package in _SOURCES:
        for path in sorted((above / package).rglob("*.py")):
            digest.update(str(path.relative_to(above)).encode() + b"\0" + path.read_bytes() + b"\0")
    machine = (platform.machine(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__)
    digest.update("\0".join(machine + versions).encode())
    return digest.hexdigest()[:16]


def _user_cache() -> str:
    """The user's cache folder, as each system has it."""
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or str(pathlib.Path("~/AppData/Local").expanduser())
    if sys.platform == "darwin":
        return str(pathlib.Path("~/Library/Caches").expanduser())
    return os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path("~/.cache").expanduser())


def _make_writable(path: pathlib.Path) -> bool:
    """Whether a folder is there, or can be made, and files in it; its time is that of its last use."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if time.time() - path.stat().st_mtime > _MARK_SECONDS:
            os.utime(path)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _make_private(path: pathlib.Path) -> bool:
    """Whether a folder is there, or can be made, in which nobody else can write: what is loaded from it is run."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (
        sys.platform == "win32" or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    )


def _remove_unused(ours: pathlib.Path, kept: pathlib.Path) -> None:
    """Remove the folders of other sources, versions and processors with which no process has begun for long."""
    for other in ours.iterdir():
        try:
            if other != kept and time.time() - other.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(other)
        except FileNotFoundError:  # another process has removed it
            continue
