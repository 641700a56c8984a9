"""What a worker does for the driver, one piece at a time: read a task, pass over some rows, cut and write verdicts.

Apart from `run.py`, so that a worker imports the stage that it runs and none of the others.
"""

import contextlib
import dataclasses
import pickle
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.engine.progress import tick
from datapipe.flow.counters import count, count_removed, tell_done
from datapipe.flow.shuffle import BLOCK_BYTES
from datapipe.stage import DocumentStage, Source, Stage
from datapipe.store import files
from datapipe.store.corpus import (
    REASON,
    ROW_BITS,
    Part,
    column_reader,
    column_writer,
    part_path,
    scatter,
    write_verdicts,
)

# The name of a file of what a pass has spent, there until the driver has read it.
SPENT = "spent"
# A file in the folder of a corpus stage that another follows in its pipeline: all its columns are there.
ENDED = "ended.json"
# The folder of a stage in which pieces of its column files wait to be joined.
PIECES = "pieces"
# Stands beside a document stage's columns, and says of which rows they were computed: of the others they are null.
COMPUTED = "computed"


@dataclasses.dataclass(frozen=True)
class Pass:
    """Document stages that read the text together.

    Attributes:
        stages: in order.
        root: the output folder.
        every_row: whether rows that an earlier stage has removed are computed, too.
    """

    stages: tuple[DocumentStage, ...]
    root: str
    every_row: bool = False

    def of(self, part: Part) -> "list[DocumentStage]":
        """Those that work on parts of its kind."""
        return [stage for stage in self.stages if part.kind in stage.part_kinds()]

    def path(self, stage: Stage, part: Part) -> str:
        """Where a stage's columns of a part or a piece of one go."""
        folder = files.join(self.root, stage.name)
        if part.span:
            return files.join(folder, PIECES, f"{part.name}.parquet")
        return part_path(folder, part.number)

    @property
    def spent(self) -> str:
        """The folder for files of what it has spent."""
        return files.join(self.root, self.stages[0].name)


@dataclasses.dataclass
class Spent:
    """What a stage of a pass has spent: CPU seconds, and on how many rows."""

    seconds: float = 0.0
    rows: int = 0


@dataclasses.dataclass(frozen=True)
class Kept:
    """Values that wait in a file, so that a pipeline that is sent to an engine names it alone.

    A part with all its columns takes 2 KB, and Dataflow refuses a pipeline of more than 10 MB.
    """

    path: str

    @classmethod
    def of(cls, values: Iterable[Any], folder: str) -> "Kept":
        """Write values into a file of that folder."""
        files.make_folder(folder)
        path = files.join(folder, uuid.uuid4().hex)
        with files.whole_file(path) as sink:
            sink.write(pickle.dumps(list(values)))
        return cls(path)

    def __iter__(self) -> Iterator[Any]:
        with files.open_input(self.path) as source:
            yield from pickle.loads(source.read())


class Place(NamedTuple):
    """Where one of the values lies that wait in a file, for those that are large: a task may name 8,000 files."""

    path: str
    start: int
    size: int

    @classmethod
    def of(cls, values: Iterable[Any], folder: str) -> "list[Place]":
        """Write values into a file of that folder."""
        files.make_folder(folder)
        path = files.join(folder, uuid.uuid4().hex)
        places, at = list[Place](), 0
        with files.whole_file(path) as sink:
            for value in values:
                content = pickle.dumps(value)
                places.append(cls(path, at, len(content)))
                sink.write(content)
                at += len(content)
        return places

    def read(self) -> Any:
        """The value."""
        return pickle.loads(files.read_range(*self))


def read_placed(place: Place, root: str, folder: str) -> int:
    """As `read_task`, for a task that waits in a file."""
    return read_task(place.read(), root, folder)


def read_task(numbered: tuple[Any, Source], root: str, folder: str) -> int:
    """Read one task of a source into files in its folder of tasks."""
    task, stage = numbered
    started = time.monotonic()
    stage.read(task, files.join(root, stage.name, folder))
    count(stage.name, bytes=task.size, milliseconds=_milliseconds(time.monotonic() - started))
    tick(root, f"{stage.name}-{task.number}", task.size)
    tell_done(task.size)
    return int(task.number)


