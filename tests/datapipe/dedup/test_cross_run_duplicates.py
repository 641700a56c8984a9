"""A new corpus against the signatures of an earlier one: who is recognised, and by what."""

import pathlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.dedup.cross_run_duplicates import EARLIER, FindCrossRunDuplicates, held_rows, new_and_earlier, unpack
from datapipe.dedup.near_duplicates import MEMBER
from datapipe.dedup.signatures import ComputeSignatures
from datapipe.stage import read_notes
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part
from tests.helpers import CorpusOf, add_columns, edited, processed, random_words, run_recipe, verdicts, write_lines


def text(seed: int, *changed: int) -> str:
    return " ".join(edited(random_words(seed), *changed))


def with_signatures(parts: list[Part], output: pathlib.Path) -> list[Part]:
    """The parts after the stage `signatures` of a run into an output folder."""
    stage = ComputeSignatures()
    (output / "signatures").mkdir(parents=True)
    stage.prepare(Corpus(str(output)), str(output / "signatures"))
    return [processed(part, stage, output) for part in parts]


@pytest.fixture
def runs(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> tuple[list[Part], str]:
    """A new corpus with its signatures, and the signatures of an earlier one."""
    with_signatures(corpus_of([text(1), "", text(2), text(3)], rows_per_part=2), tmp_path / "before")
    files.remove(str(tmp_path / "corpus"))  # the text is gone
    new = corpus_of([text(4), text(2, 50), text(2), text(4), None, text(3, *range(0, 200, 4))], rows_per_part=3)
    return with_signatures(new, tmp_path), str(tmp_path / "before" / "signatures")


def test_seen_documents_go_and_name_what_they_are_like(runs: tuple[list[Part], str]) -> None:
    new, before = runs
    found = verdicts(new, FindCrossRunDuplicates(before))
    second_part = 1 << 32
    assert set(found) == {1, 2}
    assert found[2] == (second_part, 1.0, "seen_earlier")
    assert found[1].of == second_part
    assert found[1].similarity == pytest.approx(191 / 201, abs=0.1)


def test_options_change_what_is_found(runs: tuple[list[Part], str]) -> None:
    new, before = runs
    assert set(verdicts(new, FindCrossRunDuplicates(before, threshold=1.0))) == {2}
    assert set(verdicts(new, FindCrossRunDuplicates(before, bands=1, rows=128))) == {2}
    assert verdicts(new, FindCrossRunDuplicates(before, partitions=1)) == verdicts(new, FindCrossRunDuplicates(before))


def test_removed_documents_are_not_looked_at(runs: tuple[list[Part], str], tmp_path: pathlib.Path) -> None:
    new, before = runs
    reasons = [pa.array([None, "spam", None]), pa.nulls(3, pa.string())]
    new = [add_columns(part, tmp_path / "toy", toy_reason=reasons[part.number]) for part in new]
    assert set(verdicts(new, FindCrossRunDuplicates(before))) == {2}


RECIPE = """
description: A run that removes some documents before others.
stages:
  - documents
  - signatures
  - duplicate_ids: {action: remove}
  - near_duplicates
"""


def test_what_the_earlier_run_removed_for_its_own_sake_is_not_seen(tmp_path: pathlib.Path) -> None:
    (tmp_path / "old").mkdir()
    # The second has an id that another has, the third is nearly the first.
    rows = [("a", text(1)), ("a", text(2)), ("b", text(1, 100)), ("c", text(3))]
    write_lines(tmp_path / "old" / "d.jsonl", ({"id": id_, "text": words} for id_, words in rows))
    earlier = run_recipe(RECIPE, tmp_path, [str(tmp_path / "old")], "earlier")
    (held,) = held_rows(earlier.corpus.parts)
    assert held.tolist() == [True, False, True, True]

    (tmp_path / "new").mkdir()
    write_lines(tmp_path / "new" / "d.jsonl", ({"text": text(seed)} for seed in (1, 2, 3, 4)))

    def left(options: str) -> list[bool]:
        recipe = RECIPE[: RECIPE.index("  - duplicate_ids")] + f"  - cross_run_duplicates: {{{options}}}\n"
        (found,) = run_recipe(recipe, tmp_path, [str(tmp_path / "new")], "later").corpus.parts
        return found.kept().tolist()

    against = f"against: '{tmp_path}/earlier/signatures'"
    assert left(against) == [False, True, False, True]
    assert left(f"{against}, count_removed: true") == [False, False, False, True]
    # A change of what the earlier run removed is a change of this stage's input.
    run_recipe(RECIPE.replace("remove}", "flag}"), tmp_path, [str(tmp_path / "old")], "earlier")
    assert left(against) == [False, False, False, True]


COPIES_FIRST = """
description: A run that removes copies before it filters.
stages:
  - documents
  - signatures
  - exact_duplicates
  - near_duplicates
  - column_filter: {keep: {license: [free]}}
"""


def test_copies_of_what_the_earlier_run_removed_for_its_own_sake_are_not_seen(tmp_path: pathlib.Path) -> None:
    (tmp_path / "old").mkdir()
    rows = [(1, "free"), (1, "free"), (2, "paid"), (2, "paid"), (3, "paid")]
    copies = [{"text": text(seed), "license": license_} for seed, license_ in rows]
    near = [{"text": text(3, 100), "license": "paid"}, {"text": text(1, 100), "license": "free"}]
    write_lines(tmp_path / "old" / "d.jsonl", copies + near)
    earlier = run_recipe(COPIES_FIRST, tmp_path, [str(tmp_path / "old")], "earlier")
    (held,) = held_rows(earlier.corpus.parts)
    assert held.tolist() == [True, True, False, False, False, False, True]


def test_signatures_without_a_run_all_count(runs: tuple[list[Part], str], tmp_path: pathlib.Path) -> None:
    _, before = runs
    assert FindCrossRunDuplicates(before).prepare(Corpus(str(tmp_path)), str(tmp_path)).held == ""
    assert "all its documents count as seen" in read_notes(str(tmp_path))[0]


def test_signatures_of_other_options_are_refused(runs: tuple[list[Part], str], tmp_path: pathlib.Path) -> None:
    _, before = runs
    stage = FindCrossRunDuplicates(before, count_removed=True)
    assert stage.prepare(Corpus(str(tmp_path)), "") is stage
    files.write_json(str(tmp_path / "signatures" / "signatures.json"), {"slots": 3})
    with pytest.raises(ValueError, match=r"against holds signatures made with .*'slots': 128"):
        stage.prepare(Corpus(str(tmp_path)), "")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), max_size=30, unique=True))
def test_pairs_are_of_the_new_with_the_first_earlier(rows: list[tuple[int, int, bool]]) -> None:
    records = np.array(sorted((bucket, row + earlier * int(EARLIER)) for bucket, row, earlier in rows), MEMBER)
    expected = []
    for bucket, row, earlier in sorted(rows):
        others = [other for key, other, old in rows if old and key == bucket]
        if others and not earlier:
            expected.append((row, min(others)))
    assert [(int(pair["first"]), int(pair["second"])) for pair in new_and_earlier(records)] == expected


def test_unpack_respects_slices() -> None:
    column = pa.array([np.arange(at, at + 3, dtype="<u4").tobytes() for at in range(4)], pa.binary())
    assert unpack(column.slice(1, 2)).tolist() == [[1, 2, 3], [2, 3, 4]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.1}, "threshold must be above 0 and at most 1, got 1.1"),
        ({"rows": 0}, "rows must be at least 1, got 0"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FindCrossRunDuplicates("before", **options)
