"""The driver: runs a recipe's stages in order, one Beam pipeline a pass, and accounts for every document.

Consecutive document stages are one pass: they read the text once, and each writes its own columns. Any other stage is a
pass of its own. A stage's key is a hash of its options, its version, the files that they name and the keys of the
stages whose columns it sees. `run.json` in the output folder holds the keys of the stages that are done; a stage whose
key stands there is not run again, and one that was interrupted resumes with the parts that it lacks.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from datapipe.engine import work
from datapipe.engine.conservation import check_funnel, check_stage
from datapipe.engine.funnel import Funnel, count_funnel
from datapipe.engine.output import RunError, check_disjoint, lock_output
from datapipe.engine.progress import Progress
from datapipe.engine.recipe import Recipe
from datapipe.engine.report import write_report
from datapipe.engine.runner import PipelineError, Runner, Usage
from datapipe.engine.stages import BY_NAME
from datapipe.stage import CorpusStage, DocumentStage, ProductStage, Source, Stage, read_notes
from datapipe.store import files
from datapipe.store.corpus import REASON, Corpus, part_path
from datapipe.store.record import FORMAT, RUN_FILE, Done, RunRecord, Skipped, SourceResult, with_stage

ERROR_LOG = "error.log"
REJECTS = "rejects"
TASKS = "tasks"
_PACKAGES = ("apache-beam", "pyarrow", "numpy", "numba")


class NoDocumentsError(RuntimeError):
    """Inputs that hold no document, only rejects."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run came to: the corpus with all its columns, the funnel, and the record that `run.json` holds."""

    corpus: Corpus
    funnel: Funnel
    record: RunRecord


def run(
    recipe: Recipe,
    inputs: Sequence[str],
    output: str,
    runner: Runner,
    report: Callable[[str], None],
) -> Outcome:
    """Run a recipe over the inputs into an output folder.

    Args:
        recipe: a checked recipe.
        inputs: files, folders and globs of documents.
        output: a new folder, or one that holds an earlier run of this recipe: what still holds is kept.
        runner: how pipelines are run.
        report: takes a line of news.

    Raises:
        RunError: if the output folder cannot be used.
        PipelineError: if a stage fails.
        ConservationError: if a stage loses or invents a document.
    """
    check_disjoint(inputs, output)
    with lock_output(output):
        files.remove(files.join(output, ERROR_LOG))
        driver = _Driver(recipe, inputs, output, runner, report)
        try:
            for stage in recipe.stages:
                driver.take(stage)
            driver.run_pass()
        except ValueError as error:  # what a stage's options name is not there, or not what they say
            raise RunError(str(error)) from error
        funnel = count_funnel(driver.corpus, driver.record.stages)
        check_funnel(driver.corpus, funnel, driver.record)
        driver.record.funnel = funnel.as_json()
        driver.clear()
        driver.save()
        write_report(driver.corpus, funnel, driver.record)
        return Outcome(driver.corpus, funnel, driver.record)


def open_corpus(output: str) -> tuple[Corpus, RunRecord]:
    """The corpus of a finished run, with its record.

    Raises:
        RunError: if the folder holds no run, one of another version, or one that did not finish.
    """
    record = RunRecord.read(output)
    if record is None:
        raise RunError(f"{output}: no {RUN_FILE} here, so no run of datapipe")
    if record.format != FORMAT:
        raise RunError(f"{output}: the run here is of another version of datapipe; run the recipe into a new folder")
    if record.funnel is None:
        raise RunError(f"{output}: the run did not finish; run the same command to resume")
    return record.corpus(output), record


