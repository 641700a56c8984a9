"""Rates: the published ones by their own figures and by plain references, the others by their bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.mix.rates import (
    coarse_scores,
    down_sampling,
    quantile_epochs,
    rehydration,
    temperature_epochs,
    topic_epochs,
    unimax_epochs,
)

SIZES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 10**6), min_size=1)
TOPICS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=12)


@given(SIZES, st.sampled_from([1.0, 2.0, 3.33, 1e9]), st.sampled_from([None, 5000.0]))
def test_temperature_is_that_of_the_shares(sizes: dict[str, int], temperature: float, budget: float | None) -> None:
    epochs = temperature_epochs(sizes, temperature, budget)
    taken = {group: epochs[group] * size for group, size in sizes.items() if size}
    assert sum(taken.values()) == pytest.approx(budget or sum(sizes.values())) or not taken
    for one in taken:
        for other in taken:
            assert taken[one] / taken[other] == pytest.approx((sizes[one] / sizes[other]) ** (1 / temperature))
    if temperature == 1 and not budget:
        assert all(value == pytest.approx(1) for value in epochs.values())


def test_unimax_gives_the_figures_of_its_package() -> None:
    # The example of the package unimax_sampling on PyPI.
    sizes = {"swe": 179955884499, "fas": 184595788282, "ekk": 42541080893, "isl": 10027573389, "fao": 549707867}
    assert unimax_epochs(sizes, 4, 250_000_000_000) == pytest.approx(
        {
            "fao": 4.0,
            "isl": 4.0,
            "ekk": 1.627375003300828,
            "swe": 0.3847070177860806,
            "fas": 0.37503722215431134,
        }
    )


@given(SIZES, st.sampled_from([0.5, 1.0, 4.0]), st.sampled_from([None, 100.0, 1e6, 1e9]))
def test_unimax_is_as_even_as_its_epochs_allow(sizes: dict[str, int], most: float, budget: float | None) -> None:
    epochs = unimax_epochs(sizes, most, budget)
    there = {group: size for group, size in sizes.items() if size}
    taken = {group: epochs[group] * size for group, size in there.items()}
    total = budget or sum(there.values())
    # One level for all, but for those that cannot reach it: found by halving.
    low, high = 0.0, total
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if sum(min(level, most * size) for size in there.values()) <= total else (low, level)
    assert taken == pytest.approx({group: min(low, most * size) for group, size in there.items()}, rel=1e-6, abs=1e-6)


def test_rehydration_is_that_of_fineweb_2() -> None:
    weights = {1: 1.0, 2: 2.0, 3: 3.0, 5: 5.0, 100: 8.0, 1000: 1.0}
    for size in range(1, 1200):
        plain = [weight for least, weight in weights.items() if least <= size][-1]
        assert rehydration(size, weights) == plain
    assert rehydration(2, {5: 0.5}) == 1


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=60), st.lists(st.sampled_from([0.0, 0.5, 1, 2]), min_size=1))
def test_quantiles_are_those_of_documents_one_by_one(scores: list[float], epochs: list[float]) -> None:
    coarse = coarse_scores(np.array(scores))
    values, counts = np.unique(coarse, return_counts=True)
    found = quantile_epochs(counts, epochs)
    ascending = np.sort(coarse)
    # Each document in so many equal pieces that none lies in two parts; those of one score share alike.
    pieces = np.repeat(ascending, len(epochs))
    of_pieces = np.repeat(epochs, len(scores))
    for value, weight in zip(values, found, strict=True):
        assert weight == pytest.approx(of_pieces[pieces == value].mean())
    assert counts @ found == pytest.approx(np.mean(epochs) * len(scores))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_coarse_scores_order_as_scores_do(pair: list[float]) -> None:
    low, high = coarse_scores(np.array(sorted(pair)))
    assert low <= high
    if abs(pair[0] - pair[1]) > max(map(abs, pair)) / 4096 and max(map(abs, pair)) > 1e-30:
        assert low < high


@given(topics=TOPICS, rarity=st.sampled_from([0.0, 0.5, 1.0]), growth=st.sampled_from([0.0, 0.1, 3.0]))
def test_topics_keep_to_their_bounds(topics: list[tuple[int, int]], rarity: float, growth: float) -> None:
    sizes = np.array([size for size, _ in topics], np.int64)
    scores = np.array([score for _, score in topics], float)
    weights = topic_epochs(sizes, scores, rarity, 4.0, growth)
    assert ((weights >= 1) & (weights <= 4)).all()
    assert sizes @ weights <= (1 + growth) * sizes.sum() * (1 + 1e-12)
    for size, score, weight in zip(sizes, scores, weights, strict=True):
        higher = (sizes == size) & (scores >= score) if rarity else scores >= score
        assert (weights[higher] >= weight).all()
        smaller = (sizes <= size) & (scores == score) & (sizes > 0)
        assert (weights[smaller] >= weight).all()


def test_what_each_option_of_topics_does() -> None:
    sizes = np.array([100, 100, 100, 100, 10])
    scores = np.array([1, 2, 3, 4, 4.0])
    weights = topic_epochs(sizes, scores, 0.0, 5.0, 1.0)
    assert weights[0] == weights[1] == 1 < weights[2] < weights[3] == weights[4] < 2
    assert topic_epochs(sizes, scores, 0.5, 5.0, 1.0)[4] > weights[4]
    assert topic_epochs(sizes, scores, 0.5, 1.5, 1.0)[4] == 1.5
    assert sizes @ topic_epochs(sizes, scores, 0.5, 5.0, 0.1) == pytest.approx(1.1 * 410)
    # What is rare and bad is not repeated, nor what nobody knows to be good.
    assert topic_epochs(sizes, -scores, 1.0, 5.0, 1.0)[4] == 1
    assert set(topic_epochs(sizes, np.full(5, np.nan), 1.0, 5.0, 1.0)) == {1}
    # The scale of a score does not matter.
    assert np.array_equal(topic_epochs(sizes, np.exp(scores) - 9, 0.0, 5.0, 1.0), weights)
    assert np.array_equal(topic_epochs(sizes[:4], scores[:4] * 0, 0.5, 5.0, 1.0), np.ones(4))


def test_the_formula_of_topics_by_hand() -> None:
    # The middle topic begins the better half: rank 1/2, a tenth of the typical size.
    weights = topic_epochs(np.array([100, 10, 100]), np.array([1, 2, 3.0]), 0.5, 5.0, 1.0)
    assert weights.tolist() == pytest.approx([1, 10**0.5, 2 * 160 / 210])
    # Typical is the topic of the median document, not the median topic.
    weights = topic_epochs(np.array([20, 20, 100]), np.array([1, 2, 3.0]), 0.5, 5.0, 1.0)
    assert weights.tolist() == pytest.approx([1, 1, 2 * 90 / 140])
    # One without a score has the mean of the others.
    weights = topic_epochs(np.array([100, 100, 10]), np.array([0.2, 0.9, np.nan]), 0.5, 5.0, 2.0)
    assert weights.tolist() == pytest.approx([1, 2 * 160 / 210, 10**0.5])


@given(st.lists(st.integers(0, 100), min_size=1, max_size=9), st.sampled_from([0.1, 0.5, 1.0]))
def test_no_topic_counts_for_more_than_its_share(sizes: list[int], share: float) -> None:
    counted = np.array(sizes)
    weights = down_sampling(counted, share)
    assert (counted * weights <= share * counted.sum() + 1e-9).all()
    assert (weights[counted <= share * counted.sum()] == 1).all()