def process(part: Part, this: Pass) -> tuple[int, Part]:
    """Run document stages over a part, or a piece of one, and write a column file for each stage.

    They go one after the other over each batch. The columns on disk are read once; a stage sees the columns of those
    before it as they come, and no row that an earlier stage has removed: there its columns are null, or as they were
    where it writes one again. A column file that is there already was made by the same stage, perhaps of other rows:
    what it holds of these is taken from it, and only the others are computed.

    Args:
        part: as it stands before the first of the stages.
        this: the pass.

    Returns:
        The number of the part, and the part or piece.

    Raises:
        ValueError: if a stage loses or invents rows or columns.
    """
    stages = this.of(part)
    spent = {stage.name: Spent() for stage in stages}
    with contextlib.ExitStack() as open_files:
        earlier = [open_files.enter_context(_earlier(part, stage, this)) for stage in stages]
        writers = [
            open_files.enter_context(column_writer(part, this.path(stage, part), _schema(stage))) for stage in stages
        ]
        done = 0
        for rows in _batches(part, stages, this.every_row):
            for stage, write, take in zip(stages, writers, earlier, strict=True):
                started = time.thread_time()
                before = take(len(rows.alive)) if take else None
                computed = rows.count(before)
                made = rows.run(stage, before)
                write(made)
                seconds = time.thread_time() - started
                spent[stage.name].rows += computed
                spent[stage.name].seconds += seconds
                _count(stage.name, made, rows=computed, milliseconds=_milliseconds(seconds))
            done += len(rows.alive)
            tick(this.root, part.name, done)
            tell_done(len(rows.alive))
    files.write_json(
        files.join(this.spent, f"{SPENT}-{part.name}.json"),
        {name: dataclasses.asdict(of_stage) for name, of_stage in spent.items()},
    )
    return part.number, part


def _count(stage: str, made: pa.RecordBatch, **figures: int) -> None:
    """Count what a stage has made: its bytes, and the rows that it removes, by reason."""
    reasons = [made.column(name) for name in made.schema.names if name.endswith(REASON)]
    count_removed(stage, reasons)
    count(stage, bytes=made.nbytes, **figures)


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def join(numbered: tuple[int, Iterable[Part]], this: Pass) -> int:
    """Join the pieces of a part's column files, in order of their rows; they stay, since it may be done again."""
    number, pieces = numbered
    pieces = sorted(pieces, key=lambda piece: piece.bounds)
    if pieces[0].span is None:
        return number
    part = dataclasses.replace(pieces[0], span=None)
    for stage in this.of(part):
        with column_writer(part, this.path(stage, part), _schema(stage)) as write:
            for piece in pieces:
                with files.open_input(this.path(stage, piece)) as source:
                    groups = pq.ParquetFile(source)
                    for group in range(groups.num_row_groups):
                        for batch in groups.read_row_group(group, use_threads=False).to_batches():
                            write(batch)
    return number


def sum_spent(this: Pass) -> dict[str, Spent]:
    """What each stage of a pass has spent on all parts; the files that say so are gone after."""
    total = {stage.name: Spent() for stage in this.stages}
    paths = [path for path in files.list_folder(this.spent) if path.rpartition("/")[2].startswith(f"{SPENT}-")]
    for path in paths:
        for name, spent in files.read_json(path).items():
            total[name].seconds += spent["seconds"]
            total[name].rows += spent["rows"]
    files.remove_files(paths)
    return total


@dataclasses.dataclass
class _Rows:
    """The rows of a batch, on their way through the stages of a pass.

    Attributes:
        columns: of all rows, from before the pass, or as a stage in it has written them again.
        alive: which rows the next stage sees, shape (rows,).
        every_row: whether that stays so, whatever a stage decides.
        seen: columns of the rows that are alive: those that a stage has asked for, and those made in the pass.
    """

    columns: dict[str, pa.Array]
    alive: npt.NDArray[np.bool_]
    every_row: bool
    seen: dict[str, pa.Array] = dataclasses.field(default_factory=dict)

    def run(self, stage: DocumentStage, earlier: pa.RecordBatch | None) -> pa.RecordBatch:
        """The stage's columns of all rows, with `COMPUTED`.

        Args:
            stage: the stage.
            earlier: such a batch from before, if there is one.
        """
        there = [name for name in stage.optional() if name in self.columns or name in self.seen]
        wanted = dict.fromkeys(("id", *stage.requires(), *there, *stage.named_columns()))
        batch = pa.RecordBatch.from_pydict({name: self._alive(name) for name in wanted})
        new = _compute(stage, batch, None if earlier is None else earlier.filter(pa.array(self.alive)))
        full = scatter(new, self.alive)
        columns = dict(zip(full.schema.names, full.columns, strict=True)) | {COMPUTED: pa.array(self.alive)}
        self.seen.update(zip(new.schema.names, new.columns, strict=True))
        for name in new.schema.names:
            if name in self.columns:
                columns[name] = pc.if_else(columns[COMPUTED], columns[name], self.columns[name])
                self.columns[name] = columns[name]
            if name.endswith(REASON) and not self.every_row:
                self._drop(self.seen[name].is_valid())
        return pa.RecordBatch.from_pydict(columns, schema=_schema(stage))

    def count(self, earlier: pa.RecordBatch | None) -> int:
        """How many rows `run` computes."""
        return int((self.alive if earlier is None else self.alive & ~_computed(earlier)).sum())

    def _alive(self, name: str) -> pa.Array:
        if name not in self.seen:
            column = self.columns[name]  # a filter copies even what it keeps whole
            self.seen[name] = column if self.alive.all() else column.filter(pa.array(self.alive))
        return self.seen[name]

    def _drop(self, removed: pa.Array) -> None:
        if pc.any(removed).as_py():
            self.seen = {name: column.filter(pc.invert(removed)) for name, column in self.seen.items()}
            self.alive[self.alive] = pc.invert(removed).to_numpy(zero_copy_only=False)


