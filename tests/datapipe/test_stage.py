"""The contract: options are checked when a stage is made, and what the driver sets is none of them."""

import dataclasses
import pathlib
from typing import ClassVar

import pyarrow as pa
import pytest

from datapipe.checks import ColumnOption, Count, FilesOption
from datapipe.stage import DocumentStage, append_columns, read_notes, write_notes


@dataclasses.dataclass(eq=False)
class Repeat(DocumentStage):
    """A stage for these tests: the text, several times."""

    times: Count = 2
    model: FilesOption = ""
    by: list[ColumnOption] = dataclasses.field(default_factory=list)
    learnt: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "repeat"
    writes: ClassVar[pa.Schema] = pa.schema([("repeated", pa.string())])

    def check(self) -> None:
        if self.times > 9:
            raise ValueError(f"repeat: times must be a digit, got {self.times!r}")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = [text * self.times for text in batch.column("text").to_pylist()]
        return pa.record_batch({"repeated": texts})


def test_a_stage_runs_on_a_plain_list() -> None:
    (out,) = [pa.record_batch({"text": ["a", "bc"]})] | Repeat(times=3)
    assert out.to_pydict() == {"text": ["a", "bc"], "repeated": ["aaa", "bcbcbc"]}


def test_columns_of_the_same_name_are_replaced() -> None:
    batch = pa.record_batch({"text": ["a"], "repeated": ["old"]})
    assert append_columns(batch, Repeat()).to_pydict() == {"text": ["a"], "repeated": ["aa"]}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (0, "^repeat: times must be at least 1, got 0$"),
        (True, "^repeat: times must be a whole number, got True$"),
        (10, "^repeat: times must be a digit, got 10$"),
    ],
)
def test_options_are_checked_where_the_stage_is_made(times: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Repeat(times=times)


def test_options_say_which_files_and_columns_they_name() -> None:
    stage = Repeat(model="models/lid.bin", by=["stars", "moons"])
    assert stage.named_files() == ("models/lid.bin",)
    assert stage.named_columns() == ("stars", "moons")
    assert Repeat().named_files() == Repeat().named_columns() == ()
    assert stage.options() == {"times": 2, "model": "models/lid.bin", "by": ["stars", "moons"]}


def test_what_is_found_is_set_on_a_copy_and_is_no_option() -> None:
    stage = Repeat()
    ready = stage.ready(learnt="weights")
    assert (stage.learnt, ready.learnt) == ("", "weights")
    assert ready.options() == stage.options()
    with pytest.raises(TypeError, match="times is an option"):
        stage.ready(times=3)
    with pytest.raises(TypeError, match="learned is an option, or no field"):
        stage.ready(learned="weights")


def test_notes_are_left_and_found(tmp_path: pathlib.Path) -> None:
    assert read_notes(str(tmp_path)) == ()
    write_notes(str(tmp_path), ["one", "two"])
    assert read_notes(str(tmp_path)) == ("one", "two")
