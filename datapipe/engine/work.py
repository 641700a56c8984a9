"""What a worker does for the driver, one piece at a time: read a task, process a part, cut and write verdicts.

Apart from `run.py`, so that a worker process imports the stage that it runs and none of the others.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from datapipe.engine.progress import tick
from datapipe.stage import DocumentStage, Source
from datapipe.store.corpus import ROW_BITS, Part, part_path, scatter, write_columns, write_verdicts


def read_task(task: Any, stage: Source, folder: str, root: str) -> int:
    """Read one task of a source into files in `folder`."""
    stage.read(task, folder)
    tick(root, f"task-{task.number}", task.size)
    return int(task.number)


def process(part: Part, stage: DocumentStage, folder: str, root: str) -> int:
    """Run a document stage over a part and write its column file.

    Where the stage sees kept rows only, the others are null.

    Raises:
        ValueError: if the stage loses or invents rows or columns.
    """
    kept = part.kept() if stage.kept_rows_only else None

    def columns() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in part.read(stage.requires(), named=stage.named_columns(), kept_only=False):
            alive = None if kept is None else kept[start : start + len(batch)]
            if alive is None or alive.all():
                new = stage.process(batch)
            else:
                new = scatter(stage.process(batch.filter(pa.array(alive))), alive)
            start += len(batch)
            if len(new) != len(batch) or new.schema.names != stage.writes.names:
                raise ValueError(f"{stage.name}: {len(batch)} rows in, {len(new)} rows {new.schema.names} out")
            tick(root, f"part-{part.number}", start)
            yield new.cast(stage.writes)

    write_columns(part, part_path(folder, part.number), stage.writes, columns())
    return part.number


def by_part(verdicts: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
    """A batch of verdicts, cut by part and serialised as an Arrow stream."""
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
