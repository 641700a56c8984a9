"""Files wherever Beam can reach them, and the one way this project writes them: whole, or not at all.

A local path and `gs://…` go through the same functions. Local files are opened by Arrow itself, which is faster.
"""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

# Level 1 compresses 290 MB/s a core, level 3 125 MB/s: column files are read once or twice, shards for years.
COLUMN_COMPRESSION_LEVEL = 1


def join(*segments: str) -> str:
    """One path of several segments, for the file system of the first."""
    return FileSystems.join(*segments)


def is_local(path: str) -> bool:
    """Whether a path needs no remote file system."""
    return FileSystems.get_scheme(path) is None


def open_input(path: str) -> pa.NativeFile:
    """A file opened for reading by Arrow."""
    if is_local(path):
        return pa.OSFile(path)
    return pa.PythonFile(FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED), mode="r")


def _create(path: str) -> pa.NativeFile:
    if is_local(path):
        return pa.OSFile(path, "wb")
    return pa.PythonFile(FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED), mode="w")


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[pa.NativeFile]:
    """A file opened for writing that takes its name only once the block has ended well.

    The temporary name is unique, so a step that runs twice at once does no harm; after an error nothing is left.
    """
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        with _create(temporary) as sink:
            yield sink
        FileSystems.rename([temporary], [path])
    except BaseException:
        if FileSystems.exists(temporary):
            FileSystems.delete([temporary])
        raise


def exists(path: str) -> bool:
    """Whether there is a file or folder of this name."""
    return bool(FileSystems.exists(path)) or (not is_local(path) and bool(_below(path, limit=1)))


def _below(path: str, limit: int | None = None) -> list[str]:
    """The files anywhere below a folder: all that makes a folder where the file system has none."""
    return [metadata.path for metadata in FileSystems.match([join(path, "**")], [limit])[0].metadata_list]


def make_folder(path: str) -> None:
    """Make a folder and those above it, where the file system has folders."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 - Beam's own raises where another worker was faster


def remove(path: str) -> None:
    """Delete a file, or a folder with all that is in it, if it is there."""
    if FileSystems.exists(path):
        FileSystems.delete([path])
    elif not is_local(path):
        FileSystems.delete(_below(path))


def rename(path: str, name: str) -> None:
    """Give a file another name, in the place of whatever bears it."""
    FileSystems.rename([path], [name])


def remove_temporary(folder: str) -> None:
    """Delete what a killed process left half written anywhere below a folder."""
    FileSystems.delete([path for path in _below(folder) if path.endswith(".tmp")])


def list_folder(path: str) -> list[str]:
    """The paths of the files right in a folder, sorted."""
    matched = FileSystems.match([join(path, "*")])[0]
    return sorted(metadata.path for metadata in matched.metadata_list)


def fingerprint(path: str) -> list[list[str | int | float]]:
    """Path, size and time of change of every file that a path, folder or glob names: equal as long as none changes."""
    patterns = [path] if any(c in path for c in "*?[") else [path, join(path, "**")]
    found = {m.path: m for match in FileSystems.match(patterns) for m in match.metadata_list}
    return [[name, found[name].size_in_bytes, found[name].last_updated_in_seconds] for name in sorted(found)]


def check_sha256(option: str, path: str, expected: str) -> None:
    """Check that the file that an option names is the one meant; one that is not there is left to whoever loads it.

    Args:
        option: stage and option, for the error.
        path: the file; empty: none is named.
        expected: its SHA-256 in hexadecimal; empty: any file will do.

    Raises:
        ValueError: naming the option, the file, and both hashes.
    """
    if expected and not path:
        raise ValueError(f"{option}_sha256 needs {option.rpartition(' ')[2]}, got {expected!r} and no file")
    if not expected or not exists(path):
        return
    with open_input(path) as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    if found != expected.lower():
        raise ValueError(f"{option} {path!r} is another file: expected SHA-256 {expected.lower()}, found {found}")


def write_json(path: str, value: Any) -> None:
    """Write a value as readable JSON, keys in the order given."""
    with whole_file(path) as sink:
        sink.write((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())


def read_json(path: str) -> Any:
    """The value of a JSON file."""
    with open_input(path) as source:
        return json.loads(source.read())


def write_table(path: str, table: pa.Table) -> None:
    """Write a small table as one Parquet file."""
    with whole_file(path) as sink:
        pq.write_table(table, sink, compression="zstd", compression_level=COLUMN_COMPRESSION_LEVEL)
