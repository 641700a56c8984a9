"""The arguments of `datapipe tokenizer` reach the functions that carry them out."""

import argparse
import inspect
from typing import Any

import pytest

from tokenizer_training import commands
from tokenizer_training.cli import add_commands, call


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser()
    add_commands(top.add_subparsers(dest="action", required=True))
    return top


COMMANDS = {
    "train": ["--input", "in", "--output", "out", "--vocabulary", "500", "--algorithm", "byte_level"],
    "extend": ["base.json", "--input", "in", "--output", "out", "--size", "7"],
    "prune": ["base.json", "--output", "out"],
    "compare": ["a.json", "b.json", "--input", "in", "--output", "out"],
    "export": ["a.json", "--to", "gguf", "--output", "out"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_reach_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = inspect.signature(getattr(commands, name))
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(commands, name, lambda **options: seen.append(options))
    call(parser().parse_args([name, *COMMANDS[name]]))
    signature.bind(**seen[0])
    assert seen[0]["output"] == "out"
    if name == "train":
        options: Any = seen[0]["options"]
        assert (options.vocabulary, options.algorithm) == (500, "byte_level")


def test_a_command_without_its_arguments_is_bad_use() -> None:
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["export", "a.json"])
    assert stop.value.code == 2
