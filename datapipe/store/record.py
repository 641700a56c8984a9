"""What `run.json` holds: the recipe as run, and what has become of each stage. Typed here, written and read here.

The record is what a later command knows of a run, and what resuming goes by: a stage whose key stands in it is done.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from datapipe.store import files
from datapipe.store.corpus import Corpus, Part, PartKind, part_path

RUN_FILE = "run.json"
# Raised when the layout of the output folder changes: an older folder is then not taken up.
FORMAT = 4


class RecordError(ValueError):
    """A `run.json` that cannot be read, or is none of ours, in one line that says what to do."""


class ConservationError(RuntimeError):
    """Documents in are not documents out, or files not what was written: a fault of a stage, never of the data."""


class Kept(NamedTuple):
    """What a file was when the run had written it, or seen it; see `files.File` and `files.Sum`."""

    size: int
    sha256: str
    stamp: str


class Begun(NamedTuple):
    """A stage that has begun and not ended.

    Attributes:
        key, rows_key: as in `Done`.
        files: those of an earlier run that it may take up, as in `Done`.
    """

    key: str
    rows_key: str
    files: Mapping[str, Kept] = {}


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
        peak_bytes: the most resident memory of the driver's process, of the pass: with that of the workers, which are
            its threads, unless they are elsewhere.
        part_kinds: the kinds of parts that it worked on.
        columns: that it wrote for each of these parts; none for a product.
        files: all that it has written, by their path in the output folder.
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
    files: Mapping[str, Kept] = dataclasses.field(default_factory=dict)
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
        running: stages that have begun and not ended, by name.
        later: stages of an earlier run that come after the last one of this, which was told to stop there: a run that
            goes on takes them up, as far as they still hold.
        named: the files that options name and whose content the keys hold, by path.
        funnel: see `datapipe.engine.funnel`; there once the run has come to its end.
        warnings: the sources and languages that have lost most of their documents, a line each.
        closing: the files that a run writes at its very end, beside those of its stages.
        format: `FORMAT` of the version that wrote it.
    """

    recipe: dict[str, Any]
    inputs: list[str]
    versions: dict[str, str]
    stages: dict[str, Done | Skipped] = dataclasses.field(default_factory=dict)
    running: dict[str, Begun] = dataclasses.field(default_factory=dict)
    named: dict[str, Kept] = dataclasses.field(default_factory=dict)
    funnel: dict[str, Any] | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)
    later: dict[str, Done] = dataclasses.field(default_factory=dict)
    closing: dict[str, Kept] = dataclasses.field(default_factory=dict)
    format: int = FORMAT

    def done(self, stage: str) -> Done | None:
        """The entry of a stage that has run."""
        entry = self.stages.get(stage)
        return entry if isinstance(entry, Done) else None

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """The options of each stage of the recipe, by its name."""
        return {name: options for stage in self.recipe.get("stages", ()) for name, options in stage.items()}

    def write(self, output: str) -> None:
        """Write the record into an output folder, so that it survives whatever ends the run."""
        content = dataclasses.asdict(self)
        for entry in (*content["stages"].values(), *content["later"].values()):
            if "files" in entry:
                entry["files"] = _as_lines(entry["files"])
        content["running"] = {
            name: {"key": key, "rows_key": rows_key, "files": _as_lines(kept)}
            for name, (key, rows_key, kept) in self.running.items()
        }
        content["named"] = _as_lines(self.named)
        content["closing"] = _as_lines(self.closing)
        files.write_json(files.join(output, RUN_FILE), content, files.durable_file)

    @classmethod
    def read(cls, output: str) -> Self | None:
        """The record in an output folder, if there is any.

        Raises:
            RecordError: if a file of its name is no record, or half of one.
        """
        path = files.join(output, RUN_FILE)
        if not files.exists(path):
            return None
        try:
            content = files.read_json(path)
        except ValueError as error:
            raise RecordError(
                f"{path} is damaged ({error}): delete {output} to begin anew, or choose another"
            ) from error
        if not is_record(content):
            raise RecordError(f"{path} is no record of datapipe's: choose another folder")
        if content.get("format") != FORMAT:  # of another layout: nothing more of it is known
            return cls(content.get("recipe", {}), [], {}, format=content.get("format", 0))
        try:
            stages = {name: _entry(entry) for name, entry in content["stages"].items()}
            running = {
                name: Begun(entry["key"], entry["rows_key"], _from_lines(entry["files"]))
                for name, entry in content["running"].items()
            }
            files_of = {"named": _from_lines(content["named"]), "closing": _from_lines(content.get("closing", {}))}
            later = {name: _entry(entry) for name, entry in content.get("later", {}).items()}
            return cls(**(content | {"stages": stages, "running": running, "later": later} | files_of))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RecordError(f"{path} has been altered ({error!r}): delete {output} to begin anew") from error

    def corpus(self, output: str) -> Corpus:
        """The corpus with the columns of all stages that have run."""
        corpus = Corpus(output)
        for name, entry in self.stages.items():
            if isinstance(entry, Done):
                corpus = with_stage(corpus, name, entry)
        return corpus


def is_record(content: Any) -> bool:
    """Whether the content of a file called `run.json` is a record of this project, of whatever format."""
    return isinstance(content, dict) and content.keys() >= {"recipe", "stages", "versions"}


def _as_lines(kept: Mapping[str, Kept]) -> dict[str, str]:
    """Each file on a line of its own."""
    return {name: " ".join(map(str, each)) for name, each in kept.items()}


def _from_lines(lines: Mapping[str, str]) -> dict[str, Kept]:
    split = {name: line.split(" ") for name, line in lines.items()}
    return {name: Kept(int(size), sha256, stamp) for name, (size, sha256, stamp) in split.items()}


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
    lists = {name: tuple(entry[name]) for name in ("part_kinds", "columns", "notes")}
    return Done(**(entry | lists | {"source": source, "files": _from_lines(entry["files"])}))


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
