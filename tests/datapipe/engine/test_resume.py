"""Whatever happens between two runs, the second gives the bytes of a fresh one, or one line says why it does not.

A machine of hypothesis edits options, touches, edits, adds, removes and renames inputs, deletes and damages outputs,
and kills runs, in any order.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from datapipe.commands.verify import verify
from datapipe.engine.output import RunError
from datapipe.store import files
from tests.helpers import NIGHTLY, digests, prose, run_recipe, write_lines

RECIPE = """
stages:
  - documents: {part_bytes: PART_BYTES}
  - language
  - language_filter: {min_score: MIN_SCORE}
  - exact_duplicates
  - decontamination: {evaluation: ["{input_parent}/evaluation"], parts: [document]}
  - shards: {seed: SEED, shard_bytes: 9000}
"""
OPTIONS: dict[str, tuple[Any, ...]] = {"PART_BYTES": (6000, 9000), "MIN_SCORE": (0.1, 0.93), "SEED": (0, 1)}
_fresh: dict[str, dict[str, str]] = {}


class Dead(BaseException):
    """The end of the process: from then on nothing reaches the disk."""


def dying(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let the process end when it gives a file its name, or removes one, for the n-th time."""
    left = at

    def wrapped(do: Callable[..., None], *arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Dead
        do(*arguments)

    for name in ("rename", "remove"):
        monkeypatch.setattr(files, name, functools.partial(wrapped, getattr(files, name)))


def damage(path: pathlib.Path, place: float = 0.5) -> None:
    """Turn a bit, and leave size and times as they are."""
    content, status = bytearray(path.read_bytes()), path.stat()
    if content:
        content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path: pathlib.Path, share: float = 0.5) -> None:
    os.truncate(path, int(share * path.stat().st_size))


class Resume(RuleBasedStateMachine):
    """A folder of inputs, options, and an output that runs are made into."""

    def __init__(self) -> None:
        super().__init__()
        self.base = pathlib.Path(tempfile.mkdtemp())
        self.output = self.base / "out"
        self.options = {name: values[0] for name, values in OPTIONS.items()}
        for folder in ("in", "evaluation"):
            (self.base / folder).mkdir()
            self.write(folder, 0, 0)
        self.write("in", 1, 20)

    def teardown(self) -> None:
        shutil.rmtree(self.base)

    def write(self, folder: str, number: int, seed: int) -> None:
        rows = ({"text": prose(seed + row % 9), "mine": row} for row in range(10))
        write_lines(self.base / folder / f"{number}.jsonl", rows)

    def inputs(self) -> list[pathlib.Path]:
        return sorted((self.base / "in").iterdir())

    def outputs(self) -> list[pathlib.Path]:
        return sorted(
            path for path in self.output.rglob("*") if path.is_file() and path.name not in ("run.json", ".lock")
        )

    def run_into(self, output: str) -> None:
        text = RECIPE
        for name, value in self.options.items():
            text = text.replace(name, str(value))
        run_recipe(text, self.base, [str(self.base / "in")], output)

    @rule(name=st.sampled_from(sorted(OPTIONS)), which=st.integers(0, 1))
    def edit_option(self, name: str, which: int) -> None:
        self.options[name] = OPTIONS[name][which]

    @rule(number=st.integers(0, 3), seed=st.sampled_from([0, 20, 40]))
    def add_or_edit_input(self, number: int, seed: int) -> None:
        self.write("in", number, seed)

    @rule(seed=st.sampled_from([0, 25, 1000]))
    def edit_what_an_option_names(self, seed: int) -> None:
        self.write("evaluation", 0, seed)

    @precondition(lambda self: self.inputs())
    @rule(data=st.data())
    def touch_input(self, data: st.DataObject) -> None:
        os.utime(data.draw(st.sampled_from(self.inputs())))

    @precondition(lambda self: self.inputs())
    @rule(data=st.data())
    def remove_input(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.inputs())).unlink()

    @precondition(lambda self: self.inputs())
    @rule(data=st.data(), number=st.integers(0, 5))
    def rename_input(self, data: st.DataObject, number: int) -> None:
        path = data.draw(st.sampled_from(self.inputs()))
        path.replace(path.with_name(f"{number}.jsonl"))

    @precondition(lambda self: self.outputs())
    @rule(data=st.data())
    def delete_output(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.outputs())).unlink()

    @precondition(lambda self: self.outputs())
    @rule(data=st.data(), place=st.floats(0, 1))
    def damage_output(self, data: st.DataObject, place: float) -> None:
        damage(data.draw(st.sampled_from(self.outputs())), place)

    @precondition(lambda self: self.outputs())
    @rule(data=st.data(), share=st.floats(0, 0.99))
    def cut_output(self, data: st.DataObject, share: float) -> None:
        cut(data.draw(st.sampled_from(self.outputs())), share)

    @precondition(lambda self: (self.output / "run.json").exists())
    @rule(share=st.sampled_from([0.0, 0.5, 0.99]))
    def cut_record(self, share: float) -> None:
        record = self.output / "run.json"
        os.truncate(record, int(share * record.stat().st_size))
        with pytest.raises(RunError, match=r"^.*run\.json is damaged.*$"):
            self.run_into("out")
        shutil.rmtree(self.output)

    @rule(at=st.integers(1, 60))
    def kill(self, at: int) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            dying(monkeypatch, at)
            with contextlib.suppress(Exception, Dead):
                self.run_into("out")

    @initialize()
    def begin(self) -> None:
        self.resume()

    @rule()
    def resume_more_often(self) -> None:
        """So that a change is often alone between two runs."""
        self.resume()

    @rule()
    def resume_still_more_often(self) -> None:
        self.resume()

    @rule()
    def resume(self) -> None:
        if not self.inputs():
            with pytest.raises(RunError, match=r"^there is nothing in the input .*$"):
                self.run_into("out")
            return
        self.run_into("out")
        assert digests(self.output) == self.fresh()
        verify(str(self.output))

    def fresh(self) -> dict[str, str]:
        """The digests of a run of the same recipe over the same inputs into a new folder."""
        content = hashlib.sha256(repr(sorted(self.options.items())).encode())
        for path in sorted(path for folder in ("in", "evaluation") for path in (self.base / folder).iterdir()):
            content.update(path.name.encode() + path.read_bytes())
        key = content.hexdigest()
        if key not in _fresh:
            self.run_into("fresh")
            _fresh[key] = digests(self.base / "fresh")
            shutil.rmtree(self.base / "fresh")
        return _fresh[key]


