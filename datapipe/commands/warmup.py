"""`datapipe warmup`: compile what a recipe needs before the first documents come, as in a worker's image."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence
from itertools import filterfalse

from datapipe import kernels
from datapipe.commands.recipes import recipe_path
from datapipe.engine.recipe import load_recipe
from datapipe.engine.run import run
from datapipe.engine.runner import Runner
from datapipe.stage import DocumentStage, Stage
from datapipe.store.corpus import REASON
from datapipe.store.temporary import temporary_folder

# What sends a text through each kernel: an alphabet, words to be cut, code, and something to compare each with.
_TEXTS = (
    "The ferry to the island leaves at nine, and the last boat back is at six in the evening; ask at the harbour. ",
    "渡轮早上九点开往岛上，最后一班船晚上六点返回。冬天风大的时候不开船，请先到码头询问。今天天气很好，大家都去公园散步。",
    "def area(radius):\n    return math.pi * radius ** 2\n\n\nfor radius in range(3):\n    print(area(radius))\n",
)
_COPIES = 12  # the quality classifier asks for ten examples of either kind


def warm_up(recipe: str) -> None:
    """Run a recipe over a few texts, and say where the compiled kernels are and how long it took.

    Args:
        recipe: a YAML file, or the name of a recipe that comes along.

    Raises:
        RecipeError: if it cannot be run, with file and line.
    """
    started = time.monotonic()
    with temporary_folder() as folder:
        _write(folder / "documents", [f"{3 * text}{number}" for text in _TEXTS for number in range(_COPIES)])
        _write(folder / "evaluation", _TEXTS[:1])
        _write(folder / "quality", [number * text for text in _TEXTS for number in range(1, _COPIES)], "positive")
        _write(folder / "quality", [number * text[::-1] for text in _TEXTS for number in range(1, _COPIES)], "negative")
        output = str(folder / "output")
        checked = load_recipe(recipe_path(recipe), {"input_parent": str(folder), "output": output})
        compiled = dataclasses.replace(checked, stages=tuple(filterfalse(_only_judges, checked.stages)))
        run(compiled, [str(folder / "documents")], output, Runner(1, ()), lambda _: None)
    print(f"kernels compiled in {time.monotonic() - started:.0f} s; they lie in {kernels.place()}")


def _only_judges(stage: Stage) -> bool:
    """Whether a stage judges by what others have measured: it runs no kernel, and would leave nothing to run on."""
    judges = any(column.endswith(REASON) for column in stage.writes.names)
    return isinstance(stage, DocumentStage) and judges and "text" not in stage.requires()


def _write(folder: pathlib.Path, texts: Sequence[str], name: str = "texts") -> None:
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
