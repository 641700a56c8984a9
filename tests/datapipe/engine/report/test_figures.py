"""Figures: the counts of parts add up to those of the whole, and say what the columns say."""

import functools
import operator
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from datapipe.engine.report import figures
from datapipe.engine.report.figures import Bins, Figures, count_figures, rule_bins
from datapipe.filters.measurements import MeasureText
from datapipe.filters.rule_sets import MAX, MIN, Rule
from datapipe.filters.rules import ApplyRules
from datapipe.store.corpus import Part, first_reasons
from tests.helpers import CorpusOf, add_columns, processed, prose

TEXTS = [
    *map(prose, range(12)),
    *(f"buy now {number} " * 60 for number in range(6)),
    "机器翻译的质量，取决于训练数据。" * 9,
]
LANGUAGES = ["en"] * 9 + ["de"] * 3 + ["en"] * 6 + ["zh"]


@pytest.fixture
def judged(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> list[Part]:
    """Documents in three parts, measured and judged, with a score and similarities."""
    count = len(TEXTS)
    parts = corpus_of(
        TEXTS,
        rows_per_part=7,
        language=LANGUAGES,
        source=[f"source {number % 3}" for number in range(count)],
        bytes=pa.array([len(text.encode()) for text in TEXTS], pa.int64()),
        quality_score=pa.array([number / count for number in range(count)], pa.float32()),
    )
    return [
        processed(processed(part, MeasureText(), tmp_path), ApplyRules(min_language_score=0.0), tmp_path)
        for part in parts
    ]


def counted(parts: list[Part]) -> Figures:
    return functools.reduce(operator.add, [count_figures(part, {}) for part in parts], Figures())


def test_composition_is_what_the_reasons_say(judged: list[Part]) -> None:
    alive = np.concatenate([first_reasons(part)[0] < 0 for part in judged])
    assert 0 < alive.sum() < len(TEXTS)
    rows = counted(judged).of("composition").to_pylist()
    for language in ("en", "de", "zh"):
        for fate, mask in (("kept", alive), ("removed", ~alive)):
            texts = [text for text, code, here in zip(TEXTS, LANGUAGES, mask, strict=True) if here and code == language]
            found = [row for row in rows if (row["group"], row["name"], row["series"]) == ("language", language, fate)]
            assert sum(row["documents"] for row in found) == len(texts)
            assert sum(row["bytes"] for row in found) == sum(len(text.encode()) for text in texts)


def test_what_fails_in_a_histogram_is_what_the_rules_said(judged: list[Part]) -> None:
    failed = pa.concat_arrays([pc.list_flatten(part.column("rules_failed")) for part in judged])
    said = {entry["values"]: entry["counts"] for entry in pc.value_counts(failed).to_pylist()}
    drawn: dict[str, int] = {}
    for row in counted(judged).of("thresholds").to_pylist():
        if row["series"] == figures.FAILS:
            drawn[row["group"]] = drawn.get(row["group"], 0) + row["documents"]
    assert said
    assert drawn == said


def test_the_order_of_parts_does_not_matter(judged: list[Part]) -> None:
    first, second = counted(judged), counted(judged[::-1])
    assert first.picks.equals(second.picks)
    for figure in ("composition", "reasons", "thresholds", "scores", "lengths"):
        assert first.of(figure).equals(second.of(figure))


def test_those_nearest_to_a_threshold_are_picked(judged: list[Part]) -> None:
    picks = counted(judged).picks.to_pylist()
    alive = sum(int((first_reasons(part)[0] < 0).sum()) for part in judged)
    removed = [pick for pick in picks if pick["why"].startswith("removed:rules:")]
    assert removed
    assert len([pick for pick in picks if pick["why"] == figures.ANY]) == min(12, alive)
    ranks: dict[str, list[float]] = {}
    for pick in picks:
        ranks.setdefault(pick["why"], []).append(pick["rank"])
    assert all(of_why == sorted(of_why) for of_why in ranks.values())


def test_rare_names_are_counted_together(corpus_of: CorpusOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "NAMES_KEPT", 2)
    (part,) = corpus_of(list("abcdef"), source=["x", "x", "y", "y", "z", None], bytes=pa.array([1] * 6, pa.int64()))
    rows = count_figures(part, {}).of("composition").to_pylist()
    assert {row["name"]: row["documents"] for row in rows} == {"x": 2, "y": 2, figures.OTHERS: 2}


def test_tokens_that_were_not_counted_are_null(corpus_of: CorpusOf) -> None:
    tokens = pa.array([3, None, 4], pa.int64())
    (part,) = corpus_of(list("abc"), source=["x", "x", "y"], bytes=pa.array([1] * 3, pa.int64()), tokens=tokens)
    rows = count_figures(part, {}).of("composition").to_pylist()
    assert {row["name"]: row["tokens"] for row in rows} == {"x": None, "y": 4}


def test_near_duplicates_of_the_largest_clusters_are_picked(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of([str(number) for number in range(20)], bytes=pa.array([1] * 20, pa.int64()))
    part = add_columns(
        part,
        tmp_path / "near_duplicates",
        near_duplicates_of=pa.array([0] * 20, pa.uint64()),
        near_duplicates_similarity=pa.array([0.9] * 20, pa.float32()),
        near_duplicates_size=pa.array(range(20), pa.int64()),
        near_duplicates_reason=pa.array([None] + ["near_duplicate"] * 19),
    )
    picks = count_figures(part, {}).picks
    pairs = picks.filter(pc.equal(picks.column("why"), "pair:near_duplicates"))
    assert pairs.column("id").to_pylist() == [19, 18, 17, 16, 15, 14]


@pytest.mark.parametrize("bins", [*(bins for bins in figures.SCORES.values()), figures.LENGTHS, figures.CLUSTER_SIZES])
def test_a_value_lies_between_the_edges_of_its_bin(bins: Bins) -> None:
    values = np.array([0.0, 0.04, 0.05, 0.5, 1.0, 3.0, 17.0, 300.0, 1e5])
    for value, place in zip(values, bins.place(values), strict=True):
        start, end = bins.edges(int(place))
        assert start <= value + 1e-9 or place == 0
        assert value <= end + 1e-9 or place == bins.number - 1


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.178, 0.5, 0.9, 2, 50, 100_000])
@pytest.mark.parametrize("side", [MIN, MAX])
def test_a_bin_begins_at_the_threshold(threshold: float, side: str) -> None:
    bins = rule_bins(Rule("words" if threshold > 1 else "hash_ratio", side, threshold))
    starts = [bins.edges(place)[0] for place in range(bins.number)]
    assert min(abs(start - threshold) for start in starts) < 1e-9 * max(1, threshold)
