"""Optional packages: imported where they are needed, with the command that installs them where they are not there.

The base install carries what the default recipe and every common command need; what is large or rarely used comes with
an extra (`pip install 'datapipe-llm[models]'`).
"""

import importlib
import importlib.util
from typing import Any

# A module by which each extra is known to be installed.
EXTRAS = {
    "models": "sentence_transformers",
    "export": "gguf",
    "tiktoken": "tiktoken",
    "datasketch": "datasketch",
    "gcp": "apitools",
    "aws": "boto3",
    "azure": "azure",
    "hub": "huggingface_hub",
    "dask": "distributed",
    "completion": "shtab",
}


class MissingExtraError(ValueError):
    """A package that this install lacks, with the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}: pip install 'datapipe-llm[{extra}]'")


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
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the package is there, and lacks one of its own
        raise MissingExtraError(error.name, extra, purpose) from error


def check_extra(package: str, extra: str, purpose: str) -> None:
    """Check that a package that belongs to an extra is installed, without the seconds that importing it may take.

    Args:
        package: the name of the package, such as `sentence_transformers`.
        extra, purpose: as for `load_extra`.

    Raises:
        MissingExtraError: in one line, if it is not.
    """
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(package, extra, purpose)
