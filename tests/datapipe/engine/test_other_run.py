"""Stages are taken from another run where they would make the same; the two runs stay apart."""

import pathlib

import pyarrow.parquet as pq
import pytest

from datapipe.engine.other_run import OtherRun
from datapipe.engine.progress import News
from datapipe.engine.recipe import load_recipe
from datapipe.engine.run import Outcome, plan, run
from datapipe.store.record import Done
from tests.helpers import FINISHED, ONE_WORKER, digests

TUNED = ("rules.rule_sets.en=[]",)


def again(finished_run: pathlib.Path, output: pathlib.Path, *settings: str, **how: object) -> tuple[Outcome, list[str]]:
    """The recipe of the fixture with settings, into another folder, and how each stage came to be."""
    base = finished_run.parent
    recipe = load_recipe(str(write(output)), {"output": str(output), "input_parent": str(base)}, settings)
    news: list[str] = []
    inputs = [str(base / "documents")]

    def report(each: News) -> None:
        news.append(f"{each.event} {each.stage}")

    outcome = run(recipe, inputs, str(output), ONE_WORKER, report, **how)  # type: ignore[arg-type]
    return outcome, [line for line in news if not line.startswith("note")]


def write(output: pathlib.Path) -> pathlib.Path:
    """The recipe as a file beside the output."""
    path = output.parent / "toy.yaml"
    path.write_text(FINISHED)
    return path


def test_what_depends_on_nothing_that_changed_is_taken_and_the_rest_is_run(
    finished_run: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    before = digests(finished_run)
    outcome, news = again(finished_run, tmp_path / "tuned", *TUNED, reuse=[str(finished_run)])
    assert [line for line in news if line.startswith("reused")] == [
        f"reused {stage}" for stage in ("documents", "language", "language_filter", "measurements")
    ]
    tokens = outcome.record.done("tokens")
    assert tokens is not None
    assert tokens.computed == 3, "of the documents that have come back alone"
    fresh, _ = again(finished_run, tmp_path / "fresh", *TUNED)
    assert digests(tmp_path / "tuned") == digests(tmp_path / "fresh")
    assert outcome.funnel == fresh.funnel
    again(finished_run, tmp_path / "tuned", "rules.thresholds.en.gopher_min_words=6")
    assert digests(finished_run) == before
    _, news = again(finished_run, tmp_path / "same", reuse=[str(finished_run)])
    assert {line.split()[0] for line in news} == {"reused"} | ({"done"} if "done shards" in news else set())


def test_a_folder_without_a_run_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="there is no run"):
        OtherRun.open(str(tmp_path))


def test_a_run_stops_where_it_is_told_to_and_goes_on_with_what_it_has(
    finished_run: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "out"
    stopped, _ = again(finished_run, output, until="rules", reuse=[str(finished_run)])
    assert list(stopped.record.stages)[-1] == "rules"
    assert not (output / "shards").exists()
    assert stopped.funnel.kept.documents == 26
    whole, _ = again(finished_run, output)
    stopped, _ = again(finished_run, output, until="rules")
    assert isinstance(stopped.record.later["near_duplicates"], Done)
    _, news = again(finished_run, output)
    assert {line.split()[0] for line in news} == {"kept"}
    assert pq.read_table(output / "shards").num_rows == whole.funnel.copies.documents
    with pytest.raises(ValueError, match="no stage 'rulez'; did you mean 'rules'"):
        again(finished_run, output, until="rulez")


def test_a_plan_says_what_would_run_and_writes_nothing(finished_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    base, output = finished_run.parent, tmp_path / "out"

    def planned(folder: pathlib.Path, *settings: str, **how: object) -> dict[str, str]:
        recipe = load_recipe(str(write(output)), {"output": str(folder), "input_parent": str(base)}, settings)
        found = plan(recipe, [str(base / "documents")], str(folder), **how)  # type: ignore[arg-type]
        return {stage.stage: stage.what for stage in found}

    assert set(planned(output).values()) == {"runs"}
    assert set(planned(finished_run).values()) == {"as before"}
    before = digests(finished_run)
    tuned = planned(finished_run, *TUNED)
    assert list(tuned.values()) == ["as before"] * 4 + ["runs"] * 6
    assert list(tuned)[4] == "rules"
    assert planned(output, *TUNED, reuse=[str(finished_run)])["measurements"] == "reused"
    assert digests(finished_run) == before
    assert not output.exists()
