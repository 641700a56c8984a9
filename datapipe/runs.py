"""Runs from Python, as in a notebook: make one, open one, and look into it.

run = datapipe.run("default", "my/documents", "out", set={"rules.thresholds.en.gopher_min_words": 30})
run.funnel, run.sample(reason="rules"), run.explain("0-17"), run.kept().to_datasets()
datapipe.open("out").diff(datapipe.open("out2"))
datapipe.clean(["a text", "another"])
"""

import dataclasses
import functools
import html
import itertools
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.commands.ending import headline
from datapipe.commands.recipes import load
from datapipe.engine.explain import Explanation, find
from datapipe.engine.explain import explain as explain_place
from datapipe.engine.fates import KEPT, PLACE, all_fates, compare_fates
from datapipe.engine.funnel import Funnel, count_funnel
from datapipe.engine.output import open_corpus
from datapipe.engine.sampling import pick
from datapipe.engine.verdicts import document_id
from datapipe.extras import load_extra
from datapipe.store import files
from datapipe.store.corpus import ROW_BITS, Corpus, Part
from datapipe.store.record import RunRecord

if TYPE_CHECKING:
    import datasets
    import polars

_SHOWN = ("path", "source", "language", "tokens")
_SAMPLE_CHARACTERS = 500


def run(
    recipe: str,
    inputs: str | Sequence[str],
    output: str,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - as the command line has it
    until: str | None = None,
    sample: int | None = None,
    reuse: Sequence[str] = (),
    workers: int | None = None,
    flags: Sequence[str] = (),
    quiet: bool = False,
) -> "Run":
    """Run a recipe over documents, or take up an earlier run of it, and open what it made.

    Args:
        recipe: a YAML file, or the name of a recipe that comes along.
        inputs: files, folders and globs of documents.
        output: a new folder, or that of an earlier run of this recipe.
        set: options in place of the recipe's, such as `{"rules.thresholds.en.gopher_min_words": 30}`.
        until: the last stage to run.
        sample: read about so many records alone.
        reuse: output folders of other runs, whose stages are taken where they would make the same.
        workers: local workers; none: one a core.
        flags: for Beam.
        quiet: show no progress.

    Raises:
        ValueError: if the recipe, an option, an input or the output folder cannot be used.
        RuntimeError: if a stage fails.
    """
    # Imported here: who opens a run needs neither Beam nor numba.
    from datapipe.commands.run import input_parent
    from datapipe.commands.watching import watching
    from datapipe.engine.jobs import check_job
    from datapipe.engine.run import run as run_stages
    from datapipe.engine.runner import Runner

    paths = [inputs] if isinstance(inputs, str) else list(inputs)
    settings = [f"{option}={json.dumps(value)}" for option, value in (set or {}).items()]
    if sample is not None:
        settings.append(f"documents.sample={sample}")
    checked = load(recipe, {"input_parent": input_parent(paths[0]), "output": output}, settings)
    check_job(flags, paths, output, checked.stages)
    with Runner(workers or os.cpu_count() or 1, tuple(flags)) as runner, watching(quiet=quiet) as screen:
        run_stages(checked, paths, output, runner, screen.report, screen, until=until, reuse=reuse)
    return Run(output)


def open(output: str) -> "Run":  # noqa: A001 - `datapipe.open`
    """A finished run, by its output folder.

    Raises:
        RunError: if there is none.
    """
    return Run(output)


