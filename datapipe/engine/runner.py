"""Runs one Beam pipeline: here, in one thread or several, or wherever `--runner` says.

Locally this is `ThreadsRunner` by name: Beam's `DirectRunner` may try to download another runner.
"""

import contextlib
import ctypes
import dataclasses
import errno
import functools
import gc
import os
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

import apache_beam as beam
import psutil
import pyarrow as pa
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineRunner

from datapipe.engine import jobs
from datapipe.flow import counters
from datapipe.flow.threads import ThreadsRunner
from datapipe.store import files

# Several threads cost a shuffle of references, and make each step anew: two took 1.16 times as long as one on 10 MB of
# text, .82 times on 106 MB (`python -m benchmarks.whole_job workers`).
THREADS_FROM_BYTES = 32 << 20
# So many pieces a worker: the last one to end is then late by little.
PIECES_PER_WORKER = 8
MAX_PIECES = 8
_POLL_SECONDS = 0.2
_POLLS_PER_MEMORY_READING = 5
# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _LARGE_BLOCK_BYTES = 64 << 20, 32 << 20


_View = TypeVar("_View", bound=PipelineOptions)


class PipelineError(RuntimeError):
    """A pipeline that failed, with the cause in one line; `step` is the first part of the failed step's name."""

    step = ""


class _Options(PipelineOptions):
    """Beam's options, but that each view is made once: a run asks for hundreds, and each parses the flags anew."""

    def view_as(self, cls: type[_View]) -> _View:
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
            names = views[cls]._visible_option_list()  # which Beam would ask anew for each option
            views[cls].__dict__["_visible_option_list"] = functools.partial(list, names)
        view: _View = views[cls]
        return view


