"""Beam's import without what no stage of ours uses: it takes as long as ten documents take in all.

What connects Beam to elsewhere it does without where that is not found. Of other packages it takes functions that a run
here never calls, such as one that encrypts; what stands for them in Beam's modules calls the real ones, which are
imported then. Once Beam is imported, nothing stands in the way of who else imports those packages; Beam's own modules
keep what they took, and go without its connectors.
"""

import abc
import contextlib
import gc
import importlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# MongoDB, and BigQuery.
_CONNECTORS = ("pymongo", "bson", "apache_beam.io.gcp.bigquery")
# Encryption, Avro, and HTTP: Beam (as of 2.77) calls what it takes from these, and does nothing else with it.
_CALLED_LATER = ("cryptography.fernet", "fastavro", "fastavro.read", "fastavro.write", "httplib2")


def import_stages(module: str, *, whole_beam: bool = False) -> types.ModuleType:
    """A module that imports all stages. Garbage is not looked for meanwhile, nor in what modules hold.

    It would take a tenth of the time of a short run, and find nothing.

    Args:
        module: its name.
        whole_beam: whether Beam is imported as it is, with what connects it to elsewhere. A file system comes with the
            first path of its own in any case.
    """
    gc.disable()
    try:
        from datapipe.store import files  # here: it brings pyarrow along

        with contextlib.nullcontext() if whole_beam else _light_beam(tuple(files.REMOTE_SYSTEMS.values())):
            return importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _light_beam(file_systems: Sequence[str]) -> Iterator[None]:
    """Have what is imported meanwhile not find connectors, and find others than are there, unless they are loaded."""
    found: dict[str, Any] = dict.fromkeys((*_CONNECTORS, *file_systems))  # None: there is no such module
    found |= {name: _CalledLater(name) for name in _CALLED_LATER}
    # A package of three hundred modules for one function, and what that raises: as Beam asks here, nothing.
    found["beartype.door"], found["beartype.roar"] = _CalledLater("beartype.door"), _CalledLater("beartype.roar")
    found["beartype.door"].is_subhint = _is_subhint
    found["beartype.roar"].BeartypeDoorException = ()
    new = {name: module for name, module in found.items() if name not in sys.modules}
    sys.modules.update(new)
    try:
        yield
    finally:
        for name, module in new.items():
            if sys.modules.get(name, module) is module:
                sys.modules.pop(name, None)


class _CalledLater(types.ModuleType):
    """Stands for a module until something of it is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # what Python asks of a module
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(_import_real(self.__name__), name)(*arguments, **named)

        return call


def _import_real(name: str) -> types.ModuleType:
    """The module itself, while one stands for it, too."""
    package = name.partition(".")[0]
    for other, module in list(sys.modules.items()):
        if isinstance(module, _CalledLater) and other.partition(".")[0] == package:
            del sys.modules[other]
    return importlib.import_module(name)


def _is_subhint(one: Any, other: Any) -> bool:
    """Whether a type is part of another: what beartype says, and False where it cannot tell, as Beam takes it."""
    kinds = {type(one), type(other)}
    if kinds <= {type, abc.ABCMeta} and (other in one.__mro__ or kinds == {type}):
        return other in one.__mro__  # as beartype says, too
    door, roar = _import_real("beartype.door"), _import_real("beartype.roar")
    try:
        return bool(door.is_subhint(one, other))
    except roar.BeartypeDoorException:
        return False
