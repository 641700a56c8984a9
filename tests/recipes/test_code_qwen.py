"""Code-Qwen: the share of code is the user's, and the report says that nobody published one."""

import collections
import pathlib

import pytest

from datapipe.commands.recipes import RECIPES
from tests.helpers import run_recipe, write_lines
from tests.recipes.toy import chinese, code, english, run_named, shards


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_code_has_the_share_that_is_asked_for(share: float, tmp_path: pathlib.Path) -> None:
    (tmp_path / "documents").mkdir()
    texts = [*(english(seed, 12) for seed in range(60)), *(chinese(seed, 8) for seed in range(60))]
    write_lines(tmp_path / "documents" / "text.jsonl", ({"text": text} for text in texts))
    write_lines(tmp_path / "documents" / "code.jsonl", ({"text": code(seed)} for seed in range(150)))
    outcome = run_named("code_qwen", tmp_path, {"tokenizer.vocabulary": 700, "mixture.shares": {"code": share}})
    tokens = collections.Counter[str]()
    for row in shards(tmp_path):
        tokens[row["source"]] += row["tokens"]
    assert tokens["code"] / sum(tokens.values()) == pytest.approx(share, abs=0.01)
    assert outcome.funnel.kept.documents > 200


def test_the_report_says_that_the_ratio_is_not_public(tmp_path: pathlib.Path) -> None:
    (tmp_path / "documents").mkdir()
    write_lines(tmp_path / "documents" / "a.jsonl", ({"text": english(seed)} for seed in range(10)))
    text = (RECIPES / "code_qwen.yaml").read_text(encoding="utf-8").replace("151851", "600")
    run_recipe(text, tmp_path, [str(tmp_path / "documents")])
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "mixture: shares: {code: 0.7}: not public" in report
    assert "the ratio of text and code is not published" in report