def _batches(part: Part, stages: Sequence[DocumentStage], every_row: bool) -> Iterator[_Rows]:
    """The rows of a part or piece, with all columns that stages see or write again."""
    made: set[str] = set()
    required: dict[str, None] = {}
    optional: dict[str, None] = {}
    named: dict[str, None] = {}
    for stage in stages:
        optional.update(dict.fromkeys(name for name in stage.optional() if name not in made))
        required.update(dict.fromkeys(name for name in stage.requires() if name not in made))
        required.update(dict.fromkeys(name for name in stage.writes.names if name in part.columns))
        named.update(dict.fromkeys(name for name in stage.named_columns() if name not in made))
        made.update(stage.writes.names)
    # The heavy column first: a batch holds a row group of its file.
    first = [name for name in ("text",) if name in required]
    alive = part.chosen() if every_row else part.kept()
    start = 0
    columns_of = dict.fromkeys((*first, *required))
    for batch in part.read(list(columns_of), optional=list(optional), named=list(named), kept_only=False):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        yield _Rows(columns, alive[start : start + len(batch)], every_row)
        start += len(batch)


@contextlib.contextmanager
def _earlier(part: Part, stage: Stage, this: Pass) -> Iterator[Callable[[int], pa.RecordBatch] | None]:
    """A function that reads the next rows of the stage's columns of a part or piece, if they are there."""
    for path in dict.fromkeys((this.path(stage, part), this.path(stage, dataclasses.replace(part, span=None)))):
        if files.is_file(path):
            with column_reader(part, path) as take:
                yield take
            return
    yield None


def _compute(stage: DocumentStage, batch: pa.RecordBatch, earlier: pa.RecordBatch | None) -> pa.RecordBatch:
    """A stage's columns for a batch, as far as possible from those of an earlier run."""
    if earlier is None:
        return _process(stage, batch)
    known = _computed(earlier)
    earlier = earlier.select(stage.writes.names)
    if known.all():
        return earlier
    new = _process(stage, batch.filter(pa.array(~known)))
    place = np.where(known, np.arange(len(known)), len(known) + np.cumsum(~known) - 1)
    return pa.concat_batches([earlier, new]).take(pa.array(place))


def _computed(earlier: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    return np.asarray(earlier.column(COMPUTED).to_numpy(zero_copy_only=False))


def _process(stage: DocumentStage, batch: pa.RecordBatch) -> pa.RecordBatch:
    if not len(batch):
        return pa.RecordBatch.from_pylist([], stage.writes)
    new = stage.process(batch)
    if len(new) != len(batch) or new.schema.names != stage.writes.names:
        raise ValueError(f"{stage.name}: {len(batch)} rows in, {len(new)} rows {new.schema.names} out")
    return new.cast(stage.writes)


def _schema(stage: DocumentStage) -> pa.Schema:
    return pa.schema([*stage.writes, (COMPUTED, pa.bool_())])


def by_part(verdicts: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
    """A batch of verdicts, cut by part, in Arrow streams of about `BLOCK_BYTES` at most."""
    numbers = verdicts.column("id").to_numpy() >> ROW_BITS
    for number in sorted(set(numbers.tolist())):
        of_part = verdicts.filter(pa.array(numbers == number))
        rows = max(1, len(of_part) * BLOCK_BYTES // max(1, of_part.nbytes))
        for start in range(0, len(of_part), rows):
            batch = of_part.slice(start, rows)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield int(number), sink.getvalue().to_pybytes()


def numbered(part: Part) -> tuple[int, Part]:
    """A part by its number."""
    return part.number, part


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
    stage = folder.rpartition("/")[2]
    count(stage, rows=parts[number].rows)
    for batch in batches:
        _count(stage, batch)
    tick(root, f"{stage}-{number}", 1)
    tell_done(1)
    return number


def go_on(begun: tuple[float, str], parts: Any, written: Sequence[int]) -> Iterator[Part]:  # noqa: ARG001
    """The parts for the next stage of a pipeline, once the one before has written all its columns.

    Args:
        begun: when the pipeline began, seconds since the epoch; the folder of the stage before.
        parts: as that stage leaves them, or `Kept` with them.
        written: the parts that have its columns: what this step waits for.
    """
    started, folder = begun
    files.write_json(files.join(folder, ENDED), {"seconds": time.time() - started}, files.summed_file)
    yield from parts


def read_seconds(folder: str) -> float:
    """The seconds from the start of a pipeline until the stage of the folder had written its columns."""
    return float(files.read_json(files.join(folder, ENDED))["seconds"])
