"""The driver: runs a recipe's stages in order, one Beam pipeline a pass, and accounts for every document.

Consecutive document stages are one pass: they read the text once, and each writes its own columns. Any other stage is a
pass of its own. A stage's key is a hash of its options, its version, the files that they name and the keys of the
stages whose columns it sees. `run.json` in the output folder holds the keys of the stages that are done; a stage whose
key stands there is not run again, and one that was interrupted resumes with the parts that it lacks.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import operator
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa

from datapipe.checks import check_known
from datapipe.engine import kept_files, work
from datapipe.engine.conservation import check_funnel, check_stage
from datapipe.engine.funnel import Funnel, count_funnel
from datapipe.engine.jobs import see_to_earlier
from datapipe.engine.leaks import write_leaks
from datapipe.engine.other_run import OtherRun
from datapipe.engine.output import ERROR_LOG, RunError, check_disjoint, lock_output
from datapipe.engine.progress import FOLDER as PROGRESS
from datapipe.engine.progress import News, Progress, Watcher
from datapipe.engine.recipe import Recipe
from datapipe.engine.removals import describe_losses, find_losses
from datapipe.engine.report.figures import Figures, count_figures
from datapipe.engine.report.page import write_report
from datapipe.engine.runner import PipelineError, Runner, Usage
from datapipe.engine.stages import stage_class
from datapipe.engine.verdicts import Options
from datapipe.flow.counters import count
from datapipe.flow.spread import Spread, SpreadPieces
from datapipe.stage import CorpusStage, DocumentStage, ProductStage, Source, Stage, read_notes
from datapipe.store import files, objects
from datapipe.store.corpus import REASON, REJECTS, Corpus, Part, View, part_path
from datapipe.store.record import (
    FORMAT,
    Begun,
    ConservationError,
    Done,
    Kept,
    RunRecord,
    Skipped,
    SourceResult,
    with_stage,
)

TASKS = "tasks"
JOB = ".job"  # names the job that runs on another engine
ELEMENTS = ".elements"  # what pipelines begin with on another engine
FIGURES = ".figures"  # of the report, where workers count them
REPORT = "report"  # what a run does at its end
# Of a run elsewhere, for its report; more are counted beside the last product, or, where none ends the run, by a job of
# their own, of which Dataflow takes minutes to start.
PARTS_COUNTED_HERE = 32
# Of a run's time, so much at most goes into reports of what there is so far.
REPORT_SHARE = 0.02
# What a report is taken to need until one was written, at least and a row: short runs have one at their end alone.
_REPORT_SECONDS, _REPORT_SECONDS_A_ROW = 0.5, 3e-5
OTHER_ROWS = "other"  # in the record, of a document stage whose files may be of rows that were left in an earlier run
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
    report: Callable[[News], None],
    watcher: Watcher | None = None,
    *,
    until: str | None = None,
    reuse: Sequence[str] = (),
) -> Outcome:
    """Run a recipe over the inputs into an output folder.

    Args:
        recipe: a checked recipe.
        inputs: files, folders and globs of documents.
        output: a new folder, or one that holds an earlier run of this recipe: what still holds is kept.
        runner: how pipelines are run.
        report: takes a line of news, a string.
        watcher: is told how far each pass has come.
        until: the last stage to run. What an earlier run made by those after it stays for a later run to take up.
        reuse: output folders of other runs, from which stages are taken that would make the same.

    Raises:
        ValueError: if the recipe has no stage `until`, or a folder to reuse holds no run.
        RunError: if the output folder cannot be used.
        PipelineError: if a stage fails.
        ConservationError: if a stage loses or invents a document.
    """
    check_disjoint(inputs, output)
    names = [stage.name for stage in recipe.stages]
    if until is not None:
        check_known("--until: the recipe has no stage", until, names)
    others = [OtherRun.open(folder) for folder in reuse]
    last = names.index(until) if until else len(names) - 1
    with contextlib.ExitStack() as held:
        check_lock = held.enter_context(lock_output(output, lambda line: report(News("note", "", line))))
        if runner.local:  # its workers are threads of this process
            held.enter_context(objects.alone_in(output))
        see_to_earlier(files.join(output, JOB), runner.flags, lambda line: report(News("note", "", line)), check_lock)
        driver = _Driver(recipe, inputs, output, runner, report, watcher, check_lock, others)
        held.enter_context(driver.beside)
        try:
            for stage in recipe.stages[: last + 1]:
                driver.take(stage)
            driver.run_pass(is_last=True)
        except ValueError as error:  # what a stage's options name is not there, or not what they say
            raise RunError(str(error)) from error
        except (PipelineError, ConservationError):
            driver.report_failed()
            raise
        with Progress(output, (REPORT,), watcher):
            return driver.end(names[last + 1 :], recipe.warn_removed)


class Planned(NamedTuple):
    """What a run would do with a stage.

    Attributes:
        stage: its name.
        what: "runs", "as before", "reused" or "skipped".
        why: it runs or is skipped, in a few words; of what is reused, where from.
        bytes: that a source would read.
        seconds: that it took, in the run that is known: of as much input.
    """

    stage: str
    what: str
    why: str
    bytes: int
    seconds: float | None


def plan(recipe: Recipe, inputs: Sequence[str], output: str, reuse: Sequence[str] = ()) -> list[Planned]:
    """What a run would do with each stage; nothing is run or written.

    Raises:
        ValueError: as `run`.
        RunError: as `run`.
    """
    check_disjoint(inputs, output)
    others = [OtherRun.open(folder) for folder in reuse]
    driver = _Driver(recipe, inputs, output, Runner(1), lambda _: None, None, None, others)
    return [driver.foresee(stage) for stage in recipe.stages]


class _Driver:
    """The state of one run: the corpus so far, and the record of what is done."""

    def __init__(
        self,
        recipe: Recipe,
        inputs: Sequence[str],
        output: str,
        runner: Runner,
        report: Callable[[News], None],
        watcher: Watcher | None,
        check_lock: Callable[[], None] | None,
        others: Sequence[OtherRun],
    ) -> None:
        self.inputs = list(inputs)
        self.runner = runner
        self.report = report
        self.watcher = watcher
        self.whose_memory = "" if runner.local else " here, not of its workers"
        self.others = others
        self.check_lock = check_lock or (lambda: None)
        self.every_row = recipe.every_row
        self.order = [stage.name for stage in recipe.stages]
        self.corpus = Corpus(output)
        self.text_bytes = 0
        self.keys: dict[str, str] = {}
        self.rows_keys: dict[str, str] = {}  # of document stages: which rows they see
        self.writers: dict[str, set[str]] = {}
        self.skipped_columns: set[str] = set()
        self.deciders: list[str] = []  # stages whose work decides which rows later ones see
        self.pending: list[Stage] = []  # of the pass that is to run next
        self.reported = time.monotonic()
        self.report_seconds = 0.0  # that the last report took
        self.beside = concurrent.futures.ThreadPoolExecutor(1, "report")
        self.reporting: concurrent.futures.Future[None] | None = None  # a report that is written beside the next pass
        self.counted = False  # whether the figures of the last report wait in their folder
        earlier = RunRecord.read(output)
        if earlier and earlier.format != FORMAT:
            raise RunError(f"{output} holds an older run: choose another folder, or delete it")
        if earlier and earlier.recipe.get("name") != recipe.name and any(map(earlier.done, earlier.stages)):
            what = f"a run of the recipe {earlier.recipe.get('name')!r}"
            raise RunError(f"{output} holds {what}: choose another folder, or delete it")
        self.earlier = {**earlier.stages, **earlier.later} if earlier else {}
        self.running = earlier.running if earlier else {}
        if self.running:
            ended = f"the run before this one ended in {', '.join(self.running)}: resuming there"
            self.report(News("resumed", "", ended))
        self.record = RunRecord(
            recipe={
                "name": recipe.name,
                "description": recipe.description,
                "every_row": recipe.every_row,
                "warn_removed": recipe.warn_removed,
                "stand_ins": list(recipe.stand_ins),
                "differences": list(recipe.differences),
                "stages": [{stage.name: stage.options() | _plain(stage.view)} for stage in recipe.stages],
            },
            inputs=self.inputs,
            versions={"python": platform.python_version()}
            | {package: importlib.metadata.version(package) for package in _PACKAGES},
        )
        self.seen = earlier.named if earlier else {}
        if check_lock is None:  # only to plan
            return
        if earlier is None:
            self.save()  # before anything else is written: from here on the folder is a run's
        for left_over in (ERROR_LOG, PROGRESS, ELEMENTS):
            files.remove(files.join(output, left_over))
        files.remove_temporary(output)

    def save(self) -> None:
        """Write the record of what is done, with what an earlier run did and this one has not come to yet."""
        self.check_lock()
        made = self.record.stages
        self.record.stages = {name: made[name] for name in self.order if name in made}
        stages = self.earlier | self.record.stages
        dataclasses.replace(self.record, stages=stages, running=self.running).write(self.corpus.root)

    def clear(self, later: Sequence[str]) -> None:
        """Remove what earlier runs made by stages that this one skipped or does not name; what is for later stays."""
        waiting = {name: self.earlier[name] for name in later if name in self.earlier and name not in self.running}
        self.record.later = {name: done for name, done in waiting.items() if isinstance(done, Done)}
        for name in {**self.earlier, **self.running}.keys() - self.record.later.keys():
            if self.record.done(name) is None:
                self._remove_files(name)
        self.earlier, self.running = {}, {}

    def _remove_files(self, name: str) -> None:
        """Remove what a stage has written, and its rejects."""
        files.remove(self.corpus.folder(name))
        for path in files.list_folder(self.corpus.folder(REJECTS)):
            if path.rpartition("/")[2].startswith(f"{name}-"):
                files.remove(path)

    def take(self, stage: Stage) -> None:
        """Put a stage into the next pass, or find it done, or report why it has nothing to do.

        Raises:
            ValueError: if an option names a column that nobody has.
            NoDocumentsError: if a source has made no documents.
        """
        if not self._joins(stage):
            self.run_pass()
        reason = self._skip_reason(stage)
        if reason:
            self.record.stages[stage.name] = Skipped(reason)
            self.skipped_columns.update(stage.writes.names)
            self.report(News("skipped", stage.name, f"skipped: {reason}"))
            return
        key, rows_key = self._key(stage), self._rows_key(stage)
        self.keys[stage.name], self.rows_keys[stage.name] = key, rows_key
        done = self.earlier.get(stage.name)
        news = News("kept", stage.name, "as before")
        if not isinstance(done, Done) or done.key != key:
            done = self._reused(stage, key)
            news = News("reused", stage.name, "as in another run")
        if isinstance(done, Done) and (done.key, done.rows_key) == (key, rows_key):
            done = self._intact(stage, done)
        else:
            done = None
        if done:
            self.run_pass()
            self.corpus = with_stage(self.corpus, stage.name, done)
            self.record.stages[stage.name] = done
            self.report(news)
            self._report_notes(stage, done)
            if done.source:
                self._take_source(stage, done.source)
        else:
            self.pending.append(stage)
        for column in stage.writes.names:
            self.writers.setdefault(column, set()).add(stage.name)
        if isinstance(stage, Source) or any(column.endswith(REASON) for column in stage.writes.names):
            self.deciders.append(stage.name)

    def _reused(self, stage: Stage, key: str) -> Done | None:
        """What another run has made by a stage with this key, its files now in this run's folder, too."""
        begun = self.running.get(stage.name)
        for other in () if begun is not None and begun.key == key else self.others:
            done = other.record.done(stage.name)
            if done is not None and done.key == key:
                self._remove_files(stage.name)
                other.hand_over(done, self.corpus.root)
                self.earlier[stage.name] = done
                return done
        return None

    def foresee(self, stage: Stage) -> Planned:
        """What `take` would do; the stages before must have been foreseen."""
        waits = {name for name in self.keys if name not in self.record.stages}  # for what is yet to be read or made
        made = [_product(path, self.corpus.root) for path in stage.named_files()]
        unread = any(issubclass(stage_class(name), Source) for name in waits)
        # Which columns and parts there are is known once sources have run.
        reason = stage.skip_reason() if unread else self._skip_reason(stage)
        if reason and not waits.intersection(made):
            self.skipped_columns.update(stage.writes.names)
            return Planned(stage.name, "skipped", reason, 0, None)
        known = self.earlier.get(stage.name)
        seconds = known.seconds if isinstance(known, Done) else None
        key, rows_key = self._key(stage), self._rows_key(stage)
        self.keys[stage.name], self.rows_keys[stage.name] = key, rows_key
        for column in stage.writes.names:
            self.writers.setdefault(column, set()).add(stage.name)
        if isinstance(stage, Source) or any(column.endswith(REASON) for column in stage.writes.names):
            self.deciders.append(stage.name)
        runs = [(self.corpus.root, known), *((other.root, other.record.done(stage.name)) for other in self.others)]
        done = next(((root, run) for root, run in runs if isinstance(run, Done) and run.key == key), None)
        if done and done[1].rows_key == rows_key and not waits.intersection(made):
            root, run = done
            self.record.stages[stage.name] = run
            self.corpus = with_stage(self.corpus, stage.name, run)
            if run.source:
                self._take_source(stage, run.source)
            return Planned(stage.name, "as before" if root == self.corpus.root else "reused", root, 0, 0.0)
        if waits.intersection(made):
            why = f"reads what {', '.join(waits.intersection(made))} makes"
        elif done:
            why = "sees other rows: those that are new to it"
        else:
            why = "it, or what it reads, is another" if isinstance(known, Done) else "not run yet"
        size = sum(task.size for task in stage.plan(self.inputs)) if isinstance(stage, Source) else 0
        return Planned(stage.name, "runs", why, size, seconds)

    def _joins(self, stage: Stage) -> bool:
        """Whether a stage can be in the pass that waits."""
        if not self.pending or stage.learns_from_corpus():
            return not self.pending
        last = self.pending[-1]
        if stage.view != last.view:
            return False
        if isinstance(stage, Source | DocumentStage):
            return isinstance(last, Source if isinstance(stage, Source) else DocumentStage)
        if isinstance(stage, ProductStage) and not stage.follows_in_pass:
            return False
        made = {column for waiting in self.pending for column in waiting.writes.names}
        return isinstance(last, CorpusStage) and not last.may_need_rounds and made.isdisjoint(stage.named_columns())

    def _take_source(self, stage: Stage, source: SourceResult) -> None:
        for part in source.parts:
            self.text_bytes += part.bytes
            for column in part.user_columns:
                self.writers.setdefault(column, set()).add(stage.name)
        if self.runner.local:
            self.corpus = dataclasses.replace(self.corpus, threads=self.runner.threads(self.text_bytes))
        if not self.corpus.parts:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in source.rejects_by_reason.items())
            raise NoDocumentsError(f"no documents; rejected: {reasons}: see {self.corpus.folder(REJECTS)}")

    def _report_notes(self, stage: Stage, done: Done) -> None:
        for note in done.notes:
            self.report(News("note", stage.name, note))

    def _skip_reason(self, stage: Stage) -> str | None:
        """Why a stage has nothing to work on, in one line."""
        reason = stage.skip_reason()
        if reason:
            return reason
        absent = [column for column in stage.requires() if column not in self.writers]
        optional = stage.optional()
        for column in (*stage.named_columns(), *stage.view.columns):
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
        for column in (*stage.requires(), *stage.named_columns(), *stage.optional(), *stage.view.columns):
            seen |= self.writers.get(column, set())
        if isinstance(stage, Source):
            # The numbers of new parts follow on those there are.
            seen |= {name for name in self.keys if issubclass(stage_class(name), Source)}
        elif not isinstance(stage, DocumentStage) or stage.learns_from_corpus():
            # All rows that are left make its result.
            seen |= self._deciders(stage)
        return _digest(
            _plain(stage.view)
            | {
                "format": FORMAT,
                "stage": stage.name,
                "version": stage.version,
                "options": self._placed(stage.options()),
                "part_kinds": stage.part_kinds(),
                "sees": {name: self.keys[name] for name in sorted(seen)},
                "inputs": stage.fingerprint(self.inputs) if isinstance(stage, Source) else [],
                "files": [self._placed(self._content(path)) for path in stage.named_files()],
            }
        )

    def _placed(self, value: Any) -> Any:
        """A value with this run's folder in its paths as {output}: the same work has the same key in any folder."""
        if isinstance(value, dict):
            return {key: self._placed(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._placed(item) for item in value]
        own = f"{self.corpus.root.rstrip('/')}/"
        return f"{{output}}/{value[len(own) :]}" if isinstance(value, str) and value.startswith(own) else value

    def _rows_key(self, stage: Stage) -> str:
        """What tells of which rows a document stage computes its columns."""
        if not isinstance(stage, DocumentStage):
            return ""
        seen = set() if self.every_row else self._deciders(stage)
        for column in stage.view.columns:
            seen |= self.writers.get(column, set())
        every = {"every": self.every_row} | _plain(stage.view)
        return _digest({name: [self.keys[name], self.rows_keys[name]] for name in seen} | every)

    def _deciders(self, stage: Stage) -> set[str]:
        """The stages whose work decides which rows a stage sees."""
        return set(self.deciders) - set(stage.view.unseen)

    def _content(self, path: str) -> list[tuple[str, str]]:
        """What a file, folder or glob that an option names holds: the name and the SHA-256 of each file.

        A file is read again if its size or stamp is another than in the earlier run. Elsewhere than on this machine it
        is not read: a store stamps whatever is written.
        """
        content = []
        for file in files.find(path):
            if not files.is_local(path):
                content.append((file.path, f"{file.size} {file.stamp}"))
                continue
            known = self.seen.get(file.path)
            if known is None or (known.size, known.stamp) != (file.size, file.stamp):
                known = Kept(file.size, files.read_sum(file.path).sha256, file.stamp)
            self.record.named[file.path] = self.seen[file.path] = known
            content.append((file.path, known.sha256))
        return content

    def _intact(self, stage: Stage, done: Done) -> Done | None:
        """The entry of a stage that the record calls done, if its files are what it wrote; else say what is not."""
        differences, kept, others = kept_files.compare(self.corpus.root, stage.name, done)
        kept_files.remove_sums(self.corpus.root, others)
        for line in kept_files.say(differences):
            self.report(News("again", stage.name, f"runs again: {line}"))
        return None if differences else dataclasses.replace(done, files=kept)

    def _begin(self, stage: Stage) -> bool:
        """Make the stage's folder ready, and say whether all that is in it can stay as it is.

        What was made under the same key stays. Of other rows it can only be a document stage's, which then looks.
        """
        root, name, key, rows_key = self.corpus.root, stage.name, self.keys[stage.name], self.rows_keys[stage.name]
        folder, done = self.corpus.folder(name), self.earlier.get(name)
        before = self.running.get(name) or (
            Begun(done.key, done.rows_key, done.files) if isinstance(done, Done) else Begun("", "")
        )
        of_other_rows = isinstance(stage, DocumentStage) and before.key == key and before.rows_key != rows_key
        # In this order: a run that is stopped in between finds neither old files under the new key nor the reverse.
        if before.key == key:
            kept_files.remove_unsure(root, name, before.files, rejects=isinstance(stage, Source))
            if not isinstance(stage, DocumentStage | Source) and not self._has_ended(stage):
                files.remove(folder)
        else:
            files.remove(folder)
        self.earlier.pop(name, None)
        taken_up = before.files if before.key == key else {}
        self.running[name] = Begun(key, OTHER_ROWS if of_other_rows else rows_key, taken_up)
        self.save()
        files.make_folder(folder)
        return not of_other_rows

    def _has_ended(self, stage: Stage) -> bool:
        """Whether a stopped run has left all columns of a corpus stage."""
        folder = self.corpus.folder(stage.name)
        numbers = [part.number for part in self.corpus.of_kind(stage.part_kinds())]
        there = set(files.list_folder(folder))
        return files.join(folder, work.ENDED) in there and all(part_path(folder, number) in there for number in numbers)

    def _end(self, stage: Stage, done: Done) -> None:
        """Take up what a stage has made, check it, and record it."""
        done = dataclasses.replace(
            done,
            key=self.keys[stage.name],
            rows_key=self.rows_keys[stage.name],
            notes=read_notes(self.corpus.folder(stage.name)),
            seconds=round(done.seconds, 2),
        )
        self.corpus = with_stage(self.corpus, stage.name, done)
        check_stage(self.corpus, stage, done)
        before = self.running.pop(stage.name).files
        root, rejects = self.corpus.root, done.source is not None
        kept, sums = kept_files.record_files(root, stage.name, rejects=rejects, before=before)
        done = dataclasses.replace(done, files=kept)
        self.record.stages[stage.name] = done
        self.save()
        kept_files.remove_sums(root, sums)
        rows = f"{sum(part.rows for part in self.corpus.of_kind(stage.part_kinds())):,} rows"
        if done.computed is not None:
            rows = f"{done.computed:,} of {rows}"
        spent = f"{rows:>24}  {done.seconds:8.1f} s  {done.peak_bytes / 2**20:8,.0f} MiB{self.whose_memory}"
        self.report(News("done", stage.name, spent))
        self._report_notes(stage, done)
        if done.source:
            self._take_source(stage, done.source)

    def run_pass(self, *, is_last: bool = False) -> None:
        """Run the stages that wait, in one pipeline.

        Args:
            is_last: whether the run has no more; what is counted for its report then joins a product's pipeline.
        """
        stages, self.pending = self.pending, []
        if not stages:
            return
        names = tuple(stage.name for stage in stages)
        with Progress(self.corpus.root, names, self.watcher, self.runner.counted) as progress, _named(stages):
            if isinstance(stages[0], Source):
                self._read([stage for stage in stages if isinstance(stage, Source)], progress)
            elif isinstance(stages[0], DocumentStage):
                self._pass_over([stage for stage in stages if isinstance(stage, DocumentStage)], progress)
            else:
                counts = is_last and isinstance(stages[-1], ProductStage) and stages[-1].view == View()
                self._judge(stages, progress, counts=counts and not self._counts_here())
            if self._counts_here() and not is_last and self._can_afford_report():
                self._report_so_far()

    def _counts_here(self) -> bool:
        """Whether the report's figures are counted here: by workers elsewhere it takes a job of its own."""
        return self.runner.local or len(self.corpus.parts) <= PARTS_COUNTED_HERE

    def _can_afford_report(self) -> bool:
        if self.reporting and not self.reporting.done():
            return False
        rows = sum(part.rows for part in self.corpus.parts)
        needed = self.report_seconds or max(_REPORT_SECONDS, _REPORT_SECONDS_A_ROW * rows)
        return (time.monotonic() - self.reported) * REPORT_SHARE >= needed

    def _report_so_far(self) -> None:
        """Write a report of what there is; with several threads while the next pass goes on."""
        self.wait_for_report()
        record = dataclasses.replace(self.record, stages=dict(self.record.stages))
        corpus = dataclasses.replace(self.corpus, threads=1)
        if self.corpus.threads == 1:
            self.write_report(corpus, count_funnel(corpus, record.stages), record)
        else:
            self.reporting = self.beside.submit(
                lambda: self.write_report(corpus, count_funnel(corpus, record.stages), record)
            )

    def wait_for_report(self) -> None:
        """Wait until no report is written, and fail as it did."""
        reporting, self.reporting = self.reporting, None
        if reporting:
            reporting.result()

    def write_report(self, corpus: Corpus, funnel: Funnel, record: RunRecord) -> None:
        """Write the report; its figures are counted here, or by workers elsewhere where the parts are many."""
        started = time.monotonic()

        def count_here(parts: Sequence[Part], options: Options) -> Figures:
            return functools.reduce(
                operator.add, corpus.each(lambda part: count_figures(part, options), parts), Figures()
            )

        write_report(corpus, funnel, record, count_here if self._counts_here() else self._count_by_workers)
        self.reported = time.monotonic()
        self.report_seconds = self.reported - started

    def report_failed(self) -> None:
        """Write a report of what there is when a stage has failed."""
        if self.record.stages and self.runner.local:
            # The disk may be full, too: it is the failure that the user is told.
            with contextlib.suppress(OSError, pa.ArrowException):
                self.wait_for_report()
                corpus = self.record.corpus(self.corpus.root)  # without what the stage has half made
                self.write_report(corpus, count_funnel(corpus, self.record.stages), self.record)

    def end(self, later: Sequence[str], warn_removed: float) -> Outcome:
        """Account for every document, and write what tells of the run.

        Raises:
            ConservationError: if documents were lost or invented.
        """
        root = self.corpus.root
        self.wait_for_report()
        funnel = count_funnel(self.corpus, self.record.stages)
        check_funnel(self.corpus, funnel, self.record)
        self.record.funnel = funnel.as_json()
        self.record.warnings = describe_losses(find_losses(self.corpus, warn_removed), warn_removed)
        self.clear(later)
        self.save()
        write_leaks(self.corpus, self.record.stages)
        self.write_report(self.corpus, funnel, self.record)
        files.remove(files.join(root, ELEMENTS))
        self.record.closing = kept_files.record_closing(root)
        self.save()
        return Outcome(self.corpus, funnel, self.record)

    def _count_by_workers(self, parts: Sequence[Part], options: Options) -> Figures:
        folder = files.join(self.corpus.root, FIGURES)
        if not self.counted:

            def build(pipeline: beam.Pipeline) -> None:
                _ = pipeline | "Parts" >> self._create(parts, Part) | REPORT >> self._counting(options)

            self._run(build, 0)
        with files.open_input(files.join(folder, "all")) as source:
            figures = Figures.from_bytes(bytes(source.read()))
        files.remove(folder)
        return figures

    def _counting(self, options: Options) -> "_CountFigures":
        folder = files.join(self.corpus.root, FIGURES)
        files.make_folder(folder)
        return _CountFigures(options, files.join(folder, "all"))

    def _read(self, stages: Sequence[Source[Any]], progress: Progress) -> None:
        """Read inputs into new parts, each source's numbered after those there are."""
        ready, tasks = [], []
        for stage in stages:
            self._begin(stage)
            folder = self.corpus.folder(stage.name)
            ready.append(stage.prepare(self.corpus, folder))
            files.make_folder(files.join(folder, TASKS))
            tasks.append(stage.plan(self.inputs))
        todo = [(task, stage) for stage, of_stage in zip(ready, tasks, strict=True) for task in of_stage]
        progress.expect(sum(task.size for task, _ in todo), "bytes")
        elements: list[Any] = todo
        read: Any = work.read_task
        if not self.runner.local:
            elements, read = work.Place.of(todo, files.join(self.corpus.root, ELEMENTS)), work.read_placed

        def build(pipeline: beam.Pipeline) -> None:
            _ = (
                pipeline
                | "Tasks" >> self._create(elements, type(elements[0]))
                | "Spread" >> Spread()
                | "Read" >> beam.Map(read, self.corpus.root, TASKS).with_output_types(int)
            )

        usage = self._run(build, sum(task.text_bytes for task, _ in todo))
        for stage, of_stage in zip(ready, tasks, strict=True):
            folder = self.corpus.folder(stage.name)
            result = stage.number(of_stage, files.join(folder, TASKS), folder, self.corpus)
            files.remove(files.join(folder, TASKS))
            columns = tuple(stage.writes.names)
            done = Done("", usage.seconds, usage.peak_bytes, stage.part_kinds(), columns=columns, source=result)
            self._end(stage, done)

    def _pass_over(self, stages: Sequence[DocumentStage], progress: Progress) -> None:
        """Compute new columns row for row."""
        corpus = self.corpus.seen_by(stages[0].view)
        as_they_are = [self._begin(stage) for stage in stages]
        prepared: dict[str, float] = {}
        ready = []
        for stage in stages:
            started = time.process_time()
            ready.append(stage.prepare(corpus, corpus.folder(stage.name)))
            prepared[stage.name] = time.process_time() - started
        this = work.Pass(tuple(ready), self.corpus.root, self.every_row)
        there = {path for stage in stages for path in files.list_folder(corpus.folder(stage.name))}
        todo = [
            part
            for part in corpus.parts
            if this.of(part)
            and not (all(as_they_are) and there.issuperset(this.path(stage, part) for stage in this.of(part)))
        ]
        progress.expect(sum(part.rows for part in todo), "rows")
        read_bytes = self._read_bytes(stages)
        # Elsewhere than on disk each look at a file is a request.
        pieces = self.runner.pieces(len(todo), read_bytes) if files.is_local(self.corpus.root) else 1
        if pieces > 1:
            for stage in stages:
                files.make_folder(files.join(self.corpus.folder(stage.name), work.PIECES))

        def build(pipeline: beam.Pipeline) -> None:
            parts = pipeline | "Parts" >> self._create(todo, Part)
            spread = parts | "Spread" >> (SpreadPieces(pieces) if pieces > 1 else Spread())
            done = spread | "Process" >> beam.Map(work.process, this).with_output_types(tuple[int, Part])
            if pieces > 1:
                _ = done | "Group" >> beam.GroupByKey() | "Join" >> beam.Map(work.join, this).with_output_types(int)

        usage = self._run(build, read_bytes, len(todo))
        spent = work.sum_spent(this)
        for stage in stages:
            files.remove(files.join(self.corpus.folder(stage.name), work.PIECES))
            seconds = prepared[stage.name] + spent[stage.name].seconds
            done = Done("", seconds, usage.peak_bytes, stage.part_kinds(), columns=tuple(stage.writes.names))
            self._end(stage, dataclasses.replace(done, computed=spent[stage.name].rows))

    def _judge(self, stages: Sequence[Stage], progress: Progress, *, counts: bool = False) -> None:
        """Compute new columns from all rows together, stage by stage, and make a product at last.

        Args:
            stages: in order.
            progress: is told how much there is to do.
            counts: whether to count the report's figures in the same pipeline, beside the product.
        """
        view = stages[0].view
        corpora, ready = [self.corpus.seen_by(view)], list[Stage]()
        prepared: list[float] = []
        for stage in stages:
            self._begin(stage)
            folder = self.corpus.folder(stage.name)
            if not ready and self._has_ended(stage):  # in the interrupted run
                self._remove_leftovers(stage)
                self._end(stage, self._judged(stage, work.read_seconds(folder), 0))
                corpora = [self.corpus.seen_by(view)]
                continue
            started = time.monotonic()
            ready.append(stage.prepare(corpora[-1], folder))
            prepared.append(time.monotonic() - started)
            corpora.append(corpora[-1].with_stage(stage.name, stage.writes.names, stage.part_kinds()))
        if not ready:
            return
        progress.expect(
            sum(len(corpus.of_kind(stage.part_kinds())) for stage, corpus in zip(ready, corpora, strict=False)), "parts"
        )
        read_bytes = self._read_bytes(ready)
        begun_at = time.time()
        used: list[Usage] = []

        def run_pipeline(build: Callable[[beam.Pipeline], Any]) -> None:
            used.append(self._run(build, read_bytes))

        def build(pipeline: beam.Pipeline) -> None:
            parts = pipeline | "Parts" >> self._create(corpora[0].of_kind(ready[0].part_kinds()), Part)
            for stage, following, corpus in zip(ready, [*ready[1:], None], corpora[:-1], strict=True):
                written = parts | stage.name >> self._step(stage, stage, corpus)
                if following:
                    kept = self._kept(corpora[ready.index(following)].of_kind(following.part_kinds()))
                    parts = (
                        pipeline
                        | f"After {stage.name}" >> beam.Create([(begun_at, corpus.folder(stage.name))], reshuffle=False)
                        | f"Parts of {following.name}"
                        >> beam.FlatMap(work.go_on, kept, beam.pvalue.AsList(written)).with_output_types(Part)
                    )

            if counts:
                _ = parts | REPORT >> self._counting(self.record.options)

        last, corpus = ready[-1], corpora[-2]

        def again(pipeline: beam.Pipeline, judge: beam.PTransform) -> None:
            parts = pipeline | "Parts" >> self._create(corpus.of_kind(last.part_kinds()), Part)
            _ = parts | last.name >> self._step(last, judge, corpus)

        run_pipeline(build)
        self.counted = counts
        for stage in ready:
            self._remove_leftovers(stage)
        # Their verdicts come in the place of the first ones.
        for judge in last.more_rounds(run_pipeline) if isinstance(last, CorpusStage) else ():
            run_pipeline(functools.partial(again, judge=judge))
        begun = 0.0
        peak_bytes = max(usage.peak_bytes for usage in used)
        for stage, seconds in zip(ready[:-1], prepared[:-1], strict=True):
            ended = work.read_seconds(self.corpus.folder(stage.name))
            self._end(stage, self._judged(stage, seconds + ended - begun, peak_bytes))
            begun = ended
        # Two clocks: what ends with its pipeline would have ended before it began.
        seconds = prepared[-1] + max(0.0, sum(usage.seconds for usage in used) - begun)
        self._end(last, self._judged(last, seconds, peak_bytes))

    def _run(self, build: Callable[[beam.Pipeline], Any], read_bytes: int, parts: int | None = None) -> Usage:
        parts = len(self.corpus.parts) if parts is None else parts
        return self.runner.run(build, read_bytes, self.check_lock, files.join(self.corpus.root, JOB), parts)

    def _remove_leftovers(self, stage: Stage) -> None:
        for path in stage.leftovers(self.corpus.folder(stage.name)):
            files.remove(path)

    def _kept(self, values: Sequence[Any]) -> Iterable[Any]:
        """Values for a step: here as they are, elsewhere in a file."""
        return values if self.runner.local else work.Kept.of(values, files.join(self.corpus.root, ELEMENTS))

    def _create(self, values: Sequence[Any], of_type: Any) -> beam.PTransform:
        """What a pipeline begins with."""
        if self.runner.local:
            return beam.Create(values, reshuffle=False)
        return _FromFile(self._kept(values), of_type)

    def _step(self, stage: Stage, judge: beam.PTransform, corpus: Corpus) -> beam.PTransform:
        """Parts to what a stage makes of them, with its columns written where it has any."""
        if isinstance(stage, CorpusStage):
            return _WriteVerdicts(stage, judge, corpus)
        product: Any = stage.ready(folder=self.corpus.folder(stage.name))
        return product if self.runner.local else _Counted(product)

    def _judged(self, stage: Stage, seconds: float, peak_bytes: int) -> Done:
        """The entry of a corpus stage or a product, without its key."""
        files.remove(files.join(self.corpus.folder(stage.name), work.ENDED))
        return Done("", seconds, peak_bytes, stage.part_kinds(), columns=tuple(stage.writes.names))

    def _read_bytes(self, stages: Sequence[Stage]) -> int:
        """About how much a pass over the parts reads: of text as it is, of other columns as they lie on disk."""
        names = {name for stage in stages for name in (*stage.requires(), *stage.named_columns(), *stage.optional())}
        if "text" in names or not files.is_local(self.corpus.root):
            return self.text_bytes
        paths = {part.columns[name] for part in self.corpus.parts for name in names if name in part.columns}
        return sum(map(files.local_size, paths))


@dataclasses.dataclass(eq=False)
class _FromFile(beam.PTransform):
    """The values that wait in a file."""

    kept: Iterable[Any]
    of_type: Any

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, pipeline: Any) -> beam.PCollection[Any]:
        return (
            pipeline
            | "Name" >> beam.Create([self.kept], reshuffle=False)
            | "Read" >> beam.FlatMap(iter).with_output_types(self.of_type)
        )


