import pathlib

import pytest

from datapipe.cli import BAD_USE, DONE, main


def test_afterwards_the_default_recipe_finds_its_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup"]) == DONE
    folder = pathlib.Path(capsys.readouterr().out.rsplit(" they lie in ")[1].strip())
    kept = {path.name.split("-")[0] for path in folder.rglob("*.nbi")}
    for kernel in ("measuring._measure", "segmentation._segment", "shingle_sets.shared_members", "learn._merge"):
        assert kernel in kept


def test_of_another_recipe(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "lines.yaml"
    recipe.write_text("stages: [documents, language, {language_filter: {keep: [de]}}, lines]\n", encoding="utf-8")
    assert main(["warmup", str(recipe)]) == DONE
    folder = pathlib.Path(capsys.readouterr().out.rsplit(" they lie in ")[1].strip())
    assert "lines._remove_lines" in {path.name.split("-")[0] for path in folder.rglob("*.nbi")}
    assert main(["warmup", str(tmp_path / "none.yaml")]) == BAD_USE
