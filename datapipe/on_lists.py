"""Stages on what a notebook holds: strings, dicts, or an Arrow table, which come back with the stage's columns.

A stage sees what it would see in a run: one part of a small corpus, in a temporary folder, without the rows that a
`<stage>_reason` among the columns has removed.
"""

import contextlib
import pathlib
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.store import files
from datapipe.store.corpus import REASON, Corpus, Part, part_path, write_columns

TEXT = "text"
_ROWS_PER_GROUP = 2048


def as_table(documents: Any) -> pa.Table | None:
    """Documents as a table; None if they are none of the kinds that are taken.

    >>> as_table(["one", "two"]).column_names, as_table([3])
    (['text'], None)
    """
    if isinstance(documents, pa.Table):
        return documents
    if not isinstance(documents, Sequence) or isinstance(documents, str) or not documents:
        return None
    if all(isinstance(document, str) for document in documents):
        return pa.table({TEXT: pa.array(documents, pa.string())})
    if all(isinstance(document, dict) for document in documents):
        return pa.Table.from_pylist(documents, names_of(documents))
    return None


def names_of(documents: Sequence[dict[str, Any]]) -> pa.Schema:
    """The columns of dicts, all of them: `Table.from_pylist` takes those of the first one alone."""
    names = dict.fromkeys(name for document in documents for name in document)
    return pa.schema([(name, pa.array([document.get(name) for document in documents]).type) for name in names])


def as_given(table: pa.Table, documents: Any) -> Any:
    """A table as the documents were: a table of a table, dicts of strings and dicts."""
    return table if isinstance(documents, pa.Table) else table.to_pylist()


@contextlib.contextmanager
def corpus_of(table: pa.Table, columns: Sequence[str], stage: str) -> Iterator[Corpus]:
    """A corpus of one part with those of the columns that are there, and all reasons, and with a folder for a stage,
    while the block lasts."""
    wanted = [name for name in table.column_names if name in columns or name.endswith(REASON)]
    if TEXT not in wanted and TEXT in table.column_names:
        wanted.insert(0, TEXT)
    table = table.select(wanted)
    with tempfile.TemporaryDirectory() as root:
        path = part_path(root, 0)
        part = Part(0, "document", len(table), {}).with_stage(wanted, path)
        write_columns(part, path, table.schema, table.combine_chunks().to_batches(max_chunksize=_ROWS_PER_GROUP))
        corpus = Corpus(root, (part,))
        files.make_folder(corpus.folder(stage))
        yield corpus


def with_columns(table: pa.Table, columns: pa.Table) -> pa.Table:
    """A table with new columns; one of a name that is there replaces it, but where it is null, as in removed rows."""
    for name in columns.column_names:
        column = columns.column(name)
        if name not in table.column_names:
            table = table.append_column(name, column)
            continue
        if not name.endswith(REASON):
            column = pc.coalesce(column, table.column(name).cast(column.type))
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def through_pipeline(elements: Sequence[Any], transform: beam.PTransform) -> list[pa.RecordBatch]:
    """What a transform makes of elements, in a pipeline of this process.

    Beam's own `elements | transform` takes the program's command line for flags: it warns of those that are none, or
    fails.
    """
    with tempfile.TemporaryDirectory() as folder:

        def build(pipeline: beam.Pipeline) -> None:
            _ = (
                pipeline
                | "Elements" >> beam.Create(elements, reshuffle=False)
                | "Transform" >> transform
                | "Save" >> beam.Map(_save, folder).with_output_types(None)
            )

        run_pipeline(build)
        saved = sorted(pathlib.Path(folder).iterdir(), key=lambda path: path.stat().st_ctime_ns)
        return [batch for path in saved for batch in pa.ipc.open_stream(path.read_bytes())]


def run_pipeline(build: Callable[[beam.Pipeline], Any]) -> None:
    """Build a pipeline, and run it in this process."""
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions([]))
    build(pipeline)
    pipeline.run().wait_until_finish()


def _save(batch: pa.RecordBatch, folder: str) -> None:
    with pa.OSFile(f"{folder}/{uuid.uuid4().hex}", "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)


def writers_of(column: str) -> list[str]:
    """The public stages that write a column."""
    import datapipe

    return [
        name for name in datapipe.__all__ if column in getattr(getattr(datapipe, name), "writes", pa.schema([])).names
    ]
