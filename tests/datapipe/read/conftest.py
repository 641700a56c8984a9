"""A folder of input files."""

import gzip
import json
import pathlib

import pytest

from tests.datapipe.read.helpers import Write


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Write:
    """`write("folder/name.jsonl", {"text": "a"}, b"not JSON", ...)` writes lines and returns the input's root."""

    def make(name: str, *lines: dict[str, object] | bytes) -> str:
        path = tmp_path / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(tmp_path / "input")

    return make
