"""`datapipe recipes`: the recipes that come along."""

import pathlib

import yaml

RECIPES = pathlib.Path(__file__).parent.parent / "recipes"


def list_recipes() -> None:
    """Print each recipe's name and description."""
    for path in sorted(RECIPES.glob("*.yaml")):
        description = yaml.safe_load(path.read_text(encoding="utf-8"))["description"]
        print(f"{path.stem:16} {' '.join(description.split())}")


def recipe_path(name: str) -> str:
    """The file of a recipe that comes along, for its name; any other path as it is."""
    return str(RECIPES / f"{name}.yaml") if "/" not in name and not name.endswith(".yaml") else name
