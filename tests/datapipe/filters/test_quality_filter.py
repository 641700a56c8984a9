"""Three ways to decide by a score; chance depends on the content alone."""

import json
import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from datapipe.filters.quality_filter import FilterQuality, rank, uniform
from datapipe.store.corpus import Corpus


def removed(stage: FilterQuality, scores: list[float | None], texts: list[str] | None = None) -> list[bool]:
    texts = texts or [str(i) for i in range(len(scores))]
    batch = pa.record_batch({"text": pa.array(texts), "quality_score": pa.array(scores, pa.float32())})
    (result,) = [batch] | stage
    assert result.column("quality_filter_score").to_pylist() == pytest.approx(scores)
    reasons = result.column("quality_filter_reason").to_pylist()
    assert set(reasons) <= {None, "low_quality"}
    return [reason is not None for reason in reasons]


def test_min_score() -> None:
    assert removed(FilterQuality(), [0.5, 0.49]) == [False, True]
    assert removed(FilterQuality(min_score=0.7), [0.7, 0.6]) == [False, True]


@pytest.mark.parametrize(("rate", "kept"), [(0.1, 1), (0.28, 3), (0.5, 5), (1.0, 10)])
def test_keep_rate(tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus], rate: float, kept: int) -> None:
    scores = [i / 10 for i in range(10)]
    corpus = corpus_on_disk([str(i) for i in range(10)], rows_per_part=3, quality_score=pa.array(scores, pa.float32()))
    ready = FilterQuality(keep_rate=rate).prepare(corpus, str(tmp_path))
    assert removed(ready, list(scores)) == [True] * (10 - kept) + [False] * kept
    found = json.loads((tmp_path / "threshold.json").read_text())
    assert found == {"min_score": pytest.approx(scores[-kept]), "edges": {}}


def test_what_is_not_judged_is_kept_and_does_not_count(
    tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]
) -> None:
    scores = [None, 0.1, 0.2, None, 0.3, 0.4, None]
    corpus = corpus_on_disk([str(i) for i in range(7)], rows_per_part=3, quality_score=pa.array(scores, pa.float32()))
    ready = FilterQuality(keep_rate=0.5).prepare(corpus, str(tmp_path))
    assert removed(ready, scores) == [False, True, True, False, False, False, False]
    assert removed(FilterQuality(pareto_alpha=100), [None] * 100) == [False] * 100


def test_a_weight_below_0_keeps_the_least(tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]) -> None:
    values = [300.0, 20.5, None, 1000.0, 4.25, 77.0, 77.0]
    columns = {"perplexity": pa.array(values, pa.float32())}
    corpus = corpus_on_disk([str(i) for i in range(7)], rows_per_part=3, **columns)
    ready = FilterQuality(scores={"perplexity": -1.0}, keep_rate=0.5).prepare(corpus, str(tmp_path))
    removed = ready.process(pa.record_batch(columns)).column("quality_filter_reason").is_valid()
    assert removed.to_pylist() == [True, False, False, True, False, False, False]  # of the two equal ones, both stay
    assert json.loads((tmp_path / "threshold.json").read_text())["min_score"] == 1 - 77

    toxic = pa.record_batch({"text": list("abc"), "toxicity": pa.array([0.1, 0.9, 0.5], pa.float32())})
    for stage, kept in (
        (FilterQuality(scores={"toxicity": -2.0}), [True, False, True]),
        (FilterQuality(scores={"toxicity": -2.0}, min_score=0.95), [False, False, False]),
        (FilterQuality(scores={"toxicity": -2.0}, pareto_alpha=100.0), [False, False, False]),
    ):
        result = stage.process(toxic)
        assert result.column("quality_filter_reason").is_null().to_pylist() == kept
        assert result.column("quality_filter_score").to_pylist() == pytest.approx([0.9, 0.1, 0.5])


def test_keep_rate_of_an_empty_corpus(tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]) -> None:
    corpus = corpus_on_disk([], quality_score=pa.array([], pa.float32()))
    assert FilterQuality(keep_rate=0.5).prepare(corpus, str(tmp_path)).least == 0


def test_pareto_keeps_by_score_as_gpt3() -> None:
    """P(Pareto(alpha) > 1 - score) = (2 - score) ** -alpha."""
    n, texts = 20_000, [f"text {i}" for i in range(20_000)]
    for score in (0.2, 0.8, 1.0):
        share = 1 - np.mean(removed(FilterQuality(pareto_alpha=9), [score] * n, texts))
        assert share == pytest.approx((2 - score) ** -9, abs=0.01)