@dataclasses.dataclass(eq=False)
class _Counted(beam.PTransform):
    """What a product makes of parts, and a counter of the rows that it was given; what it has made it counts itself."""

    product: ProductStage

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[Any]:
        counted = parts | "Rows" >> beam.Map(_count_rows, self.product.name).with_output_types(Part)
        return counted | "Make" >> self.product


def _count_rows(part: Part, stage: str) -> Part:
    count(stage, rows=part.rows)
    return part


@dataclasses.dataclass(eq=False)
class _CountFigures(beam.PTransform):
    """Parts to the file of what a report draws of their documents."""

    options: Options
    path: str

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[None]:
        return (
            parts
            | "Spread" >> Spread()
            | "Count" >> beam.FlatMap(_count, self.options).with_output_types(bytes)
            | "Sum" >> beam.CombineGlobally(_sum).with_output_types(bytes)
            | "Write" >> beam.Map(_write, self.path).with_output_types(None)
        )


@dataclasses.dataclass(eq=False)
class _WriteVerdicts(beam.PTransform):
    """Parts, and a transform that gives verdicts on them, to the numbers of the parts whose column file is there."""

    stage: CorpusStage
    judge: beam.PTransform
    corpus: Corpus

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[int]:
        numbered = parts | "Number" >> beam.Map(work.numbered).with_output_types(tuple[int, Part])
        folder = self.corpus.folder(self.stage.name)
        verdicts = parts | self.judge | "By part" >> beam.FlatMap(work.by_part).with_output_types(tuple[int, bytes])
        every = parts | "Every" >> beam.Map(work.nothing).with_output_types(tuple[int, bytes])
        return (
            (verdicts, every)
            | "Flatten" >> beam.Flatten()
            | "Gather" >> beam.GroupByKey()
            | "Write"
            >> beam.Map(
                work.write, beam.pvalue.AsDict(numbered), self.stage.writes, folder, self.corpus.root
            ).with_output_types(int)
        )


def _count(part: Part, options: Options) -> Iterator[bytes]:
    if part.kind == "document":
        yield count_figures(part, options).as_bytes()


def _sum(counted: Iterable[bytes]) -> bytes:
    return functools.reduce(operator.add, map(Figures.from_bytes, counted), Figures()).as_bytes()


def _write(content: bytes, path: str) -> None:
    with files.whole_file(path) as sink:
        sink.write(content)


@contextlib.contextmanager
def _named(stages: Sequence[Stage]) -> Iterator[None]:
    """Say in the error of a pipeline which stage it ran, or which ones."""
    try:
        yield
    except PipelineError as error:
        names = [stage.name for stage in stages]
        name = error.step if error.step in names else ", ".join(names)
        raise type(error)(f"{name}: {error}") from error


def _plain(view: View) -> dict[str, Any]:
    """What a view says, as plain values; nothing where it is of all rows."""
    only = {column: list(values) for column, values in view.only}
    return {name: value for name, value in (("only", only), ("unseen", sorted(view.unseen))) if value}


def _product(path: str, root: str) -> str:
    """The stage whose folder in the output a path lies in; empty: in none."""
    inside = path.removeprefix(f"{root.rstrip('/')}/")
    return inside.partition("/")[0] if inside != path else ""


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
