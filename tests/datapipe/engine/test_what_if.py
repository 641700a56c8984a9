"""What other options would do: exactly what a run with them does, and nothing is guessed."""

import pathlib
from collections import Counter
from typing import Any

import pytest
import yaml

from datapipe.engine.output import open_corpus
from datapipe.engine.run import Outcome
from datapipe.engine.what_if import WhatIf, try_settings
from datapipe.store.corpus import first_reasons
from tests.helpers import prose, run_recipe, write_lines

CHINESE = "这是一个关于城市公园的故事，春天里盛开的花朵。"


def removals(outcome: Outcome) -> dict[str, Counter[str]]:
    """By stage, what a run removed for which reason."""
    found: dict[str, Counter[str]] = {}
    for part in outcome.corpus.parts:
        place, reasons = first_reasons(part)
        for at, reason in zip(place, reasons.to_pylist(), strict=True):
            if at >= 0:
                found.setdefault(part.decisions[at].removesuffix("_reason"), Counter())[reason] += 1
    return found


def after(found: WhatIf) -> dict[str, Counter[str]]:
    return {decision.stage: Counter(decision.after) for decision in found.decisions if decision.after}


def test_without_other_options_all_stays_as_it_is(finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    found = try_settings(corpus, record, [])
    assert [decision.before for decision in found.decisions] == [decision.after for decision in found.decisions]
    assert (found.kept_before, found.kept_after, found.not_judged, found.gone, found.back) == (24, 24, 0, 0, 0)


def test_stricter_thresholds(finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    found = try_settings(corpus, record, ["en.gopher_min_words=1000"])
    assert found == try_settings(corpus, record, ["rules.thresholds.en.gopher_min_words=1000"])
    rules = next(decision for decision in found.decisions if decision.stage == "rules")
    assert (sum(rules.before.values()), sum(rules.after.values())) == (3, 29)
    assert (found.gone, found.kept_after) == (24, 0), "two of the 26 are duplicates that the run removed later"
    assert found.gone_tokens > 24 * 100


def test_what_would_come_back_is_not_judged_for_stages_that_have_not_seen_it(finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    found = try_settings(corpus, record, ["rules.rule_sets={en: []}"])
    rules, *later = [decision for decision in found.decisions if decision.stage in ("rules", "exact_duplicates")]
    back = sum(rules.before.values()) - sum(rules.after.values())
    assert back == 3
    assert [decision.not_judged for decision in later] == [back]
    assert (found.kept_after, found.not_judged) == (24, back)


RECIPE = """
stages:
  - documents
  - language
  - language_filter: {keep: [en], min_score: MIN_SCORE, only: {source: [a]}}
  - measurements
  - rules: {thresholds: {en: {gopher_min_words: MIN_WORDS}}}
"""


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (["rules.thresholds.en.gopher_min_words=60"], {"MIN_WORDS": 60}),
        (["en.gopher_min_words=10", "language_filter.min_score=0.99"], {"MIN_WORDS": 10, "MIN_SCORE": 0.99}),
    ],
)
def test_where_every_row_was_judged_it_is_what_a_run_does(
    settings: list[str], changes: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    texts = [" ".join(prose(seed).split()[: 20 + 4 * seed]) + "." for seed in range(24)] + [CHINESE] * 3
    for name in "ab":
        write_lines(tmp_path / f"{name}.jsonl", [{"text": text} for text in texts])
    recipe = yaml.safe_load(RECIPE.replace("MIN_WORDS", "50").replace("MIN_SCORE", "0.5"))
    inputs = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    first = run_recipe(yaml.safe_dump(recipe | {"every_row": True}), tmp_path, inputs)
    found = try_settings(first.corpus, first.record, settings)
    other = {"MIN_WORDS": 50, "MIN_SCORE": 0.5} | changes
    text = RECIPE
    for option, value in other.items():
        text = text.replace(option, str(value))
    second = run_recipe(text, tmp_path, inputs, "other")
    assert after(found) == removals(second) != removals(first)
    assert (found.kept_after, found.not_judged) == (second.funnel.kept.documents, 0)


def test_rows_that_earlier_stages_took_are_not_guessed(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": prose(0)}, {"text": CHINESE}])
    recipe = "stages: [documents, language, {language_filter: {keep: [en]}}, measurements, rules]"
    outcome = run_recipe(recipe, tmp_path, [str(tmp_path / "a.jsonl")])
    assert try_settings(outcome.corpus, outcome.record, ["zh.zh_stop_words=1"]).not_measured == 1
    found = try_settings(outcome.corpus, outcome.record, ["language_filter.keep=[en, zh]"])
    assert (found.not_measured, found.not_judged, found.kept_after) == (0, 1, 1)


def test_what_a_stage_learns_is_learnt_again(tmp_path: pathlib.Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": prose(seed), "stars": seed} for seed in range(20)])
    recipe = "stages: [documents, language, {quality_filter: {scores: {stars: 1}, keep_rate: SHARE}}]"
    runs = [
        run_recipe(recipe.replace("SHARE", share), tmp_path, [str(tmp_path / "a.jsonl")], f"out{share}")
        for share in ("0.5", "0.2")
    ]
    found = try_settings(runs[0].corpus, runs[0].record, ["quality_filter.keep_rate=0.2"])
    assert after(found) == removals(runs[1])
    assert (found.kept_before, found.kept_after) == (10, 4)


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        *((setting, "is written stage.option=value") for setting in ("en", "en.words", "words=3", ".x=3", "rules=3")),
        ("en.gopher_min_wrds=3", "did you mean 'gopher_min_words'"),
        ("en.gopher_min_words=many", "many"),
        ("rules.threshold.en.gopher_min_words=3", "did you mean 'thresholds'"),
        ("exact_duplicates.normalize=none", "weighs documents against each other"),
        ("near_duplicates.threshold=0.5", "weighs documents against each other"),
        ("measurements.parts=[document]", "does not only keep and remove"),
        ("rulez.thresholds.en.gopher_min_words=3", "did you mean 'rules'"),
    ],
)
def test_settings_that_cannot_be_tried_are_refused(setting: str, error: str, finished_run: pathlib.Path) -> None:
    corpus, record = open_corpus(str(finished_run))
    with pytest.raises(ValueError, match=error):
        try_settings(corpus, record, [setting])
