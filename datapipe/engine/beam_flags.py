"""The flags of `datapipe run` that are Beam's, checked before anything runs.

Beam itself takes any flag and says nothing of those that it does not know, so that a slip of the pen changes a run
unseen: `--wrokers 2` ran with a worker a core.
"""

import argparse
import difflib
import importlib
from collections.abc import Iterator, Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from datapipe.extras import load_extra

OWN = ("--input", "--output", "--workers")
# A job server has flags of its own, which only it can tell.
JOB_SERVER = "--job_endpoint"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def check_flags(flags: Sequence[str]) -> None:
    """Check that Beam knows the flags.

    Raises:
        ValueError: naming the first that it does not know, with the one that may be meant; or a value that is none.
        MissingExtraError: if they name Dask, and it is not installed.
    """
    if not flags:
        return
    engine = PipelineOptions(list(flags)).view_as(StandardOptions).runner or ""
    if "dask" in engine.lower():
        load_extra("distributed", "dask", f"--runner={engine}")
        importlib.import_module("apache_beam.runners.dask.dask_runner")  # so that Beam knows Dask's flags
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in _all_options(PipelineOptions):
        if "_add_argparse_args" in vars(options):
            options._add_argparse_args(parser)  # type: ignore[attr-defined]
    _, unknown = parser.parse_known_args(list(flags))
    known = [*OWN, *(option for action in parser._actions for option in action.option_strings)]
    if any(flag.partition("=")[0] == JOB_SERVER for flag in flags):
        unknown = [flag for flag in unknown if _alike(flag, known)]
    if unknown:
        meant = next((option for flag in unknown for option in _alike(flag, known)), None)
        hint = f"; did you mean {meant}?" if meant else "; of flags that are not its own it takes those of Beam"
        raise ValueError(f"run: unknown argument {unknown[0]!r}{hint}")


def _all_options(options: type[PipelineOptions]) -> Iterator[type[PipelineOptions]]:
    for below in options.__subclasses__():
        yield below
        yield from _all_options(below)


def _alike(flag: str, known: Sequence[str]) -> list[str]:
    name = flag.partition("=")[0]
    return difflib.get_close_matches(name, known, 1, 0.75) if name.startswith("--") else []
