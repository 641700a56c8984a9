"""The list of stages: each of one kind, each with a name of its own, each in the file of that name."""

import pytest

from datapipe.engine.stages import COLUMNS, NAMES, WRITERS, all_stages, stage_class
from datapipe.stage import CorpusStage, DocumentStage, ProductStage, Source, Stage


@pytest.mark.parametrize("stage", all_stages(), ids=lambda stage: stage.name)
def test_a_stage_is_of_one_kind_in_the_file_of_its_name(stage: type[Stage]) -> None:
    assert sum(issubclass(stage, kind) for kind in (Source, DocumentStage, CorpusStage, ProductStage)) == 1
    assert stage.__module__.rpartition(".")[2] == stage.name
    assert stage_class(stage.name) is stage


def test_names_are_distinct_and_so_are_columns() -> None:
    assert len(NAMES) == len(all_stages())
    again = [c for stage in all_stages() for c in stage.writes.names if WRITERS[c] != stage.name]
    # Written again: by what masks, cuts or drops; and by instructions, a second source of the same columns.
    assert {*again} <= {"text", "messages", "bytes", "source", "path", "position"}


def test_the_columns_are_those_that_the_stages_write() -> None:
    assert {stage.name: tuple(stage.writes.names) for stage in all_stages() if stage.writes.names} == COLUMNS
    assert list(COLUMNS) == [name for name in NAMES if name in COLUMNS]
