"""Jobs on other engines: the bytes of a local run, causes in one line, nothing left running, refusals before that."""

import dataclasses
import importlib
import importlib.util
import os
import pathlib
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import grpc
import psutil
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.portability.job_server import ExternalJobServer, StopOnExitJobServer
from apache_beam.runners.portability.portable_runner import JobServiceHandle, PortableRunner

from datapipe.dedup.embeddings import EmbedDocuments
from datapipe.engine import jobs
from datapipe.engine.beam_flags import check_flags
from datapipe.engine.output import RunError
from datapipe.engine.runner import PipelineError, Runner
from datapipe.extras import MissingExtraError
from datapipe.flow import counters
from datapipe.mix.tokens import CountTokens
from datapipe.store import files
from tests.helpers import digests
from tests.jobs import nothing, of_one, run, send_and_die, write_inputs
from tests.programs import free_port, started
from tests.s3 import s3_flags

pytestmark = pytest.mark.xdist_group("engines")


class EndsWithUs(PortableRunner):
    """A runner as Flink's, Spark's and Prism's are: it sets signals, so that its job server ends with this process."""

    def create_job_service(self, options: PipelineOptions) -> JobServiceHandle:
        external = ExternalJobServer(options.view_as(PortableOptions).job_endpoint, 60)  # type: ignore[no-untyped-call]
        server: Any = StopOnExitJobServer(external)  # type: ignore[no-untyped-call]
        return self.create_job_service_handle(server.start(), options)


def fail(number: int) -> None:
    raise ValueError(f"the number {number} is bad")


def write(path: str) -> None:
    files.write_json(path, "here")


def dawdle(begun: str) -> None:
    pathlib.Path(begun).touch()
    time.sleep(30)


def tell(amount: int) -> None:
    counters.tell_done(amount)
    time.sleep(1.5)


@pytest.fixture(scope="module")
def job_server() -> Iterator[str]:
    """The address of Beam's own portable job service, in another process."""
    port = free_port()
    module = "apache_beam.runners.portability.local_job_service_main"
    with started(sys.executable, "-m", module, f"--port={port}", port=port):
        yield f"localhost:{port}"


@pytest.fixture(scope="module")
def pool(job_server: str) -> Iterator[list[str]]:
    """Flags for workers in processes of their own, which this one has not started."""
    port = free_port()
    module = "apache_beam.runners.worker.worker_pool_main"
    with started(sys.executable, "-m", module, f"--service_port={port}", port=port):
        yield [
            "--runner=PortableRunner",
            f"--job_endpoint={job_server}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{port}",
        ]


