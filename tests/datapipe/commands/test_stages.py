"""Every stage is listed, and what is said of its options makes a recipe."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from datapipe.cli import main
from datapipe.commands.stages import list_stages
from datapipe.engine.recipe import load_recipe, recipe_schema
from datapipe.engine.stages import NAMES


def test_stages_are_listed_in_the_order_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    list_stages(None)
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert listed == [*NAMES]


@pytest.mark.parametrize("name", [*NAMES])
def test_every_option_of_a_stage_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    list_stages(name)
    explained, _, recipe = capsys.readouterr().out.partition("In a recipe")
    (entry,) = yaml.safe_load(recipe.partition("all options:")[2])
    for option in entry[name]:
        assert re.search(rf"^ {{4}}{option}: ", explained, re.MULTILINE), f"{name}: {option} is not explained"


def test_what_is_said_of_a_stage_can_be_copied_into_a_recipe(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = []
    for name in ("documents", "tokenizer"):
        list_stages(name)
        entries += yaml.safe_load(capsys.readouterr().out.partition("all options:")[2])
    recipe = tmp_path / "copied.yaml"
    recipe.write_text(yaml.safe_dump({"stages": entries}))
    assert [{stage.name: stage.options()} for stage in load_recipe(str(recipe), {}).stages] == entries


def test_an_unknown_stage_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="unknown stage 'langage'; did you mean 'language'"):
        list_stages("langage")


def test_the_schema_for_editors_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stages", "--json-schema"]) == 0
    assert json.loads(capsys.readouterr().out) == recipe_schema()


def test_what_was_told_once_is_told_again_without_beam(tmp_path: pathlib.Path) -> None:
    code = "import sys; from datapipe.cli import main; main(['stages']); print(*sys.modules, file=sys.stderr)"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert "apache_beam" in runs[0].stderr.split()
    assert not {"apache_beam", "numba"} & {*runs[1].stderr.split()}


def test_stages_are_there_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    list_stages("quality_filter", as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert found["summary"].startswith("Removes documents of low quality")
    assert found["options"]["min_score"] == 0.5
    list_stages(None, as_json=True)
    assert [each["stage"] for each in json.loads(capsys.readouterr().out)] == [*NAMES]
