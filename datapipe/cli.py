"""Commands: `datapipe run | explain | report | verify | mix | thresholds | validate | warmup | recipes | stages | …`.

Exit status: 0 done, 1 the run failed or kept nothing, 2 bad use or a bad recipe, 130 stopped by Ctrl-C.
"""

import argparse
import contextlib
import dataclasses
import functools
import gc
import io
import logging
import os
import re
import signal
import sys
import typing
from collections.abc import Sequence
from typing import Any, NoReturn

from datapipe.commands.documentation import documented_options
from datapipe.extras import load_extra
from datapipe.near import suggest
from datapipe.text.chat_names import FormName, LossName

DONE, FAILED, BAD_USE = 0, 1, 2
OF_SIGNAL = 128  # what shells add to the number of the signal that ended a command
# From so many new objects on garbage is looked for, not from 700: imports and pipelines make many, and drop few.
_NEW_OBJECTS = 50_000


class _Parser(argparse.ArgumentParser):
    """argparse's, but that an error names what was likely meant."""

    given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; what is given is kept for an error."""
        self.given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with the message and, where something was chosen that is not there, with what was likely meant."""
        wrong = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if wrong:
            choices = re.findall("'([^']*)'", wrong[2])
            message = f"{message.partition(' (choose')[0]}{suggest(wrong[1], choices)}"
        if "arguments are required" in message:
            known = list(self._option_string_actions)
            wrong_flags = [flag for flag in self.given if flag.startswith("--") and flag not in known]
            message += "".join(f"; {flag}{near}" for flag in wrong_flags if "did you" in (near := suggest(flag, known)))
        super().error(message)


