"""Files wherever Beam can reach them, and the one way this project writes them: whole, or not at all.

A local path and `gs://…` go through the same functions. Object stores are those of `objects.py`; any other scheme is
left to Beam's file systems. Local files need Arrow and the standard library alone: Beam takes a second to import, and
is imported where a path is remote, or a glob.
"""

import contextlib
import hashlib
import importlib
import io
import itertools
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.extras import load_extra
from datapipe.store import objects

# Level 1 compresses 290 MB/s a core, level 3 125 MB/s: column files are read once or twice, shards for years.
COLUMN_COMPRESSION_LEVEL = 1
# What a remote path is reached by: the module, and the extra that brings it.
REMOTE = {**objects.EXTRAS, "azfs": ("azure.storage.blob", "azure")}
# Beam's own modules for them, which register themselves when they are imported.
REMOTE_SYSTEMS = {
    "gs": "apache_beam.io.gcp.gcsfilesystem",
    "s3": "apache_beam.io.aws.s3filesystem",
    "azfs": "apache_beam.io.azure.blobstoragefilesystem",
}
_SUM = ".sum"
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp$")  # ends the name of a file that is being written
_AS_IT_IS = "uncompressed"  # Beam's `CompressionTypes.UNCOMPRESSED`
_WILDCARD = re.compile(r"[*?[]")
_ONE_SLASH = re.compile(rf"\s*({'|'.join(REMOTE)}):(?!//)")  # a slip of the pen, not a folder of that name
_SCHEME = re.compile(r"\s*([a-zA-Z][-a-zA-Z0-9+.]*)://")  # as Beam takes it


class File(NamedTuple):
    """A file that is there.

    Attributes:
        path: where.
        size: in bytes.
        stamp: another one after every change: of a local file its inode and the time of its last change of any kind,
            which nobody can set; elsewhere the time at which the store says that it was written.
    """

    path: str
    size: int
    stamp: str


class Sum(NamedTuple):
    """What a file holds: how many bytes, and their SHA-256 in hexadecimal."""

    size: int
    sha256: str


def join(*segments: str) -> str:
    """One path of several segments, for the file system of the first."""
    if is_local(segments[0]):
        return os.path.join(*segments)  # noqa: PTH118
    if objects.is_object(segments[0]):
        return "/".join((segments[0].rstrip("/"), *(segment.strip("/") for segment in segments[1:])))
    return str(_beam().join(*segments))


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
        ValueError: if there is no such file system.
    """
    scheme = _scheme(path)
    if scheme is None:
        slip = _ONE_SLASH.match(path)
        if slip:
            raise ValueError(f"{path}: two slashes belong after {slip[1]}:, as in {slip[1]}://BUCKET/…")
        return
    if objects.is_object(path) and not path.partition("://")[2].partition("/")[0]:
        raise ValueError(f"{path} names no bucket: write {scheme}://BUCKET/…")
    if scheme in REMOTE:
        load_extra(*REMOTE[scheme], path)
    if objects.is_object(path):
        return
    if scheme in REMOTE_SYSTEMS:
        importlib.import_module(REMOTE_SYSTEMS[scheme])
    from apache_beam.io.filesystem import FileSystem
    from apache_beam.options.pipeline_options import PipelineOptions

    beam = _beam()
    known = {system.scheme() for system in FileSystem.get_all_subclasses()} - {None}
    if scheme not in known:
        there = ", ".join(f"{name}://" for name in sorted(known | REMOTE.keys()))
        raise ValueError(f"{path}: there is no file system {scheme}:// here; there are {there}")
    if beam._pipeline_options is None:  # of commands that take no flags; Beam's stores fail without any
        beam.set_options(PipelineOptions([]))


def is_local(path: str) -> bool:
    """Whether a path needs no remote file system."""
    check_reachable(path)
    return _scheme(path) is None


def open_input(path: str) -> pa.NativeFile:
    """A file opened for reading by Arrow."""
    if is_local(path):
        return pa.OSFile(os.fsencode(path))  # as bytes: a name may be no UTF-8
    if objects.is_object(path):
        return pa.PythonFile(objects.Reader(path), mode="r")
    return pa.PythonFile(_beam().open(path, compression_type=_AS_IT_IS), mode="r")


def open_inputs(paths: Sequence[str]) -> list[pa.NativeFile]:
    """Files opened for reading by Arrow; those of a store at once, since each waits for an answer."""
    if len(paths) > 1 and objects.is_object(paths[0]):
        return list(objects.requests_at_once(os.getpid()).map(open_input, paths))
    return [open_input(path) for path in paths]


@contextlib.contextmanager
def naming(path: str, columns: Iterable[str] = ()) -> Iterator[None]:
    """Name the file and the columns in an error of reading them: Arrow's own names neither."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        names = list(columns)
        of = f"column{'s' * (len(names) > 1)} {', '.join(names)} of " if names else ""
        raise OSError(f"cannot read {of}{path}: {error}") from error


