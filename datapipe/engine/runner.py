"""Runs one Beam pipeline: here, in threads or in worker processes, or wherever `--runner` says.

Locally this is `FnApiRunner` by name: Beam's `DirectRunner` may try to download another runner. Beam waits for ever for
a worker process that died (out of memory, say), so the runner here watches them.
"""

import contextlib
import dataclasses
import errno
import os
import pathlib
import re
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
import psutil
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.job.utils import dict_to_struct
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo
from apache_beam.transforms.environments import EmbeddedPythonGrpcEnvironment, SubprocessSDKEnvironment

# Several threads cost a shuffle of references and a gRPC connection each; below this much text one is sooner done.
THREADS_FROM_BYTES = 8 << 20
MODES = ("auto", "in_memory", "multi_threading", "multi_processing")
WORKER = "datapipe.engine.worker"
_POLL_SECONDS = 0.2
_POLLS_PER_MEMORY_READING = 5


class PipelineError(RuntimeError):
    """A pipeline that failed, with the cause in one line."""


class WorkerDiedError(PipelineError):
    """A worker process ended before its work was done."""


@dataclasses.dataclass(frozen=True)
class Runner:
    """How pipelines are run.

    Attributes:
        workers: local workers; 1 runs everything in one thread.
        flags: flags for Beam (`--runner=DataflowRunner`, ...), as on a command line.
        mode: "auto": threads where a pipeline reads much text; "in_memory": one thread; "multi_threading" and
            "multi_processing": that, however little text. The kernels hold no lock, and threads share one process's
            memory: two take 840 MiB where two processes take 1,605, and start at once.
    """

    workers: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    flags: tuple[str, ...] = ()
    mode: str = "auto"

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: naming the field and its value.
        """
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers!r}")
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")

    @property
    def local(self) -> bool:
        """Whether pipelines run on this machine."""
        return not any(flag == "--runner" or flag.startswith("--runner=") for flag in self.flags)

    def way(self, text_bytes: int) -> str:
        """How a pipeline that reads so much text runs here: one of `MODES` but "auto"."""
        if self.mode != "auto":
            return self.mode
        return "multi_threading" if self.workers > 1 and text_bytes >= THREADS_FROM_BYTES else "in_memory"

    def _pipeline(self, text_bytes: int, worker_log: str) -> beam.Pipeline:
        if not self.local:
            return beam.Pipeline(options=PipelineOptions(list(self.flags)))
        way = self.way(text_bytes)
        if way == "in_memory":
            return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(self.flags), direct_num_workers=1))
        options = PipelineOptions(list(self.flags), direct_num_workers=self.workers)
        if way == "multi_threading":
            return beam.Pipeline(runner=FnApiRunner(EmbeddedPythonGrpcEnvironment.default()), options=options)
        # What `direct_running_mode=multi_processing` sets up, but for the chatter of each worker on standard error.
        command = f"exec {shlex.quote(sys.executable)} -m {WORKER} {os.getpid()} 2>>{shlex.quote(worker_log)}"
        environment = SubprocessSDKEnvironment.from_command_string(command)
        quiet = dict_to_struct({"default_sdk_harness_log_level": "ERROR"})
        provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=quiet)
        runner = FnApiRunner(environment, provision_info=ExtendedProvisionInfo(provision))
        return beam.Pipeline(runner=runner, options=options)

    def spread(self, pipeline: beam.Pipeline, elements: Iterable[Any], text_bytes: int) -> beam.PCollection:
        """The elements, each for any worker to take; `text_bytes` as in `run`."""
        created = pipeline | "Elements" >> beam.Create(elements, reshuffle=False)
        if self.local and self.way(text_bytes) == "in_memory":
            return created  # one worker takes all: the steps of a reshuffle would be half of what a pipeline costs
        return created | "Spread" >> beam.Reshuffle()

    def run(self, build: Callable[[beam.Pipeline], Any], text_bytes: int, watch: Callable[[], None]) -> "Usage":
        """Build a pipeline, run it to its end, and return what it used.

        Args:
            build: adds the transforms to the pipeline that it is given.
            text_bytes: how much text the pipeline will read: decides between one thread and several.
            watch: called several times a second while the pipeline runs, to show progress.

        Raises:
            WorkerDiedError: if a worker process dies.
            PipelineError: if a step of the pipeline raises.
        """
        with tempfile.NamedTemporaryFile(prefix="datapipe-workers-", suffix=".log") as worker_log:
            pipeline = self._pipeline(text_bytes, worker_log.name)
            build(pipeline)
            return _run(pipeline, watch, worker_log.name)


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a pipeline used: wall seconds, and peak resident bytes of this process and its workers together."""

    seconds: float
    peak_bytes: int


def _run(pipeline: beam.Pipeline, watch: Callable[[], None], worker_log: str) -> "Usage":
    started = time.monotonic()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            pipeline.run().wait_until_finish()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True, name="pipeline")
    peak = 0
    with _dead_workers() as deaths:
        thread.start()
        polls = 0
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            if deaths:
                _kill_workers()
                raise WorkerDiedError(_death_notice(deaths[0], worker_log))
            if polls % _POLLS_PER_MEMORY_READING == 0:
                peak = max(peak, _resident_bytes())
            polls += 1
            watch()
    if failures:
        raise PipelineError(cause(failures[0])) from failures[0]
    return Usage(time.monotonic() - started, peak)


def cause(error: BaseException) -> str:
    """The last line of an error: Beam wraps a worker's traceback, as text, around it.

    >>> cause(RuntimeError("Traceback:\\n  File 'x.py'\\nOSError: disk full [while running 'Read']"))
    'OSError: disk full'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("[while running", "File ", "Traceback", "^", "~"))]
    text = lines[-1] if lines else type(error).__name__
    text = re.sub(r" \[while running .*\]$", "", text)
    if os.strerror(errno.ENOSPC) in text:
        return "no space left on device: make room, and run the same command to resume"
    return re.sub(r"^(RuntimeError: )+(?=\w+(Error|Exception)\b)", "", text)


class _dead_workers:  # noqa: N801 - a context manager reads as a function
    """Collects the exit notices of Beam's worker processes, which Beam itself raises in a thread and forgets."""

    def __enter__(self) -> list[str]:
        deaths: list[str] = []
        self._before = threading.excepthook

        def hook(arguments: threading.ExceptHookArgs) -> None:
            text = str(arguments.exc_value)
            if "Worker subprocess exited" in text:
                deaths.append(text)
            else:
                self._before(arguments)

        threading.excepthook = hook
        return deaths

    def __exit__(self, *_: object) -> None:
        threading.excepthook = self._before


def _death_notice(text: str, worker_log: str) -> str:
    code = int(text.rsplit(" ", 1)[-1])
    if code in (-9, 137):
        return "a worker process was killed, most likely out of memory: give fewer --workers"
    last = (pathlib.Path(worker_log).read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1]
    return f"a worker process died with exit status {code}: {last}"


def _kill_workers() -> None:
    """End the workers that still wait for their dead fellow."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if WORKER in process.cmdline():
                process.kill()


def _resident_bytes() -> int:
    total = 0
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
