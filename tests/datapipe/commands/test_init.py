"""A recipe for the data there are is right, reads them, and overwrites nothing."""

import pathlib

import pytest

from datapipe.cli import main
from datapipe.engine.recipe import load_recipe
from datapipe.read.documents import ReadDocuments
from tests.helpers import prose, write_lines


def test_a_recipe_says_how_the_data_are_read(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [{"tale": prose(number)} for number in range(5)])
    recipe = tmp_path / "mine.yaml"
    assert main(["init", str(tmp_path / "in"), "--output", str(recipe)]) == 0
    assert f"datapipe run {recipe} --input {tmp_path / 'in'}" in capsys.readouterr().out
    documents, *others = load_recipe(str(recipe), {"output": "out", "input_parent": "in"}).stages
    assert isinstance(documents, ReadDocuments)
    assert documents.fields["text"] == ["text", "content", "body", "raw_content", "tale"]
    assert len(others) > 10
    assert "# Of 5 documents looked at, by language: en 5." in recipe.read_text()
    before = recipe.read_text()
    assert main(["init", str(tmp_path / "in"), "--output", str(recipe)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert recipe.read_text() == before


def test_without_data_it_is_the_default_recipe_with_hints(tmp_path: pathlib.Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    assert main(["init", "--output", str(recipe)]) == 0
    documents, *_ = load_recipe(str(recipe), {"output": "out", "input_parent": "in"}).stages
    assert documents.options() == ReadDocuments().options()
    assert "# text_unit: line" in recipe.read_text()
