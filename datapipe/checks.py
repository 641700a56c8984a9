"""What is checked about options everywhere, with errors that name the option, the value and what would be right."""

import difflib
from collections.abc import Collection
from typing import Any


def check_known(problem: str, name: Any, known: Collection[str]) -> None:
    """Raise a ValueError that states the problem and the nearest known name, if the name is none of them."""
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        raise ValueError(
            f"{problem} {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}")
        )
