"""What `run.json` holds: the recipe as run, and what has become of each stage. Typed here, written and read here.

The record is what a later command knows of a run, and what resuming goes by: a stage whose key stands in it is done.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from datapipe.store import files
from datapipe.store.corpus import Corpus, Part, PartKind, part_path

RUN_FILE = "run.json"
# Raised when the layout of the output folder changes: an older folder is then not taken up.
FORMAT = 3


@dataclasses.dataclass(frozen=True)
class PartRecord:
    """A part that a source has made.

    Attributes:
        number: its place in the corpus.
        kind: of its rows.
        rows: how many.
        bytes: of text, UTF-8.
        columns: of its file, in order.
        user_columns: those of them that are the user's own.
    """

    number: int
    kind: PartKind
    rows: int
    bytes: int
    columns: tuple[str, ...]
    user_columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SourceResult:
    """What a source has made of its inputs: records = rows of all parts + rejects."""

    parts: tuple[PartRecord, ...]
    records: int
    rejects: int
    rejects_by_reason: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Done:
    """A stage that has run.

    Attributes:
        key: of its options, version and inputs; see `datapipe.engine.run`.
        seconds: of wall time; for document stages, CPU seconds of each, of what it learns first, too.
        peak_bytes: the most resident memory of all processes together, of the pass.
        part_kinds: the kinds of parts that it worked on.
        columns: that it wrote for each of these parts; none for a product.
        files: of its folder, for a product.
        notes: lines for the user.
        source: what it has read, for a source.
        rows_key: of which rows a document stage computed its columns.
        computed: how many rows that were when it last ran: those that were left, or those that came back.
    """

    key: str
    seconds: float
    peak_bytes: int
    part_kinds: tuple[PartKind, ...]
    columns: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: SourceResult | None = None
    rows_key: str = ""
    computed: int | None = None


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A stage that had nothing to do, and why."""

    skipped: str


@dataclasses.dataclass
class RunRecord:
    """A run, finished or not.

    Attributes:
        recipe: name, description, and the stages with all their options.
        inputs: as given.
        versions: of Python and the packages that results depend on.
        stages: in the order in which they ran.
        running: `key` and `rows_key` of stages that have begun and not ended, by name.
        funnel: see `datapipe.engine.funnel`; there once the run has come to its end.
        warnings: the sources and languages that have lost most of their documents, a line each.
        format: `FORMAT` of the version that wrote it.
    """

    recipe: dict[str, Any]
    inputs: list[str]
    versions: dict[str, str]
    stages: dict[str, Done | Skipped] = dataclasses.field(default_factory=dict)
    running: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    funnel: dict[str, Any] | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)
    format: int = FORMAT

    def done(self, stage: str) -> Done | None:
        """The entry of a stage that has run."""
        entry = self.stages.get(stage)
        return entry if isinstance(entry, Done) else None

    def write(self, output: str) -> None:
        """Write the record into an output folder."""
        files.write_json(files.join(output, RUN_FILE), dataclasses.asdict(self))

    @classmethod
    def read(cls, output: str) -> Self | None:
        """The record in an output folder, if there is any."""
        path = files.join(output, RUN_FILE)
        if not files.exists(path):
            return None
        content = files.read_json(path)
        if content.get("format") != FORMAT:  # of another layout: nothing more of it is known
            return cls(content.get("recipe", {}), [], {}, format=content.get("format", 0))
        stages = {name: _entry(entry) for name, entry in content["stages"].items()}
        running = {name: (key, rows_key) for name, (key, rows_key) in content["running"].items()}
        return cls(**(content | {"stages": stages, "running": running}))

    def corpus(self, output: str) -> Corpus:
        """The corpus with the columns of all stages that have run."""
        corpus = Corpus(output)
        for name, entry in self.stages.items():
            if isinstance(entry, Done):
                corpus = with_stage(corpus, name, entry)
        return corpus


def _entry(entry: dict[str, Any]) -> Done | Skipped:
    if "skipped" in entry:
        return Skipped(**entry)
    source = entry["source"]
    if source is not None:
        parts = tuple(
            PartRecord(**(p | {"columns": tuple(p["columns"]), "user_columns": tuple(p["user_columns"])}))
            for p in source["parts"]
        )
        source = SourceResult(**(source | {"parts": parts}))
    lists = {name: tuple(entry[name]) for name in ("part_kinds", "columns", "files", "notes")}
    return Done(**(entry | lists | {"source": source}))


def with_stage(corpus: Corpus, stage: str, done: Done) -> Corpus:
    """The corpus after a stage, from the stage's entry in the record."""
    if done.source is None:
        return corpus.with_stage(stage, done.columns, done.part_kinds) if done.columns else corpus
    folder = corpus.folder(stage)
    return corpus.with_parts(
        Part(
            entry.number,
            entry.kind,
            entry.rows,
            dict.fromkeys(entry.columns, part_path(folder, entry.number)),
            entry.user_columns,
        )
        for entry in done.source.parts
    )
