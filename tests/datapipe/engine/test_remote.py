"""A run whose inputs and outputs lie on a remote file system gives the bytes of a local one."""

import collections
import itertools
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.engine.run import Outcome
from datapipe.engine.runner import Runner
from datapipe.store import files, objects
from datapipe.store.record import Skipped
from tests.helpers import ROOT, prose, run_recipe, write_lines
from tests.s3 import s3_flags

RECIPE = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - measurements
  - rules
  - quality: {positives: ["{input_parent}/good.jsonl"], negatives: ["{input_parent}/bad.jsonl"]}
  - quality_filter: {min_score: 0.0}
  - exact_duplicates
  - repeated_text: {keep_copies: {line: 1, window: 1}}
  - cut_repeated_text
  - near_duplicates
  - instructions: {paths: ["{input_parent}/instructions"]}
  - decontamination: {evaluation: ["{input_parent}/evaluation"]}
  - tokenizer: {vocabulary: 600}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture
  - shards: {shard_bytes: 60000}
"""


# Requests for a stage and a part, at most, where the workers are threads of one process: it writes a column file and
# its sum, and reads again only what is large; 2.4 were seen. `shards` reads of each part what goes into each shard.
REQUESTS = 3
RUN = """
import sys
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from datapipe.engine.runner import Runner
from tests.helpers import run_recipe
base, *flags = sys.argv[1:]
FileSystems.set_options(PipelineOptions(flags))
runner = Runner(2, tuple(flags), threads_from_bytes=0)
run_recipe(sys.stdin.read(), base, [f"{base}/documents"], runner=runner, report=lambda line: print(line, flush=True))
"""


def write_inputs(base: str) -> None:
    for folder in ("documents", "instructions", "evaluation"):
        files.make_folder(files.join(base, folder))
    for number in range(3):
        records = [{"text": prose(number * 100 + row % 70), "mine": row} for row in range(80)]
        write_lines(files.join(base, "documents", f"{number}.jsonl"), records)
    write_lines(files.join(base, "good.jsonl"), [{"text": prose(seed)} for seed in range(1000, 1100)])
    write_lines(files.join(base, "bad.jsonl"), [{"text": f"buy {seed} now, buy {seed}"} for seed in range(100)])
    dialogues = [{"instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(20)]
    write_lines(files.join(base, "instructions", "a.jsonl"), dialogues)
    write_lines(files.join(base, "evaluation", "a.jsonl"), [{"text": prose(5)}])


def do(base: str) -> tuple[Outcome, list[str]]:
    """Run the recipe, and return what it came to and its lines."""
    lines: list[str] = []
    return run_recipe(RECIPE, base, [files.join(base, "documents")], report=lines.append), lines


def outputs(base: str) -> dict[str, bytes]:
    """The bytes of every file of a run, but for the two that carry times and paths."""
    found = {}
    for path, *_ in files.find(files.join(base, "out", "**")):
        name = path.removeprefix(files.join(base, "out") + "/")
        if name not in ("run.json", "report.html", ".lock"):
            with files.open_input(path) as source:
                found[name] = bytes(source.read())
    return found


def test_a_run_on_a_remote_file_system_gives_the_bytes_of_a_local_one(tmp_path: pathlib.Path, shelf: str) -> None:
    local = str(tmp_path / "local")
    for base in (local, shelf):
        files.make_folder(base)
        write_inputs(base)
    (here, _), (there, _) = do(local), do(shelf)
    assert there.funnel.as_json() == here.funnel.as_json()
    assert not any(isinstance(stage, Skipped) for stage in there.record.stages.values())
    assert {"shards/train-00000.parquet", "tokenizer/tokenizer.json"} <= outputs(local).keys()
    assert outputs(shelf) == outputs(local)
    assert not any(" rows " in line for line in do(shelf)[1])
    write_lines(files.join(shelf, "evaluation", "b.jsonl"), [{"text": prose(6)}])
    assert next(line.split()[0] for line in do(shelf)[1] if " rows " in line) == "decontamination"


def start(base: str, flags: list[str]) -> subprocess.Popen[str]:
    """The recipe over a folder in a store, in a process of its own, with two workers; it prints its news."""
    command = [sys.executable, "-c", RUN, base, *flags]
    around = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=around
    )
    assert run.stdin
    run.stdin.write(RECIPE)
    run.stdin.close()
    run.stdin = None  # `communicate` would close it once more
    return run


def test_on_s3_a_killed_run_resumes_to_the_bytes_of_a_local_one(s3: Any, tmp_path: pathlib.Path) -> None:
    local, base, flags = str(tmp_path / "local"), "s3://bucket/work", s3_flags(s3)
    for folder in (local, base):
        files.make_folder(folder)
        write_inputs(folder)
    do(local)
    FileSystems.set_options(PipelineOptions(flags))  # a local run sets its own
    with start(base, flags) as run:
        assert run.stdout
        before = list(itertools.takewhile(lambda line: "exact_duplicates" not in line, run.stdout))
        run.kill()
    assert any("language" in line for line in before)
    with start(base, flags) as refused:
        assert "another run is writing into s3://bucket/work/out" in refused.communicate()[0]
    s3.delete_object(Bucket="bucket", Key="work/out/.lock")  # as if nobody had given a sign of life for two minutes
    with start(base, flags) as run:
        said = run.communicate()[0]
    assert run.returncode == 0, said
    assert not any("language " in line and " rows " in line for line in said.splitlines())
    assert outputs(base) == outputs(local)
    left = [
        each["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        for each in page["Contents"]
    ]
    assert not [key for key in left if key.endswith((".lock", ".sum", ".tmp")) or "/tasks/" in key]


def test_a_run_asks_for_no_listing_of_what_it_wrote(
    s3: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's listings never show what was written since the run began."""
    local, base, flags = str(tmp_path / "local"), "s3://bucket/work", tuple(s3_flags(s3))
    for folder in (local, base):
        files.make_folder(folder)
        write_inputs(folder)
    do(local)
    FileSystems.set_options(PipelineOptions(list(flags)))
    listed = objects._S3.listed

    def late(self: Any, bucket: str, prefix: str, at_most: int | None = None) -> Iterator[objects.Object]:
        return (each for each in listed(self, bucket, prefix, at_most) if not each.key.startswith("work/out/"))

    with monkeypatch.context() as patched:
        patched.setattr(objects._S3, "listed", late)
        run_recipe(RECIPE, base, [f"{base}/documents"], runner=Runner(2, flags, threads_from_bytes=0))
    assert outputs(base) == outputs(local)
    lines: list[str] = []
    run_recipe(RECIPE, base, [f"{base}/documents"], runner=Runner(2, flags), report=lines.append)
    assert not any(" rows " in str(line) for line in lines)


