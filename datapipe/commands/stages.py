"""`datapipe stages`: the stages that a recipe can name, and the options of each."""

import inspect
import json
import textwrap

import yaml

from datapipe.checks import check_known
from datapipe.commands.console import say_json
from datapipe.commands.documentation import attributes_section
from datapipe.engine.recipe import defaults, recipe_schema
from datapipe.engine.stages import NAMES, all_stages, stage_class
from datapipe.stage import Stage


def list_stages(stage: str | None, json_schema: bool = False, *, as_json: bool = False) -> None:
    """Print what each stage does; or of one stage also all its options, and how it stands in a recipe.

    Args:
        stage: its name.
        json_schema: print the schema of recipes instead.
        as_json: for programs: the name, summary and options with their defaults of each, or of the one.

    Raises:
        ValueError: if there is no stage of that name.
    """
    if json_schema:
        print(json.dumps(recipe_schema(), indent=2))
        return
    if stage is not None:
        check_known("unknown stage", stage, NAMES)
    if as_json:
        wanted = all_stages() if stage is None else (stage_class(stage),)
        say_json([{"stage": each.name, "summary": _summary(each), "options": defaults(each)} for each in wanted])
        return
    if stage is not None:
        print(_describe(stage_class(stage)), end="")
        return
    for found in all_stages():
        print(textwrap.fill(_summary(found), 118, initial_indent=f"{found.name:22}", subsequent_indent=" " * 22))


def _summary(stage: type[Stage]) -> str:
    return " ".join((inspect.getdoc(stage) or "").split("\n\n")[0].split())


def _describe(stage: type[Stage]) -> str:
    # What a stage has from another stage, or from a class of options, is documented there.
    sections = [inspect.getdoc(stage) or "", *map(attributes_section, stage.__mro__[1:])]
    entry = yaml.safe_dump([{stage.name: defaults(stage)}], sort_keys=False, allow_unicode=True)
    documentation = "\n".join(section for section in sections if section)
    return f"{documentation}\n\nIn a recipe, with the defaults of all options:\n\n{entry}"
