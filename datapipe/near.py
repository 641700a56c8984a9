"""What somebody likely meant by a name that is not known. Apart from `checks.py`, which brings pydantic along."""

import difflib
from collections.abc import Collection


def suggest(name: str, known: Collection[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or else all of them."""
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
