"""Exact duplicates: who is removed, who survives, and who is named as the survivor."""

from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from datapipe.dedup.exact_duplicates import COPY, FindExactDuplicates, duplicates
from datapipe.store.corpus import Part
from tests.helpers import CorpusOf, at_most, local_pipeline, verdicts

REMOVED = "exact_duplicate"


def of_copies(parts: list[Part], stage: FindExactDuplicates | None = None) -> dict[int, tuple[int, str | None]]:
    """Which document each copy but the survivor names, and why it goes, if it does."""
    found = verdicts(parts, stage or FindExactDuplicates())
    return {row: (verdict.of, verdict.reason) for row, verdict in found.items() if verdict.of is not None}


def test_all_but_the_first_copy_go(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["a", "b", "a", "c", "a", "b"], rows_per_part=2)
    second, third = 1 << 32, 2 << 32
    assert of_copies(parts) == {
        second: (0, REMOVED),
        third: (0, REMOVED),
        third + 1: (1, REMOVED),
    }


@pytest.mark.parametrize(
    ("normalization", "removed"),
    [("none", {1}), ("whitespace", {1, 2}), ("text", {1, 2, 3}), ("ccnet", {1, 2, 3, 4})],
)
def test_normalization_says_what_is_the_same(corpus_of: CorpusOf, normalization: Any, removed: set[int]) -> None:
    parts = corpus_of(["Call 12 now", "Call 12 now", " Call 12\nnow", "call 12 now!", "Call 34 now!"])
    assert set(of_copies(parts, FindExactDuplicates(normalization=normalization))) == removed


def test_best_quality_survives(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["a", "a", "a", "a"], score=[0.1, None, 0.9, 0.9])
    stage = FindExactDuplicates(quality="score")
    assert stage.optional() == ("score",)
    assert of_copies(parts, stage) == {0: (2, REMOVED), 1: (2, REMOVED), 3: (2, REMOVED)}


def test_parts_without_the_column_of_quality_come_last(corpus_of: CorpusOf) -> None:
    parts = [*corpus_of(["a"], kind="other"), *corpus_of(["a", "a"], first=1, score=[-2.0, -1.0])]
    assert set(of_copies(parts, FindExactDuplicates(quality="score"))) == {0, 1 << 32}
    assert set(of_copies(parts, FindExactDuplicates(quality="absent"))) == {1 << 32, 1 << 32 | 1}


def test_keep_copies_keeps_the_first_ones(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["a"] * 4)
    assert of_copies(parts, FindExactDuplicates(keep_copies=2)) == {1: (0, None), 2: (0, REMOVED), 3: (0, REMOVED)}


def test_every_copy_says_how_many_there_are(corpus_of: CorpusOf) -> None:
    found = verdicts(corpus_of(["a", "b", "a", "c", "a", "b"], rows_per_part=2), FindExactDuplicates(keep_copies=2))
    assert sorted(verdict.size for verdict in found.values()) == [2, 2, 3, 3, 3]


def test_empty_documents_are_no_copies(corpus_of: CorpusOf) -> None:
    assert of_copies(corpus_of(["", "", None, "!", "?"]), FindExactDuplicates(normalization="text")) == {}


def test_texts_of_which_one_half_of_the_hash_differs_are_no_copies() -> None:
    records = np.array([(7, 1, 0.0, 0), (7, 1, 0.0, 1), (7, 2, 0.0, 2), (8, 2, 0.0, 3)], COPY)
    assert duplicates(records, 1).to_pylist() == [
        {"id": 0, "exact_duplicates_of": None, "exact_duplicates_size": 2, "exact_duplicates_reason": None},
        {"id": 1, "exact_duplicates_of": 0, "exact_duplicates_size": 2, "exact_duplicates_reason": REMOVED},
    ]


def test_number_of_partitions_changes_nothing(corpus_of: CorpusOf) -> None:
    parts = corpus_of([str(number % 37) for number in range(200)], rows_per_part=50)
    assert verdicts(parts, FindExactDuplicates(partitions=1)) == verdicts(parts, FindExactDuplicates(partitions=7))


def test_hundred_thousand_copies_are_one_group(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["the same"] * 100_000, rows_per_part=50_000)
    with at_most(seconds=10):
        found = of_copies(parts)
    assert len(found) == 99_999
    assert set(found.values()) == {(0, REMOVED)}


def test_runs_in_a_pipeline_of_ones_own(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["a", "a"])
    with local_pipeline() as pipeline:
        found = pipeline | beam.Create(parts) | FindExactDuplicates()
        assert_that(found | beam.Map(len), equal_to([2]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalization": "lower"}, "normalization must be one of .*, got 'lower'"),
        ({"keep_copies": 0}, "keep_copies must be at least 1, got 0"),
        ({"partitions": 0}, "partitions must be at least 1, got 0"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FindExactDuplicates(**options)