class _Version(argparse.Action):
    """Prints the versions and ends."""

    def __call__(self, *_: Any) -> None:
        import importlib.metadata  # here: it takes longer than all else of `datapipe --help`

        packages = ("datapipe-llm", "apache-beam", "pyarrow", "numpy", "numba", "tokenizers")
        print("\n".join(f"{package} {importlib.metadata.version(package)}" for package in packages))
        raise SystemExit(DONE)


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    top = _Parser(prog="datapipe", description=__doc__.split("\n")[0] if __doc__ else None)
    top.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="print the version, and those results depend on",
    )
    commands = top.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="run a recipe over documents", allow_abbrev=False)
    run.add_argument("recipe", help="a YAML file, or the name of a recipe that `datapipe recipes` lists")
    run.add_argument(
        "--input", dest="inputs", nargs="+", action=_Extend, required=True, help="files, folders or globs of documents"
    )
    run.add_argument("--output", required=True, help="a new folder, or that of an earlier run of this recipe")
    run.add_argument("--workers", type=int, default=os.cpu_count(), help="local workers (default: one a core)")
    run.add_argument(
        "--every-row",
        action="store_true",
        help="measure and judge documents that are removed already, too: for studies",
    )
    run.add_argument(
        "--set",
        dest="settings",
        metavar="STAGE.OPTION=VALUE",
        action="append",
        default=[],
        help="an option in place of the recipe's, such as rules.thresholds.en.gopher_min_words=30",
    )
    run.add_argument(
        "--sample", type=int, metavar="N", help="read about N records alone, some of each file: to try a recipe"
    )
    run.add_argument("--plan", action="store_true", help="print what would run and what is there already; run nothing")
    run.add_argument("--until", metavar="STAGE", help="stop after a stage; a run without it goes on from there")
    run.add_argument(
        "--reuse",
        metavar="OUTPUT",
        action="append",
        default=[],
        help="take stages that would make the same from the output of another run",
    )
    loud = run.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="print warnings and errors alone")
    loud.add_argument("-v", "--verbose", action="store_true", help="end with the whole funnel, reason by reason")
    run.add_argument("--strict", action="store_true", help="exit with 1 where there are warnings")
    run.epilog = "Unknown flags go to Beam: --runner=DataflowRunner --project=... "

    inspect = commands.add_parser("inspect", help="what files hold: formats, columns, languages, and what is not read")
    inspect.add_argument("inputs", nargs="+", metavar="PATH", help="files, folders or globs of documents")
    _add_json(inspect)

    init = commands.add_parser("init", help="write a recipe to begin with, for the data there are")
    init.add_argument("inputs", nargs="*", metavar="DATA", help="files, folders or globs of documents")
    init.add_argument("--output", default="recipe.yaml", help="the file to write (default: recipe.yaml)")

    explain = commands.add_parser("explain", help="why a document is in or out")
    explain.add_argument("output", help="the output folder of a run")
    explain.add_argument(
        "document",
        help="part-row (0-17), the document's own id, a file, a place in it (a.jsonl:120), or a piece of text",
    )
    explain.add_argument("--all", dest="all_columns", action="store_true", help="the whole text and every column, too")
    _add_json(explain)

    report = commands.add_parser("report", help="print the funnel of a run, and write its report.html again")
    report.add_argument("output", help="the output folder of a run")
    _add_json(report)

    verify = commands.add_parser("verify", help="read every file of a run, and name those that are not what it wrote")
    verify.add_argument("output", help="the output folder of a run")
    verify.add_argument("--recompute", type=int, metavar="N", help="do N documents again, too, and compare")
    _add_json(verify)

    rules = commands.add_parser("rules", help="the rules: what they measure, ask for, and did in a run")
    rules.add_argument("output", nargs="?", help="the output folder of a run (default: the rules as built in)")
    rules.add_argument("--language", help="of this language, such as zh")
    _add_json(rules)

    sample = commands.add_parser("sample", help="read a few documents that a reason removed, or that are kept")
    sample.add_argument("output", help="the output folder of a run")
    sample.add_argument("--reason", help="kept, a stage, or a reason (default: count them all)")
    sample.add_argument("--count", type=int, default=5, help="how many (default: 5)")
    sample.add_argument("--borderline", action="store_true", help="those nearest to the threshold that decided")
    sample.add_argument(
        "--where",
        nargs="+",
        action=_Extend,
        default=[],
        metavar="COLUMN=VALUE",
        help="only such, as source=web language=zh",
    )
    sample.add_argument("--seed", type=int, default=0, help="another choice (default: 0)")
    _add_json(sample)

    diff = commands.add_parser("diff", help="which documents met another fate in another run, and why")
    diff.add_argument("before", help="the output folder of a run")
    diff.add_argument("after", help="that of another one over the same data")
    _add_json(diff)

    stats = commands.add_parser("stats", help="documents, bytes and tokens by source, language or any column")
    stats.add_argument("output", help="the output folder of a run")
    stats.add_argument(
        "--by", nargs="+", action=_Extend, default=["source"], metavar="COLUMN", help="(default: source)"
    )
    stats.add_argument("--count", type=int, default=30, help="how many groups (default: 30)")
    _add_json(stats)

    rejects = commands.add_parser("rejects", help="records that were no documents, and what would read them")
    rejects.add_argument("output", help="the output folder of a run")
    rejects.add_argument("--reason", help="only for this reason")
    rejects.add_argument("--count", type=int, default=3, help="how many examples (default: 3)")
    _add_json(rejects)

    clean = commands.add_parser("clean", help="what a run takes on the disk, and what of it can go")
    clean.add_argument("output", help="the output folder of a run")
    clean.add_argument(
        "--stages", nargs="+", action=_Extend, default=[], help="remove the columns of these (default: only say)"
    )
    _add_json(clean)

    doctor = commands.add_parser("doctor", help="whether this machine has what runs need")
    _add_json(doctor)
    completion = commands.add_parser("completion", help="print what makes a shell complete datapipe's commands")
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"])

    mix = commands.add_parser("mix", help="try another mixture of a run, in seconds")
    mix.add_argument("output", help="the output folder of a run")
    mix.add_argument(
        "--by", nargs="+", action=_Extend, help="the columns that group documents, such as source language"
    )
    mix.add_argument("--shares", help="of the groups, as in a recipe: '{web: {zh: 0.4, en: 0.3}, books: 0.1}'")
    mix.add_argument("--phases", help="as in a recipe: '[{budget: 900000, shares: {stem: 0.1}}, ...]'")
    mix.add_argument("--unit", choices=["tokens", "bytes"], help="what shares and budgets are of")
    mix.add_argument("--budget", type=int, help="how much the mixture should have")
    mix.add_argument("--max-epochs", type=int, help="no document is taken more often")
    mix.add_argument("--seed", type=int, help="which documents a fraction of an epoch takes")
    mix.add_argument("--save", help="a Parquet file for id, copies and phase; of proxies, a folder")
    mix.add_argument("--proxies", type=int, help="make so many small mixtures for a search of shares")
    mix.add_argument("--proxy-budget", type=int, help="how much each of them has")
    _add_json(mix)
    mix.epilog = "What is not given is as in the run's recipe."

    thresholds = commands.add_parser(
        "thresholds", help="fit rule thresholds to languages from a run over trusted documents"
    )
    thresholds.add_argument("output", help="the output folder of a run with the stages language and measurements")
    thresholds.add_argument("--removed-share", type=float, default=0.01, help="of a language's documents, by each rule")
    thresholds.add_argument("--min-documents", type=int, default=100, help="a language with fewer is left out")
    thresholds.add_argument(
        "--what-if",
        nargs="+",
        action=_Extend,
        default=[],
        metavar="STAGE.OPTION=VALUE",
        help="what other options would do, from what is measured: quality_filter.min_score=0.3 en.gopher_min_words=30",
    )
    _add_json(thresholds)
    thresholds.add_argument(
        "--parallel-to", metavar="LANGUAGE", help="the documents say the same in each language: scale from this one"
    )

    validate = commands.add_parser("validate", help="check a recipe without running it")
    validate.add_argument("recipe", help="a YAML file, or the name of a recipe that `datapipe recipes` lists")
    _add_json(validate)
    warmup = commands.add_parser("warmup", help="compile what a recipe needs, as for a worker's image")
    warmup.add_argument("recipe", nargs="?", default="default", help="as of `datapipe run` (default: default)")
    recipes = commands.add_parser("recipes", help="list the recipes that come with datapipe, or print one")
    recipes.add_argument(
        "name", nargs="?", help="a recipe, such as llama: print it, each value with where it comes from"
    )
    _add_json(recipes)
    stages = commands.add_parser("stages", help="list the stages that a recipe can name, or the options of one")
    stages.add_argument("stage", nargs="?", help="a stage, such as near_duplicates")
    stages.add_argument("--json-schema", action="store_true", help="the JSON schema of recipes, for editors")
    _add_json(stages)
    tokenizer = commands.add_parser("tokenizer", help="train, extend, prune, compare and export tokenizers")
    _add_tokenizer_commands(tokenizer.add_subparsers(dest="action", required=True))
    return top