@dataclasses.dataclass(frozen=True)
class Documents:
    """Documents of a run, with all columns that its stages wrote; nothing is read before it is asked for.

    Attributes:
        parts: that hold them.
        kept_only: whether those that a stage has removed are left out.
    """

    parts: tuple[Part, ...]
    kept_only: bool

    def __len__(self) -> int:
        return sum(int(part.kept().sum()) if self.kept_only else part.rows for part in self.parts)

    @property
    def column_names(self) -> list[str]:
        """Of all parts, in the order in which they were written."""
        return list(dict.fromkeys(name for part in self.parts for name in part.columns))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The documents as a table in memory, with `id`.

        Args:
            columns: by name; none: all. One that a part lacks is null there.

        Raises:
            ValueError: if no part has a column.
        """
        names = self.column_names if columns is None else list(columns)
        for name in names:
            if name not in self.column_names:
                raise ValueError(f"no stage has written the column {name!r}; there are {', '.join(self.column_names)}")
        batches = [batch for part in self.parts for batch in part.read([], named=names, kept_only=self.kept_only)]
        if not batches:  # the columns have types, though nothing is kept
            every = (part.read([], named=names, kept_only=False) for part in self.parts)
            batches = [batch.slice(0, 0) for of_part in every for batch in itertools.islice(of_part, 1)]
        return pa.concat_tables(
            map(pa.Table.from_batches, ([batch] for batch in batches)), promote_options="permissive"
        )

    def lazy(self) -> "polars.LazyFrame":
        """The documents as a lazy frame of polars, which reads the columns that a query needs and no others.

        Raises:
            MissingExtraError: without the extra `notebook`.
        """
        polars = load_extra("polars", "notebook", "a frame")
        frames = [_lazy_part(polars, part, kept_only=self.kept_only) for part in self.parts]
        return polars.concat(frames, how="diagonal_relaxed")

    def to_datasets(self) -> "datasets.Dataset":
        """The documents as a dataset of Hugging Face's, in memory.

        Raises:
            MissingExtraError: without the extra `notebook`.
        """
        library = load_extra("datasets", "notebook", "a dataset")
        return library.Dataset(library.table.InMemoryTable(self.table()))


def _lazy_part(polars: Any, part: Part, *, kept_only: bool) -> Any:
    by_file: dict[str, list[str]] = {}
    for name, path in part.columns.items():
        by_file.setdefault(path, []).append(name)
    frames = [polars.scan_parquet(path).select(names) for path, names in by_file.items()]
    frame = (
        polars.concat(frames, how="horizontal")
        .with_row_index("id")
        .select((polars.col("id").cast(polars.UInt64) + (part.number << ROW_BITS)), *part.columns)
    )
    if kept_only and part.decisions:
        frame = frame.filter(polars.all_horizontal(polars.col(list(part.decisions)).is_null()))
    return frame


class Run:
    """A finished run. In a notebook it shows its funnel.

    Attributes:
        output: its folder.
    """

    def __init__(self, output: str) -> None:
        self.output = output
        self._corpus, self._record = open_corpus(output)

    @property
    def corpus(self) -> Corpus:
        """Its parts, with the columns of all stages."""
        return self._corpus

    @property
    def record(self) -> RunRecord:
        """What `run.json` holds."""
        return self._record

    @functools.cached_property
    def funnel(self) -> Funnel:
        """What each stage took in, removed for which reason, and passed on."""
        return count_funnel(self._corpus, self._record.stages)

    @property
    def documents(self) -> Documents:
        """All documents and instruction samples, removed or not."""
        return Documents(self._corpus.parts, kept_only=False)

    def kept(self) -> Documents:
        """Those that no stage has removed, each once."""
        return Documents(self._corpus.parts, kept_only=True)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All documents as a table; see `Documents.table`."""
        return self.documents.table(columns)

    def lazy(self) -> "polars.LazyFrame":
        """All documents as a lazy frame; see `Documents.lazy`."""
        return self.documents.lazy()

    def sample(self, count: int = 10, *, reason: str = KEPT, borderline: bool = False, seed: int = 0) -> pa.Table:
        """Documents of one fate, with the beginnings of their texts.

        Args:
            count: how many at most.
            reason: "kept", a stage, a reason, or both as "stage: reason".
            borderline: those nearest to the threshold that decided, rather than any.
            seed: another choice of any.

        Raises:
            ValueError: if no document met that fate.
        """
        picked = pick(self._corpus, self._record.options, reason, count, borderline=borderline, seed=seed)
        rows: dict[int, list[int]] = {}
        for each in picked:
            rows.setdefault(each.id >> ROW_BITS, []).append(each.id & (1 << ROW_BITS) - 1)
        batches = [
            pa.Table.from_batches([batch])
            for part in self._corpus.parts
            if part.number in rows
            for batch in part.pick(["text"], rows[part.number], optional=_SHOWN)
        ]
        columns = {
            "id": pa.array([each.id for each in picked], pa.uint64()),
            "document": pa.array([document_id(each.id) for each in picked], pa.string()),
            "fate": pa.array([each.fate for each in picked], pa.string()),
            "margin": pa.array([each.margin for each in picked], pa.float64()),
            "place": pa.array(range(len(picked))),
        }
        read = pa.concat_tables(batches, promote_options="permissive") if batches else pa.table({"id": columns["id"]})
        table = pa.table(columns).join(read, "id").sort_by("place").drop_columns(["id", "place"])
        at = table.column_names.index("text")
        return table.set_column(at, "text", pc.utf8_slice_codeunits(table.column("text"), 0, _SAMPLE_CHARACTERS))

    def explain(self, document: str) -> Explanation:
        """Why a document is in, or out: the first one that a name fits.

        Args:
            document: part-row, the documents' own id, a path, `path:row`, or a piece of the text.

        Raises:
            UnknownDocumentError: if there is none.
        """
        return explain_place(self._corpus, self._record.options, find(self._corpus, document)[0])

    def diff(self, other: "Run") -> pa.Table:
        """The documents that met another fate in another run over the same files, with both, and where they are."""
        before, after = (pa.concat_tables(all_fates(run.corpus, PLACE)) for run in (self, other))
        return compare_fates(before, after, PLACE)

    @property
    def report(self) -> str:
        """The path of its report."""
        return files.join(self.output, "report.html")

    def __repr__(self) -> str:
        return f"<datapipe run {self.output}: {headline(self.funnel)}>"

    def _repr_html_(self) -> str:
        """The funnel, for a notebook."""
        rows = [("read", "", self.funnel.read, "")]
        for step in self.funnel.steps:
            most = sorted(step.removed.items(), key=lambda item: -item[1].documents)[:3]
            why = ", ".join(f"{amount.documents:,} {reason}" for reason, amount in most)
            rows.append((step.stage, f"−{step.entered.documents - step.left.documents:,}", step.left, why))
        cells = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{left.documents:,}</td><td>{gone}</td><td>{html.escape(why)}</td></tr>"
            for name, gone, left, why in rows
        )
        head = "<tr><th>stage</th><th>documents</th><th>removed</th><th>most of them</th></tr>"
        return (
            f"<p>{html.escape(headline(self.funnel))}</p><table>{head}{cells}</table><p>{html.escape(self.report)}</p>"
        )


