"""Kernels: functions that numba compiles, how they call each other, and where they and their tables are kept.

A kernel is compiled when it is first called, for the types of its arguments, and kept on disk for the next process. The
folder is named by a hash of all sources, since numba does not see a change in a module that a kernel inlines from; of
numba, llvmlite and Python, and of what knows characters and words; and of the processor. So nothing old is ever loaded,
and a folder can be copied to a machine with the same processor where datapipe lies in the same place. Tables of
characters and words are kept there, too, to make which took a tenth of a short run, and the last quality classifier.

A small function takes a tenth of a second to compile. So that there is little to compile, Python calls a `kernel`,
which alone is kept and alone may allocate memory; kernels call `helper`s and what is `inlined`. Dear are arrays copied
into slices of arrays, for which numba compiles what an error would say, lists, and sums and the like of whole arrays.
An index that is computed must not be less than 0: of a row of numbers only one that is written so, as in `x[-1]`,
counts from the end.
"""

import contextlib
import functools
import gc
import getpass
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_SOURCES = ("datapipe", "tokenizer_training")
_PACKAGES = ("numba", "llvmlite", "OpenCC", "regex", "jieba")
_UNUSED_SECONDS = 30 * 86400.0  # so long after the last process has begun with it, a folder goes once another is made
_MARK_SECONDS = 86400.0  # how exactly the last use is known

_kernels: list["Kernel"] = []
_helpers: list[tuple[Callable[..., Any], bool]] = []  # those that numba does not know yet, and whether they are inlined
_lock = threading.RLock()
_compiling = 0  # functions, one within the other; numba lets one thread compile at a time


class Kernel:
    """A function that is compiled for the types of its arguments when it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns."""
        return self.compiled(*arguments)

    def __reduce__(self) -> str:
        """It is pickled by its name, as a function is."""
        return str(self.__qualname__)  # type: ignore[attr-defined]

    @functools.cached_property
    def compiled(self) -> Any:
        """numba's dispatcher."""
        with _lock:
            numba = _load_numba()
            from datapipe import compilation

            others = numba.config.CACHE_DIR  # the user's setting, and that of kernels that are not ours
            numba.config.CACHE_DIR = others or folder()
            try:
                made = numba.njit(
                    nogil=True, no_cfunc_wrapper=True, no_rewrites=True, pipeline_class=compilation.KernelCompiler
                )(self._function)
                made._cache = compilation.KernelCache(self._function, declare_helpers)
                # numba would look through all packages that are installed for extensions of it: we use none.
                made._compilation_chain_init_hook = lambda: None
                return made
            finally:
                numba.config.CACHE_DIR = others

    def for_types_of(self, *arguments: Any) -> Callable[..., Any]:
        """The kernel for arguments of these types alone: it need not look at named tuples anew at each call."""
        return self.compiled.compile(tuple(map(_load_numba().typeof, arguments)))


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, when it is first called, and keep it."""
    _kernels.append(Kernel(function))
    return _kernels[-1]


def helper(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call, with them; Python runs it as it is written.

    It allocates nothing: then no references are counted, which would take longer than a short function itself.
    """
    _helpers.append((function, False))
    return function


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a helper that costs no call, whatever its size."""
    _helpers.append((function, True))
    return function


def kept_table(make: Callable[[], npt.NDArray[Any]]) -> Callable[[], npt.NDArray[Any]]:
    """Keep the table that a function makes, for this process and the next one; nobody can write to it."""

    @functools.cache
    @functools.wraps(make)
    def table() -> npt.NDArray[Any]:
        kept = kept_file(f"{make.__module__}.{make.__name__}", ".npy")
        if kept.is_file():
            made = np.load(kept)
        else:
            made = make()
            with whole(kept) as sink:
                np.save(sink, made)
        made.flags.writeable = False
        return made

    return table


def kept_file(name: str, suffix: str) -> pathlib.Path:
    """Where something is kept for the next process, as long as the code that makes it is the same."""
    # Where the user has named the folder, it is not named by the code.
    return pathlib.Path(os.environ.get("NUMBA_CACHE_DIR") or folder()) / f"{name}.{_key()}{suffix}"


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """Write a kept file whole or not at all, where another process may do so at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as sink:
        yield sink
    pathlib.Path(sink.name).replace(path)


