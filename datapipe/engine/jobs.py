"""Jobs on other engines: what cannot work is refused before anything is sent, and causes are said in one line.

Beam's job servers, Dataflow and Dask each fail in their own words, some after minutes, and each wants its workers to
reach what it is to read and write. `runner.py` sends the jobs and watches them.
"""

import contextlib
import dataclasses
import re
import signal
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.portability import common_urns, python_urns
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineRunner, create_runner

from datapipe.extras import check_extra
from datapipe.stage import Stage
from datapipe.store import files

DASK = "datapipe.engine.dask.DaskRunner"
REACH_SECONDS = 10.0  # a job server that is just starting has so long
CANCEL_SECONDS = 120.0  # how long to wait for a job that is told to stop: Dataflow takes a minute or two
# Options with which Beam makes a file of a pipeline, or nothing: the next one is made from what the last one wrote.
_RUNS_NOTHING = ("dry_run", "template_location", "output_executable_path")
# Where Google's and gRPC's errors of many lines say what is wrong.
_QUOTED = (
    re.compile(r'content <.*?"message":\s*"((?:[^"\\]|\\.)*)"', re.DOTALL),
    re.compile(r'RpcError of RPC that terminated with:.*?details = "((?:[^"\\]|\\.)*)"', re.DOTALL),
)


class Cancelled(KeyboardInterrupt):
    """An interrupt while a job ran elsewhere: what has become of the job, in a few words.

    Attributes:
        number: of the signal that asked for it.
    """

    def __init__(self, said: str, number: int = signal.SIGINT) -> None:
        super().__init__(said)
        self.number = number


def name_engine(options: PipelineOptions) -> str:
    """The name of the engine that the options name, as Beam knows it; where it is Dask, set so that Beam does.

    Raises:
        ValueError: if there is none of that name.
        MissingExtraError: if it needs an extra that is not installed.
    """
    standard = options.view_as(StandardOptions)
    name = standard.runner or ""
    short = name.rpartition(".")[2].lower().removesuffix("runner")
    if short == "dask":
        check_extra("distributed", "dask", f"--runner={name}")
        standard.runner = DASK
    elif short == "dataflow":
        check_extra("apitools", "gcp", f"--runner={name}")
    try:
        create_runner(standard.runner)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--runner={name}: {str(error).splitlines()[0]}") from error
    return short


def check_job(flags: Sequence[str], inputs: Iterable[str], output: str, stages: Iterable[Stage]) -> None:
    """Refuse what cannot work on the engine that the flags name, before anything is written or sent.

    Args:
        flags: for Beam.
        inputs, output, stages: of the run: all of its paths.

    Raises:
        ValueError: if an option runs no pipeline, there is no such engine, or its workers cannot reach a path.
        MissingExtraError: if the engine needs an extra that is not installed.
    """
    options = PipelineOptions(list(flags))
    given = options.get_all_options(drop_default=True)
    for option in _RUNS_NOTHING:
        if given.get(option):
            raise ValueError(
                f"--{option} runs no pipeline, and each pipeline of a run is made from what those before it wrote: "
                "leave it out; `--plan` says what would run"
            )
    if given.get("runner") is None:
        return
    engine = name_engine(options)
    why = _apart(engine, options)
    far = _away(engine, options)
    named = [("--output", output), *(("--input", path) for path in inputs)]
    for name, path in [*named, *((stage.name, path) for stage in stages for path in stage.named_files())]:
        if not files.is_local(path):
            continue
        if why:
            raise ValueError(
                f"{name} {path}: {why} do not share this machine's disk; give a path on a store that they reach, "
                "such as gs://… or s3://…"
            )
        if far and not path.startswith("/"):
            raise ValueError(
                f"{name} {path}: {far} have working folders of their own; give the whole path, from / on, on a disk "
                "that they share with this machine, or one on a store"
            )


def _apart(engine: str, options: PipelineOptions) -> str:
    """Whose disks are surely not this machine's; empty: no one's."""
    if engine == "dataflow":
        return "Dataflow's workers"
    return "workers in containers" if _environment(options) == common_urns.environments.DOCKER.urn else ""


def _away(engine: str, options: PipelineOptions) -> str:
    """Who works in another folder than this process, or may; empty: no one."""
    if engine == "dask":
        given = options.get_all_options()
        return "Dask's workers" if given.get("address") or given.get("scheduler_file") else ""
    here = (python_urns.EMBEDDED_PYTHON_LOOPBACK, "")
    return "" if _environment(options) in here else "workers that are started elsewhere"


def _environment(options: PipelineOptions) -> str:
    """In what a portable engine's workers run: Beam's name of it; empty for other engines."""
    runner: Any = create_runner(options.view_as(StandardOptions).runner)
    portable: Any = PortableRunner  # has no types
    if not isinstance(runner, portable):
        return ""
    return str(runner.default_environment(options).to_runner_api(None).urn)


