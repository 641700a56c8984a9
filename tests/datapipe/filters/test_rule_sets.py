"""Every rule can fail and pass; a recipe's sets and thresholds take the place of the built-in ones."""

import pytest

from datapipe.filters import lines
from datapipe.filters.rule_sets import (
    LANGUAGE_SETS,
    LANGUAGE_THRESHOLDS,
    MAX,
    MIN,
    RULE_SETS,
    Rule,
    RulesByLanguage,
    RuleSets,
    Thresholds,
)
from datapipe.text.measures import SCHEMA

BUILT_IN = RulesByLanguage("rules", RULE_SETS, LANGUAGE_SETS, LANGUAGE_THRESHOLDS)
SMALL = RulesByLanguage(
    "small",
    sets={
        "size": {"min_words": Rule("words", MIN, 50), "max_words": Rule("words", MAX, 1000)},
        "shape": {"short_lines": Rule("short_line_share", MAX, 0.5)},
    },
    language_sets={"default": ["size"], "zh": ["shape"]},
    language_thresholds={"default": {"max_words": None}, "ko": {"min_words": 5}, "zh": {"short_lines": 0.6}},
)


def thresholds_of(
    language: str, rule_sets: RuleSets | None = None, thresholds: Thresholds | None = None
) -> dict[str, float]:
    rules = SMALL.rules_of(language, rule_sets or {}, thresholds or {})
    return {name: rule.threshold for name, rule in rules.items()}


def test_every_rule_is_sound() -> None:
    for name, rules in RULE_SETS.items():
        assert {rule.measurement for rule in rules.values()} <= set(SCHEMA.names)
        BUILT_IN.check({"eo": [name]}, {"eo": {name: rule.threshold for name, rule in rules.items()}})


@pytest.mark.parametrize(
    "by_language",
    [BUILT_IN, RulesByLanguage("lines", lines.LINE_RULES, lines.LANGUAGE_SETS, lines.LANGUAGE_THRESHOLDS)],
    ids=lambda by_language: by_language.stage,
)
def test_languages_are_judged_by_sets_that_there_are(by_language: RulesByLanguage) -> None:
    by_language.check(by_language.language_sets, by_language.language_thresholds)


def test_departures_of_a_language_come_before_those_of_default() -> None:
    assert thresholds_of("en") == {"min_words": 50}
    assert thresholds_of("ko") == {"min_words": 5}
    assert thresholds_of("zh") == {"short_lines": 0.6}


def test_sets_of_a_recipe_come_as_published() -> None:
    assert thresholds_of("en", {"default": ["size"]}) == {"min_words": 50, "max_words": 1000}
    assert thresholds_of("zh", {"zh": ["shape", "size"]}) == {"short_lines": 0.5, "min_words": 50, "max_words": 1000}
    assert thresholds_of("zh", {"default": ["size"]}) == {"short_lines": 0.6}
    assert thresholds_of("fr", {"fr": []}) == {}


def test_thresholds_of_a_recipe_come_before_all() -> None:
    assert thresholds_of("ko", thresholds={"default": {"min_words": 10}}) == {"min_words": 10}
    assert thresholds_of("ko", thresholds={"ko": {"min_words": 7, "max_words": 20}}) == {
        "min_words": 7,
        "max_words": 20,
    }
    assert thresholds_of("en", thresholds={"default": {"min_words": 10}}) == {"min_words": 10}
    assert thresholds_of("zh", thresholds={"default": {"min_words": 10}}) == {"short_lines": 0.6}
    assert thresholds_of("en", thresholds={"en": {"min_words": None}}) == {}


@pytest.mark.parametrize(
    ("rule_sets", "thresholds", "message"),
    [
        ({"zh-Hans": []}, {}, "small: languages are ISO 639 codes without a script, .* got 'zh-Hans'"),
        ({}, {"english": {}}, "small: languages are ISO 639 codes without a script, .* got 'english'"),
        ({"en": ["sizes"]}, {}, "small: rule_sets.en: unknown rule set 'sizes'; did you mean 'size'"),
        ({}, {"en": {"min_word": 3}}, "small: thresholds.en: unknown rule 'min_word'; did you mean 'min_words'"),
        ({}, {"en": {"short_lines": 0.3}}, "small: thresholds.en: unknown rule 'short_lines'"),
        ({"en": ["shape"]}, {"en": {"short_lines": 1}}, "small: thresholds.en.short_lines: the rule can never fire"),
        ({}, {"en": {"min_words": 0}}, "small: thresholds.en.min_words: the rule can never fire"),
        ({}, {"zh": {"short_lines": -0.1}}, "small: thresholds.zh.short_lines: the rule removes every document"),
    ],
)
def test_refuses_what_makes_no_sense(rule_sets: RuleSets, thresholds: Thresholds, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.check(rule_sets, thresholds)