@contextlib.contextmanager
def open_columns(path: str, columns: Iterable[str] = ()) -> Iterator[pa.NativeFile]:
    """A Parquet file opened to be read at once: an error of that names it, and the columns."""
    with open_input(path) as source, naming(path, columns):
        yield source


class _Summed(io.RawIOBase):
    """A file opened for writing that sums up what it is given, so that it need not be read again for it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        left = memoryview(data)
        while left:  # Arrow does not look how much of it was written
            left = left[self._file.write(left) or len(left) :]
        self._hash.update(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def sum(self) -> Sum:
        return Sum(self._size, self._hash.hexdigest())


def read_range(path: str, start: int, size: int) -> bytes:
    """So many bytes of a file, from some place on: of a store in one request."""
    if objects.is_object(path):
        store, bucket, key = objects.store_of(path)
        return store.read(bucket, key, start, start + size)[0]
    if is_local(path):  # a shuffle reads thousands: Arrow takes four times as long to open one
        with open(path, "rb") as found:  # noqa: PTH123 - a name, as everywhere here
            found.seek(start)
            return found.read(size)
    with open_input(path) as source:
        source.seek(start)
        return bytes(source.read(size))


def _create(path: str) -> pa.NativeFile:
    if is_local(path):
        return pa.OSFile(os.fsencode(path), "wb")
    return pa.PythonFile(_Summed(_beam().create(path, compression_type=_AS_IT_IS)), mode="w")


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[pa.NativeFile]:
    """A file opened for writing that takes its name only once the block has ended well.

    The temporary name is unique, so a step that runs twice at once does no harm; after an error nothing is left.
    """
    if objects.is_object(path):
        with objects.upload(path) as raw, pa.PythonFile(raw, mode="w") as sink:
            yield sink
        return
    with _named_at_last(path) as temporary, _create(temporary) as sink:
        yield sink


@contextlib.contextmanager
def durable_file(path: str) -> Iterator[pa.NativeFile]:
    """As `whole_file`, for what must survive that the machine stops: the name is that of a file on the disk."""
    if not is_local(path):
        with whole_file(path) as sink:
            yield sink
        return
    with _named_at_last(path) as temporary:
        with _create(temporary) as sink:
            yield sink
        _sync(temporary)
    _sync(os.path.dirname(path) or ".")  # noqa: PTH120


@contextlib.contextmanager
def summed_file(path: str) -> Iterator[pa.NativeFile]:
    """As `whole_file`, for what a resumed run takes up: its `Sum` lies beside it until the record of the run has it."""
    with _unnamed_yet(path) as file:
        raw = _Summed(file)
        with pa.PythonFile(raw, mode="w") as sink:
            yield sink
        raw.close()
        # First the sum, so that what bears the name has one.
        write_sum(path, raw.sum())


@contextlib.contextmanager
def _unnamed_yet(path: str) -> Iterator[Any]:
    """A raw file opened for writing, which has its name only after the block."""
    if objects.is_object(path):
        with objects.upload(path) as writer:
            yield writer
        return
    with _named_at_last(path) as temporary:
        if is_local(path):
            yield open(os.fsencode(temporary), "wb")  # noqa: PTH123, SIM115 - whoever takes it closes it
        else:
            yield _beam().create(temporary, compression_type=_AS_IT_IS)


@contextlib.contextmanager
def _named_at_last(path: str) -> Iterator[str]:
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        yield temporary
        rename(temporary, path)
    except BaseException:
        if exists(temporary):
            remove(temporary)
        raise


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sum_path(path: str) -> str:
    """Where the sum of a file lies: hidden, since those who read a folder pass over names that begin with a dot.

    >>> sum_path("out/shards/train-00000.parquet")
    'out/shards/.train-00000.parquet.sum'
    """
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}{_SUM}"


def is_sum(path: str) -> bool:
    """Whether a file of this name holds the sum of another."""
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(_SUM)


def write_sum(path: str, of_file: Sum) -> None:
    """Lay the sum of a file beside where it is to be."""
    content = json.dumps(of_file).encode()
    if objects.is_object(path):
        store, bucket, key = objects.store_of(sum_path(path))
        store.put(bucket, key, content)
        return
    with _create(sum_path(path)) as beside:
        beside.write(content)


def kept_sum(path: str) -> Sum | None:
    """The sum that lies beside a file; none if it is half of one."""
    try:
        return Sum(*read_json(sum_path(path)))
    except (ValueError, TypeError):
        return None


def read_sum(path: str) -> Sum:
    """The sum of a file, from its bytes."""
    with open_input(path) as source:
        return Sum(source.size(), hashlib.file_digest(source, "sha256").hexdigest())


def exists(path: str) -> bool:
    """Whether there is a file or folder of this name.

    Raises:
        OSError: if that cannot be told, for want of a permission, say.
    """
    if is_local(path):
        try:
            os.stat(path)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True
    if objects.is_object(path):
        store, bucket, key = objects.store_of(path.rstrip("/"))
        # `a-b/c` is listed before `a/b`.
        return store.size(bucket, key) is not None or any(True for _ in store.listed(bucket, f"{key}/", 1))
    return bool(_beam().exists(path)) or bool(_match(path, "/**"))


def is_file(path: str) -> bool:
    """Whether there is a file of this name: of a store one request, where `exists` may take two."""
    if objects.is_object(path):
        store, bucket, key = objects.store_of(path)
        return store.size(bucket, key) is not None
    return exists(path)


def _match(path: str, below: Literal["", "/*", "/**"] = "") -> list[File]:
    """What bears this very name, the files right in this folder, or those anywhere below it: hidden ones, too."""
    whole, local = path.rstrip("/"), is_local(path)
    if objects.is_object(path):
        if below:
            found = _listed(whole + "/")
            return [file for file in found if below == "/**" or "/" not in file.path[len(whole) + 1 :]]
        return [file for file in _listed(whole) if file.path == whole]
    if not local:
        # Beam takes `[` and `*` in a name for a pattern too.
        return [
            file
            for file in _glob(re.sub(r"[*?[]", "?", whole) + below)
            if file.path == whole or (below and file.path.startswith(whole + "/"))
        ]
    return _local_files([whole] if not below else _walk(whole, 1 if below == "/*" else None))


def _listed(path: str, at_most: int | None = None) -> list[File]:
    """The objects whose path begins so."""
    store, bucket, prefix = objects.store_of(path)
    root = path.removesuffix(prefix)
    listed = store.listed(bucket, prefix, at_most)
    return [File(f"{root}{each.key}", each.size, each.stamp) for each in listed if not each.is_folder]


def _walk(folder: str, levels: int | None = None) -> Iterator[str]:
    """The files below a local folder, so many levels deep or all; none if there is no such folder.

    Raises:
        OSError: naming a folder that cannot be looked into.
    """

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for above, folders, names in os.walk(folder, onerror=fail):  # follows no link to a folder
        if levels is not None and above.removeprefix(folder).count("/") + 1 >= levels:
            folders.clear()
        yield from (f"{above.rstrip('/')}/{name}" for name in names)


def files_below(folder: str) -> list[File]:
    """All files of a folder and of those in it, in no order; none if there is no such folder."""
    return _match(folder, "/**")


def _local_files(names: Iterable[str]) -> list[File]:
    found = []
    for name in names:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it has gone in the meantime
            status = os.stat(name)  # noqa: PTH116
            found.append(File(name, status.st_size, f"{status.st_ino}-{status.st_ctime_ns}"))
    return found


def _glob(pattern: str) -> list[File]:
    """The files whose path is of a pattern: see `matches`."""
    if is_local(pattern):
        if not _WILDCARD.search(pattern):
            return []
        root = _WILDCARD.split(pattern, maxsplit=1)[0].rpartition("/")[0]
        levels = None if "**" in pattern else pattern.removeprefix(root).lstrip("/").count("/") + 1
        there = _walk(root or "/" if pattern.startswith("/") else root or ".", levels)
        like = matches(pattern)
        return _local_files(name for name in (name.removeprefix("./") for name in there) if like.match(name))
    if objects.is_object(pattern):
        like = matches(pattern)
        return [file for file in _listed(_WILDCARD.split(pattern, maxsplit=1)[0]) if like.match(file.path)]
    found = _beam().match([pattern])[0].metadata_list
    return [File(file.path, file.size_in_bytes, repr(file.last_updated_in_seconds)) for file in found]


def matches(pattern: str) -> re.Pattern[str]:
    """What tells whether a path is of a pattern: `*` stands for no slash, `**` for anything.

    As Beam has it, but that `a/**/b` is `a/b`, too, as for everybody else.
    """
    from apache_beam.io.filesystem import FileSystem

    as_expression: str = FileSystem.translate_pattern(pattern)  # type: ignore[attr-defined]
    return re.compile(as_expression.replace("/.*/", "/(?:.*/)?"))


def make_folder(path: str) -> None:
    """Make a folder and those above it, where the file system has folders."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 - Beam's own raises where another worker was faster


