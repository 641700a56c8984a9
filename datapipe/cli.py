"""The command line: `datapipe run | explain | report | thresholds | recipes | stages | tokenizer`.

Exit status: 0 done, 1 the run failed, 2 bad use or a bad recipe, 130 stopped by Ctrl-C.
"""

import argparse
import contextlib
import glob
import inspect
import json
import logging
import os
import pathlib
import signal
import sys
import textwrap
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import tokenizer_training.cli

if TYPE_CHECKING:
    from datapipe.store.corpus import Corpus

STOPPED = 128 + signal.SIGINT  # what shells report of a command ended by Ctrl-C
RECIPES = pathlib.Path(__file__).parent / "recipes"


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    top = argparse.ArgumentParser(prog="datapipe", description=__doc__.split("\n")[0] if __doc__ else None)
    commands = top.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="run a recipe over documents", allow_abbrev=False)
    run.add_argument("recipe", help="a YAML file, or the name of a recipe that `datapipe recipes` lists")
    run.add_argument("--input", nargs="+", required=True, help="files, folders or globs of documents")
    run.add_argument("--output", required=True, help="a new folder, or that of an earlier run of this recipe")
    run.add_argument("--workers", type=int, default=os.cpu_count(), help="local workers (default: one a core)")
    run.add_argument(
        "--mode",
        default="auto",
        choices=["auto", "in_memory", "multi_threading", "multi_processing"],
        help=argparse.SUPPRESS,
    )
    run.epilog = "Unknown flags go to Beam: --runner=DataflowRunner --project=... "

    explain = commands.add_parser("explain", help="why a document is in or out")
    explain.add_argument("output", help="the output folder of a run")
    explain.add_argument("id", help="part-row, such as 0-17, or the document's own id")

    report = commands.add_parser("report", help="print the funnel of a run, and write its report.html again")
    report.add_argument("output", help="the output folder of a run")

    thresholds = commands.add_parser(
        "thresholds", help="fit rule thresholds to languages from a run over trusted documents"
    )
    thresholds.add_argument("output", help="the output folder of a run with the stages language and measurements")
    thresholds.add_argument("--removed-share", type=float, default=0.01, help="of a language's documents, by each rule")
    thresholds.add_argument("--min-documents", type=int, default=100, help="a language with fewer is left out")

    commands.add_parser("recipes", help="list the recipes that come with datapipe")
    stages = commands.add_parser("stages", help="list the stages that a recipe can name, or the options of one")
    stages.add_argument("stage", nargs="?", help="a stage, such as near_duplicates")
    tokenizer = commands.add_parser("tokenizer", help="train, extend, prune, compare and export tokenizers")
    tokenizer_training.cli.add_commands(tokenizer.add_subparsers(dest="action", required=True))
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    # Beam warns of optional packages that are not installed, and logs each error at every level it passes.
    logging.disable(logging.ERROR)
    arguments, rest = parser().parse_known_args(argv)
    if rest and arguments.command != "run":
        parser().error(f"unknown arguments: {' '.join(rest)}")
    try:
        return _dispatch(arguments, rest)
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        again = "; the same command resumes" if arguments.command == "run" else ""
        print(f"\ndatapipe: stopped{again}", file=sys.stderr)
        _leave(STOPPED)


def _dispatch(arguments: argparse.Namespace, rest: list[str]) -> int:
    if arguments.command == "run":
        return _run(arguments, rest)
    if arguments.command == "recipes":
        return _recipes()
    if arguments.command == "stages":
        return _stages(arguments.stage)
    if arguments.command == "tokenizer":
        return _tokenizer(arguments)
    return _look(arguments)


