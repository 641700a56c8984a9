"""`datapipe doctor`: whether this machine has what runs need, and what to do where it has not."""

import importlib.metadata
import os
import pathlib
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from datapipe import kernels
from datapipe.commands.console import BAD, GOOD, QUIET, WARNING, say, say_json
from datapipe.extras import EXTRAS

_PACKAGES = ("apache-beam", "pyarrow", "numpy", "numba", "tokenizers", "faiss-cpu", "rich")
MIN_MEMORY = 2 << 30  # the default recipe's peak on a hundred megabytes is one
MIN_DISK = 5 << 30


class Finding(NamedTuple):
    """What was looked at: whether it is well, what it is, and what to do where it is not; None: it can do without."""

    what: str
    well: bool | None
    said: str
    advice: str = ""


def doctor(*, as_json: bool = False) -> None:
    """Print what was found.

    Raises:
        RuntimeError: if something is wrong that a run needs.
    """
    found = list(examine())
    if as_json:
        say_json([finding._asdict() for finding in found])
    else:
        for finding in found:
            mark, style = ("✓", GOOD) if finding.well else ("!", WARNING) if finding.well is None else ("✗", BAD)
            say((f"{mark} ", style), f"{finding.what:20} {finding.said}", (f"  {finding.advice}", QUIET))
    wrong = [finding.what for finding in found if finding.well is False]
    if wrong:
        raise RuntimeError(f"not well: {', '.join(wrong)}")


def examine() -> Iterator[Finding]:
    """Look at Python, packages, processors, memory, disks, kernels and the clock, a finding each."""
    supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Finding("python", supported, platform.python_version(), "" if supported else "3.11 or 3.12 is needed")
    for package in _PACKAGES:
        try:
            yield Finding(package, True, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, False, "is not installed", "install datapipe-llm again")
    for extra, module in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        yield Finding(f"extra {extra}", True if there else None, "there" if there else "not installed, needed by some")
    yield Finding("processors", True, f"{os.cpu_count()} cores")
    memory = psutil.virtual_memory().available
    enough = memory >= MIN_MEMORY
    yield Finding("memory", enough or None, f"{memory / 2**30:.1f} GiB free", "" if enough else "runs may be slow")
    for name, path in (("disk here", "."), ("temporary disk", tempfile.gettempdir())):
        free = shutil.disk_usage(path).free
        enough = free >= MIN_DISK
        yield Finding(name, enough or None, f"{free / 2**30:.1f} GiB free", "" if enough else f"little, in {path}")
    folder = pathlib.Path(os.environ.get("NUMBA_CACHE_DIR") or kernels.folder())
    compiled = sum(1 for path in folder.rglob("*.nbc")) if folder.is_dir() else 0
    advice = "" if compiled else "the first run compiles them; `datapipe warmup` does it ahead"
    yield Finding("kernels", True if compiled else None, f"{compiled} compiled in {folder}", advice)
    yield Finding("clock", time.time() > _RELEASED, time.strftime("%Y-%m-%d %H:%M"))


_RELEASED = 1_767_225_600  # 2026: a clock before that is wrong, and locks go by clocks
