"""Every value of a recipe that comes along says where it comes from."""

import pytest

from datapipe.commands.recipes import RECIPES
from datapipe.engine.provenance import NOT_PUBLIC, values_of

NAMED = sorted(path for path in RECIPES.glob("*.yaml") if path.stem != "default")


@pytest.mark.parametrize("path", NAMED, ids=lambda path: path.stem)
def test_every_value_says_where_it_comes_from(path) -> None:  # type: ignore[no-untyped-def]
    values = values_of(path.read_text(encoding="utf-8"))
    assert len(values) > 3
    assert [value[:3] for value in values if not value.kind] == []
    assert [value for value in values if value.kind == NOT_PUBLIC and "stand-in because" not in value.comment] == []


def test_comments_beside_and_above_and_in_branches() -> None:
    text = """
stages:
  # published (A): of two
  # lines
  - documents
  - branches:
      - - exact_duplicates  # yours
      - - rules:
            # not public: stand-in because B
            thresholds: {en: {a: 1}}
            parts: [document]
"""
    assert [tuple(value) for value in values_of(text)] == [
        ("documents", "", "", "published (A): of two lines"),
        ("exact_duplicates", "", "", "yours"),
        ("rules", "thresholds", "{en: {a: 1}}", "not public: stand-in because B"),
        ("rules", "parts", "[document]", ""),
    ]
    assert values_of("stages: 3") == values_of("[]") == []
