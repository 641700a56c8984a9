"""The whole way through Beam's `DataflowRunner`, to a stand-in for the service: see `tests/dataflow.py`."""

import collections
import importlib
import os
import pathlib
import pickle
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.commands.run import run
from datapipe.dedup.exact_duplicates import FindExactDuplicates
from datapipe.engine import jobs, work
from datapipe.engine.recipe import load_recipe
from datapipe.engine.run import _FromFile, _WriteVerdicts
from datapipe.engine.runner import PipelineError, Runner
from datapipe.flow.spread import Spread
from datapipe.read.inputs import MIN_FILE_WEIGHT, Slice, Task
from datapipe.read.options import ReadOptions
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part, part_path
from datapipe.store.record import Done, RunRecord
from tests import dataflow
from tests.helpers import NIGHTLY, ROOT, SAMPLE, digests, prose, run_recipe, write_lines
from tests.jobs import send_and_die

RECIPE = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - language_filter: {min_score: 0.1}
  - exact_duplicates
  - near_duplicates
"""
MEGABYTE = 1 << 20
# Requests to the store for a stage and a part, at most: it reads up to eight columns and the decisions before it, looks
# whether its column file is there, and writes that file and its sum.
REQUESTS = 20
# Whatever the parts: those of the driver for a stage (records, listings, sums) and for a job (Beam's own staging).
REQUESTS_OF_A_STAGE, REQUESTS_OF_A_JOB = 40, 30


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dataflow.Dataflow]:
    """The stand-in, which this process reaches by its own file functions, too."""
    with dataflow.served(tmp_path_factory.mktemp("dataflow")) as there:
        before = FileSystems._pipeline_options  # type: ignore[attr-defined]
        FileSystems.set_options(PipelineOptions(there.flags))
        yield there
        FileSystems.set_options(before)


def nothing() -> None:
    pass


def fail(number: int) -> None:
    raise ValueError(f"the number {number} is bad")


def dawdle(path: str) -> None:
    files.write_json(path, "begun")
    time.sleep(60)


def of_one(value: Any, function: Any) -> Any:
    return lambda pipeline: pipeline | beam.Create([value]) | "toy" >> (beam.Map(function) | "Inner" >> beam.Map(str))


def fetch(base: str, folder: pathlib.Path) -> dict[str, str]:
    """The digests of what a run has left in the store, but for files that carry times."""
    for path, *_ in files.find(base):
        here = folder / path.removeprefix(base).lstrip("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        with files.open_input(path) as source:
            here.write_bytes(source.read())
    return digests(folder)


def write_inputs(base: str, seeds: range) -> None:
    files.make_folder(files.join(base, "documents"))
    for seed in seeds:
        records = [{"text": prose(seed * 100 + row % 70), "mine": row} for row in range(80)]
        write_lines(files.join(base, "documents", f"{seed}.jsonl"), records)


def test_a_run_gives_the_bytes_of_a_local_one_and_resumes(service: dataflow.Dataflow, tmp_path: pathlib.Path) -> None:
    local, base = str(tmp_path / "here"), "gs://bucket/toy"
    write_inputs(local, range(2))
    write_inputs(base, range(2))
    run_recipe(RECIPE, local, [f"{local}/documents"])
    service.jobs.clear()
    service.requests.clear()
    with Runner(1, tuple(service.flags)) as runner:
        parts = len(run_recipe(RECIPE, base, [f"{base}/documents"], runner=runner).corpus.parts)
        sent, asked = len(service.jobs), len(service.requests)
        assert fetch(f"{base}/out", tmp_path / "there") == digests(tmp_path / "here" / "out")
        assert sent <= 4
        assert asked <= REQUESTS * 5 * parts + REQUESTS_OF_A_STAGE * 5 + REQUESTS_OF_A_JOB * sent
        run_recipe(RECIPE.replace("0.1", "0.2"), base, [f"{base}/documents"], runner=runner)
        assert 0 < len(service.jobs) - sent < sent
    assert all(job.pipeline_bytes < MEGABYTE for job in service.jobs)


@pytest.mark.parametrize(
    ("without", "given", "said"),
    [
        ("--project", [], r"^--runner=DataflowRunner needs --project$"),
        ("--temp_location", [], r"^--runner=DataflowRunner needs --temp_location$"),
        ("--temp_location", ["--temp_location=/tmp"], r"^--temp_location /tmp: Dataflow's workers reach gs://… alone$"),
        (
            "--sdk_container_image",
            [],
            r"needs --sdk_container_image: Google's own image of workers has no",
        ),
    ],
)
def test_what_dataflow_needs_is_asked_for_at_once(
    service: dataflow.Dataflow, without: str, given: list[str], said: str
) -> None:
    flags = [flag for flag in service.flags if not flag.startswith(f"{without}=")]
    with pytest.raises(ValueError, match=said):
        jobs.check_job([*flags, *given], ["gs://bucket/in"], "gs://bucket/out", [])


def test_a_job_that_fails_says_why(service: dataflow.Dataflow) -> None:
    with pytest.raises(PipelineError, match=r"^ValueError: the number 7 is bad$"):
        Runner(1, tuple(service.flags)).run(of_one(7, fail), 0, nothing)


def test_an_interrupt_cancels_the_job(service: dataflow.Dataflow) -> None:
    begun = "gs://bucket/begun.json"

    def interrupt() -> None:
        while not files.is_file(begun):
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(jobs.Cancelled, match=r"^the job \S+ is cancelled$"):
        Runner(1, tuple(service.flags)).run(of_one(begun, dawdle), 0, nothing)
    assert service.get(service.jobs[-1].id)["currentState"] in ("JOB_STATE_CANCELLED", "JOB_STATE_CANCELLING")


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_job_that_a_killed_start_left_is_waited_for_or_cancelled(
    service: dataflow.Dataflow, tmp_path: pathlib.Path, interrupted: bool
) -> None:
    begun, job_file = tmp_path / "begun", tmp_path / ".job"
    send_and_die(service.flags, begun, job_file, leaves_it=True)
    job, said = service.jobs[-1].id, list[str]()
    if interrupted:
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(jobs.Cancelled, match=rf"^the job {job} is cancelled$"):
            jobs.see_to_earlier(str(job_file), service.flags, said.append, nothing)
    else:
        jobs.see_to_earlier(str(job_file), service.flags, said.append, nothing)
        assert begun.with_name("begun-ended").exists()
    assert re.match(rf"the job {job}, which an earlier start of this run sent at .*, still runs: waiting", said[0])
    assert not job_file.exists()
    assert service.get(job)["currentState"] == ("JOB_STATE_CANCELLED" if interrupted else "JOB_STATE_DONE")


@pytest.mark.skipif(not NIGHTLY, reason="`make test-all` runs it: minutes")
def test_the_default_recipe_gives_the_bytes_of_a_local_run_in_eight_jobs(
    service: dataflow.Dataflow, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many whatever the number of parts: none counts for the report alone."""
    monkeypatch.setattr(importlib.import_module("datapipe.engine.run"), "PARTS_COUNTED_HERE", 0)
    for name in ("documents", "evaluation", "instructions", "quality"):
        shutil.copytree(SAMPLE / name, tmp_path / "in" / name)
    for path in sorted((tmp_path / "in").rglob("*")):
        if path.is_file():
            with files.whole_file(f"gs://bucket/in/{path.relative_to(tmp_path / 'in')}") as sink:
                sink.write(path.read_bytes())
    how: Any = {"workers": 1, "every_row": False, "quiet": True}
    run("default", [str(tmp_path / "in" / "documents")], str(tmp_path / "out"), flags=[], **how)
    service.jobs.clear()
    service.requests.clear()
    run("default", ["gs://bucket/in/documents"], "gs://bucket/out", flags=service.flags, **how)
    sent, asked = len(service.jobs), len(service.requests)
    assert fetch("gs://bucket/out", tmp_path / "there") == digests(tmp_path / "out")
    assert sent <= 8
    parts = len(list((tmp_path / "out" / "documents").glob("part-*"))) + 1
    assert asked <= REQUESTS * 21 * parts + REQUESTS_OF_A_STAGE * 21 + REQUESTS_OF_A_JOB * sent
    assert all(job.pipeline_bytes < MEGABYTE for job in service.jobs)
    counted = counters_of(service)
    record = RunRecord.read("gs://bucket/out")
    assert record
    for name, stage in record.stages.items():
        if isinstance(stage, Done):
            assert {"rows", "bytes"} <= counted[name].keys(), name
    removed = {name: sum(n for what, n in of.items() if what.startswith("removed_")) for name, of in counted.items()}
    assert removed["near_duplicates"] == 10
    assert removed["rules"] == 145
    run("default", ["gs://bucket/in/documents"], "gs://bucket/out", flags=service.flags, **how)
    assert len(service.jobs) <= sent + 1  # the report


