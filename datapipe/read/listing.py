"""What an input names: the files to be read, those that cannot be, and how many are passed over.

A folder that people have holds more than documents: version control, installed packages, virtual environments, keys,
the output of an earlier run. Those are passed over, and counted, so that nothing goes unsaid. What stands there and
cannot be read (a link to nothing, a pipe) keeps its name and a fault: it becomes one reject, and never ends a run.
"""

import errno
import fnmatch
import os
import pathlib
import re
import stat
from collections import Counter, deque
from collections.abc import Collection
from typing import NamedTuple

from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems

from datapipe.read import formats
from datapipe.store import files, objects
from datapipe.store.record import RUN_FILE, is_record

# In the root of a folder, prose of these names speaks about the data, as in datasets on the Hugging Face hub.
ABOUT_THE_DATA = ("readme*", "license*", "licence*", "copying*", "notice*", "source.md", "changelog*", "citation*")
PROSE = (None, "text", "markdown", "html")
# Folders of these names hold no documents; those of the other version control systems begin with a dot.
VERSION_CONTROL = ("cvs", "_darcs", ".git", ".hg", ".svn", ".bzr", ".jj")
PACKAGES = ("node_modules", "bower_components", "site-packages", "__pycache__")
VENV_FILE = "pyvenv.cfg"  # in the root of every virtual environment (PEP 405)
# Private keys and key stores by their usual names (OpenSSH, OpenSSL, PuTTY, Java, KeePass).
KEY_FILES = (
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.ppk", "*.p8", "*.p12", "*.pfx", "*.pkcs12"),
    *("*.jks", "*.keystore", "*.kdbx", "*.gpg", "credentials.json", "client_secret*.json", "service_account*.json"),
)
_IS_KEY = re.compile("|".join(map(fnmatch.translate, KEY_FILES))).match

# Why a file or link that stands in a folder cannot be read.
FAULTS = {
    "broken_link": "a symbolic link that leads nowhere",
    "linked_twice": "a symbolic link to what is read under its own name, or to a folder above it",
    "not_a_file": "a pipe, a socket or a device",
    "no_permission": "it may not be read",
}


class Found(NamedTuple):
    """A file.

    Attributes:
        size: in bytes.
        modified: when it last changed, in seconds since 1970.
        fault: a key of FAULTS if it cannot be read.
    """

    size: int
    modified: float
    fault: str = ""


class Listing(NamedTuple):
    """What an input names.

    Attributes:
        root: the folder to which file names are relative.
        files: those to be read or rejected, by path.
        passed_over: how many are not, by what they are.
    """

    root: str
    files: dict[str, Found]
    passed_over: Counter[str]


def list_input(path: str) -> Listing:
    """The files of an input: a file, a folder with all below it, or a glob (`*`, `?`, `[…]`, `**` across folders).

    Hidden names begin with "." or "_" (as Hadoop and Arrow have it); they count below a folder, and where a glob has
    wildcards unless it spells such a name. A file that is named itself is read whatever it is.
    """
    local = files.is_local(path)
    if local:
        path = str(pathlib.Path(path).absolute())
    path = path.rstrip("/")
    is_folder = local and pathlib.Path(path).is_dir()
    below = _local_files(path) if is_folder else {} if local else _match_literally(path, "/**")
    if is_folder or below:
        kept, passed_over = _sort_out(path, below, below)
        about = [file for file in kept if _is_about_the_data(_name(path, file))]
        for file in about:
            del kept[file]
        return Listing(path, kept, passed_over + Counter({"about the data": len(about)}))
    itself = {path: _local_file(path)} if local and os.path.lexists(path) else _match_literally(path)
    return Listing(path.rpartition("/")[0], itself, Counter()) if itself else _list_glob(path)


def _list_glob(pattern: str) -> Listing:
    root = re.split(r"[*?[]", pattern, maxsplit=1)[0].rpartition("/")[0]
    wild = _name(root, pattern)
    if files.is_local(pattern):
        below = _local_files(root, None if "**" in wild else wild.count("/") + 1) if pathlib.Path(root).is_dir() else {}
    else:
        # All below, not what is like the pattern alone: what a folder is shows by other files, such as that of a run.
        below = _match(re.split(r"[*?[]", pattern, maxsplit=1)[0] + "**" if "/" in wild else pattern)
    like, deeper = files.matches(pattern), [files.matches(folder) for folder in _folders_of(pattern)]
    matched = {
        file: found
        for file, found in below.items()
        if like.match(file) or (found.fault and pathlib.Path(file).is_dir() and any(at.match(file) for at in deeper))
    }
    return Listing(root, *_sort_out(root, matched, below, hidden_too=re.search(r"(^|/)[._]", wild) is not None))


def _folders_of(pattern: str) -> list[str]:
    """Patterns of the folders in which a pattern may match: one that cannot be looked into is not passed over unsaid.

    >>> _folders_of("a/*/b*/**/c.txt")
    ['a', 'a/*', 'a/*/b*', 'a/*/b*/**']
    >>> _folders_of("a/b**.txt")
    ['a', 'a/b**']
    """
    *above, last = pattern.split("/")
    before, deep, _ = last.partition("**")
    levels = [*above, before + deep] if deep else above
    return ["/".join(levels[: level + 1]) for level in range(len(levels))]


def _name(root: str, file: str) -> str:
    return file.removeprefix(root).lstrip("/")


def _is_about_the_data(name: str) -> bool:
    named = "/" not in name and any(fnmatch.fnmatch(name.lower(), about) for about in ABOUT_THE_DATA)
    return named and formats.format_of(name) in PROSE


