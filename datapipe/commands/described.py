"""What `datapipe stages` prints, asked of the stages themselves: apart, since it imports all of them, and Beam."""

import inspect
from typing import Any

import yaml

from datapipe.commands.documentation import attributes_section
from datapipe.engine.recipe import defaults
from datapipe.engine.recipe import recipe_schema as recipe_schema
from datapipe.engine.stages import all_stages
from datapipe.stage import Stage


def describe() -> list[dict[str, Any]]:
    """Of each stage, as plain values, the name, summary, options with their defaults, and all that is said of it."""
    return [
        {"stage": each.name, "summary": _summary(each), "options": defaults(each), "text": _text(each)}
        for each in all_stages()
    ]


def _summary(stage: type[Stage]) -> str:
    return " ".join((inspect.getdoc(stage) or "").split("\n\n")[0].split())


def _text(stage: type[Stage]) -> str:
    # What a stage has from another stage, or from a class of options, is documented there.
    sections = [inspect.getdoc(stage) or "", *map(attributes_section, stage.__mro__[1:])]
    entry = yaml.safe_dump([{stage.name: defaults(stage)}], sort_keys=False, allow_unicode=True)
    documentation = "\n".join(section for section in sections if section)
    return f"{documentation}\n\nIn a recipe, with the defaults of all options:\n\n{entry}"
