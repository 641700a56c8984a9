"""Beam's import without what no stage of ours uses, a third of it: it takes as long as ten documents take in all.

What connects Beam to elsewhere it does without where that is not found. Of other packages it takes functions that a run
here never calls, such as one that encrypts; what stands for them calls the real ones, which are imported then. Once
Beam is imported, nothing stands in the way of who else imports those packages.
"""

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
    found["beartype.door"] = types.SimpleNamespace(is_subhint=_is_subhint)
    found["beartype.roar"] = types.SimpleNamespace(BeartypeDoorException=())
    new = {name: module for name, module in found.items() if name not in sys.modules}
    sys.modules.update(new)
    try:
        yield
    finally:
        for name in new:
            del sys.modules[name]


class _CalledLater(types.ModuleType):
    """Stands for a module until something of it is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*arguments, **named)

        return call


def _is_subhint(one: Any, other: Any) -> bool:
    """Whether a type is part of another: what beartype says, and False where it cannot tell, as Beam takes it."""
    from beartype.door import is_subhint
    from beartype.roar import BeartypeDoorException

    try:
        return is_subhint(one, other)
    except BeartypeDoorException:
        return False
