"""The driver: runs a recipe's stages in order, one Beam pipeline each, and accounts for every document.

A stage's key is a hash of its options, its version and the keys of the stages whose columns it sees. `run.json` in the
output folder holds the keys of the stages that are done; a stage whose key stands there is not run again, and one that
was interrupted goes on with the parts that it lacks.
"""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.engine import work
from datapipe.engine.funnel import Funnel, count_funnel
from datapipe.engine.progress import Progress
from datapipe.engine.recipe import Recipe, written
from datapipe.engine.report import write_report
from datapipe.engine.runner import PipelineError, Runner, Usage
from datapipe.mix.shards import WriteShards
from datapipe.store import files
from datapipe.store.corpus import PART_KINDS, REMOVED, Corpus, Part, part_path

RUN_FILE = "run.json"
ERROR_LOG = "error.log"
REJECTS = "rejects"
TASKS = "tasks"
# Raised when the layout of the output folder changes: an older folder is then not taken up.
FORMAT = 1


class RunError(RuntimeError):
    """A run that cannot begin or go on, in one line that says what to do."""


class NoDocumentsError(RuntimeError):
    """Inputs that hold no document, only rejects."""


class ConservationError(RuntimeError):
    """Documents in are not documents out: a fault of a stage, never of the data."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run came to: the corpus with all its columns, the funnel, and the record that `run.json` holds."""

    corpus: Corpus
    funnel: Funnel
    record: dict[str, Any]


def run(
    recipe: Recipe,
    inputs: Sequence[str],
    output: str,
    runner: Runner,
    say: Callable[[str], None],
) -> Outcome:
    """Run a recipe over the inputs into an output folder.

    Args:
        recipe: a checked recipe.
        inputs: files, folders and globs of documents.
        output: a new folder, or one that holds an earlier run of this recipe: what still holds is kept.
        runner: how pipelines are run.
        say: takes a line of news.

    Raises:
        RunError: if the output folder cannot be used.
        PipelineError: if a stage fails.
        ConservationError: if a stage loses or invents a document.
    """
    _keep_apart(inputs, output)
    with _own(output):
        files.remove(files.join(output, ERROR_LOG))
        driver = _Driver(recipe, inputs, output, runner, say)
        for stage in recipe.stages:
            try:
                driver.take(stage)
            except ValueError as error:  # what a stage's options name is not there, or not what they say
                raise RunError(str(error)) from error
            except PipelineError as error:
                raise type(error)(f"{stage.name}: {error}") from error
        funnel = count_funnel(driver.corpus, driver.record["stages"])
        _check_funnel(driver.corpus, funnel, driver.record["stages"])
        driver.record["funnel"] = funnel.as_json()
        driver.clear()
        driver.save()
        write_report(driver.corpus, funnel, driver.record)
        return Outcome(driver.corpus, funnel, driver.record)


def open_corpus(output: str) -> tuple[Corpus, dict[str, Any]]:
    """The corpus of a finished run, with its record.

    Raises:
        RunError: if the folder holds no run, or one that has not come to its end.
    """
    record = _read_record(output)
    if not record:
        raise RunError(f"{output}: no {RUN_FILE} here, so no run of datapipe")
    if "funnel" not in record:
        raise RunError(f"{output}: the run here has not come to its end; run it again, and it goes on")
    corpus = Corpus(output)
    for name, done in record["stages"].items():
        if "skipped" not in done:
            corpus = _add(corpus, name, done)
    return corpus, record


def _read_record(output: str) -> dict[str, Any]:
    path = files.join(output, RUN_FILE)
    return files.read_json(path) if files.exists(path) else {}


def _add(corpus: Corpus, name: str, done: dict[str, Any]) -> Corpus:
    """The corpus after a stage, from the stage's entry in the record."""
    if "parts" in done:
        folder = corpus.folder(name)
        parts = []
        for entry in done["parts"]:
            part = Part(entry["number"], entry["kind"], entry["rows"], {})
            columns = pa.schema([(column, pa.null()) for column in entry["columns"]])
            parts.append(part.with_stage(columns, part_path(folder, part.number)))
        return dataclasses.replace(corpus, parts=corpus.parts + tuple(parts))
    columns = pa.schema([(column, pa.null()) for column in done["columns"]])
    return corpus.with_stage(name, columns, done["kinds"]) if done["columns"] else corpus


