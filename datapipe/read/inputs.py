"""From files, folders and globs to tasks: what is read, in which order, and by which worker at once.

The same inputs give the same tasks in whatever order they are named, and a task's parts depend on the task alone: so
the same parts come out whatever the number of workers.
"""

import dataclasses
import difflib
import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from datapipe.read import formats
from datapipe.read.formats import FORMATS
from datapipe.read.listing import list_input
from datapipe.read.options import ReadOptions
from datapipe.store import files

# Opening and closing a file costs about as much as reading this many bytes.
MIN_FILE_WEIGHT = 4096
COMPRESSED_TEXT_SHARE = 4  # bytes of text to expect from a compressed byte


@dataclasses.dataclass(frozen=True)
class Slice:
    """A file, or a byte range of it, to be read by one task.

    Attributes:
        path: where the file lies.
        name: its path relative to the folder that all inputs share: the same wherever that folder lies.
        format: a key of FORMATS, or "" where its name tells none.
        source: the source of its documents, unless they name one: the file's stem, or for files that are one document
            each, or whose name tells no format, the folder's name; where folders are sources, see `ReadDocuments`.
        size: bytes of the whole file.
        modified: when it last changed, in seconds since 1970.
        start: first byte of the range.
        stop: the byte after the range; None for the end of the file.
        fault: a key of FAULTS if it cannot be read.
        records: how many of its records are read, the first; None: all.
    """

    path: str
    name: str
    format: str
    source: str
    size: int
    modified: float
    start: int = 0
    stop: int | None = None
    fault: str = ""
    records: int | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """What one worker reads at once, in order: a range of a large file, or several small files.

    Attributes:
        number: from 0.
        slices: what is read.
        passed_over: of the first task, what the whole plan passes over, and how many files.
    """

    number: int
    slices: tuple[Slice, ...]
    passed_over: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(map(_bytes_of, self.slices))

    @property
    def text_bytes(self) -> int:
        """How much text to expect of them, about."""
        return int(sum(_expected_text(piece) for piece in self.slices))


def plan(inputs: Iterable[str], options: ReadOptions) -> list[Task]:
    """The tasks that read all inputs, in the order of the files' names, whatever the order of the inputs.

    A file whose name tells no format is looked into when it is read. What stands in a folder and is no data is passed
    over: see `datapipe.read.listing`.

    Args:
        inputs: files, folders and globs, on any Beam file system: see `list_input`.
        options: how to read them.

    Raises:
        ValueError: if there is nothing to read in an input.
    """
    found = {path: list_input(path) for path in inputs}
    base = _common_folder([listing.root for listing in found.values()])
    slices: dict[str, Slice] = {}
    passed_over: Counter[str] = Counter()
    for path, listing in found.items():
        passed_over += listing.passed_over
        if not listing.files:
            known = ", ".join(e for key, format_ in FORMATS.items() if key != "code" for e in format_.extensions)
            passed = f"; passed over: {_counted(listing.passed_over)}" if listing.passed_over else ""
            sought = f"looked for {known}, source code, and any text in UTF-8"
            if files.is_local(path) and not os.path.lexists(path) and not re.search(r"[*?[]", path):
                folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - as text, like remote ones
                names = os.listdir(folder) if os.path.isdir(folder) else []  # noqa: PTH112, PTH208
                near = difflib.get_close_matches(name, names, 1)
                sought = f"it is not there{f'; did you mean {near[0]!r}?' if near else ''}"
            raise ValueError(f"there is nothing in the input {path!r}; {sought}{passed}")
        for file, there in listing.files.items():
            format_ = options.format or formats.format_of(file) or ""
            name = _shown(file.removeprefix(base)).lstrip("/")
            new = Slice(
                path=file,
                name=name,
                format=format_,
                source=_source_of(_shown(file), name, format_, options),
                size=there.size,
                modified=there.modified,
                fault=there.fault,
            )
            # The same file by two inputs is read once, and read if either of them says so.
            slices[file] = min(new, slices.get(file, new), key=lambda slice_: slice_.fault)
    first, *others = _pack([slices[file] for file in sorted(slices)], options)
    return [dataclasses.replace(first, passed_over=tuple(sorted(passed_over.items()))), *others]


