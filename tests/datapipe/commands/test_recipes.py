"""The recipes that come along are listed, and found by name."""

import pytest

from datapipe.commands.recipes import RECIPES, list_recipes, recipe_path


def test_each_recipe_is_listed_with_its_description(capsys: pytest.CaptureFixture[str]) -> None:
    list_recipes()
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(listed) == sorted(path.stem for path in RECIPES.glob("*.yaml"))
    assert listed["default"].startswith("From raw documents")


def test_a_name_is_a_recipe_that_comes_along_and_a_path_is_a_path() -> None:
    assert recipe_path("default") == str(RECIPES / "default.yaml")
    assert recipe_path("mine.yaml") == "mine.yaml"
    assert recipe_path("recipes/default") == "recipes/default"