def test_chance_follows_the_content() -> None:
    texts = [f"text {i}" for i in range(1000)]
    stage = FilterQuality(pareto_alpha=3)
    forward = removed(stage, [0.7] * 1000, texts)
    assert removed(stage, [0.7] * 1000, texts[::-1]) == forward[::-1]
    assert removed(FilterQuality(pareto_alpha=3, seed=1), [0.7] * 1000, texts) != forward
    draws = uniform(pa.array(texts), 0)
    assert 0 < draws.min() < draws.max() <= 1
    assert np.corrcoef(draws, uniform(pa.array(texts), 1))[0, 1] == pytest.approx(0, abs=0.1)


def test_scores_on_any_scale_combine_by_rank_within_a_language(
    tmp_path: pathlib.Path, corpus_on_disk: Callable[..., Corpus]
) -> None:
    """Chinese is more perplexing throughout, and that says nothing."""
    languages = ["en"] * 100 + ["zh"] * 100
    quality = pa.array([(i * 37 % 100) / 100 for i in range(200)], pa.float32())
    perplexity = pa.array([i * 41 % 100 + (1000 if i >= 100 else 0) for i in range(200)], pa.float32())
    columns = {"language": languages, "quality_score": quality, "perplexity": perplexity}
    corpus = corpus_on_disk([str(i) for i in range(200)], rows_per_part=70, **columns)

    def scores(weights: dict[str, float]) -> np.ndarray:
        stage = FilterQuality(scores=weights).prepare(corpus, str(tmp_path))
        return stage.process(pa.record_batch(columns)).column("quality_filter_score").to_numpy()

    first, second = quality.to_numpy(), perplexity.to_numpy() % 1000
    both = scores({"quality_score": 1, "perplexity": -1})
    np.testing.assert_allclose(both, (first + 1 - second / 100) / 2, atol=0.02)
    mostly = scores({"quality_score": 3, "perplexity": -1})
    np.testing.assert_allclose(mostly, (3 * first + 1 - second / 100) / 4, atol=0.02)
    half = FilterQuality(scores={"quality_score": 1, "perplexity": -1}, keep_rate=0.5).prepare(corpus, str(tmp_path))
    removed_half = half.process(pa.record_batch(columns)).column("quality_filter_reason")
    assert removed_half.null_count == pytest.approx(100, abs=8)  # equal scores stay together


def test_a_value_on_a_step_ranks_as_high_as_it_may() -> None:
    edges = {"a": {"en": [1.0, 2.0, 3.0, 4.0]}}
    batch = pa.record_batch({"language": ["en"] * 3, "a": pa.array([0.5, 2, 5], pa.float32())})
    assert rank(batch, {"a": 1}, edges).tolist() == [0, 0.5, 1]
    assert rank(batch, {"a": -1}, edges).tolist() == [1, 0.75, 0]


def test_what_needs_the_corpus_is_prepared_first() -> None:
    batch = pa.record_batch({name: pa.array([0.5], pa.float32()) for name in ("a", "b", "quality_score")})
    for stage in (FilterQuality(keep_rate=0.5), FilterQuality(scores={"a": 1, "b": 1})):
        with pytest.raises(ValueError, match="call prepare first"):
            stage.process(batch)


def test_a_null_score_is_left_out() -> None:
    stage = FilterQuality(scores={"a": 1, "b": 1})
    stage.edges = {"a": {"en": [1.0, 2.0]}, "b": {"en": [1.0, 2.0]}}
    batch = pa.record_batch(
        {
            "language": ["en", "en", "fr", None],
            "a": pa.array([1, 1, 1, 1], pa.float32()),
            "b": pa.array([3, None, 1, 1], pa.float32()),
        }
    )
    assert stage.process(batch).column("quality_filter_score").to_pylist() == [0.75, 0.5, None, None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": {}}, "scores must have at least 1 item"),
        ({"scores": {"a": 0.0}}, "scores must name columns with weights other than 0"),
        ({"min_score": -1.0}, "min_score must be between 0 and 1, got -1.0"),
        ({"keep_rate": 0.0}, "keep_rate must be above 0 and at most 1, got 0.0"),
        ({"pareto_alpha": 0.0}, "pareto_alpha must be above 0, got 0.0"),
        ({"keep_rate": 0.5, "pareto_alpha": 9.0}, "keep_rate or pareto_alpha, got"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FilterQuality(**options)  # type: ignore[arg-type]
