"""`datapipe run`: a recipe over documents, from its file to what it made."""

import contextlib
import dataclasses
import os
import pathlib
import re
import time
import traceback
from collections.abc import Mapping, Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.commands.recipes import recipe_path
from datapipe.engine.beam_flags import check_flags
from datapipe.engine.funnel import Funnel, render_funnel
from datapipe.engine.output import ERROR_LOG, RunError
from datapipe.engine.recipe import load_recipe
from datapipe.engine.run import run as run_stages
from datapipe.engine.runner import Runner, cause, give_memory_back
from datapipe.extras import MissingExtraError
from datapipe.read.documents import TooManyRejectsError
from datapipe.read.reject_summary import summarize_rejects
from datapipe.store import files
from datapipe.store.corpus import REJECTS
from datapipe.store.locks import LockedError
from datapipe.store.record import Done, RunRecord, SourceResult

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
        RuntimeError: if the run fails, and then the traceback is in `error.log`, which the second line names; or if it
            keeps nothing.
    """
    check_flags(flags)
    if output != output.encode(errors="replace").decode():
        raise ValueError(f"--output must be UTF-8, got {output!r}")
    FileSystems.set_options(PipelineOptions(list(flags)))  # before the first look at a file
    give_memory_back()
    started = time.monotonic()
    checked = load_recipe(recipe_path(recipe), {"input_parent": input_parent(inputs[0]), "output": output})
    if every_row:
        checked = dataclasses.replace(checked, every_row=True)
    runner = Runner(workers, tuple(flags))
    try:
        outcome = run_stages(checked, inputs, output, runner, print)
    except (RunError, MissingExtraError) as error:
        raise ValueError(str(error)) from error
    except LockedError:
        raise  # the folder is another run's by now: nothing more is written there
    except Exception as error:
        log = files.join(output, ERROR_LOG)
        said = cause(error)
        with contextlib.suppress(OSError), files.whole_file(log) as sink:  # the disk may be full: the cause is said
            sink.write("".join(traceback.format_exception(error)).encode())
            said += f"\nfull traceback: {log}"
        rejecting = {error.stage: error.result} if isinstance(error, TooManyRejectsError) else {}
        _warn_of_rejects(RunRecord.read(output), output, rejecting)
        raise RuntimeError(said) from error
    print(f"\n{render_funnel(outcome.funnel)}\n")
    for product in PRODUCTS:
        path = files.join(output, product)
        if files.exists(path):
            print(path)
    print(f"done in {time.monotonic() - started:.0f} s")
    _warn_of_rejects(outcome.record, output, {})
    for line in outcome.record.warnings:
        print(f"warning: {line}")
    nothing = why_nothing_is_left(outcome.funnel)
    if nothing:
        raise RuntimeError(nothing)


def _warn_of_rejects(record: RunRecord | None, output: str, rejecting: Mapping[str, SourceResult]) -> None:
    """Print what is to be said of each source that has rejected much.

    Args:
        record: of the run, if it came to have one.
        output: its folder.
        rejecting: sources that failed for it, and so stand in no record.
    """
    if record is None:
        return
    options = {name: values for stage in record.recipe.get("stages", ()) for name, values in stage.items()}
    done = {name: stage.source for name, stage in record.stages.items() if isinstance(stage, Done) and stage.source}
    for name, source in {**done, **rejecting}.items():
        folder = files.join(output, REJECTS)
        for line in summarize_rejects(folder, name, source.records, source.rejects, options.get(name, {})):
            print(line)


def why_nothing_is_left(funnel: Funnel) -> str:
    """Which stage took the last documents, if one did; else nothing."""
    if funnel.copies.documents:
        return ""
    last = next((step for step in funnel.steps if not step.left.documents and step.removed), None)
    if last is None:
        return f"no document is left: the mixture takes none of {funnel.kept.documents:,}"
    reasons = ", ".join(f"{amount.documents:,} {reason}" for reason, amount in last.removed.items())
    return f"no document is left: {last.stage} took the last {last.entered.documents:,} ({reasons})"


def input_parent(path: str) -> str:
    """The folder that holds the input folder, or the folder of the input file's folder."""
    if files.is_local(path):
        path = os.path.abspath(path)  # noqa: PTH100 - joined as text with remote ones below
        is_folder = pathlib.Path(path).is_dir()
    else:
        path = path.rstrip("/")
        is_folder = "." not in path.rpartition("/")[2] and "*" not in path
    folder = path if is_folder else re.split(r"[*?[]", path, maxsplit=1)[0].rpartition("/")[0]
    return folder.rpartition("/")[0]
