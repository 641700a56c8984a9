"""Duplicate ids: who is flagged or removed, and who is named as the first."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from datapipe.dedup.duplicate_ids import FindDuplicateIds, id_records
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


def test_an_id_is_the_same_as_an_integer_a_float_and_a_string() -> None:
    kinds = [pa.array([10**15, 2]), pa.array([1e15, 2.5]), pa.array(["2.5", "2"])]
    batches = [
        pa.record_batch({"id": pa.array([2 * n, 2 * n + 1], pa.uint64()), "key": k}) for n, k in enumerate(kinds)
    ]
    hashes = np.concatenate([id_records(batch, "key") for batch in batches])["hash"]
    assert hashes[0] == hashes[2]
    assert hashes[3] == hashes[4]
    assert hashes[1] == hashes[5]
    assert len(set(hashes)) == 3