def _load_numba() -> Any:
    """numba, which compiles as `compilation.py` has it."""
    # Imported here: it takes a quarter of a second, and many a command runs no kernel.
    import numba

    with _lock:
        _begin()
    return numba


def declare_helpers() -> None:
    """Have numba know all helpers, before it compiles what calls them."""
    _load_numba()
    from numba.extending import register_jitable

    from datapipe.compilation import KernelCompiler

    with _lock:
        while _helpers:
            function, is_inlined = _helpers.pop()
            register_jitable(
                nogil=True,
                _nrt=False,
                no_cpython_wrapper=True,
                no_cfunc_wrapper=True,
                no_rewrites=True,
                forceinline=is_inlined,
                pipeline_class=KernelCompiler,
            )(function)


def compiling() -> str:
    """What to tell a user who waits for a kernel to be compiled, and how many of those loaded are; empty if none is."""
    if not _compiling:
        return ""
    ready = sum("compiled" in vars(each) and bool(each.compiled.signatures) for each in _kernels)
    return f"compiling kernels, first run only ({ready}/{len(_kernels)})"


@functools.cache
def _begin() -> None:
    """Have numba compile sooner, and count what is being compiled.

    Meanwhile no garbage is collected: numba makes many objects and drops few, and looking for those takes a sixth of
    the time.
    """
    from numba.core import event

    from datapipe.compilation import speed_up

    speed_up()

    class Watch(event.Listener):  # type: ignore[misc]
        def on_start(self, event: event.Event) -> None:  # noqa: ARG002
            global _compiling
            if not _compiling:
                self.collects = gc.isenabled()
                gc.disable()
            _compiling += 1

        def on_end(self, event: event.Event) -> None:  # noqa: ARG002
            global _compiling
            _compiling -= 1
            if not _compiling and self.collects:
                gc.enable()

    event.register("numba:compile", Watch())


def place() -> str:
    """Where compiled kernels are kept: where `NUMBA_CACHE_DIR` says, or else `folder()`."""
    return str(_load_numba().config.CACHE_DIR or folder())


@functools.cache
def folder() -> str:
    """Where compiled kernels are kept, made if need be: in the user's cache folder, or else in a temporary one."""
    key = _key()
    ours = pathlib.Path(_user_cache()) / "datapipe" / "kernels"
    made = ours / key
    if ours.is_absolute() and _make_writable(made):
        if not any(made.iterdir()):  # a new one
            _remove_unused(ours, made)
        return str(made)
    temporary = pathlib.Path(tempfile.gettempdir()) / f"datapipe-kernels-{_user()}"
    if not _make_private(temporary):
        temporary = pathlib.Path(tempfile.mkdtemp(prefix="datapipe-kernels-"))
    chosen = temporary / key
    if made.is_dir():  # shipped where nobody may write: numba would not read it there
        shutil.copytree(made, chosen, dirs_exist_ok=True)
    chosen.mkdir(exist_ok=True)
    print(f"datapipe: {made} cannot be written; compiled kernels are kept in {chosen}", file=sys.stderr)  # noqa: T201
    os.environ["NUMBA_CACHE_DIR"] = str(chosen)  # of worker processes, which would say it again
    return str(chosen)


@functools.cache
def _key() -> str:
    digest = hashlib.sha256()
    above = pathlib.Path(__file__).parent.parent
    for package in _SOURCES:
        # Without `pathlib`, which takes twice as long.
        for folder, _, names in sorted(os.walk(above / package)):
            for name in sorted(name for name in names if name.endswith(".py")):
                with open(f"{folder}/{name}", "rb") as source:  # noqa: PTH123
                    digest.update(f"{folder[len(str(above)) :]}/{name}\0".encode() + source.read() + b"\0")
    from llvmlite import binding

    machine = (platform.machine(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    versions = (platform.python_version(), *map(importlib.metadata.version, _PACKAGES))
    checked = os.environ.get("NUMBA_BOUNDSCHECK", "")  # a kernel that checks its indices is another one
    digest.update("\0".join((*machine, *versions, checked)).encode())
    return digest.hexdigest()[:16]


def _user_cache() -> str:
    """The user's cache folder, as each system has it; one that begins with "~" for a user without a home."""
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")  # noqa: PTH111
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches")  # noqa: PTH111
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111


def _user() -> str:
    """Who runs this: of a user that no list of users knows, as in a container, the number."""
    return getpass.getuser() if sys.platform == "win32" else str(os.getuid())


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
