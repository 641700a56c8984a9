"""An optional package is imported where it is there; elsewhere one line says what to install."""

import math

import pytest

from datapipe.extras import MissingExtraError, load_extra


def test_a_package_that_is_there_is_imported() -> None:
    assert load_extra("math", "none", "arithmetic") is math


def test_a_missing_package_names_the_extra() -> None:
    with pytest.raises(
        MissingExtraError, match=r"^a model needs the package no_such_package: .*datapipe-llm\[models\]"
    ):
        load_extra("no_such_package.inner", "models", "a model")