def one_of_each_kind(paths: list[pathlib.Path]) -> list[pathlib.Path]:
    """The first of those whose names differ by their numbers alone."""
    kinds = {re.sub(r"\d+", "0", str(path)): path for path in reversed(paths)}
    return sorted(kinds.values())


def test_after_each_change_alone_a_run_gives_what_a_fresh_one_gives() -> None:
    """One after the other into one folder: what a machine that draws lots comes to only in a night."""
    machine = Resume()
    try:
        machine.resume()
        for name, values in OPTIONS.items():
            for which in reversed(range(len(values))):
                machine.edit_option(name=name, which=which)
                machine.resume()
        changes: tuple[Callable[[], object], ...] = (
            lambda: machine.edit_what_an_option_names(seed=25),
            lambda: machine.add_or_edit_input(number=1, seed=40),
            lambda: machine.add_or_edit_input(number=2, seed=20),
            lambda: os.utime(machine.inputs()[0]),
            lambda: machine.inputs()[0].replace(machine.inputs()[0].with_name("9.jsonl")),
            lambda: machine.inputs()[0].unlink(),
        )
        for change in changes:
            change()
            machine.resume()
        for number, at in enumerate((5, 15, 30, 45)):
            machine.edit_option(name="PART_BYTES", which=1 - number % 2)
            machine.kill(at=at)
            machine.resume()
        harms: tuple[Callable[[pathlib.Path], object], ...] = (damage, cut, pathlib.Path.unlink)
        for number, path in enumerate(one_of_each_kind(machine.outputs())):
            for harm in harms if NIGHTLY else harms[number % 3 :][:1]:
                harm(path)
                machine.resume()
    finally:
        machine.teardown()


def test_a_resumed_run_gives_what_a_fresh_one_gives() -> None:
    run_state_machine_as_test(
        Resume,
        settings=settings(
            max_examples=300 if NIGHTLY else 1,
            stateful_step_count=30 if NIGHTLY else 12,
            derandomize=not NIGHTLY,
            database=None,
        ),
    )
