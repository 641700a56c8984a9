"""The recipes that come along are listed, and found by name."""

import json
import pathlib
import re

import pytest

from datapipe.cli import BAD_USE, main
from datapipe.commands.recipes import RECIPES, list_recipes, load, recipe_path, validate

NAMED = (
    """baichuan1 baichuan2 chatglm2 chatglm3 chatglm_slim code_qwen default glm130b llama llama2_chat qwen skywork"""
)


def test_each_recipe_is_listed_with_its_description_and_how_much_of_it_is_published(
    capsys: pytest.CaptureFixture[str],
) -> None:
    list_recipes()
    lines = capsys.readouterr().out.splitlines()
    listed = dict(line.split(maxsplit=1) for line in lines if not line.startswith(" "))
    assert list(listed) == sorted(path.stem for path in RECIPES.glob("*.yaml"))
    assert set(NAMED.split()) <= set(listed)
    assert listed["default"].startswith("From raw documents")
    counted = re.findall(r"^ +(\d+) values published, (\d+) stand in for what is not", "\n".join(lines), re.MULTILINE)
    assert len(counted) == len(listed) - 1
    assert sum(int(published) for published, _ in counted) > 100


def test_a_recipe_is_printed_with_what_it_says_of_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "llama"]) == 0
    assert capsys.readouterr().out == (RECIPES / "llama.yaml").read_text(encoding="utf-8")
    assert main(["recipes", "lama"]) == BAD_USE
    assert "unknown recipe 'lama'; did you mean 'llama'?" in capsys.readouterr().err


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


def test_a_name_that_is_none_has_a_suggestion() -> None:
    with pytest.raises(ValueError, match="no such recipe: 'defalt'; did you mean 'default'"):
        recipe_path("defalt")
    assert recipe_path("my/defalt.yaml") == "my/defalt.yaml"


def test_a_recipe_knows_what_it_does_otherwise(tmp_path: pathlib.Path) -> None:
    variables = {"input_parent": str(tmp_path), "output": str(tmp_path / "out")}
    assert load("default", variables).differences == ()
    changed = load("default", variables, ["language_filter.min_score=0.5"])
    assert changed.differences == ("language_filter.min_score: 0.5, there 0",)
    text = (RECIPES / "default.yaml").read_text(encoding="utf-8").replace("  - exact_duplicates\n", "")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("  - measurements\n", "  - measurements\n  - duplicate_ids\n"), encoding="utf-8")
    assert load(str(mine), variables).differences == ("duplicate_ids: added", "exact_duplicates: left out")


def test_programs_read_recipes_with_where_each_value_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "llama", "--json"]) == 0
    (recipe,) = json.loads(capsys.readouterr().out)
    assert recipe["name"] == "llama"
    assert {value["kind"] for value in recipe["values"]} >= {"published", "not public"}