@contextlib.contextmanager
def engine(options: PipelineOptions) -> Iterator[PipelineRunner]:
    """Beam's runner for what the options name. Where it brings a job server, that is one for all pipelines.

    Beam itself starts one for each, and stops them when Python ends, which `datapipe` does not wait for.
    """
    runner: Any = create_runner(options.view_as(StandardOptions).runner)
    portable: Any = PortableRunner  # has no types
    if not isinstance(runner, portable) or options.view_as(PortableOptions).job_endpoint:
        yield runner
        return
    server = runner.default_job_server(options)
    runner.default_job_server = lambda _: server
    try:
        yield runner
    finally:
        server.stop()


def check_reachable(options: PipelineOptions) -> None:
    """Look whether somebody answers where the job is to be sent; Beam itself takes minutes to say so.

    Raises:
        OSError: if nobody does within `REACH_SECONDS`.
    """
    given = options.get_all_options()
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint and endpoint != "embed":
        _check_answers(endpoint, f"job server not reachable at {endpoint} (--job_endpoint)")
    address = given.get("address") if options.view_as(StandardOptions).runner == DASK else None
    if address:
        _check_answers(address, f"Dask scheduler not reachable at {address} (--dask_client_address)")


def _check_answers(address: str, otherwise: str) -> None:
    place = urllib.parse.urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = place.hostname, place.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise OSError(f"{otherwise}: it must be host:port")
    until = time.monotonic() + REACH_SECONDS
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.1, until - time.monotonic())).close()
            return
        except OSError as error:
            if time.monotonic() + 0.5 > until:
                raise OSError(f"{otherwise}: {error.strerror or error}") from error
            time.sleep(0.5)


def explain(said: str) -> str | None:
    """What an engine's error comes to, in one line; None where there is nothing better than its last line.

    >>> explain("ModuleNotFoundError: No module named 'datapipe.read'").partition(": ")[0]
    "the worker has no module 'datapipe.read'"
    >>> explain('HttpError accessing <https://x>: response: <{}>, content <{"error": {"message": "No bucket b"}}\\n>')
    'No bucket b'
    >>> explain('<_InactiveRpcError of RPC that terminated with:\\n\\tstatus = X\\n\\tdetails = "no pool"\\n>')
    'no pool'
    """
    module = re.search(r"ModuleNotFoundError: No module named '([^']+)'", said)
    if module:
        return (
            f"the worker has no module {module[1]!r}: give --sdk_container_image with one that has datapipe-llm, or "
            "start workers where it is installed"
        )
    for quoted in _QUOTED:
        found = quoted.search(said)
        if found:
            return found[1]
    return None


@dataclasses.dataclass(frozen=True)
class _Flags:
    """Flags for Beam that set its file systems wherever they are unpickled.

    Beam itself does so in containers alone: workers in pools, and Dask's, asked Amazon for a store of the user's own.
    """

    flags: tuple[str, ...]

    def __reduce__(self) -> Any:
        return _set_flags, (self.flags,)


def _set_flags(flags: tuple[str, ...]) -> _Flags:
    FileSystems.set_options(PipelineOptions(list(flags)))
    return _Flags(flags)


class _CarryFlags(PipelineVisitor):
    def __init__(self, flags: tuple[str, ...]) -> None:
        self._flags = _Flags(flags)

    def visit_transform(self, transform_node: Any) -> None:
        step = transform_node.transform
        if isinstance(step, beam.ParDo):
            step.fn.flags_of_the_run = self._flags


def carry_flags(pipeline: beam.Pipeline, flags: tuple[str, ...]) -> None:
    """Let each step of a pipeline carry the flags to the worker that runs it."""
    pipeline.visit(_CarryFlags(flags))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C and at SIGTERM, its argument the signal's number, whatever Beam has set.

    Beam's own job servers answer Ctrl-C by ending themselves, and then nobody is left to cancel the job. Elsewhere than
    in the main thread signals are left as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def cancel(result: Any, ended: Callable[[float], bool]) -> str:
    """Tell a job to stop, wait until it has, and say what has become of it.

    Args:
        result: Beam's, of the job.
        ended: waits for the job's end, so many seconds at most, and says whether it has come.
    """
    job = getattr(result, "_job_id", None) or (result.job_id() if hasattr(result, "job_id") else "")
    which = f"the job {job}" if job else "the job"
    try:
        result.cancel()
    except Exception as error:  # the job goes on: this is what the user has to know
        return f"{which} could NOT be cancelled and may still run: {str(error).splitlines()[0]}"
    if not ended(CANCEL_SECONDS):
        return f"{which} was told to stop and has not within {CANCEL_SECONDS:.0f} s: it may still run"
    return f"{which} is cancelled"
