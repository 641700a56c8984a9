"""The command line of `datapipe tokenizer`: its arguments, which `commands.py` carries out."""

import argparse
from collections.abc import Callable
from typing import Any


def add_commands(subparsers: Any) -> None:
    """Add the commands to the subparsers of `datapipe tokenizer`, whose `dest` must be "action"."""
    command = subparsers.add_parser("train", help="train a tokenizer on documents")
    _add_input(command, required=True)
    command.add_argument("--output", required=True, help="the folder for tokenizer.json")
    command.add_argument("--algorithm", choices=["byte_fallback", "byte_level"], default="byte_fallback")
    for option, text in (
        ("--vocabulary", "entries to learn on all text (default: 32000)"),
        ("--chinese", "more entries for Chinese on top (default: 8000)"),
        ("--min-frequency", "a pair that occurs less often is not merged (default: 2)"),
        ("--max-token-length", "characters (byte_fallback) or bytes (byte_level) of the longest token (default: 32)"),
        ("--sample-threshold", "sample pre-tokens that occur less often; 1 = none (default: 10)"),
    ):
        command.add_argument(option, type=int, default=argparse.SUPPRESS, help=text)
    for option, text in (
        ("--required-tokens", "strings that become one token each"),
        ("--special-tokens", "entries that no text is encoded to (default: ChatML's)"),
    ):
        command.add_argument(option, nargs="*", default=argparse.SUPPRESS, help=text)
    command.add_argument("--alphabet", default=argparse.SUPPRESS, help="characters that get an entry however rare")
    command.add_argument(
        "--coverage", type=float, default=argparse.SUPPRESS, help="share of characters with an entry (default: 0.9999)"
    )

    command = subparsers.add_parser("extend", help="add Chinese tokens, or a word list's, to any tokenizer")
    _add_base(command)
    _add_input(command, required=False)
    command.add_argument("--output", required=True, help="the folder for tokenizer.json")
    command.add_argument("--size", type=int, required=True, help="how many tokens to add at most")
    command.add_argument("--words", help="a file of words and frequencies, a tab between them, instead of --input")
    command.add_argument(
        "--rule", choices=["han", "punctuated"], default="han", help="whether punctuation may begin a token"
    )
    command.add_argument("--single-digits", action="store_true", help="as Qwen: drop cl100k's tokens of several digits")
    command.add_argument("--min-frequency", type=int, default=2, help="a pair that occurs less often is not merged")

    command = subparsers.add_parser("prune", help="drop entries, and their rows of a model's embeddings")
    _add_base(command)
    _add_input(command, required=False)
    command.add_argument("--output", required=True, help="the folder for tokenizer.json and ids.parquet")
    command.add_argument("--ranges", nargs="*", default=[], help="ids to drop, such as 0-19999")
    command.add_argument("--weights", help="a safetensors file to cut")

    command = subparsers.add_parser("compare", help="compare tokenizers, language by language")
    command.add_argument("tokenizers", nargs="+", help="tokenizer.json, .tiktoken or SentencePiece .model")
    _add_input(command, required=True)
    command.add_argument("--output", required=True, help="the folder for the table and plots")
    command.add_argument("--reference", help="the tokenizer whose tokens are 1 (default: the first)")
    command.add_argument("--column", default="language", help="the column that says a document's language")

    command = subparsers.add_parser("export", help="write a tokenizer for another program")
    _add_base(command)
    command.add_argument("--to", choices=["transformers", "json", "tiktoken", "sentencepiece", "gguf"], required=True)
    command.add_argument("--output", required=True, help="the folder (transformers, json) or file to write")
    command.add_argument("--chat-template", help="a file with a Jinja template (default: ChatML)")


def _add_base(command: argparse.ArgumentParser) -> None:
    command.add_argument("base", help="tokenizer.json, .tiktoken or SentencePiece .model")
    command.add_argument("--pattern", help="the regular expression of a .tiktoken file of unknown name")


def _add_input(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument(
        "--input", dest="inputs", nargs="+", default=[], required=required, help="documents, or the output of a run"
    )


def call(arguments: argparse.Namespace) -> None:
    """Run the command that was parsed.

    Raises:
        ValueError: if an option is wrong.
    """
    # Imported here: `datapipe --help` need not wait for them.
    from tokenizer_training import commands
    from tokenizer_training.options import TrainingOptions

    functions: dict[str, Callable[..., object]] = {
        "train": commands.train,
        "extend": commands.extend,
        "prune": commands.prune,
        "compare": commands.compare,
        "export": commands.export,
    }
    options = vars(arguments)
    named = {name: value for name, value in options.items() if name not in ("command", "action")}
    if arguments.action == "train":
        files = {name: named.pop(name) for name in ("inputs", "output")}
        named = {**files, "options": TrainingOptions(**named)}
    functions[arguments.action](**named)