def _leave(status: int) -> NoReturn:
    """End this process without its threads: Beam's wait for a pipeline that will not end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _fail(status: int, error: object) -> int:
    print(f"datapipe: {error}", file=sys.stderr)
    return status


def _run(arguments: argparse.Namespace, flags: list[str]) -> int:
    # Imported here: these pull in Beam, numba and faiss, which `datapipe --help` need not wait for.
    from datapipe.engine.conservation import ConservationError
    from datapipe.engine.funnel import render_funnel
    from datapipe.engine.output import RunError
    from datapipe.engine.recipe import RecipeError, load_recipe
    from datapipe.engine.run import ERROR_LOG, NoDocumentsError, run
    from datapipe.engine.runner import PipelineError, Runner, cause
    from datapipe.engine.worker import give_memory_back
    from datapipe.extras import MissingExtraError
    from datapipe.read.documents import TooManyRejectsError
    from datapipe.store import files

    give_memory_back()
    started = time.monotonic()
    try:
        variables = {"input_parent": _input_parent(arguments.input[0]), "output": arguments.output}
        recipe = load_recipe(_recipe_path(arguments.recipe), variables)
        runner = Runner(arguments.workers, tuple(flags), arguments.mode)
    except (RecipeError, ValueError) as error:
        return _fail(2, error)
    try:
        outcome = run(recipe, arguments.input, arguments.output, runner, print)
    except (RunError, MissingExtraError) as error:
        return _fail(2, error)
    except (PipelineError, ConservationError, NoDocumentsError, TooManyRejectsError, OSError) as error:
        status = _fail(1, cause(error))
        log = files.join(arguments.output, ERROR_LOG)
        with contextlib.suppress(OSError), files.whole_file(log) as sink:  # the disk may be full: the line above stands
            sink.write("".join(traceback.format_exception(error)).encode())
            print(f"datapipe: full traceback: {log}", file=sys.stderr)
        _leave(status)
    print(f"\n{render_funnel(outcome.funnel)}\n")
    for product in ("shards", "tokenizer/tokenizer.json", "rejects", "run.json", "report.html"):
        path = files.join(arguments.output, product)
        if files.exists(path):
            print(f"{path}")
    print(f"done in {time.monotonic() - started:.0f} s")
    return 0


def _input_parent(path: str) -> str:
    """The folder that holds the input folder, or the folder of the input file's folder."""
    from datapipe.store import files

    if files.is_local(path):
        path = os.path.abspath(path)  # noqa: PTH100 - joined as text with remote ones below
        is_folder = pathlib.Path(path).is_dir()
    else:
        path = path.rstrip("/")
        is_folder = "." not in path.rpartition("/")[2] and "*" not in path
    folder = path if is_folder else path.rpartition("/")[0]
    return folder.rpartition("/")[0]


def _recipe_path(name: str) -> str:
    return str(RECIPES / f"{name}.yaml") if "/" not in name and not name.endswith(".yaml") else name


def _tokenizer(arguments: argparse.Namespace) -> int:
    try:
        tokenizer_training.cli.call(arguments)
    except ValueError as error:
        return _fail(2, error)
    except OSError as error:
        return _fail(1, error)
    return 0


def _recipes() -> int:
    import yaml

    for path in sorted(glob.glob(str(RECIPES / "*.yaml"))):  # noqa: PTH207
        with open(path, encoding="utf-8") as source:  # noqa: PTH123
            description = yaml.safe_load(source)["description"]
        print(f"{pathlib.Path(path).stem:16} {' '.join(description.split())}")
    return 0


def _stages(name: str | None) -> int:
    import yaml

    from datapipe.engine.recipe import defaults
    from datapipe.engine.stages import STAGES

    for stage in STAGES:
        documentation = inspect.getdoc(stage) or ""
        if name is None:
            summary = " ".join(documentation.split("\n\n")[0].split())
            print(textwrap.fill(summary, 118, initial_indent=f"{stage.name:22}", subsequent_indent=" " * 22))
        elif name == stage.name:
            entry = yaml.safe_dump([{name: defaults(stage)}], sort_keys=False, allow_unicode=True)
            print(f"{documentation}\n\nIn a recipe, with the defaults of all options:\n\n{entry}", end="")
            return 0
    return 0 if name is None else _fail(2, f"unknown stage {name!r}; `datapipe stages` lists them")


def _look(arguments: argparse.Namespace) -> int:
    from datapipe.engine.explain import UnknownDocumentError, explain
    from datapipe.engine.funnel import count_funnel, render_funnel
    from datapipe.engine.output import RunError
    from datapipe.engine.report import write_report
    from datapipe.engine.run import open_corpus

    try:
        corpus, record = open_corpus(arguments.output)
        if arguments.command == "explain":
            for name, value in explain(corpus, arguments.id).items():
                print(f"{name:32} {json.dumps(value, ensure_ascii=False)}")
        elif arguments.command == "thresholds":
            print(_fit(corpus, arguments), end="")
        else:
            funnel = count_funnel(corpus, record.stages)
            write_report(corpus, funnel, record)
            print(render_funnel(funnel))
    except (RunError, UnknownDocumentError, ValueError) as error:
        return _fail(2, error)
    return 0


def _fit(corpus: "Corpus", arguments: argparse.Namespace) -> str:
    from datapipe.filters.measurements import MeasureText
    from datapipe.filters.thresholds import fit_thresholds, thresholds_yaml

    columns = [*MeasureText.writes.names, "language"]
    # All documents are trusted: what the rules of that run removed counts too.
    batches = (b for part in corpus.of_kind(["document"]) for b in part.read(columns, kept_only=False))
    fitted = fit_thresholds(batches, arguments.removed_share, min_documents=arguments.min_documents)
    return thresholds_yaml(fitted)


if __name__ == "__main__":
    sys.exit(main())
