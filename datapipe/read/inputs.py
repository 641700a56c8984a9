"""From files, folders and globs to tasks: what is read, in which order, and by which worker at once.

The same inputs give the same tasks in whatever order they are named, and a task's parts depend on the task alone: so
the same parts come out whatever the number of workers.
"""

import dataclasses
import fnmatch
import itertools
import math
import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from datapipe.read import formats
from datapipe.read.formats import FORMATS
from datapipe.read.options import ReadOptions
from datapipe.store import files

# Opening and closing a file costs about as much as reading this many bytes.
MIN_FILE_WEIGHT = 4096
COMPRESSED_TEXT_SHARE = 4  # bytes of text to expect from a compressed byte
# In the root of a folder, prose of these names speaks about the data, as in datasets on the Hugging Face hub.
ABOUT_THE_DATA = ("readme*", "license*", "licence*", "copying*", "notice*", "source.md", "changelog*", "citation*")
PROSE = (None, "text", "markdown", "html")


@dataclasses.dataclass(frozen=True)
class Slice:
    """A file, or a byte range of it, to be read by one task.

    Attributes:
        path: where the file lies.
        name: its path relative to the folder that all inputs share: the same wherever that folder lies.
        format: a key of FORMATS, or "" where nothing tells the format.
        source: the source of its documents, unless they name one: the file's stem, or for files that are one document
            each, the folder's name.
        size: bytes of the whole file.
        modified: when it last changed, in seconds since 1970.
        start: first byte of the range.
        stop: the byte after the range; None for the end of the file.
    """

    path: str
    name: str
    format: str
    source: str
    size: int
    modified: float
    start: int = 0
    stop: int | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """What one worker reads at once, in order: a range of a large file, or several small files."""

    number: int
    slices: tuple[Slice, ...]

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum((piece.size if piece.stop is None else piece.stop) - piece.start for piece in self.slices)


def plan(inputs: Iterable[str], options: ReadOptions) -> list[Task]:
    """The tasks that read all inputs, in the order of the files' names, whatever the order of the inputs.

    Of a folder, all files below it are read, but for names that begin with "." or "_" (as Hadoop and Arrow do). A file
    of unknown format there becomes a reject, and so do pipes and devices, and a file right in the folder that speaks
    about the data (ABOUT_THE_DATA): name it, or use a glob, to have it read.

    Args:
        inputs: files, folders and globs (`*`, `?`, `[…]`, and `**` across folders), on any Beam file system.
        options: how to read them.

    Raises:
        ValueError: if an input matches nothing, or no file of a known format.
    """
    found = {path: _find(path) for path in inputs}
    base = _common_folder([listing.root for listing in found.values()])
    slices: dict[str, Slice] = {}
    for path, listing in found.items():
        formats_of = {
            file: "" if file in listing.not_data else options.format or formats.format_of(file) or ""
            for file in listing.files
        }
        if not any(formats_of.values()):
            known = ", ".join(extension for format_ in FORMATS.values() for extension in format_.extensions)
            holds = f"no file of a known format ({known})" if formats_of else "nothing"
            raise ValueError(f"there is {holds} in the input {path!r}")
        for file, format_ in formats_of.items():
            metadata, name = listing.files[file], file.removeprefix(base).lstrip("/")
            new = Slice(
                file,
                name,
                format_,
                _source_of(file, format_, options),
                metadata.size_in_bytes,
                metadata.last_updated_in_seconds,
            )
            # The same file by two inputs is read once, and read if either of them says so.
            slices[file] = max(new, slices.get(file, new), key=lambda slice_: bool(slice_.format))
    return _pack([slices[file] for file in sorted(slices)], options)


class _Listing(NamedTuple):
    """What an input names: the folder to which file names are relative, the files, and those that are no data."""

    root: str
    files: dict[str, FileMetadata]
    not_data: frozenset[str] = frozenset()


def _find(path: str) -> _Listing:
    if files.is_local(path):
        path = str(pathlib.Path(path).absolute())
    path = path.rstrip("/")
    below = _match_literally(path, "/**")
    if below:
        names = {file: file.removeprefix(path).lstrip("/") for file in below}
        names = {file: name for file, name in names.items() if not re.search(r"(^|/)[._]", name)}
        not_data = {file for file, name in names.items() if _is_no_data(file, name)}
        return _Listing(path, {file: below[file] for file in names}, frozenset(not_data))
    if files.is_local(path) and pathlib.Path(path).is_dir():
        return _Listing(path, {})
    itself = _match_literally(path)
    if itself:
        return _Listing(path.rpartition("/")[0], itself)
    before_wildcard = re.split(r"[*?[]", path, maxsplit=1)[0]
    return _Listing(before_wildcard.rpartition("/")[0], _match(path))


def _is_no_data(file: str, name: str) -> bool:
    # A pipe or a device would be read for ever.
    if files.is_local(file) and not pathlib.Path(file).is_file():
        return True
    named = "/" not in name and any(fnmatch.fnmatch(name.lower(), about) for about in ABOUT_THE_DATA)
    return named and formats.format_of(name) in PROSE


def _match(pattern: str) -> dict[str, FileMetadata]:
    return {metadata.path: metadata for metadata in FileSystems.match([pattern])[0].metadata_list}


def _match_literally(path: str, below: str = "") -> dict[str, FileMetadata]:
    # Beam's patterns have no escape that works for all characters, but "?" matches each of them.
    matched = _match(re.sub(r"[*?[]", "?", path) + below)
    return {file: metadata for file, metadata in matched.items() if file.startswith(path)}


def _common_folder(folders: list[str]) -> str:
    segments = [folder.split("/") for folder in folders]
    shared = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*segments, strict=False))
    return "/".join(level[0] for level in shared)


def _source_of(file: str, format_: str, options: ReadOptions) -> str:
    whole = bool(format_) and FORMATS[format_].one_document and (format_ != "text" or options.text_unit == "file")
    return file.split("/")[-2] if whole else formats.stem(file)


def _pack(slices: Iterable[Slice], options: ReadOptions) -> list[Task]:
    """Slices of about `part_bytes` of expected text in a task each: large files split, small ones together."""
    packs: list[list[Slice]] = [[]]
    capacity = float(options.part_bytes)
    for whole in slices:
        text_bytes = _expected_text(whole)
        pieces = math.ceil(text_bytes / options.part_bytes) if _splittable(whole, options) else 1
        if pieces > 1:
            bounds = [whole.size * piece // pieces for piece in range(pieces + 1)]
            ranges = [*zip(bounds[:-1], [*bounds[1:-1], None], strict=True)]
            packs += [[dataclasses.replace(whole, start=start, stop=stop)] for start, stop in ranges]
            capacity = 0
            continue
        if text_bytes > capacity and packs[-1]:
            packs.append([])
            capacity = options.part_bytes
        packs[-1].append(whole)
        capacity -= text_bytes
    return [Task(number, tuple(pack)) for number, pack in enumerate(filter(None, packs))]


def _expected_text(whole: Slice) -> float:
    share = FORMATS[whole.format].text_share if whole.format else 0
    if whole.path.lower().endswith(formats.COMPRESSIONS):
        share *= COMPRESSED_TEXT_SHARE
    return max(MIN_FILE_WEIGHT, whole.size * share)


def _splittable(whole: Slice, options: ReadOptions) -> bool:
    if not whole.format or whole.path.lower().endswith(formats.COMPRESSIONS):
        return False
    return FORMATS[whole.format].splittable or (whole.format == "text" and options.text_unit == "line")