class _LocalOptions(_Options):
    """The same for all pipelines that run here: Beam looks through its thousand flags before each, to warn of ours."""

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Itself: of copies each would make all views anew."""
        return self

    def get_all_options(self, **how: Any) -> dict[str, Any]:
        known = self.__dict__.setdefault("_all", {})
        key = str(how)
        if key not in known:
            known[key] = super().get_all_options(**how)
        return dict(known[key])


@dataclasses.dataclass(frozen=True)
class Runner:
    """How pipelines are run.

    Attributes:
        workers: local workers, each a thread.
        flags: flags for Beam (`--runner=DataflowRunner`, ...), as on a command line.
        threads_from_bytes: what a pipeline must read so that it takes more than one.
    """

    workers: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    flags: tuple[str, ...] = ()
    threads_from_bytes: int = THREADS_FROM_BYTES

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: naming the field and its value.
        """
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers!r}")

    @property
    def local(self) -> bool:
        """Whether pipelines run on this machine."""
        return not any(flag == "--runner" or flag.startswith("--runner=") for flag in self.flags)

    @functools.cached_property
    def _held(self) -> contextlib.ExitStack:
        """What was started for the pipelines of a run."""
        return contextlib.ExitStack()

    @functools.cached_property
    def _engine(self) -> tuple[PipelineRunner, str]:
        """What sends all pipelines of a run elsewhere, and the address of the job service; see `jobs.engine`."""
        options = _Options(list(self.flags))
        jobs.name_engine(options)
        return self._held.enter_context(jobs.engine(options))

    @functools.cached_property
    def _cluster(self) -> Any:
        """A Dask cluster on this machine, for all pipelines of a run."""
        import distributed

        return self._held.enter_context(
            distributed.LocalCluster(n_workers=self.workers, threads_per_worker=1, dashboard_address="127.0.0.1:0")
        )

    @functools.cached_property
    def _workers_elsewhere(self) -> int:
        """How many workers the engine has; 1 where nothing says so."""
        options = _Options(list(self.flags))
        if jobs.name_engine(options) == "dask":
            with _one_line():
                jobs.check_reachable(options)
                self._name_cluster(options)
        return jobs.count_workers(options)

    def close(self) -> None:
        """Stop what was started for the pipelines of a run."""
        if "_held" in self.__dict__:
            self._held.close()
        for started in ("_held", "_engine", "_cluster", "_workers_elsewhere"):
            self.__dict__.pop(started, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @functools.cached_property
    def _local_options(self) -> _LocalOptions:
        return _LocalOptions(list(self.flags))

    def threads(self, read_bytes: int) -> int:
        """How many threads a pipeline that reads so much takes here."""
        return self.workers if read_bytes >= self.threads_from_bytes else 1

    def pieces(self, parts: int, read_bytes: int) -> int:
        """In how many pieces to cut each of so many parts, so that all workers have their share, as far as known."""
        if read_bytes < self.threads_from_bytes or not parts:
            return 1
        workers = self.workers if self.local else self._workers_elsewhere
        return min(MAX_PIECES, -(-workers * PIECES_PER_WORKER // parts)) if workers > 1 else 1

    def run(
        self,
        build: Callable[[beam.Pipeline], Any],
        read_bytes: int,
        watch: Callable[[], None],
        job_file: str | None = None,
        parts: int = 1,
    ) -> "Usage":
        """Build a pipeline, run it to its end, and return what it used.

        Args:
            build: adds the transforms to the pipeline that it is given.
            read_bytes: how much the pipeline will read, about: decides between one thread and several.
            watch: called several times a second while the pipeline runs.
            job_file: names the job, while it runs on an engine where it would go on without this process.
            parts: how many it will read: decides how small a piece is that a thread takes.

        Raises:
            PipelineError: if a step of the pipeline raises, or an engine does not take it.
            jobs.Cancelled: at an interrupt, once the job elsewhere is told to stop.
        """
        if not self.local:
            return self._run_elsewhere(build, watch, job_file)
        runner = ThreadsRunner(self.threads(read_bytes), self.pieces(parts, read_bytes))
        pipeline = _new_pipeline(runner, self._local_options)
        build(pipeline)
        used = _watched(lambda: pipeline.run().wait_until_finish(), watch)
        if read_bytes >= THREADS_FROM_BYTES:
            _drop_what_is_left()
        return used

    def _run_elsewhere(
        self, build: Callable[[beam.Pipeline], Any], watch: Callable[[], None], job_file: str | None
    ) -> "Usage":
        """Send a pipeline to an engine from this thread, since engines set signals, and wait for it in another."""
        options = _Options(list(self.flags))
        engine = jobs.name_engine(options)
        with _one_line():
            jobs.check_reachable(options)
            if engine == "dask":
                self._name_cluster(options)
            runner, service = self._engine
            pipeline = _new_pipeline(runner, options)
        build(pipeline)
        jobs.carry_flags(pipeline, self.flags)
        with jobs.interruptible():
            try:
                with _one_line():
                    result: Any = pipeline.run()
            except KeyboardInterrupt as error:
                raise jobs.Cancelled("a job was just being sent: look whether it runs", *error.args) from error
        # Here Beam's own job servers have set signals of theirs.
        with jobs.interruptible():
            sent = jobs.Sent.of(result, options, service) if job_file else None
            if sent and job_file:
                files.write_json(job_file, dataclasses.asdict(sent))

            def forget() -> None:
                if sent and job_file:
                    files.remove(job_file)

            def cancel(ended: Callable[[float], bool]) -> str:
                said, over = jobs.cancel(jobs.job_id(result), result.cancel, ended)
                if over:
                    forget()
                return said

            self.__dict__["_running"] = result
            try:
                usage = _watched(result.wait_until_finish, watch, cancel)
            except PipelineError:
                with contextlib.suppress(Exception):  # who cannot be asked may go on with it: then the file stays
                    if str(result.state) in jobs.OVER:
                        forget()
                raise
            finally:
                self.__dict__.pop("_running", None)
                if engine == "dask":
                    result.client.close()
            forget()
            return usage

    def counted(self) -> int:
        """How much of its pass the job that runs elsewhere has done, by the engine's counters; 0 where it has none."""
        result: Any = self.__dict__.get("_running")
        if result is None:
            return 0
        result._metrics = None  # Beam asks once
        only = MetricsFilter().with_namespace(counters.PROGRESS)
        try:
            found = result.metrics().query(only)["counters"]
        except Exception:  # there are none yet, the job has just ended, or its engine has none: nobody has to know
            return 0
        return sum(counter.committed or counter.attempted or 0 for counter in found)

    def _name_cluster(self, options: PipelineOptions) -> None:
        """Set the address of a Dask cluster, where there is none: Beam starts one for each pipeline."""
        from apache_beam.runners.dask.dask_runner import DaskOptions

        dask: Any = options.view_as(DaskOptions)
        if not dask.address and not dask.scheduler_file:
            dask.address = self._cluster.scheduler_address


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a pipeline used: wall seconds, and peak resident bytes of this process."""

    seconds: float
    peak_bytes: int


def _watched(
    work: Callable[[], object],
    watch: Callable[[], None],
    cancel: Callable[[Callable[[float], bool]], str] | None = None,
) -> Usage:
    """Do some work in another thread, and watch it from this one.

    Args:
        work: is done.
        watch: is called meanwhile.
        cancel: stops the work that is done elsewhere, where watching is interrupted, and says so; it is given what
            waits for the end.
    """
    started = time.monotonic()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    def ended(seconds: float) -> bool:
        thread.join(seconds)
        return not thread.is_alive()

    thread = threading.Thread(target=run, daemon=True, name="pipeline")
    thread.start()
    process = psutil.Process()
    peak = polls = 0
    try:
        while not ended(_POLL_SECONDS):
            if polls % _POLLS_PER_MEMORY_READING == 0:
                peak = max(peak, process.memory_info().rss)
            polls += 1
            watch()
    except BaseException as error:
        if cancel is None:
            raise
        said = cancel(ended)
        if isinstance(error, KeyboardInterrupt):
            raise jobs.Cancelled(said, *error.args) from error
        error.add_note(said)
        raise
    if failures:
        raise _pipeline_error(failures[0]) from failures[0]
    return Usage(time.monotonic() - started, max(peak, process.memory_info().rss))


def _pipeline_error(failure: BaseException) -> PipelineError:
    error = PipelineError(cause(failure))
    step = re.search(r"\[while running '([^/'\[]+)", str(failure))
    error.step = step[1] if step else ""
    return error


def _new_pipeline(runner: Any, options: PipelineOptions) -> beam.Pipeline:
    """A pipeline without the folder that Beam makes for other languages' transforms: it would outlive a killed run."""
    pipeline = beam.Pipeline(runner=runner, options=options)
    pathlib.Path(pipeline.local_tempdir).rmdir()
    return pipeline


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """Say what an engine has against a pipeline in one line."""
    try:
        yield
    except Exception as error:
        raise _pipeline_error(error) from error


def cause(error: BaseException) -> str:
    """The last line of an error: Beam wraps a worker's traceback, as text, around it.

    >>> cause(RuntimeError("Traceback:\\n  File 'x.py'\\nOSError: disk full [while running 'Read']"))
    'OSError: disk full'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("[while running", "File ", "Traceback", "^", "~"))]
    text = lines[-1] if lines and lines[-1] != "None" else type(error).__name__
    text = re.sub(r" \[while running .*\]$", "", text)
    elsewhere = jobs.explain(str(error))
    if elsewhere:
        return elsewhere
    if os.strerror(errno.ENOSPC) in text:
        return "no space left on device: make room, and run the same command to resume"
    return re.sub(r"^(RuntimeError: )+(?=\w+(Error|Exception)\b)", "", text)


def _drop_what_is_left() -> None:
    """Free what a pipeline leaves in circles, and give the system what lies free between blocks in use.

    On 325 MB of text that was 50 to 250 MiB after each of its pipelines, and takes .06 s.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def give_memory_back() -> None:
    """Have this process give freed memory back to the system, wherever glibc is.

    By its defaults glibc raises the size from which on it does so to that of the largest block freed, has an arena for
    each thread, and Arrow's allocator keeps what it had: the main job on 1 GB of text then had a peak of 1,749 MiB, not
    1,331 (`python -m benchmarks.memory`). Blocks that come and go with each batch are kept: to map them anew cost 12 %
    of all CPU time.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in (
            (_M_TRIM_THRESHOLD, _KEPT_BYTES),
            (_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES),
            (_M_ARENA_MAX, 1),
        ):
            libc.mallopt(option, value)
    pa.set_memory_pool(pa.system_memory_pool())
