"""What somebody likely meant by a name that is not known. Apart from `checks.py`, which brings pydantic along."""

import difflib
from collections.abc import Collection

_ALIKE = 5  # letters that tell a name: `vocab`


def suggest(name: str, known: Collection[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or one that begins alike, or else all of them.

    >>> suggest("--vocab-size", ["--help", "--vocabulary"]), suggest("x", ["a", "b"])
    ("; did you mean '--vocabulary'?", '; known are a, b')
    """
    near = difflib.get_close_matches(name, known, 1)
    near = near or [
        each for each in known if each.lstrip("-").startswith(name.lstrip("-")[:_ALIKE]) and len(name) > _ALIKE
    ]
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
