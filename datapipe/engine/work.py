"""What a worker does for the driver, one piece at a time: read a task, pass over a part, cut and write verdicts.

Apart from `run.py`, so that a worker process imports the stage that it runs and none of the others.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.engine.progress import tick
from datapipe.stage import DocumentStage, Source, Stage
from datapipe.store import files
from datapipe.store.corpus import REASON, ROW_BITS, Part, column_writer, part_path, scatter, write_verdicts

# The name of a file of CPU seconds, there until the driver has read it.
SECONDS = "seconds"


def read_task(task: Any, stage: Source, folder: str, root: str) -> int:
    """Read one task of a source into files in `folder`."""
    stage.read(task, folder)
    tick(root, f"task-{task.number}", task.size)
    return int(task.number)


def process(part: Part, stages: Sequence[DocumentStage], root: str, times: str) -> int:
    """Run document stages over a part, one after the other on each batch, and write a column file for each stage.

    The columns on disk are read once; a stage sees the columns of those before it as they come. Where a stage sees kept
    rows only, the others are null.

    Args:
        part: as it stands before the first of the stages.
        stages: those of a pass; the ones for other kinds of parts are left out.
        root: the output folder.
        times: the folder for a file of the CPU seconds of each stage, see `sum_seconds`.

    Raises:
        ValueError: if a stage loses or invents rows or columns.
    """
    stages = [stage for stage in stages if part.kind in stage.part_kinds()]
    required, optional, named = _columns_on_disk(stages)
    kept = part.kept()
    seconds = dict.fromkeys((stage.name for stage in stages), 0.0)
    with contextlib.ExitStack() as files_written:
        writers = [
            files_written.enter_context(column_writer(part, _path(root, stage, part), stage.writes)) for stage in stages
        ]
        start = 0
        for batch in part.read(required, optional=optional, named=named, kept_only=False):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            alive = kept[start : start + len(batch)]
            for stage, write_batch in zip(stages, writers, strict=True):
                started = time.thread_time()
                new = _process_batch(stage, columns, len(batch), alive)
                columns.update(zip(new.schema.names, new.columns, strict=True))
                for name in new.schema.names:
                    if name.endswith(REASON):
                        alive = alive & new.column(name).is_null().to_numpy(zero_copy_only=False)
                write_batch(new)
                seconds[stage.name] += time.thread_time() - started
            start += len(batch)
            tick(root, f"part-{part.number}", start)
    files.write_json(files.join(times, f"{SECONDS}-{part.number:05d}.json"), seconds)
    return part.number


def sum_seconds(stages: Sequence[DocumentStage], times: str) -> dict[str, float]:
    """The CPU seconds of each stage of a pass, over all parts; their files are gone after."""
    total = dict.fromkeys((stage.name for stage in stages), 0.0)
    for path in files.list_folder(times):
        if path.rpartition("/")[2].startswith(f"{SECONDS}-"):
            for name, seconds in files.read_json(path).items():
                total[name] += seconds
            files.remove(path)
    return total


def _columns_on_disk(stages: Sequence[DocumentStage]) -> tuple[list[str], list[str], list[str]]:
    """What a pass reads of a part: columns that stages require, those that they can do without, those options name."""
    made: set[str] = set()
    required: dict[str, None] = {}
    optional: dict[str, None] = {}
    named: dict[str, None] = {}
    for stage in stages:
        optional.update(dict.fromkeys(name for name in stage.optional() if name not in made))
        required.update(dict.fromkeys(name for name in stage.requires() if name not in made))
        named.update(dict.fromkeys(name for name in stage.named_columns() if name not in made))
        made.update(stage.writes.names)
    # The heavy column first: a batch holds a row group of its file.
    first = [name for name in ("text",) if name in required]
    return list(dict.fromkeys((*first, *required))), list(optional), list(named)


def _process_batch(
    stage: DocumentStage, columns: Mapping[str, pa.Array], rows: int, alive: npt.NDArray[np.bool_]
) -> pa.RecordBatch:
    """A stage's new columns for a batch, in its schema."""
    there = [name for name in stage.optional() if name in columns]
    wanted = dict.fromkeys(("id", *stage.requires(), *there, *stage.named_columns()))
    batch = pa.RecordBatch.from_pydict({name: columns[name] for name in wanted})
    if stage.kept_rows_only and not alive.all():
        new = scatter(stage.process(batch.filter(pa.array(alive))), alive)
    else:
        new = stage.process(batch)
    if len(new) != rows or new.schema.names != stage.writes.names:
        raise ValueError(f"{stage.name}: {rows} rows in, {len(new)} rows {new.schema.names} out")
    return new.cast(stage.writes)


def _path(root: str, stage: Stage, part: Part) -> str:
    return part_path(files.join(root, stage.name), part.number)


def by_part(verdicts: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
    """A batch of verdicts, cut by part and serialized as an Arrow stream."""
    numbers = verdicts.column("id").to_numpy() >> ROW_BITS
    for number in sorted(set(numbers.tolist())):
        batch = verdicts.filter(pa.array(numbers == number))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        yield int(number), sink.getvalue().to_pybytes()


def nothing(part: Part) -> tuple[int, bytes]:
    """No verdict, for the part: every part gets its file, touched or not."""
    return part.number, b""


def write(
    numbered: tuple[int, Iterable[bytes]], parts: dict[int, Part], schema: pa.Schema, folder: str, root: str
) -> int:
    """Write one part's column file from the streams that `by_part` made."""
    number, streams = numbered
    batches = [batch for stream in streams if stream for batch in pa.ipc.open_stream(stream)]
    wanted = pa.schema([("id", pa.uint64()), *schema])
    batches = [batch.select(wanted.names).cast(wanted) for batch in batches]
    write_verdicts(parts[number], part_path(folder, number), schema, batches)
    tick(root, f"part-{number}", 1)
    return number
