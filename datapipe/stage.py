"""What a stage is: four kinds, one contract, every member documented here and nowhere else.

    Source           inputs -> new parts of the corpus, and rejects
    DocumentStage    a batch of rows -> their new columns, row for row
    CorpusStage      all parts together -> verdicts on some rows, which become columns
    ProductStage     all parts together -> files that are no columns: a tokenizer, shards

A stage is a Beam `PTransform` and a dataclass: its fields are its options, with their ranges in their types
(`datapipe.checks`), and what the driver or `prepare` sets is a field with `init=False`, which no recipe can name. Each
also works in a pipeline of the user's own and, by `batches | Stage()`, on a plain list.
"""

import abc
import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Generic, Protocol, Self, TypeVar

import apache_beam as beam
import pyarrow as pa
from annotated_types import MinLen

from datapipe import checks, on_lists
from datapipe.store import files
from datapipe.store.corpus import ALL_ROWS, Corpus, Part, PartKind, View, part_path, scatter, write_verdicts
from datapipe.store.record import SourceResult

NOTES_FILE = "_notes.json"  # readers of a folder pass over names that begin with "_"
Parts = Annotated[list[PartKind], MinLen(1)]  # an option: the kinds of parts that a stage works on
RunPipeline = Callable[[Callable[[beam.Pipeline], Any]], None]


class Stage(beam.PTransform, abc.ABC):
    """What all stages have in common."""

    name: ClassVar[str]
    """In recipes and errors; also of its file and of its folder of columns."""
    version: ClassVar[int] = 1
    """Raised whenever the same input and options would give another output: earlier results are then made anew."""
    writes: ClassVar[pa.Schema] = pa.schema([])
    """The columns that it adds, or writes again (`text`)."""
    offsets_into_text: ClassVar[tuple[str, ...]] = ()
    """Of the columns that it requires, those that hold places in `text`: worthless once another stage changed it."""
    view: View = ALL_ROWS
    """Which rows it works on, by the recipe: `only` some documents, in a branch."""

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: naming the stage, the option and its value.
        """
        super().__init__()
        checks.check_options(self.name, self)
        self.check()

    def check(self) -> None:
        """Check what the options' types cannot say: how they go together, and what they name.

        Raises:
            ValueError: naming the stage, the option and its value.
        """

    def part_kinds(self) -> tuple[PartKind, ...]:
        """The parts that it works on."""
        return ("document",)

    def requires(self) -> tuple[str, ...]:
        """The columns that an earlier stage must have written; without one of them there is nothing to do.

        Those that options name (`datapipe.checks.Role.COLUMN`) are left out: they may be the user's own.
        """
        return ()

    def optional(self) -> tuple[str, ...]:
        """The columns that it uses where they are there, and does without elsewhere."""
        return ()

    def named_columns(self) -> tuple[str, ...]:
        """The columns that its options name: a stage's, or the user's own."""
        return tuple(checks.named(self, checks.Role.COLUMN))

    def named_files(self) -> tuple[str, ...]:
        """The files, folders and globs that its options name."""
        return tuple(checks.named(self, checks.Role.FILES))

    def skip_reason(self) -> str | None:
        """Why there is nothing to do, in one line, if so: optional inputs that are not there."""
        return None

    def learns_from_corpus(self) -> bool:
        """Whether `prepare` reads what earlier stages wrote, so that none of them can be in its pass; options may
        decide."""
        return False

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - for those that learn
        """The stage, ready to run, with what it has to learn first.

        Args:
            corpus: as it stands before the stage.
            folder: of the stage, for what is learnt and for `write_notes`.

        Raises:
            ValueError: if the data are not what the options say.
        """
        return self

    def leftovers(self, folder: str) -> tuple[str, ...]:  # noqa: ARG002 - for those that leave any
        """What its steps write for one another into its folder, by path.

        The driver removes it once the pipeline has ended, and no step does: until then an engine may do any of them
        again, those too that have ended well, where it has lost what they gave.
        """
        return ()

    def __ror__(self, left: Any) -> Any:
        """`documents | Stage()`: strings, dicts or a table, back with the stage's columns. All else is as in Beam.

        Raises:
            ValueError: if they lack a column that the stage needs.
        """
        table = on_lists.as_table(left)
        if table is None:
            return super().__ror__(left)
        for column in (*self.requires(), *self.named_columns()):
            if column not in table.column_names and column not in self.optional():
                writers = " or ".join(on_lists.writers_of(column))
                raise ValueError(
                    f"{self.name} needs a column {column!r}" + (f": run {writers} first" if writers else "")
                )
        return on_lists.as_given(self.on_table(table), left)

    def on_table(self, table: pa.Table) -> pa.Table:  # noqa: ARG002 - for those that give columns
        """A table of documents with the stage's columns.

        Raises:
            ValueError: if the stage gives none.
        """
        raise ValueError(f"{self.name} makes files, not columns: run it in a recipe")

    def options(self) -> dict[str, Any]:
        """Its options as plain values."""
        return {option: getattr(self, option) for option in checks.option_types(type(self))}

    def ready(self, **found: Any) -> Self:
        """A copy with fields set that no recipe can name: what `prepare` or the driver found."""
        made = copy.copy(self)
        for field, value in found.items():
            if field in self.options() or not hasattr(self, field):
                raise TypeError(f"{self.name}: {field} is an option, or no field")
            setattr(made, field, value)
        return made


class Task(Protocol):
    """A piece of the input that one worker reads."""

    @property
    def number(self) -> int:
        """Its place in the order of parts, from 0."""

    @property
    def size(self) -> int:
        """Bytes to read."""

    @property
    def text_bytes(self) -> int:
        """How much text to expect of them, about."""


TaskT = TypeVar("TaskT", bound=Task)


class Source(Stage, Generic[TaskT]):
    """Reads inputs: a collection of tasks to new parts of the corpus, and rejects."""

    reserved: frozenset[str]
    """Names that stages write, and that columns of the user's must leave to them; set by the recipe."""

    @abc.abstractmethod
    def plan(self, inputs: Sequence[str]) -> list[TaskT]:
        """The tasks that read all inputs: the same for the same inputs, in whatever order they are given."""

    @abc.abstractmethod
    def fingerprint(self, inputs: Sequence[str]) -> list[Any]:
        """What tells, as plain values, whether another run would read the same."""

    @abc.abstractmethod
    def read(self, task: TaskT, folder: str) -> None:
        """Write a task's parts and rejects into a folder, whole or not at all; what is there already stays."""

    @abc.abstractmethod
    def number(self, tasks: Sequence[TaskT], tasks_folder: str, folder: str, corpus: Corpus) -> SourceResult:
        """Give the parts of all tasks their numbers in the corpus, and account for every record.

        Args:
            tasks: all of them.
            tasks_folder: where `read` has put their parts.
            folder: of the stage.
            corpus: as it stands before the stage.
        """


