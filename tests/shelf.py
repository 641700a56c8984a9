"""A file system of Beam's for tests, `shelf://…`: an object store on the local disk, which fails when told to."""

import errno
import io
import os
import pathlib
import shutil
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, Literal

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem


class Killed(BaseException):
    """What stands for the end of the process: from then on nothing reaches the shelf."""


class Fault:
    """What goes wrong, and at which operation.

    Attributes:
        kind: an error of the n-th operation; from the n-th on a disk without room, so that what is written last is
            half there; the n-th write takes half of the bytes, and says so; or the process ends.
        at: which operation, from 1; with 0 nothing goes wrong.
        seen: the operations that there were.
    """

    def __init__(self, kind: Literal["error", "full", "short", "kill"], at: int) -> None:
        self.kind = kind
        self.at = at
        self.seen: list[str] = []
        self._lock = threading.Lock()

    def meet(self, operation: str, path: str) -> bool:
        """Count an operation, and fail it if its time has come; true: write half."""
        with self._lock:
            self.seen.append(f"{operation} {path}")
            now, after = len(self.seen) == self.at, bool(self.at) and len(self.seen) >= self.at
        if after and self.kind == "kill":
            raise Killed(f"{operation} {path}")
        if now and self.kind == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return (now and self.kind == "short") or (after and self.kind == "full" and operation == "write")


class _Writer(io.RawIOBase):
    def __init__(self, shelf: "Shelf", path: str, file: BinaryIO) -> None:
        self._shelf, self._path, self._file = shelf, path, file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self._shelf.meet("write", self._path):
            return self._file.write(data)
        self._file.write(data[: len(data) // 2])
        if self._shelf.fault and self._shelf.fault.kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        return len(data) // 2

    def close(self) -> None:
        self._file.close()
        super().close()


class Shelf(FileSystem):
    """Names and bytes, as object stores have: no folder exists, and deleting or renaming takes exact names."""

    root: ClassVar[pathlib.Path] = pathlib.Path()
    fault: ClassVar[Fault | None] = None

    @classmethod
    def scheme(cls) -> str:
        return "shelf"

    def meet(self, operation: str, path: str) -> bool:
        """See `Fault.meet`."""
        return self.fault is not None and self.fault.meet(operation, path)

    def _file(self, path: str) -> pathlib.Path:
        assert path.startswith("shelf://")
        return self.root / urllib.parse.quote(path, safe="")

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *(path.strip("/") for path in paths)])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        raise AssertionError(f"no folder can be made here: {path}")

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        self.meet("list", dir_or_prefix)
        for file in sorted(self.root.iterdir()):
            path = urllib.parse.unquote(file.name)
            if path.startswith(dir_or_prefix):
                yield self.metadata(path)

    def create(self, path: str, mime_type: str = "", compression_type: str = "") -> BinaryIO:  # noqa: ARG002
        self.meet("create", path)
        return _Writer(self, path, self._file(path).open("wb"))  # type: ignore[return-value]

    def open(self, path: str, mime_type: str = "", compression_type: str = "") -> BinaryIO:  # noqa: ARG002
        self.meet("open", path)
        return io.BytesIO(self._file(path).read_bytes())

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            self.meet("copy", source)
            shutil.copy(self._file(source), self._file(destination))

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path: str) -> bool:
        self.meet("exists", path)
        return self._file(path).exists()

    def size(self, path: str) -> int:
        return self._file(path).stat().st_size

    def last_updated(self, path: str) -> float:
        return self._file(path).stat().st_mtime

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            self.meet("delete", path)
            if not self._file(path).exists():
                raise BeamIOError("Delete operation failed", {path: "no such object"})
            self._file(path).unlink()