def clean(
    documents: Any,
    recipe: str = "default",
    *,
    text: str = "text",
    set: Mapping[str, Any] | None = None,  # noqa: A002 - as `run` has it
    output: str | None = None,
) -> Any:
    """What a recipe keeps of documents, in their order, cleaned, and as what they were given.

    Args:
        documents: a list of strings or dicts, an Arrow table, or a frame of pandas or polars, or a dataset.
        recipe: its stages before the first that makes a product, such as a tokenizer or shards, are run.
        text: the column, or the key of dicts, that holds the text.
        set: options in place of the recipe's; see `run`.
        output: a folder for the run, to look into with `open`; none: it is not kept.

    Raises:
        TypeError: if the documents are none of these.
    """
    from datapipe.stage import ProductStage

    table = _as_table(documents)
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(inputs := os.path.join(folder, "documents"))  # noqa: PTH102, PTH118
        pq.write_table(table, os.path.join(inputs, "documents.parquet"))  # noqa: PTH118
        target = output or os.path.join(folder, "output")  # noqa: PTH118
        stages = load(recipe, {"input_parent": folder, "output": target}).stages
        until = next(
            (stage.name for stage, after in itertools.pairwise(stages) if isinstance(after, ProductStage)), None
        )
        options = {"documents.fields.text": [text], **(set or {})}
        made = run(recipe, inputs, target, set=options, until=until, quiet=True)
        kept = made.kept().table(["position", "text", "path"])
        kept = kept.filter(pc.ends_with(kept.column("path"), "documents.parquet"))
    left = table.take(kept.column("position"))
    left = left.set_column(left.column_names.index(text), text, kept.column("text"))
    return _as_given(left, documents, text)


def _as_table(documents: Any) -> pa.Table:
    """Documents of any kind that `clean` takes as a table."""
    from datapipe import on_lists

    table = on_lists.as_table(documents)
    if table is not None:
        return table
    kind = type(documents).__module__.partition(".")[0]
    if kind == "pandas":
        return pa.Table.from_pandas(documents, preserve_index=False)
    if kind == "polars":
        return documents.to_arrow()
    if kind == "datasets":
        return documents.with_format("arrow")[:]
    raise TypeError(f"documents must be strings, dicts, a table or a frame, got {type(documents).__name__}")


def _as_given(table: pa.Table, documents: Any, text: str) -> Any:
    kind = type(documents).__module__.partition(".")[0]
    if kind == "pandas":
        return table.to_pandas()
    if kind == "polars":
        return load_extra("polars", "notebook", "a frame").from_arrow(table)
    if kind == "datasets":
        return type(documents)(load_extra("datasets", "notebook", "a dataset").table.InMemoryTable(table))
    if isinstance(documents, pa.Table):
        return table
    return table.column(text).to_pylist() if isinstance(documents[0], str) else table.to_pylist()
