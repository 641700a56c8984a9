"""The list of stages: each of one kind, each with a name of its own, each in the file of that name."""

import pytest

from datapipe.engine.stages import BY_NAME, STAGES, WRITERS
from datapipe.stage import CorpusStage, DocumentStage, ProductStage, Source, Stage


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_is_of_one_kind_in_the_file_of_its_name(stage: type[Stage]) -> None:
    assert sum(issubclass(stage, kind) for kind in (Source, DocumentStage, CorpusStage, ProductStage)) == 1
    assert stage.__module__.rpartition(".")[2] in (stage.name, "train")
    assert BY_NAME[stage.name] is stage


def test_names_are_distinct_and_so_are_columns() -> None:
    assert len(BY_NAME) == len(STAGES)
    again = [c for stage in STAGES for c in stage.writes.names if WRITERS[c] != stage.name]
    # Written again: by what masks, cuts or drops; and by instructions, a second source of the same columns.
    assert {*again} <= {"text", "messages", "bytes", "source", "path", "position"}
