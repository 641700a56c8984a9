"""FineWeb, FineWeb-2, DCLM and OLMo 3: their order, copies sampled back, the best tenth, nothing of the worst 40 %."""

import collections
import json
import pathlib

import numpy as np
import pytest

from datapipe.engine.run import Outcome
from tests.helpers import write_lines
from tests.recipes.toy import (
    chinese,
    code,
    columns,
    english,
    entries,
    plain,
    run_named,
    sample_quality,
    shards,
    write_crawl,
    write_papers,
    write_wiki,
)


def _order(name: str) -> list[str]:
    return [stage for _, _, stage in entries(plain(name)["stages"])]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("fineweb", ["language_filter", "rules", "near_duplicates", "personal_data"]),
        ("fineweb2_zh", ["language_filter", "near_duplicates", "rules", "upsampling"]),
        ("dclm", ["language_filter", "lines", "rules", "near_duplicates", "quality_filter"]),
        (
            "olmo3",
            ["rules", "language_filter", "lines", "exact_duplicates", "near_duplicates", "repeated_text", "upsampling"],
        ),
    ],
)
def test_stages_stand_in_the_published_order(name: str, published: list[str]) -> None:
    order = _order(name)
    assert [stage for stage in order if stage in published] == published


def test_fineweb_2_samples_clusters_back_by_their_size(tmp_path: pathlib.Path) -> None:
    sizes = [1, 2, 3, 4, 5, 6, 12]
    texts = []
    for number, size in enumerate(sizes):
        text = chinese(number, 8)
        texts += [text + "再见。" * copy for copy in range(size)]
    write_crawl(tmp_path / "documents" / "web", texts)
    run_named("fineweb2_zh", tmp_path, {"tokenizer.vocabulary": 700, "rules.rule_sets": {"zh": []}})
    found = collections.Counter(row["text"].splitlines()[0] for row in shards(tmp_path))
    weights = {1: 1, 2: 2, 3: 3, 4: 3, 5: 5, 6: 5, 12: 5}
    assert [found[chinese(number, 8).splitlines()[0]] for number in range(len(sizes))] == [weights[s] for s in sizes]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """English pages, good and less so, and examples of quality."""
    base = tmp_path_factory.mktemp("field")
    for folder in ("documents", "quality"):
        (base / folder).mkdir()
    for kind, path in sample_quality().items():
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        examples = [json.loads(line) for line in lines[:: 1 + len(lines) // 300]]
        own = [{"text": english(10_000 + seed, 12)} for seed in range(60)] if kind == "positive" else []
        write_lines(base / "quality" / f"{kind}.jsonl", [*examples, *own])
    return base


def test_dclm_keeps_the_best_tenth(scored: pathlib.Path) -> None:
    write_lines(
        scored / "documents" / "web.jsonl", ({"text": english(seed, 14), "mark": seed * 7 % 200} for seed in range(200))
    )
    outcome = run_named(
        "dclm",
        scored,
        {"tokenizer.vocabulary": 600, "rules.rule_sets": {"default": []}, "quality_filter.scores": {"mark": 1.0}},
        output="dclm",
    )
    rows = columns(outcome, "mark", "quality_score", "quality_filter_reason", "near_duplicates_reason")
    judged = [row for row in rows if row["quality_score"] is not None and row["near_duplicates_reason"] is None]
    kept = [row["mark"] for row in judged if row["quality_filter_reason"] is None]
    assert len(kept) / len(judged) == pytest.approx(0.1, abs=0.005)
    assert min(kept) > max(row["mark"] for row in judged if row["quality_filter_reason"])


@pytest.fixture(scope="module")
def olmo(scored: pathlib.Path) -> tuple[pathlib.Path, Outcome]:
    (scored / "olmo").mkdir()
    write_papers(scored / "olmo" / "arxiv", [english(3000 + seed, 6) for seed in range(60)])
    write_wiki(scored / "olmo" / "wikipedia", [english(9000 + seed, 1) for seed in range(20)])
    for number, name in enumerate(["web", "pdf", "math"]):
        first, count = 1000 * number, {"web": 300, "pdf": 150}.get(name, 60)
        write_lines(
            scored / "olmo" / f"{name}.jsonl",
            # Marks of every source are spread alike; papers and articles, in their own forms, have none.
            ({"text": english(first + seed, 6), "mark": seed * 300 // count} for seed in range(count)),
        )
    write_lines(
        scored / "olmo" / "code.jsonl", ({"text": code(seed), "mark": seed * 300 // 120} for seed in range(120))
    )
    toy = {
        "tokenizer.vocabulary": 600,
        "rules.rule_sets": {"default": []},
        "topics.count": 2,
        "topics.quality": "mark",
        "upsampling.quality": "mark",
        "mixture.budget": 60_000,
        "lines.rule_sets": {"default": []},
        "quality.min_language_score": 0.0,
    }
    return scored, run_named("olmo3", scored, toy, output="olmo3", documents="olmo")


def test_olmo_takes_nothing_of_the_worst_and_more_of_the_best(olmo: tuple[pathlib.Path, Outcome]) -> None:
    base, outcome = olmo
    rows = columns(outcome, "mark", "upsampling_weight", "mixture_copies", "source")
    judged = sorted(
        (row for row in rows if row["upsampling_weight"] is not None and row["mark"] is not None),
        key=lambda row: (row["mark"], row["upsampling_weight"]),
    )
    assert len(judged) > 300
    worst = judged[: int(0.39 * len(judged))]
    assert {row["mixture_copies"] or 0 for row in worst} == {0}
    written = {row["id"] for row in shards(base, "olmo3")}
    assert not written & {f"{row['id'] >> 32}-{row['id'] & 0xFFFFFFFF}" for row in worst}
    weights = [row["upsampling_weight"] for row in judged]
    assert all(np.diff(weights) >= -1e-6)
    assert max(weights) == 7
    assert max(collections.Counter(row["id"] for row in shards(base, "olmo3")).values()) <= 7


def test_olmo_mixes_by_its_shares(olmo: tuple[pathlib.Path, Outcome]) -> None:
    base, _ = olmo
    tokens = collections.Counter[str]()
    for row in shards(base, "olmo3"):
        tokens[row["source"]] += row["tokens"]
    shares = {"web": 0.761, "pdf": 0.136, "code": 0.0689, "math": 0.0256, "arxiv": 0.0081, "wikipedia": 0.0004}
    assert {name: tokens[name] / sum(tokens.values()) for name in shares} == pytest.approx(shares, abs=0.01)
