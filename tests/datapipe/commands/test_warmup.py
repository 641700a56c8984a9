import pathlib

import pytest

from datapipe.cli import DONE, main


def test_afterwards_the_default_recipe_finds_its_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup"]) == DONE
    folder = pathlib.Path(capsys.readouterr().out.rsplit(" they lie in ")[1].strip())
    kept = {path.name.split("-")[0] for path in folder.rglob("*.nbi")}
    for kernel in ("measuring._measure", "segmentation._segment", "shingle_sets.shared_members", "learn._merge"):
        assert kernel in kept
