"""`datapipe run`: a recipe over documents, from its file to what it made."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import time
import traceback
from collections.abc import Sequence

from datapipe.commands.recipes import recipe_path
from datapipe.engine.funnel import render_funnel
from datapipe.engine.output import RunError
from datapipe.engine.recipe import load_recipe
from datapipe.engine.run import ERROR_LOG
from datapipe.engine.run import run as run_stages
from datapipe.engine.runner import Runner, cause, give_memory_back
from datapipe.extras import MissingExtraError
from datapipe.store import files

PRODUCTS = ("shards", "tokenizer/tokenizer.json", "rejects", "run.json", "report.html")


def run(
    recipe: str, inputs: Sequence[str], output: str, *, workers: int, flags: Sequence[str], every_row: bool
) -> None:
    """Run a recipe, and print its progress, its funnel and where its products are.

    Args:
        recipe: a YAML file, or the name of a recipe that comes along.
        inputs: files, folders or globs of documents.
        output: a new folder, or that of an earlier run of this recipe.
        workers: local workers.
        flags: for Beam.
        every_row: whether removed documents are measured and judged, too; see `Recipe`.

    Raises:
        ValueError: if the recipe, an option or the output folder cannot be used.
        RuntimeError: if the run fails; the traceback is in `error.log`, which the second line names.
    """
    give_memory_back()
    started = time.monotonic()
    checked = load_recipe(recipe_path(recipe), {"input_parent": input_parent(inputs[0]), "output": output})
    if every_row:
        checked = dataclasses.replace(checked, every_row=True)
    runner = Runner(workers, tuple(flags))
    try:
        outcome = run_stages(checked, inputs, output, runner, functools.partial(print, flush=True))
    except (RunError, MissingExtraError) as error:
        raise ValueError(str(error)) from error
    except Exception as error:
        log = files.join(output, ERROR_LOG)
        said = cause(error)
        with contextlib.suppress(OSError), files.whole_file(log) as sink:  # the disk may be full: the cause is said
            sink.write("".join(traceback.format_exception(error)).encode())
            said += f"\nfull traceback: {log}"
        raise RuntimeError(said) from error
    print(f"\n{render_funnel(outcome.funnel)}\n")
    for product in PRODUCTS:
        path = files.join(output, product)
        if files.exists(path):
            print(path)
    print(f"done in {time.monotonic() - started:.0f} s")


def input_parent(path: str) -> str:
    """The folder that holds the input folder, or the folder of the input file's folder."""
    if files.is_local(path):
        path = os.path.abspath(path)  # noqa: PTH100 - joined as text with remote ones below
        is_folder = pathlib.Path(path).is_dir()
    else:
        path = path.rstrip("/")
        is_folder = "." not in path.rpartition("/")[2] and "*" not in path
    folder = path if is_folder else path.rpartition("/")[0]
    return folder.rpartition("/")[0]
