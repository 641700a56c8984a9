"""How commands speak: colours where a terminal shows them, plain lines elsewhere, JSON where it is asked for.

Texts of documents are printed with their control characters spelt out: none of them moves the cursor or sets a title.
"""

import functools
import json
import re
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

GOOD, BAD, WARNING, QUIET, STRONG, MARKED = "green", "red", "yellow", "dim", "bold", "bold red reverse"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@functools.cache
def console() -> "Console":
    """The terminal: lines are as long as they are, and without colours where NO_COLOR is set."""
    # Imported here, as everywhere: what prints into a pipe can do without.
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, force_terminal=True)


def say(*pieces: "str | Text | tuple[str, str]") -> None:
    """Print a line of pieces: strings, or strings with a style."""
    if not sys.stdout.isatty():
        print("".join(piece[0] if isinstance(piece, tuple) else str(piece) for piece in pieces).expandtabs())
        return
    from rich.text import Text

    console().print(Text.assemble(*pieces))


def plain(text: str) -> str:
    """A text with its control characters, but line feeds and tabs, as they are written in a program.

    >>> plain("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def say_json(value: Any) -> None:
    """Print a value as JSON: what other programs read."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def say_table(rows: Sequence[Sequence[str]], left: Collection[int] = (0,), styles: Sequence[str] = ()) -> None:
    """Print rows, the first of them the header, with their columns in line.

    Args:
        rows: of cells.
        left: the columns that are texts and begin at the left; the others are numbers and end at the right.
        styles: of each row after the header, if any.
    """
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(cell))
            cells.append(cell + space if at in left else space + cell)
        style = STRONG if not number else styles[number - 1] if styles else ""
        say(("  ".join(cells).rstrip(), style))


def _width(cell: str) -> int:
    """How many columns a text takes: Chinese characters take two."""
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len

    return cell_len(cell)
