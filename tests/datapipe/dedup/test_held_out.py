"""What is held out: the share asked for, the same documents whatever others there are, each text once."""

import pathlib
from typing import Any

import pyarrow.parquet as pq
import pytest

from datapipe.dedup.held_out import HoldOut
from datapipe.store.corpus import Part
from tests.helpers import CorpusOf, run_recipe, verdicts, write_lines

TEXTS: list[str | None] = [f"document {number}" for number in range(2000)]


def held_out(parts: list[Part], **options: Any) -> dict[str, str]:
    """The reason of each text that is taken out, of the last one of several alike."""
    texts = {
        int(id_): text for part in parts for id_, text in zip(part.ids, part.column("text").to_pylist(), strict=True)
    }
    return {texts[id_]: verdict.reason for id_, verdict in sorted(verdicts(parts, HoldOut(**options)).items())}


def test_the_share_is_that_asked_for_and_a_larger_one_has_the_same_and_more(corpus_of: CorpusOf) -> None:
    parts = corpus_of(TEXTS, rows_per_part=700)
    few, more = held_out(parts, share=0.05), held_out(parts, share=0.1)
    assert abs(len(few) - 100) < 30
    assert few.keys() < more.keys()
    assert held_out(parts, share=1.0).keys() == set(TEXTS)
    assert held_out(parts, share=0.05, seed=1).keys() != few.keys()
    assert held_out(parts[::-1], share=0.05, partitions=1) == few


def test_it_does_not_depend_on_other_documents(corpus_of: CorpusOf) -> None:
    here = held_out(corpus_of(TEXTS, rows_per_part=700), share=0.05)
    there = held_out(corpus_of([*map(str, range(500)), *TEXTS[::-2]], kind="instruction"), share=0.05)
    assert {text for text in here if text in TEXTS[::-2]} == {text for text in there if text in TEXTS}


def test_copies_are_held_out_with_the_first_and_empty_documents_never(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["a", "b", "a", "", None, "a"], rows_per_part=2)
    found = {id_: verdict.reason for id_, verdict in verdicts(parts, HoldOut(share=1.0)).items()}
    copy = "held_out_copy"
    assert found == {0: "held_out", 1: "held_out", 1 << 32: copy, (2 << 32) + 1: copy}


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_wrong_options(share: float) -> None:
    with pytest.raises(ValueError, match="held_out: share must be"):
        HoldOut(share=share)


def test_in_a_run_it_is_written_apart_and_its_neighbours_leave_training(tmp_path: pathlib.Path) -> None:
    words = [f"w{number}" for number in range(60)]
    texts = [" ".join([f"about {number}", *words[number % 7 :], str(number)]) for number in range(200)]
    for name, order in (("in", texts), ("turned", texts[::-1])):
        (tmp_path / name).mkdir()
        write_lines(tmp_path / name / "a.jsonl", [{"text": text} for text in order])
    recipe = """
stages:
  - documents
  - held_out: {share: 0.1}
  - near_duplicates: {threshold: 0.99}
  - shards
  - held_out_shards
"""
    held = {}
    for folder, threshold, inputs in (("far", "0.99", "in"), ("near", "0.5", "in"), ("turned-out", "0.5", "turned")):
        outcome = run_recipe(recipe.replace("0.99", threshold), tmp_path, [str(tmp_path / inputs)], folder)
        reasons = {name: amount.documents for step in outcome.funnel.steps for name, amount in step.removed.items()}
        trained = pq.read_table(tmp_path / folder / "shards").column("text").to_pylist()
        shards = pq.read_table(tmp_path / folder / "held_out_shards")
        held[folder] = sorted(shards.column("text").to_pylist())
        assert len(held[folder]) == reasons["held_out"] > 5
        assert not set(held[folder]) & set(trained)
        assert len(trained) + len(held[folder]) + reasons.get("held_out_neighbour", 0) == 200
        assert (reasons.get("held_out_neighbour", 0) > 100) == (folder != "far")
    assert held["far"] == held["near"] == held["turned-out"]
