"""The files of the stages: recorded when they are written, and compared whenever a run takes them up.

A run believes no file for its name. What it finds must have the size and the stamp (`datapipe.store.files.File`) that
the record holds, or else the same SHA-256: to look costs a listing, and a copied folder is read once. Of what is
written in bulk the sum is taken while it is written. `datapipe verify` reads everything again.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from datapipe.engine.leaks import FOLDER as LEAKS_FOLDER
from datapipe.store import files
from datapipe.store.corpus import REJECTS
from datapipe.store.files import File
from datapipe.store.record import ConservationError, Done, Kept

REPORT = "report.html"  # by name: the module that writes it brings templates along


class Difference(NamedTuple):
    """A file that is not what the run wrote: its path in the output folder, and what is wrong with it."""

    name: str
    what: str


def files_of(root: str, stage: str, *, rejects: bool) -> dict[str, File]:
    """The files of a stage, by their path in the output folder, sorted; without those that are half written.

    Args:
        root: the output folder.
        stage: its name.
        rejects: whether it is a source, which has files in the folder of rejects, too.
    """
    found = _all_of(root, stage, rejects=rejects)
    return {name: file for name, file in found.items() if not files.is_temporary(name)}


def _all_of(root: str, stage: str, *, rejects: bool) -> dict[str, File]:
    found = files.files_below(files.join(root, stage))
    if rejects:
        folder = files.join(root, REJECTS)
        found += [file for file in files.files_below(folder) if _own(file.path.rpartition("/")[2], stage)]
    named = {file.path.removeprefix(root.rstrip("/") + "/"): file for file in found}
    return {name: named[name] for name in sorted(named)}


def closing_files(root: str, names: Iterable[str] = (LEAKS_FOLDER, REPORT)) -> dict[str, File]:
    """The files that a run writes at its very end: the tables of leaks, and the report."""
    found = [file for name in names for file in files.find(files.join(root, name))]
    return {file.path.removeprefix(root.rstrip("/") + "/"): file for file in found if not files.is_temporary(file.path)}


def record_closing(root: str, names: Iterable[str] = (LEAKS_FOLDER, REPORT)) -> dict[str, Kept]:
    """What these files, or some of them, hold."""
    found = closing_files(root, names)
    return {name: Kept(*files.read_sum(file.path), file.stamp) for name, file in found.items()}


def _own(name: str, stage: str) -> bool:
    return name.startswith((f"{stage}-", f".{stage}-"))


def record_files(
    root: str, stage: str, *, rejects: bool, before: Mapping[str, Kept]
) -> tuple[dict[str, Kept], list[str]]:
    """What a stage has written; read again is only that whose sum is known neither from beside it nor from before.

    What a step that died left half written, and another has written since, is removed.

    Args:
        root, stage, rejects: as for `files_of`.
        before: what the stage has taken up from an earlier run.

    Returns:
        The files, and the names of the sums beside them, which can go once the record is written.

    Raises:
        ConservationError: if a file holds less, or more, than was written into it.
    """
    kept, there = {}, {}
    for name, file in _all_of(root, stage, rejects=rejects).items():
        if files.is_temporary(name):
            files.remove(file.path)
        else:
            there[name] = file
    for name, file in there.items():
        if files.is_sum(name):
            continue
        known = before.get(name)
        found = files.kept_sum(file.path) if files.sum_path(name) in there else None
        if found is None and known is not None and _is_stamped(file, known):
            found = files.Sum(known.size, known.sha256)
        found = found or files.read_sum(file.path)
        if found.size != file.size:
            raise ConservationError(f"{stage}: {found.size:,} bytes written to {file.path}, {file.size:,} are there")
        kept[name] = Kept(file.size, found.sha256, file.stamp)
    return kept, [name for name in there if files.is_sum(name)]


def remove_sums(root: str, names: Iterable[str]) -> None:
    """Remove the sums among some files."""
    files.remove_files([files.join(root, name) for name in names if files.is_sum(name)])


def compare(
    root: str, stage: str, done: Done, *, contents: bool = False
) -> tuple[list[Difference], dict[str, Kept], list[str]]:
    """How the files of a stage differ from what it wrote.

    Args:
        root: the output folder.
        stage: its name.
        done: its entry in the record.
        contents: whether to read all files, and not only those of another stamp.

    Returns:
        The differences; the files with the stamps that they have now; and the names of others that lie there.
    """
    return compare_files(files_of(root, stage, rejects=done.source is not None), done.files, contents=contents)


def compare_files(
    there: dict[str, File], wanted: Mapping[str, Kept], *, contents: bool
) -> tuple[list[Difference], dict[str, Kept], list[str]]:
    """How the files that are there differ from those that were written; see `compare`."""
    there = dict(there)
    differences, kept = [], {}
    for name, known in wanted.items():
        file = there.pop(name, None)
        what = _difference(file, known, contents=contents)
        if what or file is None:
            differences.append(Difference(name, what))
        else:
            kept[name] = known._replace(stamp=file.stamp)
    return differences, kept, list(there)


def _difference(file: File | None, known: Kept, *, contents: bool) -> str:
    if file is None:
        return "is gone"
    if file.size != known.size:
        return f"has {file.size:,} bytes, not {known.size:,}"
    if (contents or file.stamp != known.stamp) and files.read_sum(file.path).sha256 != known.sha256:
        return "holds something else"
    return ""


def _is_stamped(file: File, known: Kept) -> bool:
    return (file.size, file.stamp) == (known.size, known.stamp)


def remove_unsure(root: str, stage: str, known: Mapping[str, Kept], *, rejects: bool) -> None:
    """Remove what a stopped run has left in a stage's folder and cannot be taken up: what no sum vouches for.

    Args:
        root, stage, rejects: as for `files_of`.
        known: what the stopped run had taken up from an earlier one.
    """
    there = files_of(root, stage, rejects=rejects)
    sums = {files.sum_path(name) for name in there}
    for name, file in there.items():
        if files.is_sum(name):
            if name not in sums:
                files.remove(file.path)
        elif not _is_sure(file, files.kept_sum(file.path) if files.sum_path(name) in there else None, known.get(name)):
            files.remove(file.path)


def _is_sure(file: File, beside: files.Sum | None, known: Kept | None) -> bool:
    if beside is not None:
        return beside.size == file.size and files.read_sum(file.path) == beside
    return known is not None and not _difference(file, known, contents=False)


def say(differences: list[Difference]) -> Iterator[str]:
    """The first few of the differences, a line each, and how many there are besides."""
    for name, what in differences[:3]:
        yield f"{name} {what}"
    if len(differences) > 3:
        yield f"and {len(differences) - 3:,} more files are not what was written"
