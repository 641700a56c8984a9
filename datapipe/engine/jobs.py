"""Jobs on other engines: what cannot work is refused before anything is sent, and causes are said in one line.

Beam's job servers, Dataflow and Dask each fail in their own words, some after minutes, and each wants its workers to
reach what it is to read and write. `runner.py` sends the jobs and watches them.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.io.filesystems import FileSystems
from apache_beam.options import pipeline_options
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineRunner, create_runner

from datapipe.engine.output import RunError
from datapipe.extras import check_extra
from datapipe.near import suggest
from datapipe.stage import Stage
from datapipe.store import files

DASK = "datapipe.engine.dask.DaskRunner"
_ENGINES = ("dask", "DataflowRunner", "FlinkRunner", "SparkRunner", "PrismRunner", "PortableRunner", "DirectRunner")
REACH_SECONDS = 10.0  # a job server that is just starting has so long
ASK_SECONDS = 1.0  # how long to leave between two questions whether a job has ended
CANCEL_SECONDS = 120.0  # how long to wait for a job that is told to stop: Dataflow takes a minute or two
OVER = ("DONE", "FAILED", "CANCELLED", "DRAINED", "UPDATED")  # states that jobs stay in
# Options with which Beam makes a file of a pipeline, or nothing: the next one is made from what the last one wrote.
_RUNS_NOTHING = ("dry_run", "template_location", "output_executable_path")
# Options that bring a package to Dataflow's workers.
_INSTALLS = ("sdk_container_image", "setup_file", "requirements_file", "extra_packages")
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
        why = str(error).splitlines()[0] if "." in name else f"there is no such engine{suggest(name, _ENGINES)}"
        raise ValueError(f"--runner={name}: {why}") from error
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
    if not flags:  # before Beam parses all that it knows
        return
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
    for stage in stages:
        # A relative path at which nothing lies is a name that the stage knows: of a model, say.
        named += [(stage.name, path) for path in stage.named_files() if path.startswith("/") or files.find(path)]
    for name, path in named:
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
    if engine == "dataflow":
        _check_dataflow(options)


def _check_dataflow(options: PipelineOptions) -> None:
    """Refuse what Dataflow itself says minutes later, or in words of its own."""
    given = options.get_all_options()
    has_region = given["region"] or os.environ.get("CLOUDSDK_COMPUTE_REGION") or shutil.which("gcloud")
    needed = {"project": given["project"], "region": has_region, "temp_location": given["temp_location"]}
    missing = [f"--{option}" for option, value in needed.items() if not value]
    if missing:
        raise ValueError(f"--runner={given['runner']} needs {', '.join(missing)}")
    if not given["temp_location"].startswith("gs://"):
        raise ValueError(f"--temp_location {given['temp_location']}: Dataflow's workers reach gs://… alone")
    if not any(given.get(option) for option in _INSTALLS):
        raise ValueError(
            f"--runner={given['runner']} needs --sdk_container_image: Google's own image of workers has no "
            "datapipe-llm; docs/engines.md says how to make one"
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
def engine(options: PipelineOptions) -> Iterator[tuple[PipelineRunner, str]]:
    """Beam's runner for what the options name, and the address of the job service that it sends jobs to.

    Where it brings a job service, that is one for all pipelines. Beam itself starts one for each, and stops them when
    Python ends, which `datapipe` does not wait for. The address is empty where the service is in this process.
    """
    runner: Any = create_runner(options.view_as(StandardOptions).runner)
    portable: Any = PortableRunner  # has no types
    given = options.view_as(PortableOptions).job_endpoint
    if not isinstance(runner, portable) or given:
        yield runner, "" if given in (None, "embed") else given
        return
    server = runner.default_job_server(options)
    runner.default_job_server = lambda _: server
    try:
        yield runner, str(server.start())
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


def count_workers(options: PipelineOptions) -> int:
    """How many threads of workers an engine has, by its options, or as Dask's scheduler says; 1: nobody says."""
    given = options.get_all_options()
    if options.view_as(StandardOptions).runner == DASK:
        import distributed

        with distributed.Client(given["address"], scheduler_file=given["scheduler_file"]) as client:
            return max(1, sum(client.nthreads().values()))
    told = (given.get(option) for option in ("parallelism", "max_num_workers", "num_workers", "sdk_worker_parallelism"))
    return next((int(number) for number in told if number and int(number) > 0), 1)


def explain(said: str) -> str | None:
    """What an engine's error comes to, in one line; None where there is nothing better than its last line.

    >>> explain("ModuleNotFoundError: No module named 'datapipe.read'").partition(": ")[0]
    "the worker has no module 'datapipe.read'"
    >>> explain('HttpError accessing <https://x>: response: <{}>, content <{"error": {"message": "No bucket b"}}\\n>')
    'No bucket b'
    >>> explain('<_InactiveRpcError of RPC that terminated with:\\n\\tstatus = X\\n\\tdetails = "no pool"\\n>')
    'no pool'
    >>> explain("404 POST https://x/jobs: <!DOCTYPE HTML>\\n<html><body>Not here</body>\\n</html>")
    '404 POST https://x/jobs'
    """
    page = re.search(r"([^\n]+?):?\s*<(!DOCTYPE )?html", said, re.IGNORECASE)
    if page:
        return page[1]
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


def cancel(job: str, stop: Callable[[], object], ended: Callable[[float], bool]) -> tuple[str, bool]:
    """Tell a job to stop, wait until it has, and say what has become of it, and whether it is over.

    Args:
        job: what the engine calls it, if it has a name for it.
        stop: tells it.
        ended: waits for the job's end, so many seconds at most, and says whether it has come.
    """
    which = f"the job {job}" if job else "the job"
    try:
        stop()
    except Exception as error:  # the job goes on: this is what the user has to know
        return f"{which} could NOT be cancelled and may still run: {str(error).splitlines()[0]}", False
    if not ended(CANCEL_SECONDS):
        return f"{which} was told to stop and has not within {CANCEL_SECONDS:.0f} s: it may still run", False
    return f"{which} is cancelled", True