def counters_of(service: dataflow.Dataflow) -> dict[str, dict[str, int]]:
    """What the service shows of its jobs: by stage, each counter's sum."""
    found: dict[str, dict[str, int]] = collections.defaultdict(lambda: collections.defaultdict(int))
    for job in service.jobs:
        for metric in service.metrics(job.id)["metrics"]:
            found[metric["name"]["context"]["namespace"]][metric["name"]["name"]] += metric["scalar"]
    return found


def size_of(build: Any) -> int:
    """The bytes of a pipeline as an engine gets it."""
    pipeline = beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    build(pipeline)
    return len(pipeline.to_runner_api().SerializeToString())  # type: ignore[attr-defined]


def test_a_pipeline_over_a_hundred_thousand_files_is_small(tmp_path: pathlib.Path) -> None:
    stages = [f"stage_{number}" for number in range(20)]
    columns = {f"{stage}_column_{n}": stage for stage in stages for n in range(3)}
    parts = tuple(
        Part(
            number, "document", 1000, {name: part_path(f"s3://bucket/out/{of}", number) for name, of in columns.items()}
        )
        for number in range(100_000 // 50)
    )
    corpus = Corpus(str(tmp_path), parts)
    stage = FindExactDuplicates()

    def build(pipeline: beam.Pipeline) -> None:
        parts = pipeline | _FromFile(work.Kept.of(corpus.parts, str(tmp_path)), Part)
        _ = parts | _WriteVerdicts(stage, stage, corpus)

    assert len(pickle.dumps(parts)) > 2 * MEGABYTE  # what it must not hold
    assert size_of(build) < MEGABYTE
    assert len(list(work.Kept.of(parts, str(tmp_path)))) == len(parts)


def test_the_elements_of_a_hundred_thousand_files_are_small(tmp_path: pathlib.Path) -> None:
    a_task = ReadOptions().part_bytes // MIN_FILE_WEIGHT  # files, at most
    name = "a/folder/of/web/pages/that/have/long/names/page-{:08d}.html"
    tasks = [
        Task(
            number,
            tuple(Slice(f"gs://bucket/{name}", name.format(at), "html", "names", 900, 0) for at in range(a_task)),
        )
        for number in range(100_000 // a_task)
    ]
    places = work.Place.of(tasks, str(tmp_path))
    assert [place.read() for place in places] == tasks
    assert max(len(pickle.dumps(place)) for place in places) < 300

    def build(pipeline: beam.Pipeline) -> None:
        places_ = pipeline | _FromFile(work.Kept.of(places, str(tmp_path)), work.Place)
        _ = places_ | Spread() | beam.Map(work.read_placed, str(tmp_path), "tasks")

    assert size_of(build) < MEGABYTE


def test_the_recipe_that_comes_along_is_not_refused_for_want_of_a_shared_disk(service: dataflow.Dataflow) -> None:
    variables = {"input_parent": "gs://bucket/in", "output": "gs://bucket/out"}
    recipe = load_recipe(str(ROOT / "pipelines" / "recipes" / "default.yaml"), variables)
    jobs.check_job(service.flags, ["gs://bucket/in/documents"], "gs://bucket/out", recipe.stages)
