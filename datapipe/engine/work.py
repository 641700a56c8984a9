"""What a worker does for the driver, one piece at a time: read a task, process a part, cut and write verdicts.

Apart from `run.py`, so that a worker process imports the stage that it runs and none of the others.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from datapipe.engine.progress import tick
from datapipe.store.corpus import ROW_BITS, Part, part_path, process_part, write_verdicts


def read_task(task: Any, stage: Any, folder: str, root: str) -> int:
    """Read one task of a reading stage into files in `folder`."""
    stage.read(task, folder)
    tick(root, f"task-{task.number}", task.size)
    return int(task.number)


def process(part: Part, stage: Any, folder: str, root: str) -> int:
    """Run a document stage over one part."""
    process_part(part, stage, part_path(folder, part.number), lambda rows: tick(root, f"part-{part.number}", rows))
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
