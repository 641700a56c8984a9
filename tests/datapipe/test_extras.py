"""An optional package is imported where it is there; elsewhere one line says what to install."""

import math
import pathlib
import sys

import pytest

from datapipe.extras import MissingExtraError, check_extra, load_extra


def test_a_package_that_is_there_is_imported() -> None:
    assert load_extra("math", "none", "arithmetic") is math


@pytest.mark.parametrize(
    ("module", "package"),
    [("no_such_package.inner", "no_such_package"), ("xml.no_such_package", "xml.no_such_package")],
)
def test_a_missing_package_names_the_extra(module: str, package: str) -> None:
    with pytest.raises(MissingExtraError) as caught:
        load_extra(module, "models", "a model")
    assert str(caught.value) == f"a model needs the package {package}: pip install 'datapipe-llm[models]'"


def test_what_an_installed_package_lacks_is_no_missing_extra(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package'"):
        load_extra("broken_package", "models", "a model")


def test_a_check_imports_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_package.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    check_extra("slow_package", "models", "a model")
    assert "slow_package" not in sys.modules
    with pytest.raises(MissingExtraError, match=r"^a model needs the package no_such_package: "):
        check_extra("no_such_package", "models", "a model")