def _keep_apart(inputs: Sequence[str], output: str) -> None:
    """Refuse to write where the documents are: a stage's folder is emptied before the stage fills it.

    Raises:
        RunError: if the output is an input, or lies in one, or an input lies in the output.
    """
    there = os.path.realpath(output) if files.is_local(output) else output.rstrip("/")
    for path in inputs:
        here = os.path.realpath(path) if files.is_local(path) else path.rstrip("/")
        if here == there or here.startswith(there + "/") or there.startswith(here + "/"):
            raise RunError(f"the output folder {output} and the input {path} lie in each other: give another --output")


@contextlib.contextmanager
def _own(output: str) -> Iterator[None]:
    """Make the output folder this run's alone."""
    try:
        files.make_folder(output)
    except OSError as error:
        raise RunError(f"cannot make the output folder {output}: {error.strerror or error}") from error
    if not files.is_local(output):
        yield
        return
    if set(os.listdir(output)) - {".lock"} and not files.exists(files.join(output, RUN_FILE)):  # noqa: PTH208
        raise RunError(f"{output} holds files that are no run of datapipe: give an empty or a new folder")
    try:
        lock = open(files.join(output, ".lock"), "w")  # noqa: PTH123, SIM115 - held until the run ends
    except OSError as error:
        raise RunError(f"cannot write into the output folder {output}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"another run is writing into {output}: wait for it, or give another folder") from None
        yield


class _Driver:
    """The state of one run: the corpus so far, and the record of what is done."""

    def __init__(
        self, recipe: Recipe, inputs: Sequence[str], output: str, runner: Runner, say: Callable[[str], None]
    ) -> None:
        self.inputs = list(inputs)
        self.runner = runner
        self.say = say
        self.corpus = Corpus(output)
        self.text_bytes = 0
        self.keys: dict[str, str] = {}
        self.writers: dict[str, set[str]] = {}
        before = _read_record(output)
        if before and (before["format"], before["recipe"]["name"]) != (FORMAT, recipe.name):
            raise RunError(
                f"{output} holds a run of the recipe {before['recipe']['name']!r}: give another folder, or delete it"
            )
        self.before: dict[str, Any] = before.get("stages", {})
        self.running: dict[str, str] = before.get("running", {})
        self.record: dict[str, Any] = {
            "format": FORMAT,
            "recipe": {
                "name": recipe.name,
                "description": recipe.description,
                "stages": [{stage.name: _options(stage)} for stage in recipe.stages],
            },
            "inputs": self.inputs,
            "versions": {"python": platform.python_version()}
            | {name: importlib.metadata.version(name) for name in ("apache-beam", "pyarrow", "numpy", "numba")},
            "stages": {},
        }

    def save(self) -> None:
        """Write the record of what is done, with what an earlier run did and this one has not come to yet."""
        done = self.before | self.record["stages"]
        running = {"running": self.running} if self.running else {}
        files.write_json(self.corpus.folder(RUN_FILE), self.record | running | {"stages": done})

    def clear(self) -> None:
        """Remove what earlier runs made by stages that this one skipped or does not name."""
        for name in self.before:
            if "key" not in self.record["stages"].get(name, {}):
                files.remove(self.corpus.folder(name))
                for path in files.list_folder(self.corpus.folder(REJECTS)):
                    if path.rpartition("/")[2].startswith(f"{name}-"):
                        files.remove(path)
        self.before = {}

    def take(self, stage: Any) -> None:
        """Run a stage, or find it done, or say why it has nothing to do."""
        lack = self._lack(stage)
        if lack:
            self.record["stages"][stage.name] = {"skipped": lack}
            self.say(f"{stage.name:20}  skipped: {lack}")
            return
        key = self._key(stage)
        done = self.before.get(stage.name, {})
        if done.get("key") == key and self._still_there(stage.name, done):
            self.corpus = _add(self.corpus, stage.name, done)
            self.say(f"{stage.name:20}  as before")
        else:
            done = self._run(stage, key)
        self.record["stages"][stage.name] = done
        self.keys[stage.name] = key
        for column in done["columns"]:
            self.writers.setdefault(column, set()).add(stage.name)
        for note in done.get("notes", []):
            self.say(f"{'':20}  {note}")
        if "parts" in done:
            self.text_bytes += sum(part["bytes"] for part in done["parts"])
            if not self.corpus.parts:
                reasons = ", ".join(f"{count:,} {reason}" for reason, count in done["rejects_by_reason"].items())
                raise NoDocumentsError(f"no documents; rejected: {reasons}: see {self.corpus.folder(REJECTS)}")

    def _lack(self, stage: Any) -> str | None:
        """Why a stage has nothing to work on, in one line."""
        missing = getattr(stage, "missing", lambda: None)()
        if missing:
            return str(missing)
        unread = [column for column in stage.reads if column not in self.writers]
        if unread:
            return f"no stage before it wrote {', '.join(unread)}"
        if not _is_source(stage) and _kinds(stage) == ("instruction",) and not self.corpus.of_kind(_kinds(stage)):
            return "no instruction data"
        return None

    def _key(self, stage: Any) -> str:
        seen = set[str]()
        for column in (*stage.reads, *getattr(stage, "may_read", ())):
            seen |= self.writers.get(column, set())
        if _is_source(stage):
            # The numbers of new parts follow on those there are.
            seen |= {name for name in self.keys if "parts" in self.record["stages"][name]}
        elif not hasattr(stage, "process") or getattr(stage, "skips_removed", False):
            # It sees only the rows still kept.
            seen |= {name for name in self.keys if self._decides(name)}
        content = {
            "format": FORMAT,
            "stage": stage.name,
            "version": stage.version,
            "options": _options(stage),
            "kinds": list(_kinds(stage)),
            "sees": {name: self.keys[name] for name in sorted(seen)},
            "inputs": stage.fingerprint(self.inputs) if _is_source(stage) else [],
            "files": [files.fingerprint(value) for value in _strings(_options(stage)) if _may_name_files(value)],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def _decides(self, name: str) -> bool:
        """Whether what a stage did decides which rows later stages see."""
        done = self.record["stages"][name]
        return "parts" in done or any(column.endswith(REMOVED) for column in done["columns"])

    def _still_there(self, name: str, done: dict[str, Any]) -> bool:
        """Whether the files of a stage that the record calls done are in their place."""
        if not done["columns"]:
            return all(files.exists(self.corpus.folder(files.join(name, file))) for file in done["files"])
        before = {part.number for part in self.corpus.parts}
        after = _add(self.corpus, name, done)
        parts = [p for p in after.parts if (p.number not in before if "parts" in done else p.kind in done["kinds"])]
        return all(files.exists(part_path(self.corpus.folder(name), part.number)) for part in parts)

    def _run(self, stage: Any, key: str) -> dict[str, Any]:
        folder = self.corpus.folder(stage.name)
        if self.running != {"stage": stage.name, "key": key}:
            # In this order: a run that is stopped in between finds neither old files under the new key nor the reverse.
            files.remove(folder)
            self.before.pop(stage.name, None)
            self.running = {"stage": stage.name, "key": key}
            self.save()
        files.make_folder(folder)
        files.remove_temporary(folder)
        ready = stage.prepare(self.corpus, folder) if hasattr(stage, "prepare") else stage
        progress = Progress(self.corpus.root, stage.name)
        with progress:
            if _is_source(ready):
                done, usage = self._run_source(ready, folder, progress)
            elif hasattr(ready, "process"):
                done, usage = self._run_document_stage(ready, folder, progress)
            elif written(ready).names:
                done, usage = self._run_corpus_stage(ready, folder, progress)
            else:
                done, usage = self._run_product_stage(ready, folder, progress)
        self._check(ready, done)
        done = {"key": key, "seconds": round(usage.seconds, 2), "peak_bytes": usage.peak_bytes, **done}
        self.running = {}
        self.record["stages"][stage.name] = done
        self.save()
        rows = sum(part.rows for part in self.corpus.of_kind(_kinds(stage)))
        self.say(f"{stage.name:20}  {rows:>12,} rows  {usage.seconds:8.1f} s  {usage.peak_bytes / 2**20:8,.0f} MiB")
        return done

    def _run_source(self, stage: Any, folder: str, progress: Progress) -> tuple[dict[str, Any], Usage]:
        """Read inputs into new parts, numbered after those there are."""
        tasks = stage.plan(self.inputs)
        text_bytes = sum(task.size for task in tasks)
        progress.expect(text_bytes, "bytes")
        tasks_folder = files.join(folder, TASKS)
        files.make_folder(tasks_folder)

        def build(pipeline: beam.Pipeline) -> None:
            _ = self.runner.spread(pipeline, tasks, text_bytes) | "Read" >> beam.Map(
                work.read_task, stage, tasks_folder, self.corpus.root
            ).with_output_types(int)

        usage = self.runner.run(build, text_bytes, progress.show)
        done = stage.number(tasks, tasks_folder, folder, self.corpus) | {
            "kinds": list(_kinds(stage)),
            "notes": _notes(folder),
        }
        files.remove(tasks_folder)
        return done, usage

    def _run_document_stage(self, stage: Any, folder: str, progress: Progress) -> tuple[dict[str, Any], Usage]:
        """Compute new columns row for row."""
        parts = self.corpus.of_kind(_kinds(stage))
        todo = [part for part in parts if not files.exists(part_path(folder, part.number))]
        progress.expect(sum(part.rows for part in todo), "rows")

        # A decision over a few small columns is made before worker processes would have started.
        text_bytes = self.text_bytes if "text" in stage.reads else 0

        def build(pipeline: beam.Pipeline) -> None:
            _ = self.runner.spread(pipeline, todo, text_bytes) | "Process" >> beam.Map(
                work.process, stage, folder, self.corpus.root
            ).with_output_types(int)

        usage = self.runner.run(build, text_bytes, progress.show)
        return self._written(stage, folder), usage

    def _run_corpus_stage(self, stage: Any, folder: str, progress: Progress) -> tuple[dict[str, Any], Usage]:
        """Compute new columns from all rows together."""
        parts = self.corpus.of_kind(_kinds(stage))
        progress.expect(len(parts), "parts")
        by_number = {part.number: part for part in parts}
        root = self.corpus.root

        def build(pipeline: beam.Pipeline, judge: beam.PTransform) -> None:
            references = pipeline | "Parts" >> beam.Create(list(parts))
            verdicts = references | judge | "ByPart" >> beam.FlatMap(work.by_part).with_output_types(tuple[int, bytes])
            every = references | "Every" >> beam.Map(work.nothing).with_output_types(tuple[int, bytes])
            _ = (
                (verdicts, every)
                | "Flatten" >> beam.Flatten()
                | "Gather" >> beam.GroupByKey()
                | "Write" >> beam.Map(work.write, by_number, stage.writes, folder, root).with_output_types(int)
            )

        used = []

        def run_pipeline(build: Callable[[beam.Pipeline], None]) -> None:
            used.append(self.runner.run(build, self.text_bytes, progress.show))

        run_pipeline(functools.partial(build, judge=stage))
        # What takes a number of pipelines that only the data tell comes after, in the place of the first verdicts.
        for judge in getattr(stage, "later", lambda _: ())(run_pipeline):
            run_pipeline(functools.partial(build, judge=judge))
        usage = Usage(sum(each.seconds for each in used), max(each.peak_bytes for each in used))
        return self._written(stage, folder), usage

    def _run_product_stage(self, stage: Any, folder: str, progress: Progress) -> tuple[dict[str, Any], Usage]:
        """Make files that are no columns: a tokenizer, shards."""
        ready = dataclasses.replace(stage, folder=folder)

        def build(pipeline: beam.Pipeline) -> None:
            _ = pipeline | "Parts" >> beam.Create(list(self.corpus.of_kind(_kinds(stage)))) | ready

        usage = self.runner.run(build, self.text_bytes, progress.show)
        made = [path.rpartition("/")[2] for path in files.list_folder(folder)]
        return {"columns": [], "kinds": list(_kinds(stage)), "files": made, "notes": _notes(folder)}, usage

    def _written(self, stage: Any, folder: str) -> dict[str, Any]:
        kinds = _kinds(stage)
        self.corpus = self.corpus.with_stage(stage.name, stage.writes, kinds)
        return {"columns": stage.writes.names, "kinds": list(kinds), "notes": _notes(folder)}

    def _check(self, stage: Any, done: dict[str, Any]) -> None:
        """Documents in = documents out.

        Raises:
            ConservationError: naming the stage and the difference.
        """
        if "parts" in done:
            self.corpus = _add(self.corpus, stage.name, done)
            found = sum(part["rows"] for part in done["parts"]) + done["rejects"]
            if found != done["records"]:
                raise ConservationError(
                    f"{stage.name}: {done['records']:,} records read, {found:,} documents and rejects written"
                )
        for part in self.corpus.of_kind(_kinds(stage)):
            path = part_path(self.corpus.folder(stage.name), part.number)
            if path not in part.columns.values():
                continue
            rows = _count_rows(path)
            if rows != part.rows:
                raise ConservationError(
                    f"{stage.name}: part {part.number} has {part.rows:,} rows, its columns {rows:,}"
                )


def _check_funnel(corpus: Corpus, funnel: Funnel, stages: dict[str, Any]) -> None:
    """Documents = kept + removed with a reason, and the shards hold the kept as often as the mixture takes them.

    Raises:
        ConservationError: naming the difference.
    """
    removed = sum(amount.documents for step in funnel.steps for amount in step.removed.values())
    if funnel.read.documents != funnel.kept.documents + removed:
        raise ConservationError(
            f"{funnel.read.documents:,} documents read, but {funnel.kept.documents:,} kept and {removed:,} removed"
        )
    if "key" in stages.get(WriteShards.name, {}):
        shards = [path for path in files.list_folder(corpus.folder(WriteShards.name)) if path.endswith(".parquet")]
        found = sum(map(_count_rows, shards))
        if found != funnel.copies.documents:
            raise ConservationError(f"{WriteShards.name}: {funnel.copies.documents:,} rows to write, {found:,} written")


def _count_rows(path: str) -> int:
    with files.open_input(path) as source:
        return int(pq.ParquetFile(source).metadata.num_rows)


def _is_source(stage: Any) -> bool:
    return hasattr(stage, "plan")


def _kinds(stage: Any) -> tuple[str, ...]:
    """The kinds of parts that a stage works on."""
    kinds = tuple(getattr(stage, "kinds", ("document",)))
    if not {*kinds} <= {*PART_KINDS}:  # an option of that name would be taken for them
        raise ValueError(f"{stage.name}: kinds must be of {', '.join(PART_KINDS)}, got {kinds!r}")
    return kinds


def _options(stage: Any) -> dict[str, Any]:
    options = {field.name: getattr(stage, field.name) for field in dataclasses.fields(stage) if field.init}
    options.pop("folder", None)
    return json.loads(json.dumps(options, default=dataclasses.asdict))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _may_name_files(value: str) -> bool:
    """Whether an option may be a path or a glob, and not just a word that a folder happens to be called, too."""
    return any(character in value for character in "/.*")


def _notes(folder: str) -> list[str]:
    """What a stage has to tell the user, one line each, from the `notes.json` that it may write."""
    path = files.join(folder, "notes.json")
    return list(files.read_json(path)) if files.exists(path) else []
