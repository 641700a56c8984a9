"""Where compiled kernels are kept: in a process of its own each, since numba is told once."""

import os
import pathlib
import stat
import subprocess
import sys

import pytest

from tests.helpers import ROOT

COMPILE = """
import numpy as np
from datapipe import kernels
from datapipe.text.source_code import keyword_hashes, measure_code
from datapipe.text.characters import class_table
said = []
class Watch(kernels.event.Listener):
    def on_start(self, event): said.append(kernels.compiling())
    def on_end(self, event): pass
kernels.event.register("numba:compile", Watch())
measure_code(np.zeros(0, np.uint8), np.zeros(1, np.int64), class_table(), keyword_hashes())
print(kernels.folder() if "NUMBA_CACHE_DIR" not in __import__("os").environ else "")
print(said[0] if said else "")
print(repr(kernels.compiling()))
"""


def run(**variables: str) -> tuple[list[str], str]:
    """What a process that compiles a kernel prints, and says on the error stream."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
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
    return sorted(folder.rglob("measure_code*"))
