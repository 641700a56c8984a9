"""A run whose inputs and outputs lie on a remote file system gives the bytes of a local one."""

import pathlib

from datapipe.engine.run import Outcome
from datapipe.store import files
from datapipe.store.record import Skipped
from tests.helpers import prose, run_recipe, write_lines

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
