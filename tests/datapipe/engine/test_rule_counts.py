"""Rules with what they did, and what other thresholds would do: exactly what a run with them does."""

import pathlib

import pytest

from datapipe.engine.output import open_corpus
from datapipe.engine.rule_counts import count_rules_by_language, parse_thresholds, rules_of, try_thresholds
from tests.helpers import prose, run_recipe, write_lines


def test_the_rules_of_a_language_name_threshold_and_source() -> None:
    rules = {rule.rule: rule for rule in rules_of("en", {"thresholds": {"en": {"gopher_min_words": 20}}})}
    words = rules["gopher_min_words"]
    assert (words.measurement, words.threshold, words.published, words.source) == ("words", 20, 50, "Gopher")
    assert "c4_curly_brackets" not in rules
    assert {rule.source for rule in rules_of("zh", {})} == {"FineWeb-2", "MAP-NEO", "datapipe"}


def test_counts_are_those_of_the_funnel(finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    found = {
        rule.rule: (rule.fails, rule.first, rule.only) for rule in count_rules_by_language(corpus, {}) if rule.fails
    }
    funnel = record.funnel or {}
    assert found == {name: (of["failed"], of["first"], of["only"]) for name, of in funnel["rules"].items()}


def test_other_thresholds_do_what_they_would_in_a_run(finished_run: pathlib.Path) -> None:
    corpus, _ = open_corpus(str(finished_run))
    same = try_thresholds(corpus, {}, {})
    assert (same.removed_before, same.removed_after, same.back, same.gone) == (3, 3, 0, 0)
    assert same.first_before == same.first_after
    stricter = try_thresholds(corpus, {}, {"en": {"gopher_min_words": 1000.0}})
    assert (stricter.removed_after, stricter.gone) == (29, 26)
    assert stricter.gone_kept == 24, "two of those are duplicates that the run removed later"
    assert stricter.gone_tokens > 24 * 100
    off = dict.fromkeys(same.first_before)
    assert try_thresholds(corpus, {}, {"en": off}).back >= 1


def test_rows_that_earlier_stages_took_are_not_guessed(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": prose(0)}, {"text": "这是一个关于城市公园的故事，春天里盛开的花朵。"}])
    recipe = "stages: [documents, language, {language_filter: {keep: [en]}}, measurements, rules]"
    outcome = run_recipe(recipe, tmp_path, [str(tmp_path / "a.jsonl")])
    found = try_thresholds(outcome.corpus, {}, {"zh": {"zh_stop_words": 1.0}})
    assert (found.reached, found.not_measured) == (1, 1)


@pytest.mark.parametrize("setting", ["en", "en.words", "words=3", "en.gopher_min_words=many", ".x=3"])
def test_thresholds_that_are_none_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"language\.rule=value"):
        parse_thresholds([setting])


def test_thresholds_are_parsed_and_unknown_rules_have_a_suggestion(finished_run: pathlib.Path) -> None:
    assert parse_thresholds(["en.a=3", "en.b=null", "zh.a=0.5"]) == {"en": {"a": 3, "b": None}, "zh": {"a": 0.5}}
    corpus, _ = open_corpus(str(finished_run))
    with pytest.raises(ValueError, match="did you mean 'gopher_min_words'"):
        try_thresholds(corpus, {}, {"en": {"gopher_min_wrds": 3.0}})
