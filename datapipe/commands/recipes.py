"""`datapipe recipes`: the recipes that come along."""

import pathlib

import yaml

RECIPES = pathlib.Path(__file__).parent.parent / "recipes"


def list_recipes() -> None:
    """Print each recipe's name and description."""
    for path in sorted(RECIPES.glob("*.yaml")):
        description = yaml.safe_load(path.read_text(encoding="utf-8"))["description"]
        print(f"{path.stem:16} {' '.join(description.split())}")


def validate(recipe: str) -> None:
    """Check a recipe as a run would before its first stage, and say that it is right.

    Raises:
        RecipeError: if it is not, with file and line.
    """
    from datapipe.engine.recipe import load_recipe

    stages = load_recipe(recipe_path(recipe), {name: f"{{{name}}}" for name in ("input_parent", "output")}).stages
    print(f"{recipe}: OK, {len(stages)} stages")


def recipe_path(name: str) -> str:
    """The file of a recipe that comes along, for its name; any other path as it is."""
    return str(RECIPES / f"{name}.yaml") if "/" not in name and not name.endswith(".yaml") else name