def sample(tasks: Sequence[Task], records: int) -> list[Task]:
    """Tasks that read about so many records in all, spread over all files by name.

    Of files that are one document each, as many as are at most half of the records. Of the others the first records:
    half of them of all files alike, so that each is seen, and half as files are large.

    >>> table = [Slice(f"{name}.csv", name, "csv", "", size, 0) for name, size in (("a", 1), ("b", 1), ("c", 8))]
    >>> [(piece.name, piece.records) for piece in sample([Task(0, tuple(table))], 20)[0].slices]
    [('a', 5), ('b', 5), ('c', 12)]
    >>> pages = [Slice(f"{name}.html", name, "html", "", 1, 0) for name in "defghi"]
    >>> [(piece.name, piece.records) for piece in sample([Task(0, (table[0], *pages))], 4)[0].slices]
    [('a', 2), ('d', 1), ('g', 1)]
    """
    whole = [dataclasses.replace(piece, stop=None) for task in tasks for piece in task.slices if piece.start == 0]
    tables = [piece for piece in whole if not (piece.format and FORMATS[piece.format].one_document)]
    pages = [piece for piece in whole if piece not in tables]
    pages = _spread(pages, records // 2 if tables else records)
    tables = _spread(tables, records - len(pages))
    counts = dict.fromkeys((piece.path for piece in pages), 1)
    size = max(1, sum(piece.size for piece in tables))
    for piece in tables:
        half = (records - len(pages)) / 2
        counts[piece.path] = math.ceil(half / len(tables) + half * piece.size / size)
    chosen = [dataclasses.replace(piece, records=counts[piece.path]) for piece in whole if piece.path in counts]
    return [Task(0, tuple(chosen), tasks[0].passed_over)]


def _spread(slices: list[Slice], count: int) -> list[Slice]:
    """At most so many of the slices, with as many left out between them."""
    count = min(count, len(slices))
    return [slices[at * len(slices) // count] for at in range(count)]


def _counted(passed_over: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(passed_over.items()))


def passed_over_note(tasks: Iterable[Task]) -> list[str]:
    """A line on what `plan` has passed over, if there is anything."""
    passed_over = dict(pair for task in tasks for pair in task.passed_over)
    return [f"files passed over: {_counted(passed_over)}"] if passed_over else []


def _shown(file: str) -> str:
    """A path as text: bytes that are no UTF-8 as `\\xe9`."""
    return os.fsencode(file).decode(errors="backslashreplace") if files.is_local(file) else file


def _common_folder(folders: list[str]) -> str:
    segments = [folder.split("/") for folder in folders]
    shared = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*segments, strict=False))
    return "/".join(level[0] for level in shared)


def _source_of(file: str, name: str, format_: str, options: ReadOptions) -> str:
    if options.source_from == "folder":
        folder, slash, _ = name.partition("/")
        return folder if slash else formats.stem(file)
    whole = not format_ or (FORMATS[format_].one_document and (format_ != "text" or options.text_unit == "file"))
    return file.split("/")[-2] if whole else formats.stem(file)


def _pack(slices: Iterable[Slice], options: ReadOptions) -> list[Task]:
    """Slices of about `part_bytes` of expected text in a task each: large files split, small ones together."""
    packs: list[list[Slice]] = [[]]
    capacity = float(options.part_bytes)
    for whole in slices:
        text_bytes = _expected_text(whole)
        # A range is one byte at least: two that begin at 0 would both read the first record.
        pieces = min(whole.size, math.ceil(text_bytes / options.part_bytes)) if _splittable(whole, options) else 1
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


def _bytes_of(piece: Slice) -> int:
    return (piece.size if piece.stop is None else piece.stop) - piece.start


def _expected_text(piece: Slice) -> float:
    share = FORMATS[piece.format].text_share if piece.format else 1
    if piece.path.lower().endswith(formats.COMPRESSIONS):
        share *= COMPRESSED_TEXT_SHARE
    return max(MIN_FILE_WEIGHT, _bytes_of(piece) * share)


def _splittable(whole: Slice, options: ReadOptions) -> bool:
    if not whole.format:
        return False
    if whole.path.lower().endswith(formats.COMPRESSIONS):
        return FORMATS[whole.format].splits_bz2 and whole.path.lower().endswith(".bz2")
    return FORMATS[whole.format].splittable or (whole.format == "text" and options.text_unit == "line")
