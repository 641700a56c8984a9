"""What docstrings say of options, for help texts and listings: said once, where the options are."""

import inspect
import re
from typing import Any


def attributes_section(owner: type[Any]) -> str:
    """The lines of a class's own docstring below "Attributes:", indented by four; empty without such a section.

    >>> class Options:
    ...     '''How.
    ...
    ...     Attributes:
    ...         size: how large,
    ...             at most.
    ...     '''
    >>> attributes_section(Options)
    '    size: how large,\\n        at most.'
    """
    _, _, section = inspect.cleandoc(owner.__doc__ or "").partition("\nAttributes:\n")
    return section.split("\n\n")[0].rstrip()


def documented_options(owner: type[Any]) -> dict[str, str]:
    """What the docstring of a class says of each attribute, in one line."""
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes_section(owner), re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}
