"""What is made of files, once a process: models, tokenizers, word lists, indexes. The one policy for all of them.

It is kept by what the files hold, not by what they are called: a second run in the same process, after another
tokenizer took the place of the first, must not count by the first. Contents are hashed again whenever size or stamp of
a file is another, so that a look costs microseconds.
"""

import functools
import hashlib
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from datapipe.store import files

Paths = TypeVar("Paths", str, tuple[str, ...])
Made = TypeVar("Made")
Options = ParamSpec("Options")

_hashes: dict[str, tuple[list[files.File], str]] = {}


def made_by_content(
    make: Callable[Concatenate[Paths, Options], Made],
) -> Callable[Concatenate[Paths, Options], Made]:
    """A function of one path or several that calls `make` only for contents that it has not just seen there.

    Of each path and options one result is kept, so that an older content does not stay in memory.
    """
    kept: dict[object, tuple[str, Made]] = {}
    lock = threading.RLock()

    @functools.wraps(make)
    def made(paths: Paths, /, *args: Options.args, **kwargs: Options.kwargs) -> Made:
        key = (paths, args, tuple(sorted(kwargs.items())))
        with lock:  # workers are threads: what takes seconds to make is made by one of them
            found = content_hash(paths) if isinstance(paths, str) else " ".join(map(content_hash, paths))
            if key not in kept or kept[key][0] != found:
                kept[key] = found, make(paths, *args, **kwargs)
            return kept[key][1]

    return made


def content_hash(path: str) -> str:
    """The SHA-256 of a file, or of all files below a folder with their names; empty where there is neither."""
    signatures = files.find(path)
    if path not in _hashes or _hashes[path][0] != signatures:
        whole = hashlib.sha256()
        for name, *_ in signatures:
            with files.open_input(name) as source:
                whole.update(hashlib.file_digest(source, "sha256").digest())
            whole.update(name.removeprefix(path).encode(errors="surrogateescape") + b"\0")
        _hashes[path] = signatures, whole.hexdigest() if signatures else ""
    return _hashes[path][1]
