"""`datapipe stages`: the stages that a recipe can name, and the options of each.

What they say of themselves is kept for the next call, as long as the code is the same: it then needs no Beam.
"""

import json
import textwrap
from collections.abc import Callable
from typing import Any

from datapipe.commands.console import say_json
from datapipe.kernels import kept_file, whole
from datapipe.near import suggest


def _ask() -> Any:
    from datapipe.commands import described

    return described


def list_stages(
    stage: str | None,
    json_schema: bool = False,
    *,
    as_json: bool = False,
    ask: Callable[[], Any] = _ask,
) -> None:
    """Print what each stage does; or of one stage also all its options, and how it stands in a recipe.

    Args:
        stage: its name.
        json_schema: print the schema of recipes instead.
        as_json: for programs: the name, summary and options with their defaults of each, or of the one.
        ask: gives the module `described`, where it has to be asked.

    Raises:
        ValueError: if there is no stage of that name.
    """
    if json_schema:
        print(json.dumps(ask().recipe_schema(), indent=2))
        return
    kept = kept_file("stages", ".json")
    if not kept.is_file():
        with whole(kept) as sink:
            sink.write(json.dumps(ask().describe()).encode())
    described = json.loads(kept.read_bytes())
    names = [each["stage"] for each in described]
    if stage is not None and stage not in names:
        raise ValueError(f"unknown stage {stage!r}{suggest(stage, names)}")
    wanted = [each for each in described if stage in (None, each["stage"])]
    if as_json:
        say_json([{name: each[name] for name in ("stage", "summary", "options")} for each in wanted])
        return
    for each in wanted:
        if stage is not None:
            print(each["text"], end="")
        else:
            lead = f"{each['stage']:22}"
            print(textwrap.fill(each["summary"], 118, initial_indent=lead, subsequent_indent=" " * 22))
