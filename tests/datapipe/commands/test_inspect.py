"""What files hold is said before a run, with what a recipe must say."""

import json
import pathlib

import pytest

from datapipe.cli import main
from tests.helpers import prose, write_lines


@pytest.fixture
def mixed(tmp_path: pathlib.Path) -> str:
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [{"tale": prose(number), "site": "\x1b[2J"} for number in range(5)])
    (tmp_path / "in" / "b.txt").write_text("这是一个关于城市公园的故事，春天里盛开的花朵。", encoding="gb18030")
    return str(tmp_path / "in")


def test_formats_columns_languages_samples_and_options(mixed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", mixed]) == 0
    said = capsys.readouterr().out
    assert f"{mixed}: 2 files" in said
    assert "languages of 6 documents looked at: en 83%, zh 17%" in said
    assert "\\x1b[2J" in said
    assert "\x1b" not in said
    assert "“这是一个关于城市公园的故事" in said
    assert "text: [text, content, body, raw_content, tale]" in said
    assert said.rstrip().endswith("# writes recipe.yaml with these options")


def test_json_is_for_programs(mixed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", mixed, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["languages"] == {"en": 5, "zh": 1}
    assert found["options"]["encodings"] == ["gb18030"]
    assert found["formats"]["jsonl"]["documents"] == 5