def remove(path: str) -> None:
    """Delete a file, with the sum beside it, or a folder with all that is in it, if it is there."""
    if objects.is_object(path):
        # What lies beside it goes even where it is gone itself.
        remove_files([path.rstrip("/"), sum_path(path.rstrip("/")), *(file.path for file in _match(path, "/**"))])
    elif not is_local(path):
        _beam().delete([file.path for file in (*_match(path), *_match(sum_path(path)), *_match(path, "/**"))])
    elif os.path.isdir(path):  # noqa: PTH112
        shutil.rmtree(path)
    else:
        for name in (path, sum_path(path)):
            if exists(name):
                os.unlink(name)  # noqa: PTH108


def remove_files(paths: Sequence[str]) -> None:
    """Delete files, no folders, with as few requests as the store has it; one that is not there is no error."""
    paths = list(paths)
    if paths and objects.is_object(paths[0]):
        store, bucket, _ = objects.store_of(paths[0])
        store.delete(bucket, [objects.store_of(path)[2] for path in paths])
    else:
        for path in paths:
            remove(path)


def local_size(path: str) -> int:
    """The bytes of a local file."""
    return os.path.getsize(path)  # noqa: PTH202


def rename(path: str, name: str) -> None:
    """Give a file another name, in the place of whatever bears it."""
    if is_local(path):
        os.replace(path, name)  # noqa: PTH105
    elif objects.is_object(path):
        store, bucket, key = objects.store_of(path)
        store.copy(bucket, key, objects.store_of(name)[2])
        store.delete(bucket, [key])
    else:
        _beam().rename([path], [name])


