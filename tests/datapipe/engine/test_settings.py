"""Options from the command line stand in a recipe as if they had been written there, and are checked as it is."""

import pathlib

import pytest

from datapipe.engine.recipe import RecipeError, load_recipe

RECIPE = """stages:
  - documents
  - language
  - language_filter: {min_score: 0.5, keep: [zh]}
  - measurements
  - rules:
      thresholds: {en: {gopher_min_words: 40, gopher_stop_words: null}}
"""


def options(tmp_path: pathlib.Path, *settings: str) -> dict[str, dict[str, object]]:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return {stage.name: stage.options() for stage in load_recipe(str(path), {"output": "out"}, settings).stages}


def test_a_setting_takes_the_place_of_what_stood_there_and_leaves_the_rest(tmp_path: pathlib.Path) -> None:
    found = options(
        tmp_path,
        "rules.thresholds.en.gopher_min_words=30",
        "rules.thresholds.de.gopher_min_words=60",
        "language_filter.keep=[en, de]",
        "documents.text_unit=line",
        "documents.repair_encoding=true",
    )
    assert found["rules"]["thresholds"] == {
        "en": {"gopher_min_words": 30, "gopher_stop_words": None},
        "de": {"gopher_min_words": 60},
    }
    assert found["language_filter"] == options(tmp_path)["language_filter"] | {"keep": ["en", "de"]}
    assert (found["documents"]["text_unit"], found["documents"]["repair_encoding"]) == ("line", True)


def test_an_empty_value_is_null(tmp_path: pathlib.Path) -> None:
    found = options(tmp_path, "rules.thresholds.en.gopher_min_words=")
    assert found["rules"]["thresholds"] == {"en": {"gopher_min_words": None, "gopher_stop_words": None}}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rules", "--set must be stage.option=value, got 'rules'"),
        ("rules=3", "--set must be stage.option=value, got 'rules=3'"),
        ("rulez.min=3", "--set rulez.min=3: the recipe has no stage 'rulez'; did you mean 'rules'?"),
        (
            "rules.treshholds=3",
            "--set rules.treshholds=3: rules: unknown option 'treshholds'; did you mean 'thresholds'",
        ),
        ("language_filter.min_score=high", "--set language_filter.min_score=high: language_filter: min_score must be"),
        ("documents.fields={a: [", r"--set documents.fields={a: [: the value is no YAML"),
        ("documents.fields=!!python/none x", "--set documents.fields=!!python/none x: the tag"),
        ("rules.thresholds.en.gopher_min_wrds=3", "unknown rule 'gopher_min_wrds'; did you mean 'gopher_min_words'"),
    ],
)
def test_a_setting_that_is_wrong_is_named(setting: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError) as error:
        options(tmp_path, setting)
    assert message in str(error.value)


def test_an_error_of_the_recipe_itself_still_names_its_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("min_score: 0.5", "min_score: 5"))
    with pytest.raises(RecipeError, match=r"recipe\.yaml:4: language_filter: min_score"):
        load_recipe(str(path), {}, ["documents.text_unit=line"])
