"""Whatever goes wrong at whichever operation on files, of whichever stage: the next run gives what a whole one does."""

import pathlib
import random
import re
import shutil
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import BundleManager

from datapipe.store import files
from tests.helpers import NIGHTLY, prose, run_recipe, write_lines
from tests.shelf import Fault, Killed, Shelf

RECIPE = """
stages:
  - documents: {part_bytes: 5000}
  - instructions: {paths: ["{input_parent}/instructions"]}
  - language
  - language_filter: {min_score: 0.1}
  - exact_duplicates
  - near_duplicates
  - decontamination: {evaluation: ["{input_parent}/evaluation"]}
  - tokenizer: {vocabulary: 300, chinese: 0}
  - tokens: {tokenizer: "{output}/tokenizer/tokenizer.json"}
  - mixture
  - shards: {shard_bytes: 6000}
"""
FAULTS: tuple[Literal["error", "full", "short", "kill"], ...] = ("error", "full", "short", "kill")


def run(base: str) -> None:
    run_recipe(RECIPE, base, [files.join(base, "documents")])


def outputs(base: str) -> dict[str, bytes]:
    """The bytes of every file of a run, but for the two that carry times and paths."""
    found = {}
    for file in files.files_below(files.join(base, "out")):
        name = file.path.removeprefix(files.join(base, "out") + "/")
        if name not in ("run.json", "report.html"):
            with files.open_input(file.path) as source:
                found[name] = bytes(source.read())
    return found


def first_and_last(operations: list[str]) -> list[int]:
    """When each operation on each kind of file comes first, and when last: names differ by their numbers alone."""
    alike = [re.sub(r"[0-9a-f]{32}|\d+", "0", operation) for operation in operations]
    first = {name: at for at, name in reversed(list(enumerate(alike, 1)))}
    last = {name: at for at, name in enumerate(alike, 1)}
    return sorted({*first.values(), *last.values()})


@pytest.fixture
def begun(shelf: str) -> Iterator[str]:
    """A shelf with inputs, and none of whose faults stays."""
    for folder in ("documents", "instructions", "evaluation"):
        files.make_folder(files.join(shelf, folder))
    for number in range(2):
        records = [{"text": prose(number * 10 + row % 7), "mine": row} for row in range(8)]
        write_lines(files.join(shelf, "documents", f"{number}.jsonl"), [*records, {"none": 1}])
    dialogues = [{"instruction": f"What is {n}?", "output": f"It is {n}."} for n in range(4)]
    write_lines(files.join(shelf, "instructions", "a.jsonl"), dialogues)
    write_lines(files.join(shelf, "evaluation", "a.jsonl"), [{"text": prose(5)}])
    yield shelf
    Shelf.fault = None


def test_bundles_that_are_done_again_give_the_same_bytes(
    begun: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each runs twice, as where an engine has lost what it gave, and a third of them are killed before, on the way."""
    inputs, root = tmp_path / "inputs", Shelf.root
    shutil.copytree(root, inputs)
    run(begun)
    whole = outputs(begun)
    shutil.rmtree(root)
    shutil.copytree(inputs, root)
    once: Any = BundleManager.process_bundle
    dice = random.Random(0)
    done = {"killed": 0, "twice": 0, "half written": 0}

    def again(self: Any, *data: Any, **how: Any) -> Any:
        if dice.random() < 1 / 3:
            Shelf.fault = Fault("kill", dice.randint(1, 12))
            try:
                once(self, *data, dry_run=True)
            except (Killed, RuntimeError):  # as which Beam tells of the death of a step
                done["killed"] += 1
            Shelf.fault = None
            done["half written"] += any(path.name.endswith(".tmp") for path in root.iterdir())
        once(self, *data, dry_run=True)
        done["twice"] += 1
        return once(self, *data, **how)

    monkeypatch.setattr(BundleManager, "process_bundle", again)
    run(begun)
    assert outputs(begun) == whole
    assert done["twice"] > 20, done
    assert min(done.values()) > 2, done


def test_after_any_fault_the_next_run_gives_what_a_whole_one_gives(begun: str, tmp_path: pathlib.Path) -> None:
    inputs, root = tmp_path / "inputs", Shelf.root
    shutil.copytree(root, inputs)
    Shelf.fault = counted = Fault("error", 0)
    run(begun)
    Shelf.fault = None
    whole = outputs(begun)
    points, dice = first_and_last(counted.seen), random.Random(0)
    chosen = [(kind, at) for kind in FAULTS for at in (points if NIGHTLY else [dice.choice(points)])]
    ended: dict[str, int] = dict.fromkeys(FAULTS, 0)
    for kind, at in chosen:
        shutil.rmtree(root)
        shutil.copytree(inputs, root)
        Shelf.fault = Fault(kind, at)
        try:
            run(begun)
        except (Exception, Killed):
            ended[kind] += 1
        Shelf.fault = None
        run(begun)
        assert outputs(begun) == whole, (kind, at)
    assert all(ended[kind] for kind in ("error", "full", "kill"))
