"""The recipes that come along are listed, and found by name."""

import pathlib

import pytest

from datapipe.cli import BAD_USE, main
from datapipe.commands.recipes import RECIPES, list_recipes, recipe_path, validate


def test_each_recipe_is_listed_with_its_description(capsys: pytest.CaptureFixture[str]) -> None:
    list_recipes()
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(listed) == sorted(path.stem for path in RECIPES.glob("*.yaml"))
    assert listed["default"].startswith("From raw documents")


def test_a_name_is_a_recipe_that_comes_along_and_a_path_is_a_path() -> None:
    assert recipe_path("default") == str(RECIPES / "default.yaml")
    assert recipe_path("mine.yaml") == "mine.yaml"
    assert recipe_path("recipes/default") == "recipes/default"


def test_a_recipe_is_checked_without_running_it(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    validate("default")
    assert capsys.readouterr().out.startswith("default: OK, ")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("stages:\n  - documents\n  - langauge\n")
    assert main(["validate", str(wrong)]) == BAD_USE
    assert "wrong.yaml:3: unknown stage 'langauge'" in capsys.readouterr().err
