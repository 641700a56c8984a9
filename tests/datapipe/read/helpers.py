"""What the tests of reading share."""

import pathlib
from collections.abc import Callable
from typing import Any

from datapipe.read.documents import ReadDocuments
from datapipe.read.formats import Reject
from datapipe.read.inputs import plan
from datapipe.read.parts import PartManifest, write_parts
from datapipe.read.records import read_task

Write = Callable[..., str]


def read(root: str, **options: Any) -> list[Any]:
    reading = ReadDocuments(**options).read_options()
    return [record for task in plan([root], reading) for record in read_task(task, reading)]


def reasons(root: str, **options: Any) -> list[str | None]:
    return [record.reason if isinstance(record, Reject) else None for record in read(root, **options)]


def names(inputs: list[str], **options: Any) -> list[str]:
    return [piece.name for task in plan(inputs, ReadDocuments(**options).read_options()) for piece in task.slices]


def written(root: str, folder: pathlib.Path, **options: Any) -> list[PartManifest]:
    reading = ReadDocuments(**options).read_options()
    (folder / "rejects").mkdir(parents=True)
    return [part for task in plan([root], reading) for part in write_parts(task, reading, str(folder)).files]
