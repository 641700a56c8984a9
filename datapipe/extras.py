"""Optional packages: imported where they are needed, with the command that installs them where they are not there.

The base install carries what the default recipe and every common command need; what is large or rarely used comes with
an extra (`pip install 'datapipe-llm[models]'`).
"""

import importlib
from typing import Any


class MissingExtraError(ValueError):
    """A package that this install lacks, with the extra that brings it."""


def load_extra(module: str, extra: str, purpose: str) -> Any:
    """Import a module that belongs to an extra.

    Args:
        module: the name of the module, such as `sentence_transformers`.
        extra: the extra of this project that installs it, such as `models`.
        purpose: what needs it, for the error.

    Raises:
        MissingExtraError: in one line, if the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs the package {module.partition('.')[0]}: pip install 'datapipe-llm[{extra}]'"
        ) from error