def drawn(output: pathlib.Path) -> str:
    """What the report of a run draws, but for times and memory."""
    page = (output / "report.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    return re.sub(r'"(seconds|MiB)":[\d.]+', "", found[1])


def test_workers_of_a_pool_give_the_bytes_of_a_local_run(
    local_run: pathlib.Path, tmp_path: pathlib.Path, pool: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("datapipe.engine.run"), "PARTS_COUNTED_HERE", 0)
    sent, send = list[Any](), Runner._run_elsewhere

    def counted(*given: Any) -> Any:
        sent.append(given)
        return send(*given)

    monkeypatch.setattr(Runner, "_run_elsewhere", counted)
    write_inputs(str(tmp_path))
    run(str(tmp_path), Runner(1, tuple(pool)))
    expected = digests(local_run / "out")
    assert "near_duplicates/part-00000.parquet" in expected
    assert digests(tmp_path / "out") == expected
    assert drawn(tmp_path / "out") == drawn(local_run / "out")
    assert not [build for _, build, *_ in sent if "_count_by_workers" in repr(build)]  # a job for the report alone


def test_workers_of_a_pool_reach_the_users_store(pool: list[str], s3: Any) -> None:
    path = "s3://bucket/from/a/worker.json"
    Runner(1, (*pool, *s3_flags(s3))).run(of_one(path, write), 0, nothing)  # no worker knows the store but by them
    assert files.read_json(path) == "here"


def test_prism_gives_the_bytes_of_a_local_run(local_run: pathlib.Path, tmp_path: pathlib.Path, prism: str) -> None:
    write_inputs(str(tmp_path))
    before = psutil.Process().children()
    run(str(tmp_path), Runner(1, ("--runner=PrismRunner", f"--prism_location={prism}")))
    assert digests(tmp_path / "out") == digests(local_run / "out")
    assert psutil.Process().children() == before


def test_the_workers_own_error_is_the_cause_and_names_the_step(pool: list[str]) -> None:
    with pytest.raises(PipelineError, match=r"^ValueError: the number 7 is bad$") as raised:
        Runner(1, tuple(pool)).run(of_one(7, fail), 0, nothing)
    assert raised.value.step == "toy"


def test_a_worker_without_a_module_says_what_to_give(
    pool: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def same(value):\n    return value\n")
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("only_here").same
    with pytest.raises(PipelineError, match=r"^the worker has no module 'only_here': give --sdk_container_image"):
        Runner(1, tuple(pool)).run(of_one(7, function), 0, nothing)


def test_a_pool_that_is_not_there_is_one_line(job_server: str) -> None:
    flags = ("--runner=PortableRunner", f"--job_endpoint={job_server}", "--environment_type=EXTERNAL")
    with pytest.raises(PipelineError, match=r"connect.*127\.0\.0\.1:9"):
        Runner(1, (*flags, "--environment_config=127.0.0.1:9")).run(of_one(7, fail), 0, nothing)


def test_progress_comes_from_the_engines_counters(prism: str) -> None:
    seen = set[int]()

    def build(pipeline: beam.Pipeline) -> None:
        first = pipeline | beam.Create([3]) | "First" >> beam.Map(tell)
        _ = first | beam.Reshuffle() | "Second" >> beam.Map(lambda _: tell(4))

    with Runner(1, ("--runner=PrismRunner", f"--prism_location={prism}")) as runner:
        runner.run(build, 0, lambda: seen.add(runner.counted()))
        assert runner.counted() == 0  # nothing runs
    assert seen & {3, 7}  # when the engine tells of them is its own affair


@pytest.fixture
def left_behind(pool: list[str], tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The file of a job that goes on although its sender was killed; beside it, `begun-ended` once it is over."""
    begun, job_file = tmp_path / "begun", tmp_path / ".job"
    send_and_die(pool, begun, job_file, leaves_it=True)
    yield job_file
    while not begun.with_name("begun-ended").exists():  # the pool is others', too
        time.sleep(0.1)


def test_a_job_that_a_killed_start_left_is_waited_for(left_behind: pathlib.Path, pool: list[str]) -> None:
    said: list[str] = []
    waits: list[int] = []
    jobs.see_to_earlier(str(left_behind), pool, said.append, lambda: waits.append(1))
    assert left_behind.with_name("begun-ended").exists()
    assert not left_behind.exists()
    assert len(said) == 1
    assert re.match(r"the job \S+, which an earlier start of this run sent at .*, still runs: waiting", said[0])
    assert waits
    jobs.see_to_earlier(str(left_behind), pool, said.append, nothing)
    assert len(said) == 1


def test_a_job_whose_workers_went_with_its_sender_is_cancelled(left_behind: pathlib.Path, pool: list[str]) -> None:
    sent = jobs.Sent(**files.read_json(str(left_behind)))
    files.write_json(str(left_behind), dataclasses.asdict(dataclasses.replace(sent, ends_with_sender=True)))
    said: list[str] = []
    jobs.see_to_earlier(str(left_behind), pool, said.append, nothing)
    assert said[0].endswith(f"without the workers that went with it: the job {sent.job} is cancelled")
    assert sent.is_over(pool)
    assert not left_behind.exists()


def test_a_job_that_nobody_can_be_asked_for_is_refused_unless_it_went_with_its_service(tmp_path: pathlib.Path) -> None:
    path = tmp_path / ".job"
    sent = jobs.Sent("job-1", "127.0.0.1:9", since="today")
    files.write_json(str(path), dataclasses.asdict(sent))
    with pytest.raises(RunError, match=r"^the job job-1 .* may still run: nobody answers at 127.0.0.1:9; see that it"):
        jobs.see_to_earlier(str(path), [], print, nothing)
    assert path.exists()
    files.write_json(str(path), dataclasses.asdict(dataclasses.replace(sent, ends_with_service=True)))
    jobs.see_to_earlier(str(path), [], print, nothing)
    assert not path.exists()


def test_an_engine_that_forgot_a_job_has_ended_it(job_server: str) -> None:
    assert jobs.Sent("never sent", job_server).is_over([])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_job_and_says_so(
    number: signal.Signals, pool: list[str], job_server: str, tmp_path: pathlib.Path
) -> None:
    begun = tmp_path / "begun"

    def interrupt() -> None:
        while not begun.exists():
            time.sleep(0.1)
        os.kill(os.getpid(), number)

    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    threading.Thread(target=interrupt, daemon=True).start()
    flags = (f"--runner={__name__}.{EndsWithUs.__name__}", *pool[1:])
    with pytest.raises(jobs.Cancelled, match=r"^the job \S+ is cancelled$") as raised:
        Runner(1, flags).run(of_one(str(begun), dawdle), 0, nothing)
    assert raised.value.number == number
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    with grpc.insecure_channel(job_server) as channel:
        there = beam_job_api_pb2_grpc.JobServiceStub(channel).GetJobs(beam_job_api_pb2.GetJobsRequest()).job_info
    assert {beam_job_api_pb2.JobState.Enum.Name(job.state) for job in there} <= {"DONE", "FAILED", "CANCELLED"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--runner=PortableRunner", "--job_endpoint=127.0.0.1:9"], "job server not reachable at 127.0.0.1:9"),
        (["--runner=PortableRunner", "--job_endpoint=nowhere"], "job server not reachable at nowhere .*: it must be h"),
        (["--runner=dask", "--dask_client_address=tcp://127.0.0.1:9"], "Dask scheduler not reachable at tcp://127"),
    ],
)
def test_nobody_there_is_said_soon(flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "dask" in flags[0]:
        pytest.importorskip("distributed", reason="needs the extra dask")
    monkeypatch.setattr(jobs, "REACH_SECONDS", 1.0)
    started_at = time.monotonic()
    with pytest.raises(PipelineError, match=said):
        Runner(1, tuple(flags)).run(of_one(7, fail), 0, nothing)
    assert time.monotonic() - started_at < 15


POOL = ["--runner=PortableRunner", "--job_endpoint=x:1", "--environment_type=EXTERNAL", "--environment_config=y:1"]


@pytest.mark.parametrize(
    ("flags", "output", "said"),
    [
        (["--runner=PortableRunner", "--job_endpoint=x:1"], "/out", "--output /out: workers in containers do not"),
        (["--runner=FlinkRunner", "--flink_master=x:1"], "/out", "--output /out: workers in containers do not"),
        (["--runner=SparkRunner", "--spark_master_url=spark://x:1"], "/out", "--output /out: workers in containers"),
        (["--runner=FlinkRunner", "--flink_master=x:1"], "shelf://b/out", "--input /in: workers in containers do not"),
        (POOL, "out", "--output out: workers that are started elsewhere have working folders of their own"),
        (["--dry_run=True"], "/out", "--dry_run runs no pipeline"),
        (["--runner=FlinkRunner", "--template_location=gs://b/t"], "/out", "--template_location runs no pipeline"),
        (["--runner=FlinkRunner", "--output_executable_path=a.jar"], "/out", "--output_executable_path runs no"),
        (
            ["--runner=Nobody"],
            "/out",
            "--runner=Nobody: there is no such engine; known are dask, Data",
        ),
        (["--runner=FlnkRunner"], "/out", "--runner=FlnkRunner: there is no such engine; did you mean 'FlinkRunner'?"),
        (["--runner=no.Such"], "/out", "--runner=no.Such: "),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(flags: list[str], output: str, said: str) -> None:
    check_flags(flags)
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        jobs.check_job(flags, ["/in"], output, [])


def test_a_name_that_no_path_has_is_not_refused() -> None:
    jobs.check_job(
        ["--runner=FlinkRunner", "--flink_master=x:1"], ["shelf://b/in"], "shelf://b/out", [EmbedDocuments()]
    )


def test_a_path_that_an_option_names_is_refused_by_its_stage() -> None:
    flags = ["--runner=FlinkRunner", "--flink_master=x:1"]
    with pytest.raises(ValueError, match=r"^tokens /t/tokenizer.json: workers in containers"):
        jobs.check_job(flags, ["shelf://b/in"], "shelf://b/out", [CountTokens(tokenizer="/t/tokenizer.json")])


@pytest.mark.parametrize(
    "flags", [[], POOL, ["--runner=FlinkRunner"], ["--runner=SparkRunner"], ["--runner=PrismRunner"]]
)
def test_workers_that_share_this_disk_may_use_it(flags: list[str]) -> None:
    jobs.check_job(flags, ["/in"], "/out", [])


@pytest.mark.parametrize(
    ("flag", "module", "said"),
    [
        ("--runner=dask", "distributed", r"needs the package distributed: pip install 'datapipe-llm\[dask\]'"),
        ("--runner=DataflowRunner", "apitools", r"needs the package apitools: pip install 'datapipe-llm\[gcp\]'"),
    ],
)
def test_an_engine_that_is_not_installed_names_its_extra(flag: str, module: str, said: str) -> None:
    if importlib.util.find_spec(module):
        pytest.skip(f"the package {module} is installed")
    with pytest.raises(MissingExtraError, match=said):
        jobs.check_job([flag], ["/in"], "/out", [])
