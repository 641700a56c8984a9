"""What a stage does not use is not imported with it, and is there for who calls it."""

import os
import pathlib
import subprocess
import sys

import pytest

ABSENT = {"beartype", "cryptography", "fastavro", "httplib2", "pymongo"}


def imported(whole_beam: bool, before: str, after: str) -> list[str]:
    """The names of modules that a process has after the stages' import; it imports some before, and asserts after."""
    code = f"""
import sys
{before}
from datapipe.flow.imports import import_stages
assert import_stages("datapipe.engine.recipe", whole_beam={whole_beam}) is sys.modules["datapipe.engine.recipe"]
print(*sys.modules)
{after}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_what_no_stage_uses_is_not_imported_and_there_for_who_calls_it() -> None:
    after = """
import base64, io
from apache_beam import coders
from apache_beam.coders.avro_record import AvroRecord
from apache_beam.internal.http_client import get_new_http
from apache_beam.io import avroio
from apache_beam.transforms import util
from apache_beam.typehints.typehints import is_consistent_with
assert [is_consistent_with(*types) for types in ((bool, int), (str, bytes), (3, str))] == [True, False, False]
import httplib2
assert type(get_new_http()) is httplib2.Http
assert util.Fernet(base64.urlsafe_b64encode(bytes(32))).encrypt(b"a")
coder = coders.AvroGenericCoder('{"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}]}')
assert coder.decode(coder.encode(AvroRecord({"a": 1}))).record == {"a": 1}
import fastavro
file = io.BytesIO()
fastavro.writer(file, {"type": "int", "name": "a"}, [1])
file.seek(0)
assert [*next(avroio.block_reader(file))] == [1]
from beartype.door import is_subhint
from beartype.roar import BeartypeDoorException
assert issubclass(BeartypeDoorException, Exception) and is_subhint(bool, int)
"""
    assert not ABSENT & {*imported(False, "", after)}


def test_what_is_called_while_stages_are_imported_is_imported_then(tmp_path: pathlib.Path) -> None:
    (tmp_path / "eager.py").write_text(
        """
import abc, inspect, itertools, sys, typing
import fastavro
from beartype.door import is_subhint
inspect.getmodule(sys._getframe())  # asks each module where it is
assert fastavro.parse_schema({"type": "int"})["type"] == "int"
assert is_subhint(bool, int) and is_subhint(list[int], list) and not is_subhint(type[int], int)
class Base(abc.ABC): pass
class Of(Base, typing.Generic[typing.TypeVar("T")]): pass
class OfInt(Of[int]): pass
import beartype.door
assert beartype.door.is_subhint is not is_subhint
for one, other in itertools.product([object, int, bool, str, tuple, Base, Of, OfInt, list[int], type[int]], repeat=2):
    assert is_subhint(one, other) == beartype.door.is_subhint(one, other), (one, other)
"""
    )
    code = "from datapipe.flow.imports import import_stages\nimport_stages('eager')\nimport fastavro\nfastavro.__file__"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_is_imported_already_stays() -> None:
    after = """
from apache_beam.internal import http_client
assert http_client.httplib2 is httplib2
"""
    assert {"httplib2"} == ABSENT & {*imported(False, "import httplib2", after)}


@pytest.mark.parametrize("package", ["beartype", "fastavro"])
def test_flags_for_beam_take_all_of_it(package: str) -> None:
    assert package in imported(True, "", "")
