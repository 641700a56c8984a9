"""What tests of engines share: a small run that passes through every kind of stage, here or there."""

import pathlib

from datapipe.engine.runner import Runner
from datapipe.store import files
from tests.helpers import prose, run_recipe, write_lines

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
