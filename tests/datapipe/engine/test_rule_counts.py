"""Rules with what they ask for and what they did."""

import pathlib

from datapipe.engine.output import open_corpus
from datapipe.engine.rule_counts import count_rules_by_language, rules_of


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
