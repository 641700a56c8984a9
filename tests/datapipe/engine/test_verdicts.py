"""Verdicts name the number, the threshold and its source."""

import pytest

from datapipe.engine.verdicts import because, failures, verdict
from datapipe.filters.rule_sets import RULE_SETS, SOURCES

ROW = {
    "language": "en",
    "rules_failed": ["gopher_min_words", "fineweb_duplicate_characters"],
    "rules_reason": "gopher_min_words",
    "words": 12,
    "duplicate_character_share": 0.4321,
    "quality_filter_reason": None,
}
DECISIONS = ("rules_reason", "quality_filter_reason")


def test_a_rule_is_told_by_what_it_measured_and_asks_for() -> None:
    said = verdict(ROW, DECISIONS, {"rules": {}})
    assert str(said) == "removed by rules: words 12, needs >= 50 (Gopher)"
    _, other = failures(ROW, {})
    assert str(other) == "duplicate characters 0.432, needs <= 0.1 (FineWeb has 0.01)"


def test_the_thresholds_of_the_run_are_told_and_not_the_built_in_ones() -> None:
    options = {"rules": {"thresholds": {"en": {"gopher_min_words": 20}}}}
    assert str(verdict(ROW, DECISIONS, options)) == "removed by rules: words 12, needs >= 20 (Gopher has 50)"


def test_the_first_stage_decides_and_what_is_kept_says_how_often() -> None:
    row = {"a_reason": None, "b_reason": "bad", "c_reason": "worse"}
    assert str(verdict(row, ("a_reason", "b_reason", "c_reason"), {})) == "removed by b: bad"
    assert str(verdict({"a_reason": None, "mixture_copies": 3}, ("a_reason",), {})) == "kept, 3 times in the mixture"
    assert verdict({"a_reason": None}, ("a_reason",), {}).kept


@pytest.mark.parametrize(
    ("stage", "reason", "row", "options", "said"),
    [
        ("near_duplicates", "near_duplicate", {"near_duplicates_of": 1 << 32 | 5, "near_duplicates_similarity": 0.93},
         {"threshold": 0.8}, "of 1-5, similarity 0.93, duplicates from 0.8 on"),
        ("quality_filter", "low_quality", {"quality_filter_score": 0.1234}, {"min_score": 0.25},
         "score 0.123, needs >= 0.25"),
        ("language_filter", "language_uncertain", {"language": "zh", "language_score": 0.3},
         {"min_score": 0.5, "thresholds": {"zh": 0.692}}, "zh with score 0.3, needs >= 0.692"),
        ("language_filter", "language_not_wanted", {"language": "fr"}, {"keep": ["zh", "en"]},
         "fr, wanted are zh, en"),
        ("safety_filter", "offensive", {"safety_score": 0.9}, {"max_score": 0.5}, "safety score 0.9, needs <= 0.5"),
        ("decontamination", "evaluation_overlap", {"decontamination_leaks": [{"record": "test.jsonl#3", "text": "a"}]},
         {}, "holds test.jsonl#3: “a”"),
        ("a_stage_of_tomorrow", "for_its_reasons", {}, {}, ""),
    ],
)  # fmt: skip
def test_each_stage_is_told_by_its_own_numbers(
    stage: str, reason: str, row: dict[str, object], options: dict[str, object], said: str
) -> None:
    assert because(stage, reason, row, options) == said


def test_every_set_of_rules_has_a_source() -> None:
    assert SOURCES.keys() == RULE_SETS.keys()