class DocumentStage(Stage):
    """Computes new columns row for row: batches in, the same batches with the columns of `writes` out.

    In a run it sees the rows that no earlier stage has removed; of the others its columns are null, or, where it writes
    a column again, as they were.
    """

    @abc.abstractmethod
    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The columns of `writes` for a batch with the columns that it requires and names, as many rows."""

    def on_table(self, table: pa.Table) -> pa.Table:
        """A table with the columns, computed of the rows that no reason among its columns has removed."""
        columns = (*self.requires(), *self.named_columns(), *self.optional())
        there = [name for name in dict.fromkeys(columns) if name in table.column_names]
        with on_lists.corpus_of(table, columns, self.name) as corpus:
            stage, (part,) = self.prepare(corpus, corpus.folder(self.name)), corpus.parts
            batches = [stage.process(batch) for batch in part.read(there)]
            computed = pa.Table.from_batches(batches, self.writes).combine_chunks()
            new = scatter(
                pa.record_batch(computed.columns, schema=self.writes)
                if not len(computed)
                else computed.to_batches()[0],
                part.kept(),
            )
        return on_lists.with_columns(table, pa.Table.from_batches([new]))

    def expand(self, batches: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        """Append the columns to each batch."""
        return batches | beam.Map(append_columns, self).with_output_types(pa.RecordBatch)


class CorpusStage(Stage):
    """Computes columns from all rows together: parts in, verdicts out.

    A verdict is a row of `id` and the columns of `writes`; each document has at most one, and nulls without.
    """

    def on_table(self, table: pa.Table) -> pa.Table:
        """A table with the columns, null where there is no verdict."""
        columns = (*self.requires(), *self.named_columns(), *self.optional())
        with on_lists.corpus_of(table, columns, self.name) as corpus:
            stage, (part,) = self.prepare(corpus, corpus.folder(self.name)), corpus.parts
            verdicts = on_lists.through_pipeline([part], stage)
            for judge in stage.more_rounds(on_lists.run_pipeline):
                verdicts = on_lists.through_pipeline([part], judge)
            path = part_path(corpus.folder(self.name), 0)
            write_verdicts(part, path, self.writes, verdicts)
            judged = dataclasses.replace(part, columns=dict.fromkeys(self.writes.names, path))
            new = pa.Table.from_batches(list(judged.read(self.writes.names, kept_only=False))).drop_columns(["id"])
        return on_lists.with_columns(table, new)

    may_need_rounds: ClassVar[bool] = False
    """Whether `more_rounds` may give any, so that no other stage can follow in its pipeline."""

    def more_rounds(self, run: RunPipeline) -> Iterator[beam.PTransform]:  # noqa: ARG002 - for those that need them
        """Transforms from parts to verdicts, run after the first, where the data tell how many pipelines it takes.

        Args:
            run: builds a pipeline with the function that it is given, and runs it to its end.
        """
        return iter(())


class ProductStage(Stage):
    """Makes files that are no columns: parts in, a summary out."""

    folder: str
    """Where the files go; set by the driver. A field with `init=False`."""
    follows_in_pass: ClassVar[bool] = True
    """Whether it is in the pass of the corpus stages before it; False where it holds so much memory that theirs, which
    is given back when their pass ends, would better be gone."""


def append_columns(batch: pa.RecordBatch, stage: DocumentStage) -> pa.RecordBatch:
    """A batch with the stage's columns after its own; a column of the same name is replaced."""
    table = {name: batch.column(name) for name in batch.schema.names}
    new = stage.process(batch)
    table.update({name: new.column(name) for name in new.schema.names})
    return pa.RecordBatch.from_pydict(table)


def write_notes(folder: str, notes: Sequence[str]) -> None:
    """Leave lines for the user in a stage's folder; the driver prints them, and the report shows them."""
    # What a stage writes beside its columns, while it runs, is taken up with them: so it has a sum, too.
    files.write_json(files.join(folder, NOTES_FILE), list(notes), files.summed_file)


def read_notes(folder: str) -> tuple[str, ...]:
    """The lines that a stage has left."""
    path = files.join(folder, NOTES_FILE)
    return tuple(files.read_json(path)) if files.exists(path) else ()


__all__ = [
    "CorpusStage",
    "DocumentStage",
    "Part",
    "Parts",
    "ProductStage",
    "RunPipeline",
    "Source",
    "SourceResult",
    "Stage",
    "Task",
    "append_columns",
    "read_notes",
    "write_notes",
]