def test_the_requests_of_a_run_grow_with_its_parts_and_stages_alone(s3: Any) -> None:
    """What a stage and a part cost: by what twice the parts cost more."""
    base, flags = "s3://bucket/work", s3_flags(s3)
    write_inputs(base)
    asked = collections.Counter[str]()
    FileSystems.set_options(PipelineOptions(flags))
    client = objects.store_of(base)[0].client
    client.meta.events.register("before-call.s3", lambda model, **_: asked.update([model.name]))
    seen = []
    for part_bytes in (40_000, 20_000):
        asked.clear()
        recipe = RECIPE.replace("part_bytes: 40000", f"part_bytes: {part_bytes}")
        runner = Runner(1, tuple(flags))
        outcome = run_recipe(recipe, base, [f"{base}/documents"], f"out{part_bytes}", runner)
        seen.append((len(outcome.corpus.parts), asked.total(), len(outcome.record.stages)))
    (few, of_few, stages), (many, of_many, _) = seen
    assert many > 1.5 * few
    assert (of_many - of_few) / (many - few) / stages < REQUESTS


def test_a_remote_folder_is_there_and_can_be_removed(shelf: str) -> None:
    folder, path = files.join(shelf, "a"), files.join(shelf, "a", "b", "c.json")
    files.write_json(path, 1)
    files.write_json(files.join(shelf, "ab.json"), 2)
    assert files.exists(folder)
    assert files.exists(path)
    assert files.list_folder(files.join(shelf, "a", "b")) == [path]
    files.remove(folder)
    assert not files.exists(folder)
    assert files.exists(files.join(shelf, "ab.json"))
    files.remove(folder)