def _add_tokenizer_commands(actions: Any) -> None:
    from tokenizer_training.options import TrainingOptions  # it brings what checks options

    train = actions.add_parser("train", help="train a tokenizer on documents")
    _add_input(train, required=True)
    train.add_argument("--output", required=True, help="the folder for tokenizer.json")
    train.add_argument(
        "--weights",
        nargs="*",
        action=_Extend,
        default=[],
        metavar="NAME=FACTOR",
        help="how often a source or language counts, such as zh=2 (default: of a run, as its mixture takes it)",
    )
    _add_options(train, TrainingOptions)

    extend = actions.add_parser("extend", help="add Chinese tokens, or a word list's, to any tokenizer")
    _add_base(extend)
    _add_input(extend, required=False)
    extend.add_argument("--output", required=True, help="the folder for tokenizer.json")
    extend.add_argument("--size", type=int, required=True, help="how many tokens to add at most")
    extend.add_argument("--words", help="a file of words and frequencies, a tab between them, instead of --input")
    extend.add_argument(
        "--rule", choices=["han", "punctuated"], default="han", help="whether punctuation may begin a token"
    )
    extend.add_argument("--single-digits", action="store_true", help="as Qwen: drop cl100k's tokens of several digits")
    extend.add_argument(
        "--min-frequency",
        type=int,
        default=TrainingOptions.min_frequency,
        help=documented_options(TrainingOptions)["min_frequency"],
    )
    extend.add_argument("--weights", help="a safetensors file to write again with rows for the new tokens")

    prune = actions.add_parser("prune", help="drop entries, and their rows of a model's embeddings")
    _add_base(prune)
    _add_input(prune, required=False)
    prune.add_argument("--output", required=True, help="the folder for tokenizer.json and ids.parquet")
    prune.add_argument("--ranges", nargs="*", action=_Extend, default=[], help="ids to drop, such as 0-19999")
    prune.add_argument("--weights", help="a safetensors file to cut")

    compare = actions.add_parser("compare", help="compare tokenizers, language by language")
    compare.add_argument("tokenizers", nargs="+", help="tokenizer.json, .tiktoken or SentencePiece .model")
    _add_input(compare, required=True)
    compare.add_argument("--output", required=True, help="the folder for the table and plots")
    _add_json(compare)
    compare.add_argument("--reference", help="the tokenizer whose tokens are 1 (default: the first)")
    compare.add_argument("--column", default="language", help="the column that says a document's language")

    export = actions.add_parser("export", help="write a tokenizer for another program")
    _add_base(export)
    export.add_argument("--to", choices=["transformers", "json", "tiktoken", "sentencepiece", "gguf"], required=True)
    export.add_argument("--output", required=True, help="the folder (transformers, json) or file to write")
    export.add_argument("--chat-template", help="a file with a Jinja template (default: that of --chat-form)")
    export.add_argument("--chat-form", choices=typing.get_args(FormName), default="chatml", help="of the chat template")
    export.add_argument(
        "--loss", choices=typing.get_args(LossName), help="what it marks (default: what the form's own)"
    )
    export.add_argument("--system", default="", help="its system message of dialogues that have none (default: none)")
    for role in ("bos", "eos", "pad", "unk"):
        export.add_argument(f"--{role}", default="", help=f"the special token that is the {role} (default: the base's)")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", dest="as_json", action="store_true", help="for programs: everything, as JSON")


