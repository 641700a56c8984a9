"""`datapipe run`: a recipe over documents, from its file to what it made."""

import contextlib
import dataclasses
import os
import pathlib
import re
import time
import traceback
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.checks import check_known
from datapipe.commands import recipes
from datapipe.commands.console import GOOD, QUIET, STRONG, WARNING, plain, say, say_table
from datapipe.commands.ending import Block, headline, products, steps_table, warnings_of
from datapipe.commands.watching import watching
from datapipe.engine.beam_flags import check_flags
from datapipe.engine.funnel import Funnel, render_funnel
from datapipe.engine.jobs import check_job
from datapipe.engine.output import ERROR_LOG, RunError
from datapipe.engine.recipe import Recipe
from datapipe.engine.run import plan as plan_stages
from datapipe.engine.run import run as run_stages
from datapipe.engine.runner import Runner, cause, give_memory_back
from datapipe.extras import MissingExtraError
from datapipe.read.documents import TooManyRejectsError
from datapipe.store import files
from datapipe.store.locks import LockedError
from datapipe.store.record import RunRecord

# Of text, on a small machine, by `python -m benchmarks.whole_job workers`; compressed input has more of it.
SECONDS_PER_MB = 0.3


def run(
    recipe: str,
    inputs: Sequence[str],
    output: str,
    *,
    workers: int,
    flags: Sequence[str],
    every_row: bool,
    settings: Sequence[str] = (),
    sample: int | None = None,
    until: str | None = None,
    reuse: Sequence[str] = (),
    plan: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    strict: bool = False,
) -> None:
    """Run a recipe, and print its progress, what is left, where its products are, and last what to look at first.

    Args:
        recipe: a YAML file, or the name of a recipe that comes along.
        inputs: files, folders or globs of documents.
        output: a new folder, or that of an earlier run of this recipe.
        workers: local workers.
        flags: for Beam.
        every_row: whether removed documents are measured and judged, too; see `Recipe`.
        settings: options in place of the recipe's, `stage.option=value`.
        sample: read about so many records alone.
        until: the last stage to run.
        reuse: output folders of other runs, whose stages are taken where they would make the same.
        plan: print what would run, and run nothing.
        quiet: print warnings alone.
        verbose: print the whole funnel.
        strict: fail where there are warnings.

    Raises:
        ValueError: if the recipe, an option or the output folder cannot be used.
        RuntimeError: if the run fails, and then the traceback is in `error.log`, which the second line names; or if it
            keeps nothing, or has warnings and is to be strict.
    """
    check_flags(flags)
    if output != output.encode(errors="replace").decode():
        raise ValueError(f"--output must be UTF-8, got {output!r}")
    FileSystems.set_options(PipelineOptions(list(flags)))  # before the first look at a file
    give_memory_back()
    started = time.monotonic()
    if sample is not None:
        settings = [*settings, f"documents.sample={sample}"]
    variables = {"input_parent": input_parent(inputs[0]), "output": output}
    checked = recipes.load(recipe, variables, settings)
    if every_row:
        checked = dataclasses.replace(checked, every_row=True)
    check_job(flags, inputs, output, checked.stages)
    if plan:
        _say_plan(checked, inputs, output, reuse, until)
        return
    runner = Runner(workers, tuple(flags))
    try:
        with runner, watching(quiet=quiet) as screen:
            outcome = run_stages(checked, inputs, output, runner, screen.report, screen, until=until, reuse=reuse)
    except (RunError, MissingExtraError) as error:
        raise ValueError(str(error)) from error
    except LockedError:
        raise  # the folder is another run's by now: nothing more is written there
    except Exception as error:
        log = files.join(output, ERROR_LOG)
        said = cause(error)
        # The disk may be full, or the bucket none, which is no OSError of Google's: the cause is said below.
        with contextlib.suppress(Exception), files.whole_file(log) as sink:
            sink.write("".join(traceback.format_exception(error)).encode())
            said += f"\nfull traceback: {log}"
        rejecting = {error.stage: error.result} if isinstance(error, TooManyRejectsError) else {}
        _warn(warnings_of(RunRecord.read(output), output, rejecting))
        raise RuntimeError(said) from error
    if not quiet:
        _end(outcome.funnel, output, time.monotonic() - started, verbose=verbose)
    blocks = warnings_of(outcome.record, output, {}, outcome.funnel)
    _warn(blocks)
    nothing = why_nothing_is_left(outcome.funnel)
    if nothing:
        raise RuntimeError(nothing)
    if strict and blocks:
        raise RuntimeError(f"--strict: the run ended with {len(blocks)} warning{'s' * (len(blocks) > 1)}")


def _say_plan(recipe: Recipe, inputs: Sequence[str], output: str, reuse: Sequence[str], until: str | None) -> None:
    """Print what a run would do with each stage, how much it would read, and how long that took before."""
    try:
        planned = plan_stages(recipe, inputs, output, reuse)
    except RunError as error:
        raise ValueError(str(error)) from error
    names = [stage.stage for stage in planned]
    if until is not None:
        check_known("--until: the recipe has no stage", until, names)
        planned = planned[: names.index(until) + 1]
    rows = [("stage", "", "why", "seconds before")]
    for stage in planned:
        size = f", {stage.bytes / 1e6:,.1f} MB to read" if stage.bytes else ""
        took = f"{stage.seconds:,.1f}" if stage.seconds and stage.what == "runs" else ""
        rows.append((stage.stage, stage.what, f"{stage.why}{size}", took))
    say_table(rows, left=(0, 1, 2), styles=[STRONG if stage.what == "runs" else QUIET for stage in planned])
    running = [stage for stage in planned if stage.what == "runs"]
    known = [stage.seconds for stage in running if stage.seconds is not None]
    to_read = sum(stage.bytes for stage in running)
    if known:
        took = f"; {len(known)} of them took {sum(known):,.0f} s before"
    else:
        about = 1 + SECONDS_PER_MB * to_read / 1e6
        took = f"; about {about:,.0f} s, as the default recipe takes" if to_read else ""
    say(f"{len(running)} of {len(planned)} stages would run{took}")


def _end(funnel: Funnel, output: str, seconds: float, *, verbose: bool) -> None:
    """Print what is left and where the products are; if verbose the whole funnel, too."""
    if verbose:
        print(f"\n{render_funnel(funnel)}")
    say((f"\n{headline(funnel)}", STRONG))
    table = steps_table(funnel)
    if table:
        say_table(table, left=(0, 3))
    say((f"why a document is in or out: datapipe explain {output} ID", QUIET))
    for path in products(output):
        print(path)
    say((f"done in {seconds:.0f} s", GOOD))


def _warn(blocks: Sequence[Block]) -> None:
    """Print warnings, each after a blank line: what is to be done stands in its last lines."""
    for block in blocks:
        say((f"\n{plain(block[0])}", f"{STRONG} {WARNING}"))
        for line in block[1:]:
            print(plain(line))


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
