"""Files wherever Beam can reach them, and the one way this project writes them: whole, or not at all.

A local path and `gs://…` go through the same functions. Local files need Arrow and the standard library alone: Beam
takes a second to import, and is imported where a path is remote, or a glob.
"""

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.extras import load_extra

# Level 1 compresses 290 MB/s a core, level 3 125 MB/s: column files are read once or twice, shards for years.
COLUMN_COMPRESSION_LEVEL = 1
# What Beam reaches a remote path by: the module, and the extra that brings it.
REMOTE = {"gs": ("google.cloud.storage", "gcp"), "s3": ("boto3", "aws")}
_AS_IT_IS = "uncompressed"  # Beam's `CompressionTypes.UNCOMPRESSED`
_SCHEME = re.compile(r"\s*([a-zA-Z][-a-zA-Z0-9+.]*)://")  # as Beam takes it


class _File(NamedTuple):
    """A file: its path, its bytes, and when it was changed, in seconds of Unix time."""

    path: str
    size: int
    changed: float


def join(*segments: str) -> str:
    """One path of several segments, for the file system of the first."""
    return os.path.join(*segments) if is_local(segments[0]) else str(_beam().join(*segments))  # noqa: PTH118


def _beam() -> Any:
    """Beam's file systems."""
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def _scheme(path: str) -> str | None:
    found = _SCHEME.match(path)
    return found[1] if found else None


def check_reachable(path: str) -> None:
    """Check that what reads and writes such paths is installed; Beam's own errors name packages of others.

    Raises:
        MissingExtraError: if it is not.
    """
    scheme = _scheme(path)
    if scheme in REMOTE:
        load_extra(*REMOTE[scheme], path)


def is_local(path: str) -> bool:
    """Whether a path needs no remote file system."""
    check_reachable(path)
    return _scheme(path) is None


def open_input(path: str) -> pa.NativeFile:
    """A file opened for reading by Arrow."""
    if is_local(path):
        return pa.OSFile(os.fsencode(path))  # as bytes: a name may be no UTF-8
    return pa.PythonFile(_beam().open(path, compression_type=_AS_IT_IS), mode="r")


def _create(path: str) -> pa.NativeFile:
    if is_local(path):
        return pa.OSFile(os.fsencode(path), "wb")
    return pa.PythonFile(_beam().create(path, compression_type=_AS_IT_IS), mode="w")


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[pa.NativeFile]:
    """A file opened for writing that takes its name only once the block has ended well.

    The temporary name is unique, so a step that runs twice at once does no harm; after an error nothing is left.
    """
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        with _create(temporary) as sink:
            yield sink
        rename(temporary, path)
    except BaseException:
        if exists(temporary):
            remove(temporary)
        raise


def exists(path: str) -> bool:
    """Whether there is a file or folder of this name."""
    if is_local(path):
        return os.path.exists(path)  # noqa: PTH110
    return bool(_beam().exists(path)) or bool(_match(path, "/**"))


def _match(path: str, below: Literal["", "/*", "/**"] = "") -> list[_File]:
    """What bears this very name, the files right in this folder, or those anywhere below it: hidden ones, too."""
    whole = path.rstrip("/")
    if not is_local(path):
        # Beam takes `[` and `*` in a name for a pattern too.
        return [
            file
            for file in _glob(re.sub(r"[*?[]", "?", whole) + below)
            if file.path == whole or (below and file.path.startswith(whole + "/"))
        ]
    names = [whole]
    if below:
        walk = os.walk(whole)  # follows no link to a folder
        folders = walk if below == "/**" else itertools.islice(walk, 1)
        names = [f"{folder}/{name}" for folder, _, here in folders for name in here]
    found = []
    for name in names:
        with contextlib.suppress(OSError):  # it has gone in the meantime
            found.append(_File(name, os.path.getsize(name), os.path.getmtime(name)))  # noqa: PTH202, PTH204
    return found


def _glob(pattern: str) -> list[_File]:
    """The files whose path Beam finds to be of a pattern: `*` stands for no slash, `**` for anything."""
    found = _beam().match([pattern])[0].metadata_list
    return [_File(file.path, file.size_in_bytes, file.last_updated_in_seconds) for file in found]


def make_folder(path: str) -> None:
    """Make a folder and those above it, where the file system has folders."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 - Beam's own raises where another worker was faster


def remove(path: str) -> None:
    """Delete a file, or a folder with all that is in it, if it is there."""
    if not is_local(path):
        _beam().delete([file.path for file in (*_match(path), *_match(path, "/**"))])
    elif os.path.isdir(path):  # noqa: PTH112
        shutil.rmtree(path)
    elif os.path.exists(path):  # noqa: PTH110
        os.unlink(path)  # noqa: PTH108


def local_size(path: str) -> int:
    """The bytes of a local file."""
    return os.path.getsize(path)  # noqa: PTH202


def rename(path: str, name: str) -> None:
    """Give a file another name, in the place of whatever bears it."""
    if is_local(path):
        os.replace(path, name)  # noqa: PTH105
    else:
        _beam().rename([path], [name])


def remove_temporary(folder: str) -> None:
    """Delete what a killed process left half written anywhere below a folder."""
    for file in _match(folder, "/**"):
        if file.path.endswith(".tmp"):
            remove(file.path)


def list_folder(path: str) -> list[str]:
    """The paths of the files right in a folder, sorted."""
    return sorted(file.path for file in _match(path, "/*"))


def fingerprint(path: str) -> list[list[str | int | float]]:
    """Path, size and time of change of every file that a path, folder or glob names: equal as long as none changes."""
    literally = _match(path, "/**") or _match(path)
    found = {file.path: file for file in literally or _glob(path)}
    return [[name, found[name].size, found[name].changed] for name in sorted(found)]


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
        # A lone surrogate, from a name that is no UTF-8, stands as JSON's own escape.
        sink.write((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode(errors="backslashreplace"))


def read_json(path: str) -> Any:
    """The value of a JSON file."""
    with open_input(path) as source:
        return json.loads(source.read())


def write_table(path: str, table: pa.Table) -> None:
    """Write a small table as one Parquet file."""
    with whole_file(path) as sink:
        pq.write_table(table, sink, compression="zstd", compression_level=COLUMN_COMPRESSION_LEVEL)