class _Extend(argparse.Action):
    """A flag given twice takes what follows both: argparse would forget the first."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:  # noqa: ARG002
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is self.default else [*before, *values])


def _add_base(command: argparse.ArgumentParser) -> None:
    command.add_argument("base", help="tokenizer.json, .tiktoken or SentencePiece .model")
    command.add_argument("--pattern", help="the regular expression of a .tiktoken file of unknown name")


def _add_input(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument(
        "--input",
        dest="inputs",
        nargs="+",
        action=_Extend,
        default=[],
        required=required,
        help="documents, or the output of a run",
    )
    command.add_argument(
        "--text-field",
        dest="text_fields",
        nargs="+",
        action=_Extend,
        default=[],
        metavar="NAME",
        help="what the text of a record is called, beside text, content, body and raw_content",
    )


def _add_options(command: argparse.ArgumentParser, owner: type[Any]) -> None:
    """Add a flag for each field of a dataclass of numbers, strings, lists of strings and choices."""
    hints, documentation = typing.get_type_hints(owner), documented_options(owner)
    for field in dataclasses.fields(owner):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        hint, form = hints[field.name], dict[str, Any]()
        if typing.get_origin(hint) is typing.Literal:
            form["choices"] = typing.get_args(hint)
            form["type"] = type(form["choices"][0])
        elif hint is bool:
            form["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(hint) is list:
            form["nargs"], form["action"] = "*", _Extend
        else:
            form["type"] = hint
        shown = " ".join(default) if isinstance(default, list) else default
        text = f"{documentation[field.name].removesuffix('.')} (default: {shown if shown != '' else 'none'})"
        command.add_argument(f"--{field.name.replace('_', '-')}", default=default, help=text.replace("%", "%%"), **form)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    gc.set_threshold(_NEW_OBJECTS)
    # numpy starts a thread a core for matrices, each of which spins for 2^26 ticks, 26 ms, before it sleeps; now 2^4.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    # pydantic looks through all packages that are installed for plugins of it, as long as it takes to check a recipe.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Beam warns of optional packages that are not installed, and logs each error at every level it passes.
    logging.disable(logging.ERROR)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A line of news is there when it is written, in a pipe too; and what no encoding holds ends no command.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    arguments, rest = parser().parse_known_args(argv)
    is_run = arguments.command == "run"
    if rest and not is_run:
        of_command = _parser_of(arguments.command, vars(arguments).get("action"))
        known = list(of_command._option_string_actions)
        of_command.error(f"unknown arguments: {' '.join(rest)}{suggest(rest[0], known)}")
    try:
        _call(**vars(arguments), flags=rest)
    except BrokenPipeError:
        return FAILED
    except KeyboardInterrupt as interrupt:  # it says what has become of a job elsewhere
        job = f", and {interrupt}" if str(interrupt) else ""
        print(f"\ndatapipe: stopped{job}{'; the same command resumes' if is_run else ''}", file=sys.stderr)
        _leave(OF_SIGNAL + getattr(interrupt, "number", signal.SIGINT))
    except ValueError as error:
        _complain(error)
        return BAD_USE
    except (OSError, RuntimeError) as error:
        _complain(error)
        if is_run:
            _leave(FAILED)
        return FAILED
    return DONE


def _parser_of(*names: str | None) -> argparse.ArgumentParser:
    """The parser of a command, or of one within it."""
    found = parser()
    for name in filter(None, names):
        commands = next(action for action in found._actions if isinstance(action, argparse._SubParsersAction))
        found = commands.choices[name]
    return found


def _call(command: str, flags: Sequence[str], **values: Any) -> None:
    """Run the command that was parsed.

    Raises:
        ValueError: if what the user asks for cannot be, in one line.
        OSError, RuntimeError: if it fails.
    """
    # Imported here: commands pull in Beam, numba and faiss, which `datapipe --help` need not wait for.
    match command:
        case "run":
            _import("commands.run", whole_beam=bool(flags)).run(**values, flags=flags)
        case "inspect":
            from datapipe.commands.inspect import inspect

            inspect(**values)
        case "init":
            from datapipe.commands.init import init

            init(**values)
        case "explain":
            from datapipe.commands.explain import explain_document

            explain_document(**values)
        case "report":
            from datapipe.commands.inspection import report

            report(**values)
        case "verify":
            from datapipe.commands.verify import verify

            verify(**values)
        case "mix":
            from datapipe.commands.mix import mix

            mix(**values)
        case "thresholds":
            from datapipe.commands.thresholds import thresholds

            thresholds(**values)
        case "rules":
            from datapipe.commands.rules import list_rules

            list_rules(**values)
        case "sample":
            from datapipe.commands.sample import sample

            sample(**values)
        case "diff":
            from datapipe.commands.diff import diff

            diff(**values)
        case "stats":
            from datapipe.commands.stats import stats

            stats(**values)
        case "rejects":
            from datapipe.commands.rejects import rejects

            rejects(**values)
        case "clean":
            from datapipe.commands.clean import clean

            clean(**values)
        case "doctor":
            from datapipe.commands.doctor import doctor

            doctor(**values)
        case "completion":
            print(load_extra("shtab", "completion", "datapipe completion").complete(parser(), **values))
        case "warmup":
            from datapipe.commands.warmup import warm_up

            warm_up(**values)
        case "validate":
            _import("engine.recipe")
            from datapipe.commands.recipes import validate

            validate(**values)
        case "recipes":
            from datapipe.commands.recipes import list_recipes

            list_recipes(**values)
        case "stages":
            from datapipe.commands.stages import list_stages

            list_stages(**values, ask=lambda: _import("commands.described"))
        case "tokenizer":
            _call_tokenizer(**values)


@functools.cache
def _import(module: str, *, whole_beam: bool = False) -> Any:
    """A module of ours that imports all stages."""
    from datapipe.flow.imports import import_stages

    return import_stages(f"datapipe.{module}", whole_beam=whole_beam)


def _call_tokenizer(action: str, **values: Any) -> None:
    from datapipe.commands import tokenizer
    from tokenizer_training.options import TrainingOptions

    match action:
        case "train":
            options = {field.name: values.pop(field.name) for field in dataclasses.fields(TrainingOptions)}
            tokenizer.train(**values, options=TrainingOptions(**options))
        case "extend":
            tokenizer.extend(**values)
        case "prune":
            tokenizer.prune(**values)
        case "compare":
            tokenizer.compare(**values)
        case "export":
            roles = {role: values.pop(role) for role in ("bos", "eos", "pad", "unk")}
            tokenizer.export(**values, roles=roles)


def _complain(error: Exception) -> None:
    for line in str(error).splitlines():
        print(f"datapipe: {line}", file=sys.stderr)


def _leave(status: int) -> NoReturn:
    """End this process without its threads: Beam's wait for a pipeline that will not end."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def program() -> NoReturn:
    """`datapipe` on the command line: to take apart what Beam and numba have built would be a tenth of a short run."""
    _leave(main())


if __name__ == "__main__":
    program()