class _Driver:
    """The state of one run: the corpus so far, and the record of what is done."""

    def __init__(
        self, recipe: Recipe, inputs: Sequence[str], output: str, runner: Runner, report: Callable[[str], None]
    ) -> None:
        self.inputs = list(inputs)
        self.runner = runner
        self.report = report
        self.corpus = Corpus(output)
        self.text_bytes = 0
        self.keys: dict[str, str] = {}
        self.writers: dict[str, set[str]] = {}
        self.skipped_columns: set[str] = set()
        self.deciders: list[str] = []  # stages whose work decides which rows later ones see
        self.pending: list[DocumentStage] = []  # of the pass that is to run next
        earlier = RunRecord.read(output)
        if earlier and (earlier.format, earlier.recipe.get("name")) != (FORMAT, recipe.name):
            what = f"a run of the recipe {earlier.recipe.get('name')!r}" if earlier.format == FORMAT else "an older run"
            raise RunError(f"{output} holds {what}: choose another folder, or delete it")
        self.earlier = dict(earlier.stages) if earlier else {}
        self.running = earlier.running if earlier else {}
        self.record = RunRecord(
            recipe={
                "name": recipe.name,
                "description": recipe.description,
                "stages": [{stage.name: stage.options()} for stage in recipe.stages],
            },
            inputs=self.inputs,
            versions={"python": platform.python_version()}
            | {package: importlib.metadata.version(package) for package in _PACKAGES},
        )

    def save(self) -> None:
        """Write the record of what is done, with what an earlier run did and this one has not come to yet."""
        stages = self.earlier | self.record.stages
        dataclasses.replace(self.record, stages=stages, running=self.running).write(self.corpus.root)

    def clear(self) -> None:
        """Remove what earlier runs made by stages that this one skipped or does not name."""
        for name in {**self.earlier, **self.running}:
            if self.record.done(name) is None:
                files.remove(self.corpus.folder(name))
                for path in files.list_folder(self.corpus.folder(REJECTS)):
                    if path.rpartition("/")[2].startswith(f"{name}-"):
                        files.remove(path)
        self.earlier, self.running = {}, {}

    def take(self, stage: Stage) -> None:
        """Run a stage or put it into the next pass, or find it done, or report why it has nothing to do.

        Raises:
            ValueError: if an option names a column that nobody has.
            NoDocumentsError: if a source has made no documents.
        """
        reason = self._skip_reason(stage)
        if reason:
            self.run_pass()
            self.record.stages[stage.name] = Skipped(reason)
            self.skipped_columns.update(stage.writes.names)
            self.report(f"{stage.name:20}  skipped: {reason}")
            return
        key = self._key(stage)
        done = self.earlier.get(stage.name)
        as_before = isinstance(done, Done) and done.key == key and self._still_there(stage, done)
        if as_before or not isinstance(stage, DocumentStage) or stage.learns_from_corpus():
            self.run_pass()
        self.keys[stage.name] = key
        if as_before and isinstance(done, Done):
            self.corpus = with_stage(self.corpus, stage.name, done)
            self.record.stages[stage.name] = done
            self.report(f"{stage.name:20}  as before")
            self._report_notes(done)
            if done.source:
                self._take_source(stage, done.source)
        elif isinstance(stage, DocumentStage):
            self._begin(stage)
            self.pending.append(stage)
        else:
            self._run_alone(stage)
        for column in stage.writes.names:
            self.writers.setdefault(column, set()).add(stage.name)
        if isinstance(stage, Source) or any(column.endswith(REASON) for column in stage.writes.names):
            self.deciders.append(stage.name)

    def _take_source(self, stage: Stage, source: SourceResult) -> None:
        for part in source.parts:
            self.text_bytes += part.bytes
            for column in part.user_columns:
                self.writers.setdefault(column, set()).add(stage.name)
        if not self.corpus.parts:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in source.rejects_by_reason.items())
            raise NoDocumentsError(f"no documents; rejected: {reasons}: see {self.corpus.folder(REJECTS)}")

    def _report_notes(self, done: Done) -> None:
        for note in done.notes:
            self.report(f"{'':20}  {note}")

    def _skip_reason(self, stage: Stage) -> str | None:
        """Why a stage has nothing to work on, in one line."""
        reason = stage.skip_reason()
        if reason:
            return reason
        absent = [column for column in stage.requires() if column not in self.writers]
        optional = stage.optional()
        for column in stage.named_columns():
            if column not in self.writers and column not in optional:
                if column not in self.skipped_columns:
                    known = ", ".join(sorted(self.writers))
                    raise ValueError(
                        f"{stage.name}: no stage wrote the column {column!r}, and no document has it; there are {known}"
                    )
                absent.append(column)
        if absent:
            return f"no stage before it wrote {', '.join(absent)}"
        kinds = stage.part_kinds()
        if not isinstance(stage, Source) and kinds == ("instruction",) and not self.corpus.of_kind(kinds):
            return "no instruction data"
        return None

    def _key(self, stage: Stage) -> str:
        seen = set[str]()
        for column in (*stage.requires(), *stage.named_columns(), *stage.optional()):
            seen |= self.writers.get(column, set())
        if isinstance(stage, Source):
            # The numbers of new parts follow on those there are.
            seen |= {name for name in self.keys if issubclass(BY_NAME[name], Source)}
        elif not isinstance(stage, DocumentStage) or stage.kept_rows_only:
            # It sees only the rows still kept.
            seen |= set(self.deciders)
        content = {
            "format": FORMAT,
            "stage": stage.name,
            "version": stage.version,
            "options": stage.options(),
            "part_kinds": stage.part_kinds(),
            "sees": {name: self.keys[name] for name in sorted(seen)},
            "inputs": stage.fingerprint(self.inputs) if isinstance(stage, Source) else [],
            "files": [files.fingerprint(path) for path in stage.named_files()],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def _still_there(self, stage: Stage, done: Done) -> bool:
        """Whether the files of a stage that the record calls done are in their place."""
        folder = self.corpus.folder(stage.name)
        if isinstance(stage, ProductStage):
            return all(files.exists(files.join(folder, file)) for file in done.files)
        if done.source:
            numbers = [part.number for part in done.source.parts]
        else:
            numbers = [part.number for part in self.corpus.of_kind(done.part_kinds)]
        return all(files.exists(part_path(folder, number)) for number in numbers)

    def _begin(self, stage: Stage) -> None:
        """Make the stage's folder ready: what an interrupted run of the same key has left stays, all else goes."""
        folder, key = self.corpus.folder(stage.name), self.keys[stage.name]
        if self.running.get(stage.name) != key:
            # In this order: a run that is stopped in between finds neither old files under the new key nor the reverse.
            files.remove(folder)
            self.earlier.pop(stage.name, None)
            self.running[stage.name] = key
            self.save()
        files.make_folder(folder)
        files.remove_temporary(folder)

    def _end(self, stage: Stage, done: Done) -> None:
        """Take up what a stage has made, check it, and record it."""
        done = dataclasses.replace(
            done,
            key=self.keys[stage.name],
            notes=read_notes(self.corpus.folder(stage.name)),
            seconds=round(done.seconds, 2),
        )
        self.corpus = with_stage(self.corpus, stage.name, done)
        check_stage(self.corpus, stage, done)
        self.running.pop(stage.name)
        self.record.stages[stage.name] = done
        self.save()
        rows = sum(part.rows for part in self.corpus.of_kind(stage.part_kinds()))
        self.report(f"{stage.name:20}  {rows:>12,} rows  {done.seconds:8.1f} s  {done.peak_bytes / 2**20:8,.0f} MiB")
        self._report_notes(done)

    def _run_alone(self, stage: Stage) -> None:
        """Run a stage that is a pass of its own."""
        self._begin(stage)
        folder = self.corpus.folder(stage.name)
        ready = stage.prepare(self.corpus, folder)
        with Progress(self.corpus.root, stage.name) as progress, _named(stage.name):
            if isinstance(ready, Source):
                done = self._run_source(ready, folder, progress)
            elif isinstance(ready, CorpusStage):
                done = self._run_corpus_stage(ready, folder, progress)
            elif isinstance(ready, ProductStage):
                done = self._run_product_stage(ready, folder, progress)
            else:
                raise TypeError(f"{stage.name}: {type(stage).__name__} is none of the four kinds of stages")
        self._end(stage, done)
        if done.source:
            self._take_source(stage, done.source)

    def run_pass(self) -> None:
        """Run the document stages that wait, in one pass over the parts."""
        stages, self.pending = self.pending, []
        if not stages:
            return
        ready = [stage.prepare(self.corpus, self.corpus.folder(stage.name)) for stage in stages]
        names = ", ".join(stage.name for stage in stages)
        with Progress(self.corpus.root, names) as progress, _named(names):
            peak_bytes = self._run_document_stages(ready, progress)
        seconds = work.sum_seconds(stages, self.corpus.folder(stages[0].name))
        for stage in stages:
            columns = tuple(stage.writes.names)
            self._end(stage, Done("", seconds[stage.name], peak_bytes, stage.part_kinds(), columns=columns))

    def _run_source(self, stage: Source[Any], folder: str, progress: Progress) -> Done:
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
        result = stage.number(tasks, tasks_folder, folder, self.corpus)
        files.remove(tasks_folder)
        return _done(stage, [usage], columns=tuple(stage.writes.names), source=result)

    def _run_document_stages(self, stages: Sequence[DocumentStage], progress: Progress) -> int:
        """Compute new columns row for row, and return the peak of memory."""
        todo = [
            part
            for part in self.corpus.parts
            if any(
                part.kind in stage.part_kinds()
                and not files.exists(part_path(self.corpus.folder(stage.name), part.number))
                for stage in stages
            )
        ]
        progress.expect(sum(part.rows for part in todo), "rows")
        # A decision over a few small columns is made before worker processes would have started.
        text_bytes = self.text_bytes if any("text" in stage.requires() for stage in stages) else 0
        root, times = self.corpus.root, self.corpus.folder(stages[0].name)

        def build(pipeline: beam.Pipeline) -> None:
            _ = self.runner.spread(pipeline, todo, text_bytes) | "Process" >> beam.Map(
                work.process, stages, root, times
            ).with_output_types(int)

        return self.runner.run(build, text_bytes, progress.show).peak_bytes

    def _run_corpus_stage(self, stage: CorpusStage, folder: str, progress: Progress) -> Done:
        """Compute new columns from all rows together."""
        parts = self.corpus.of_kind(stage.part_kinds())
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

        used: list[Usage] = []

        def run_pipeline(build: Callable[[beam.Pipeline], Any]) -> None:
            used.append(self.runner.run(build, self.text_bytes, progress.show))

        run_pipeline(functools.partial(build, judge=stage))
        # Their verdicts come in the place of the first ones.
        for judge in stage.more_rounds(run_pipeline):
            run_pipeline(functools.partial(build, judge=judge))
        return _done(stage, used, columns=tuple(stage.writes.names))

    def _run_product_stage(self, stage: ProductStage, folder: str, progress: Progress) -> Done:
        """Make files that are no columns: a tokenizer, shards."""
        ready = stage.ready(folder=folder)

        def build(pipeline: beam.Pipeline) -> None:
            _ = pipeline | "Parts" >> beam.Create(list(self.corpus.of_kind(stage.part_kinds()))) | ready

        usage = self.runner.run(build, self.text_bytes, progress.show)
        made = tuple(path.rpartition("/")[2] for path in files.list_folder(folder))
        return _done(stage, [usage], files=made)


@contextlib.contextmanager
def _named(stages: str) -> Iterator[None]:
    """Say in the error of a pipeline which stages it ran."""
    try:
        yield
    except PipelineError as error:
        raise type(error)(f"{stages}: {error}") from error


def _done(stage: Stage, used: Sequence[Usage], **made: Any) -> Done:
    """The entry of a stage that has run, without its key."""
    seconds = round(sum(usage.seconds for usage in used), 2)
    peak_bytes = max(usage.peak_bytes for usage in used)
    return Done("", seconds, peak_bytes, stage.part_kinds(), **made)
