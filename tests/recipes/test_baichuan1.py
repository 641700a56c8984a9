"""Baichuan 1: what deduplication and what quality keep is selected, in whichever order the branches stand."""

import json
import pathlib

import pytest
import tokenizers
import yaml

from datapipe.engine.run import Outcome
from tests.helpers import run_recipe, write_lines
from tests.recipes.toy import changed, chinese, columns, english, plain, sample_quality, shards

CHANGES = {"tokenizer.vocabulary": 700}
SPAM = "Cheap boats for sale now. Click here to buy and win a prize today. Best price and free shipping on every order."


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[pathlib.Path, Outcome]]:
    base = tmp_path_factory.mktemp("baichuan1")
    for folder in ("documents", "quality"):
        (base / folder).mkdir()
    texts = []
    for seed in range(20):
        for text in (english(seed, 12), chinese(seed, 6)):
            texts += [text]
            if seed % 3 == 0:  # a near duplicate that survives, being longer, and is worse
                texts.append(text + (" " + SPAM if seed % 2 else ""))
    texts.append(texts[0])
    marks = [{"text": text, "mark": 0.0 if SPAM in text else 1.0} for text in texts]
    write_lines(base / "documents" / "a.jsonl", marks)
    for kind, path in sample_quality().items():
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        own = [{"text": english(10_000 + seed, 4)} for seed in range(60)] if kind == "positive" else []
        write_lines(base / "quality" / f"{kind}.jsonl", [*own, *map(json.loads, lines[:: 1 + len(lines) // 40])])
    found = []
    for name, turned in (("out", False), ("turned", True)):
        recipe = yaml.safe_load(changed("baichuan1", CHANGES | {"quality_filter.scores": {"mark": 1.0}}))
        for entry in recipe["stages"]:
            if isinstance(entry, dict) and "branches" in entry and turned:
                entry["branches"] = entry["branches"][::-1]
        found.append((base / name, run_recipe(yaml.safe_dump(recipe), base, [str(base / "documents")], name)))
    return found


def test_selected_is_what_both_branches_keep(runs: list[tuple[pathlib.Path, Outcome]]) -> None:
    folder, outcome = runs[0]
    names = ("rules_reason", "exact_duplicates_reason", "near_duplicates_reason", "quality_filter_reason")
    rows = columns(outcome, "text", *names, "cut_repeated_text_reason")
    after_rules = {row["id"]: row for row in rows if row["rules_reason"] is None}
    distinct = {number for number, row in after_rules.items() if not row[names[1]] and not row[names[2]]}
    passing = {number for number, row in after_rules.items() if row["quality_filter_reason"] is None}
    assert distinct - passing
    assert passing - distinct
    # Where the survivor of a cluster fails, its better partner is gone too: the branches do not know of each other.
    assert any(SPAM in after_rules[number]["text"] for number in distinct - passing)
    left = {row["id"] for row in rows if row["id"] in distinct & passing and not row["cut_repeated_text_reason"]}
    assert outcome.funnel.kept.documents == len(left) == len(shards(folder.parent, folder.name))


def test_the_order_of_the_branches_changes_nothing(runs: list[tuple[pathlib.Path, Outcome]]) -> None:
    selected = [sorted(row["text"] for row in shards(folder.parent, folder.name)) for folder, _ in runs]
    assert selected[0] == selected[1]


def test_the_tokenizer_splits_digits_and_falls_back_to_bytes(runs: list[tuple[pathlib.Path, Outcome]]) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(runs[0][0] / "tokenizer" / "tokenizer.json"))
    assert tokenizer.encode("2023").tokens == list("2023")
    assert tokenizer.encode("🜚").tokens == [f"<0x{byte:02X}>" for byte in "🜚".encode()]
    assert plain("baichuan1")["stages"][-3]["tokenizer"]["vocabulary"] == 64_000
