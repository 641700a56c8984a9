"""Duplicate ids: who is flagged or removed, and who is named as the first."""

from typing import Any

import pytest

from datapipe.dedup.duplicate_ids import FindDuplicateIds
from tests.helpers import CorpusOf, verdicts


def test_the_first_bearer_of_an_id_keeps_it(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["one", "two", "three", "four", "five"], rows_per_part=2, input_id=["a", "b", "a", None, "a"])
    second, third = 1 << 32, 2 << 32
    assert verdicts(parts, FindDuplicateIds()) == {second: (0, None), third: (0, None)}
    removed = {second: (0, "duplicate_id"), third: (0, "duplicate_id")}
    assert verdicts(parts, FindDuplicateIds(action="remove")) == removed
    assert verdicts(parts, FindDuplicateIds(action="remove", partitions=1)) == removed


def test_any_column_and_any_type_can_be_the_id(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["one", "two", "three"], number=[7, 8, 7], empty=[None, None, None])
    assert verdicts(parts, FindDuplicateIds(column="number")) == {2: (0, None)}
    assert verdicts(parts, FindDuplicateIds(column="empty")) == {}
    assert verdicts(parts, FindDuplicateIds(column="nowhere")) == {}


def test_an_id_is_what_it_is_to_the_letter(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 5, input_id=["a b", "a  b", "A b", "", ""])
    assert verdicts(parts, FindDuplicateIds()) == {4: (3, None)}


@pytest.mark.parametrize("options", [{"action": "drop"}, {"partitions": 0}])
def test_a_wrong_option_is_an_error_that_names_it(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"duplicate_ids: {next(iter(options))} must be .* got"):
        FindDuplicateIds(**options)
