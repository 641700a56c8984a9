"""Skywork: frequent blocks thinned out, nothing more than five times, shares of both stages, STEM from 10 to 40 %."""

import collections
import functools
import json
import pathlib
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import tokenizers

from datapipe.engine.run import Outcome
from tests.helpers import write_lines
from tests.recipes.toy import (
    chinese,
    code,
    columns,
    english,
    plain,
    run_named,
    sample_quality,
    sentence,
    shards,
    write_books,
    write_papers,
    write_wiki,
)

BLOCK = "This block stands on every page of the site, and says that readers may write to the keeper of the boats."
PHASES = next(stage["mixture"]["phases"] for stage in plain("skywork")["stages"] if "mixture" in stage)
# The sources that are published as dumps of a wiki, books and papers, in that form.
WRITERS: dict[str, Callable[[pathlib.Path, list[str]], None]] = {
    "en_encyclopedia": write_wiki,
    "zh_encyclopedia": functools.partial(write_wiki, language="zh"),
    "en_books": write_books,
    "en_papers": write_papers,
}
BUDGETS = [80_000, 19_800, 19_800, 19_800, 19_800]  # a little more STEM than five epochs have


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("skywork")
    for folder in ("documents", "instructions", "references", "quality"):
        (base / folder).mkdir()
    for number, name in enumerate([*PHASES[0]["shares"], "stem"]):
        source = random.Random(number)
        first = 10_000 * number
        if name.startswith("github"):
            texts = [code(first + seed) for seed in range(60)]
        elif name.startswith("zh"):
            texts = [chinese(first + seed, 1) for seed in range(500 if name == "zh_web" else 90)]
        elif name == "en_web":
            texts = [english(first + seed, 8) for seed in range(300)]
        else:
            texts = [sentence(source, 40) for _ in range(79 if name == "stem" else 120)]
        if name == "en_web":
            texts = [text + (f"\n\n{BLOCK}" if place < 30 else "") for place, text in enumerate(texts)]
            texts += [texts[100]] * 9  # ten copies, of which five stay
        if name in WRITERS:
            WRITERS[name](base / "documents" / name, texts)
        else:
            write_lines(base / "documents" / f"{name}.jsonl", ({"text": text} for text in texts))
    both = [{"text": text} for seed in range(1, 40) for text in (english(-seed, 8), chinese(-seed, 4))]
    write_lines(base / "references" / "wikipedia.jsonl", both)
    negatives = pathlib.Path(sample_quality()["negative"]).read_text(encoding="utf-8").splitlines()
    write_lines(base / "quality" / "positive.jsonl", both)
    write_lines(base / "quality" / "negative.jsonl", map(json.loads, negatives[:: 1 + len(negatives) // 150]))
    dialogues = [{"instruction": "Where is it?", "output": f"At number {number}."} for number in range(10)]
    write_lines(base / "instructions" / "i.jsonl", dialogues)
    phases = [phase | {"budget": budget} for phase, budget in zip(PHASES, BUDGETS, strict=True)]
    toy: dict[str, Any] = {
        "tokenizer.vocabulary": 600,
        "tokenizer.coverage": 0.9,
        "tokenizer.alphabet": "0123456789",
        "extended_tokenizer.characters": 10,
        "extended_tokenizer.size": 30,
        "quality_filter.min_score": 0.0,
        "semantic_duplicates.threshold": 0.999,
        "mixture.phases": phases,
    }
    return base, run_named("skywork", base, toy)


def test_dumps_books_and_papers_are_read_from_their_own_forms(run: tuple[pathlib.Path, Outcome]) -> None:
    assert run[1].funnel.rejects == {"documents": {}, "instructions": {}}
    for row in columns(run[1], "text", "source"):
        if row["source"] in WRITERS:
            assert not re.search(r"\{\{|\[\[|<ref|thumb|Category|分类|\\section|bibitem|Contents", row["text"]), row[
                "source"
            ]


def test_frequent_blocks_stay_five_times(run: tuple[pathlib.Path, Outcome]) -> None:
    rows = columns(run[1], "text", "source", "exact_duplicates_reason")
    assert sum(BLOCK in row["text"] for row in rows if not row["exact_duplicates_reason"]) == 5
    assert sum(row["exact_duplicates_reason"] is not None for row in rows) == 5


def test_no_document_is_taken_more_than_five_times(run: tuple[pathlib.Path, Outcome]) -> None:
    copies = collections.Counter(row["id"] for row in shards(run[0]))
    assert max(copies.values()) == 5


def test_shares_are_met_and_stem_rises_from_ten_to_forty(run: tuple[pathlib.Path, Outcome]) -> None:
    base, outcome = run
    taken = [collections.Counter[str]() for _ in PHASES]
    for row in columns(outcome, "source", "tokens", "mixture_phases", kept_only=True):
        for phase, copies in enumerate(row["mixture_phases"]):
            taken[phase][row["source"]] += copies * row["tokens"]
    for phase, of in zip(PHASES, taken, strict=True):
        total = sum(of.values())
        for name, share in phase["shares"].items():
            assert of[name] / total == pytest.approx(share, abs=0.01), name
    stem = [of["stem"] / sum(of.values()) for of in taken[1:]]
    assert stem == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)
    assert taken[0]["stem"] == 0
    manifest = json.loads((base / "out" / "shards" / "_manifest.json").read_text())
    assert len({file.get("phase") for file in manifest["files"]}) == len(PHASES)


def test_only_pages_of_the_web_are_judged_by_their_language(run: tuple[pathlib.Path, Outcome]) -> None:
    rows = columns(run[1], "source", "perplexity", "quality_score")
    assert {row["source"] for row in rows if row["perplexity"] is not None} == {"en_web", "zh_web"}


def test_the_tokenizer_grows_by_characters_words_and_reserved(run: tuple[pathlib.Path, Outcome]) -> None:
    base, _ = run
    summary = json.loads((base / "out" / "extended_tokenizer" / "summary.json").read_text())
    assert (summary["characters"], summary["tokens"], summary["special_tokens"]) == (10, 30, 17)
    assert summary["vocabulary"] == summary["base"] + 57
    trained, extended = (
        tokenizers.Tokenizer.from_file(str(base / "out" / name / "tokenizer.json"))
        for name in ("tokenizer", "extended_tokenizer")
    )
    new = [str(extended.id_to_token(number)) for number in range(summary["base"], summary["vocabulary"])]
    assert all(len(token) == 1 for token in new[:10])
    assert all("\u4e00" <= character <= "\u9fff" for token in new[10:40] for character in token)
    assert new[40:43] == ["[USER]", "[SEP]", "[BOT]"]
    assert [trained.id_to_token(number) for number in range(summary["base"])] == [
        extended.id_to_token(number) for number in range(summary["base"])
    ]
    assert extended.encode("2023").tokens == list("2023")
    text = chinese(5)
    assert extended.decode(extended.encode(text).ids, skip_special_tokens=False) == text
    options = {
        next(iter(entry)): next(iter(entry.values()))
        for entry in plain("skywork")["stages"]
        if not isinstance(entry, str)
    }
    sizes = (
        options["tokenizer"]["vocabulary"],
        options["extended_tokenizer"]["characters"],
        options["extended_tokenizer"]["size"],
    )
    assert sum(sizes) + len(options["extended_tokenizer"]["special_tokens"]) == 65_536
