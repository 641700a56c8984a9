"""What tests of engines share: a small run that passes through every kind of stage, here or there."""

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam

from datapipe.engine.runner import Runner
from datapipe.store import files
from tests.helpers import ROOT, prose, run_recipe, write_lines

RECIPE = """
stages:
  - documents: {part_bytes: 40000}
  - language
  - language_filter: {min_score: 0.1}
  - measurements
  - rules
  - exact_duplicates
  - repeated_text: {keep_copies: {line: 1}}
  - cut_repeated_text
  - near_duplicates
  - embeddings
  - semantic_duplicates
  - tokenizer: {vocabulary: 400, chinese: 0}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture
  - shards: {shard_bytes: 40000}
"""


def nothing() -> None:
    pass


def write_inputs(base: str) -> None:
    files.make_folder(files.join(base, "documents"))
    for number in range(2):
        records = [{"text": prose(number * 30 + row % 35), "mine": row} for row in range(40)]
        write_lines(files.join(base, "documents", f"{number}.jsonl"), records)


def run(base: str, runner: Runner) -> None:
    with runner:
        run_recipe(RECIPE, base, [files.join(base, "documents")], runner=runner)


def local_run(base: pathlib.Path) -> pathlib.Path:
    """A run on this machine; its output is in `out/`."""
    write_inputs(str(base))
    run(str(base), Runner(1))
    return base


def of_one(value: Any, function: Callable[[Any], Any]) -> Callable[[beam.Pipeline], Any]:
    return lambda pipeline: pipeline | beam.Create([value]) | "toy" >> (beam.Map(same) | "Inner" >> beam.Map(function))


def same(value: Any) -> Any:
    return value


def take_a_while(begun: str) -> None:
    pathlib.Path(begun).touch()
    time.sleep(4)
    pathlib.Path(f"{begun}-ended").touch()


SEND = """
import sys
from datapipe.engine.runner import Runner
from tests.jobs import nothing, of_one, take_a_while
begun, job_file, *flags = sys.argv[1:]
Runner(1, tuple(flags)).run(of_one(begun, take_a_while), 0, nothing, job_file)
"""


def send_and_die(flags: Sequence[str], begun: pathlib.Path, job_file: pathlib.Path, *, leaves_it: bool) -> None:
    """Have another process send a job, which makes `begun`, and kill it once the job runs.

    Args:
        flags: for Beam.
        begun: is made by the job.
        job_file: names the job.
        leaves_it: whether to wait for that file: not where a job ends with its sender.
    """
    around = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", SEND, str(begun), str(job_file), *flags], env=around) as sender:
        while not begun.exists() or (leaves_it and not job_file.exists()):
            assert sender.poll() is None
            time.sleep(0.1)
        sender.kill()
