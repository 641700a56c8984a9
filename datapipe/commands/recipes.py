"""`datapipe recipes [NAME]`: the recipes that come along, and what of each is published."""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from datapipe.checks import check_known
from datapipe.commands.console import say_json
from datapipe.engine.provenance import DEPARTS, NOT_PUBLIC, PUBLISHED, values_of
from datapipe.store import files

if TYPE_CHECKING:
    from datapipe.engine.recipe import Recipe

RECIPES = pathlib.Path(__file__).parent.parent / "recipes"


def list_recipes(name: str | None = None, *, as_json: bool = False) -> None:
    """Print each recipe's name, description, and how much of it is published; or one recipe, with its comments.

    Args:
        name: of one; none: all.
        as_json: for programs: each with its values and where they come from.

    Raises:
        ValueError: if there is no recipe of that name.
    """
    there = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    if name is not None:
        check_known("recipes: unknown recipe", name, there)
        there = {name: there[name]}
        if not as_json:
            print(there[name].read_text(encoding="utf-8"), end="")
            return
    if as_json:
        texts = {stem: path.read_text(encoding="utf-8") for stem, path in there.items()}
        say_json(
            [
                {"name": stem, "description": yaml.safe_load(text)["description"]}
                | {"values": [value._asdict() | {"kind": value.kind} for value in values_of(text)]}
                for stem, text in texts.items()
            ]
        )
        return
    for stem, path in there.items():
        text = path.read_text(encoding="utf-8")
        print(f"{stem:16} {' '.join(yaml.safe_load(text)['description'].split())}")
        kinds = collections.Counter(value.kind for value in values_of(text))
        if kinds[PUBLISHED]:
            departs = f", {kinds[DEPARTS]} departs from what is" if kinds[DEPARTS] else ""
            print(f"{'':16} {kinds[PUBLISHED]} values published, {kinds[NOT_PUBLIC]} stand in for what is not{departs}")


def validate(recipe: str, *, as_json: bool = False) -> None:
    """Check a recipe as a run would before its first stage, and say that it is right.

    Args:
        recipe: a YAML file, or the name of a recipe that comes along.
        as_json: for programs: the stages with all their options.

    Raises:
        RecipeError: if it is not, with file and line.
    """
    from datapipe.engine.recipe import load_recipe

    stages = load_recipe(recipe_path(recipe), {name: f"{{{name}}}" for name in ("input_parent", "output")}).stages
    if as_json:
        say_json([{"stage": stage.name, "options": stage.options()} for stage in stages])
        return
    print(f"{recipe}: OK, {len(stages)} stages")


def load(name: str, variables: Mapping[str, str], settings: Sequence[str] = ()) -> "Recipe":
    """A recipe, checked, with what it does otherwise than the one that comes along under its name, or than `default`.

    Args:
        name: a YAML file, or the name of a recipe that comes along.
        variables, settings: as of `load_recipe`.

    Raises:
        ValueError: if there is no such recipe, or it cannot be run.
    """
    from datapipe.engine.recipe import differences, load_recipe

    path = recipe_path(name)
    recipe = load_recipe(path, variables, settings)
    base = RECIPES / f"{recipe.name}.yaml"
    if not base.exists():
        base = RECIPES / "default.yaml"
    if not settings and files.is_local(path) and base.samefile(path):
        return recipe
    return dataclasses.replace(recipe, differences=differences(recipe, str(base), variables))


def recipe_path(name: str) -> str:
    """The file of a recipe that comes along, for its name; any other path as it is.

    Raises:
        ValueError: if there is no recipe of that name.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        return name
    known = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    check_known("no such recipe:", name, known)
    return str(RECIPES / f"{name}.yaml")