def _sort_out(
    root: str, candidates: dict[str, Found], listed: Collection[str], *, hidden_too: bool = False
) -> tuple[dict[str, Found], Counter[str]]:
    """The candidates that are to be read, and how many are not, by what they are; `listed` are all files there are."""
    kept: dict[str, Found] = {}
    passed_over: Counter[str] = Counter()
    folders: dict[str, str] = {}  # what each is
    for file, found in candidates.items():
        *above, name = _name(root, file).split("/")
        what, at = "", root
        for folder in above:
            at = f"{at}/{folder}"
            if at not in folders:
                folders[at] = what or _what_folder(at, folder, listed, hidden_too=hidden_too)
            what = folders[at]
        what = what or _what_file(name, hidden_too=hidden_too)
        if what:
            passed_over[what] += 1
        else:
            kept[file] = found
    return kept, passed_over


def _what_folder(path: str, name: str, listed: Collection[str], *, hidden_too: bool) -> str:
    """What a folder is that is passed over; empty: its files are to be read."""
    if name.lower() in VERSION_CONTROL:
        return "version control"
    if name in PACKAGES:
        return "installed packages"
    if f"{path}/{VENV_FILE}" in listed:
        return "virtual environments"
    if f"{path}/{RUN_FILE}" in listed and _is_run(f"{path}/{RUN_FILE}"):
        return "output of a run"
    return "hidden" if name.startswith((".", "_")) and not hidden_too else ""


def _what_file(name: str, *, hidden_too: bool) -> str:
    """What a file is that is passed over; empty: it is to be read."""
    if _IS_KEY(name.lower()):
        return "keys"
    return "hidden" if name.startswith((".", "_")) and not hidden_too else ""


def _is_run(path: str) -> bool:
    try:
        record = files.read_json(path)
    except ValueError:
        return False
    return is_record(record)


def _match(pattern: str) -> dict[str, Found]:
    if objects.is_object(pattern):
        store, bucket, key = objects.store_of(pattern)
        like = re.compile(FileSystem.translate_pattern(pattern))  # type: ignore[attr-defined]
        root = pattern.removesuffix(key)
        listed = store.listed(bucket, re.split(r"[*?[]", key, maxsplit=1)[0])
        found = {f"{root}{each.key}": Found(each.size, each.modified) for each in listed if not each.is_folder}
        return {file: there for file, there in found.items() if like.match(file)}
    matched = FileSystems.match([pattern])[0].metadata_list
    return {file.path: Found(file.size_in_bytes, file.last_updated_in_seconds) for file in matched}


def _match_literally(path: str, below: str = "") -> dict[str, Found]:
    # Beam's patterns have no escape that works for all characters, but "?" matches each of them.
    matched = _match(re.sub(r"[*?[]", "?", path) + below)
    return {file: found for file, found in matched.items() if file == path or file.startswith(path + "/")}


def _local_files(root: str, levels: int | None = None) -> dict[str, Found]:
    """All files below a local folder, in the order of their names. Symbolic links are followed.

    What is read by its own name is not read again by that of a link, so that no loop is endless and no document comes
    twice; what is passed over by its own name is read by that of a link to it.

    Args:
        root: the folder.
        levels: of folders to look into, the first the root; None: all.
    """
    found: dict[str, Found] = {}
    folders, folder_links, file_links = deque([root]), deque[str](), list[str]()
    read: set[tuple[int, int]] = set()
    inside = os.path.realpath(root) + "/"
    while folders or folder_links:
        linked = not folders
        folder = folder_links.popleft() if linked else folders.popleft()
        holds_root = linked and inside.startswith(os.path.realpath(folder).rstrip("/") + "/")
        try:
            entries = [] if holds_root else sorted(os.scandir(folder), key=lambda entry: entry.name)
        except FileNotFoundError:  # it has gone in the meantime
            continue
        except PermissionError:
            found[folder] = Found(0, 0, "no_permission")
            continue
        identity = device, _ = _identity(folder)
        if holds_root or identity in read:
            found[folder] = Found(0, 0, "linked_twice")
            continue
        passed_over = any(_what_folder("", name, (), hidden_too=False) for name in _name(root, folder).split("/"))
        if not passed_over:
            read.add(identity)
        deeper = levels is None or folder.removeprefix(root).count("/") + 1 < levels
        for entry in entries:
            if not _is_folder(entry):
                found[entry.path] = _local_file(entry.path)
                if entry.is_symlink():
                    file_links.append(entry.path)
                elif not (passed_over or found[entry.path].fault or _what_file(entry.name, hidden_too=False)):
                    read.add((device, entry.inode()))
            elif deeper and not entry.is_symlink():
                folders.append(entry.path)
            elif deeper and not passed_over:
                folder_links.append(entry.path)
    for file in file_links:
        if not found[file].fault and _identity(file) in read:
            found[file] = found[file]._replace(fault="linked_twice")
    return dict(sorted(found.items()))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: str) -> tuple[int, int]:
    status = pathlib.Path(path).stat()
    return status.st_dev, status.st_ino


def _local_file(path: str) -> Found:
    try:
        status = pathlib.Path(path).stat()
    except PermissionError:  # of the folder
        return Found(0, 0, "no_permission")
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return Found(0, 0, "broken_link")
    if not stat.S_ISREG(status.st_mode):
        return Found(0, status.st_mtime, "not_a_file")
    return Found(status.st_size, status.st_mtime, "" if os.access(path, os.R_OK) else "no_permission")