def is_temporary(path: str) -> bool:
    """Whether a file of this name is one of ours that a killed process has left half written."""
    return bool(_TEMPORARY.search(path))


def remove_temporary(folder: str) -> None:
    """Delete what a killed process left half written anywhere below a folder."""
    remove_files([file.path for file in _match(folder, "/**") if is_temporary(file.path)])


def list_folder(path: str) -> list[str]:
    """The paths of the files right in a folder, sorted."""
    return sorted(file.path for file in _match(path, "/*"))


def first_names(folder: str, at_most: int) -> list[str]:
    """Some of the names right in a folder, of files and folders; no more are asked for than that."""
    if is_local(folder):
        with os.scandir(folder) as entries:
            return [entry.name for entry in itertools.islice(entries, at_most)]
    whole = folder.rstrip("/") + "/"
    found: Iterable[Any]
    if objects.is_object(folder):
        found = _listed(whole, at_most)
    else:
        pattern = re.sub(r"[*?[]", "?", folder.rstrip("/")) + "/**"
        found = _beam().match([pattern], [at_most])[0].metadata_list
    return [file.path.removeprefix(whole).partition("/")[0] for file in found if file.path.startswith(whole)]


def find(path: str) -> list[File]:
    """Every file that a path, folder or glob names, by name; none if nothing of that name is there.

    Raises:
        OSError: if a folder cannot be looked into.
    """
    is_folder = is_local(path) and os.path.isdir(path)  # noqa: PTH112
    found = {file.path: file for file in _match(path, "/**") or ([] if is_folder else _match(path) or _glob(path))}
    return [found[name] for name in sorted(found)]


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


def write_json(
    path: str, value: Any, opened: Callable[[str], AbstractContextManager[pa.NativeFile]] = whole_file
) -> None:
    """Write a value as readable JSON, keys in the order given, in one of the three ways to open a file."""
    with opened(path) as sink:
        # A lone surrogate, from a name that is no UTF-8, stands as JSON's own escape.
        sink.write((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode(errors="backslashreplace"))


def read_json(path: str) -> Any:
    """The value of a JSON file."""
    with open_input(path) as source:
        return json.loads(source.read())


def write_table(
    path: str, table: pa.Table, opened: Callable[[str], AbstractContextManager[pa.NativeFile]] = whole_file
) -> None:
    """Write a small table as one Parquet file, in one of the three ways to open a file."""
    with opened(path) as sink:
        pq.write_table(table, sink, compression="zstd", compression_level=COLUMN_COMPRESSION_LEVEL)