def job_id(result: Any) -> str:
    """What the engine calls the job of one of Beam's results; empty: it has no name for it."""
    return str(getattr(result, "_job_id", None) or (result.job_id() if hasattr(result, "job_id") else ""))


@dataclasses.dataclass(frozen=True)
class Sent:
    """A job that goes on without the process that sent it: what the output folder holds while it runs.

    Attributes:
        job: what its engine calls it.
        service: host:port of the job service that knows it; of Dataflow's, the address or empty.
        project, region: of Dataflow.
        ends_with_service: whether it is gone where nobody answers there.
        ends_with_sender: whether its workers were threads of the process that sent it.
        since: when it was sent.
    """

    job: str
    service: str
    project: str = ""
    region: str = ""
    ends_with_service: bool = False
    ends_with_sender: bool = False
    since: str = ""

    @classmethod
    def of(cls, result: Any, options: PipelineOptions, service: str) -> "Sent | None":
        """The job of one of Beam's results; none where nothing is left to run once its sender is gone, as on Dask.

        Args:
            result: Beam's.
            options: with which it was sent.
            service: the address of the job service that took it; empty: it is in this process.
        """
        job = job_id(result)
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        engine = name_engine(options)
        if engine == "dataflow":
            cloud: Any = options.view_as(_google_options())
            return cls(job, cloud.dataflow_endpoint or "", cloud.project or "", cloud.region or "", since=since)
        if not job or not service:
            return None
        loopback = _environment(options) == python_urns.EMBEDDED_PYTHON_LOOPBACK
        return cls(job, service, ends_with_service=engine == "prism", ends_with_sender=loopback, since=since)

    def is_over(self, flags: Sequence[str]) -> bool:
        """Ask the engine whether the job has ended, or is not known there any more.

        Args:
            flags: for Beam, of the run that asks.

        Raises:
            OSError: if nobody answers.
        """
        if self.project:
            from google.api_core.exceptions import GoogleAPIError

            try:
                state = self._on_dataflow(flags).get_job(self.job).current_state
            except GoogleAPIError as error:
                raise OSError(f"Dataflow says {str(error).splitlines()[0]}") from error
            return str(state.name).removeprefix("JOB_STATE_") in OVER
        messages: Any = beam_job_api_pb2  # has no types of all
        request = messages.GetJobStateRequest(job_id=self.job)
        with grpc.insecure_channel(self.service) as channel:
            try:
                answer = beam_job_api_pb2_grpc.JobServiceStub(channel).GetState(request, timeout=REACH_SECONDS)
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise OSError(f"nobody answers at {self.service}") from error
                return True
        return beam_job_api_pb2.JobState.Enum.Name(answer.state) in OVER

    def stop(self, flags: Sequence[str]) -> None:
        """Tell the job to stop."""
        if self.project:
            self._on_dataflow(flags).modify_job_state(self.job, "JOB_STATE_CANCELLED")
            return
        with grpc.insecure_channel(self.service) as channel:
            messages: Any = beam_job_api_pb2  # has no types of all
            request = messages.CancelJobRequest(job_id=self.job)
            beam_job_api_pb2_grpc.JobServiceStub(channel).Cancel(request, timeout=CANCEL_SECONDS)

    def _on_dataflow(self, flags: Sequence[str]) -> Any:
        from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

        options = PipelineOptions(list(flags))
        cloud: Any = options.view_as(_google_options())
        cloud.project, cloud.region = self.project, self.region
        cloud.dataflow_endpoint = self.service or cloud.dataflow_endpoint
        client: Any = DataflowApplicationClient
        return client(options)


def _google_options() -> Any:
    options: Any = pipeline_options
    return options.GoogleCloudOptions


def see_to_earlier(path: str, flags: Sequence[str], report: Callable[[str], None], watch: Callable[[], None]) -> None:
    """Wait for a job that a start of this run has left behind by dying, so that no second one runs beside it.

    Whoever is interrupted while waiting cancels it.

    Args:
        path: of the file that names it, if there is one.
        flags: for Beam.
        report: takes a line.
        watch: is called meanwhile.

    Raises:
        RunError: if it may still run, and cannot be asked for.
        Cancelled: at an interrupt.
    """
    if not files.exists(path):
        return
    sent = Sent(**files.read_json(path))

    def over() -> bool:
        try:
            return sent.is_over(flags)
        except OSError as error:
            if sent.ends_with_service:
                return True
            raise RunError(
                f"the job {sent.job} of an earlier start of this run, sent at {sent.since}, may still run: {error}; "
                f"see that it has ended, and delete {path}"
            ) from error

    def ended(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not over():
            if time.monotonic() > until:
                return False
            time.sleep(ASK_SECONDS)
        return True

    def stop() -> str:
        said, gone = cancel(sent.job, lambda: sent.stop(flags), ended)
        if gone:
            files.remove(path)
        return said

    if not over():
        earlier = f"the job {sent.job}, which an earlier start of this run sent at {sent.since}, still runs"
        if sent.ends_with_sender:
            report(f"{earlier}, without the workers that went with it: {stop()}")
        else:
            report(f"{earlier}: waiting for its end; Ctrl-C cancels it")
            with interruptible():
                try:
                    while not ended(ASK_SECONDS):
                        watch()
                except KeyboardInterrupt as error:
                    raise Cancelled(stop(), *error.args) from error
    files.remove(path)
