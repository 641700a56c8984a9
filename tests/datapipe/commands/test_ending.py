"""A run ends in few lines: what is left, what took most, and last what to look at first."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.commands.ending import (
    MAX_WARNINGS,
    STEPS_SHOWN,
    WARNING_LINES,
    headline,
    steps_table,
    warnings_of,
)
from datapipe.engine.funnel import Funnel, Step, Totals
from datapipe.store.record import Done, RunRecord, SourceResult
from datapipe.store.schemas import REJECT_SCHEMA


def funnel(*steps: Step, read: int = 100, kept: int = 90) -> Funnel:
    left = Totals(kept, kept * 10, kept * 2)
    rejects = {"documents": {"missing_text": 4}}
    return Funnel(Totals(read, read * 10), rejects, steps, left, left, {}, {}, {}, {})


def step(name: str, **removed: int) -> Step:
    reasons = {reason: Totals(count) for reason, count in removed.items()}
    return Step(name, Totals(100), reasons, Totals(100 - sum(removed.values())))


def test_the_headline_says_what_came_and_what_is_left() -> None:
    said = headline(funnel())
    assert said == "100 documents read, 4 records rejected; 90 kept (90%); 90 rows with copies, 180 tokens"


def test_the_steps_that_took_most_stay_in_order_and_the_others_are_summed_up() -> None:
    steps = [step(f"stage_{number:02}", low=number, lower=1) for number in range(14)]
    header, *rows, others = steps_table(funnel(*steps, step("idle")))
    assert header[0] == "stage"
    assert [row[0] for row in rows] == [f"stage_{number:02}" for number in range(14 - STEPS_SHOWN, 14)]
    assert rows[-1] == ("stage_13", "14", "86", "13 low, 1 lower")
    assert others[:2] == ("others", str(1 + 2 + 3 + 4))
    assert steps_table(funnel(step("idle"))) == []


def record(warnings: list[str], **sources: SourceResult) -> RunRecord:
    stages = {name: Done("", 1.0, 1, ("document",), source=source) for name, source in sources.items()}
    made = RunRecord({"stages": [{"documents": {"fields": {"text": ["text"]}}}]}, [], {}, dict(stages))
    made.warnings = warnings
    made.funnel = {"steps": [{"stage": "rules"}]}
    return made


def rejected(folder: pathlib.Path, count: int) -> SourceResult:
    (folder / "rejects").mkdir()
    rows = [
        {
            "file": f"{at}.x{at % 30}",
            "position": 0,
            "reason": "missing_text",
            "detail": "",
            "raw": b"",
            "columns": ["story"],
        }
        for at in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows, REJECT_SCHEMA), folder / "rejects" / "documents-00000.parquet")
    return SourceResult((), 100, count, {"missing_text": count})


def test_warnings_are_few_and_short_and_end_in_what_to_do(tmp_path: pathlib.Path) -> None:
    lost = [f"source {name}: 30 of 40 documents removed (75%), 30 by rules: x" for name in "abcdefghij"]
    blocks = warnings_of(record(lost, documents=rejected(tmp_path, 60)), str(tmp_path), {})
    assert len(blocks) == 2
    assert all(len(block) <= WARNING_LINES for block in blocks)
    rejects, losses = blocks
    assert rejects[0].startswith("WARNING: documents rejected 60 of 100 records (60%)")
    assert rejects[-1].strip() == "text: [text, story]"
    assert losses[0] == "WARNING: 10 sources or languages lost most of their documents"
    assert losses[-1].strip() == f"to see some of them: datapipe sample {tmp_path} --reason rules"


def test_a_run_that_lost_most_of_its_documents_says_so_even_where_no_source_did() -> None:
    (block,) = warnings_of(record([]), "out", {}, funnel(step("rules", short=70), read=100, kept=30))
    assert block[0] == "WARNING: 70 of 100 documents removed (70%), 70 by rules"
    assert warnings_of(record([]), "out", {}, funnel(step("rules", short=10))) == []
    assert MAX_WARNINGS == 3
