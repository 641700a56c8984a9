"""Samples are as GLM's: over many of them, masks hide their share, lengths are Poisson's, and nothing is lost."""

import collections

import numpy as np
import pytest
from scipy import stats

from datapipe.mix.blank_infilling import (
    MAX_SPAN,
    Tokens,
    answer,
    attention_mask,
    generate,
    generation_length,
    infill,
    place_spans,
    sentence_spans,
    span_lengths,
    token_spans,
    truncated_poisson,
)
from tests.helpers import NIGHTLY

TOKENS = Tokens(1, 2, 3)
ROWS = 10_000 if NIGHTLY else 1_500


def draws(seed: int):  # type: ignore[no-untyped-def]
    source = np.random.default_rng(seed)
    return lambda count: source.random(count)


def rebuilt(sample, text_length: int) -> list[int]:  # type: ignore[no-untyped-def]
    """The text of a sample, from parts A and B alone: each span goes where the mask stands that its positions name."""
    spans = {}
    at = sample.context
    while at < len(sample.inputs):
        end = at + int(np.flatnonzero(sample.labels[at:] == TOKENS.end)[0]) + 1
        assert sample.inputs[at] == TOKENS.start
        assert sample.labels[at : end - 1].tolist() == sample.inputs[at + 1 : end].tolist()
        assert sample.block_positions[at:end].tolist() == list(range(1, end - at + 1))
        assert len(set(sample.positions[at:end].tolist())) == 1
        spans[int(sample.positions[at])] = sample.labels[at : end - 1].tolist()
        at = end
    text: list[int] = []
    for position, token in enumerate(sample.inputs[: sample.context].tolist()):
        text += spans.pop(position) if token == TOKENS.mask else [token]
    assert not spans
    assert len(text) == text_length
    return text


def test_rows_of_token_blanks() -> None:
    draw = draws(0)
    lengths = collections.Counter[int]()
    source = np.random.default_rng(1)
    for _ in range(ROWS):
        text = source.integers(10, 1000, 440).astype(np.int32)
        ends = np.array([150, 300, 440])
        found = token_spans(ends, 0.15, 3.0, draw)
        assert found
        begins, sizes = found
        assert int(0.15 * 440) <= sizes.sum() < int(0.15 * 440) + sizes.max()
        assert (begins[1:] > begins[:-1] + sizes[:-1]).all()  # none touch
        for begin, size in zip(begins.tolist(), sizes.tolist(), strict=True):
            assert not any(begin < end <= begin + size for end in (150, 300)), "across or over the end of a document"
        sample = infill(text, begins, sizes, TOKENS, np.argsort(draw(len(sizes))).tolist())
        assert rebuilt(sample, 440) == text.tolist()
        assert (sample.labels[: sample.context] == -100).all()
        assert (sample.positions[: sample.context] == np.arange(sample.context)).all()
        # The last one is there because the sum was not reached before it: long ones are more likely to be the last.
        lengths.update(span_lengths(10**6, 20 / 10**6, 3.0, draw)[:1].tolist())
    cumulative = truncated_poisson(3.0)
    expected = np.diff(cumulative, prepend=0) * ROWS
    seen = np.array([lengths[number] for number in range(1, MAX_SPAN + 1)], np.float64)
    many = expected >= 5
    seen, expected = np.append(seen[many], seen[~many].sum()), np.append(expected[many], expected[~many].sum())
    assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-4


def test_the_distribution_is_poissons_restricted() -> None:
    numbers = np.arange(1, MAX_SPAN + 1)
    expected = stats.poisson.pmf(numbers, 3.0)
    assert np.diff(truncated_poisson(3.0), prepend=0) == pytest.approx(expected / expected.sum(), abs=1e-12)


def test_all_placements_can_occur_and_none_touches() -> None:
    draw = draws(3)
    seen = {tuple(place_spans(6, np.array([2, 1]), draw).tolist()) for _ in range(500)}
    assert seen == {(0, 3), (0, 4), (0, 5), (1, 4), (1, 5), (2, 5)}
    with pytest.raises(ValueError, match="2 spans of 5 tokens do not fit into 5"):
        place_spans(5, np.array([3, 2]), draw)


def test_whole_sentences_are_hidden_until_their_share() -> None:
    draw = draws(4)
    starts = np.array([0, 20, 45, 60, 90])
    for _ in range(200):
        found = sentence_spans(starts, 100, 0.15, draw)
        assert found
        begins, sizes = found
        assert set(begins.tolist()) <= set(starts.tolist())
        assert sizes.sum() >= 15
        assert sizes.sum() - sizes.max() < 15
    assert sentence_spans(np.array([0]), 100, 0.15, draw) is None


def test_ends_are_even_over_their_range() -> None:
    draw = draws(5)
    lengths = [generation_length(100, 0.2, draw) for _ in range(20_000)]
    assert (min(lengths), max(lengths)) == (20, 98)
    counts = np.bincount(lengths, minlength=99)[20:]
    assert stats.chisquare(counts).pvalue > 1e-4
    with pytest.raises(ValueError, match="a text of 2 tokens has no end"):
        generation_length(2, 0.5, draw)


def test_a_generated_end_is_the_text() -> None:
    text = np.arange(10, 30, dtype=np.int32)
    sample = generate(text, 7, TOKENS)
    assert rebuilt(sample, 20) == text.tolist()
    assert sample.context == 14


def test_an_answer_keeps_its_end_and_the_question_is_cut() -> None:
    question, target = np.arange(10, 20, dtype=np.int32), np.arange(50, 55, dtype=np.int32)
    sample = answer(question, target, TOKENS, 11)
    assert sample
    assert len(sample.inputs) == 11
    assert sample.inputs.tolist() == [16, 17, 18, 19, TOKENS.mask, TOKENS.start, 50, 51, 52, 53, 54]
    assert sample.labels[sample.context :].tolist() == [50, 51, 52, 53, 54, TOKENS.end]
    assert answer(question, target, TOKENS, 6) is None


def test_attention_by_its_rule() -> None:
    mask = attention_mask(9, [(0, 2, 4), (5, 6, 8)])
    for row in range(9):
        for column in range(9):
            sees = False
            for begin, context, end in ((0, 2, 4), (5, 6, 8)):
                if begin <= row < end and begin <= column < end:
                    sees = column < context or column <= row
            assert mask[row, column] == sees
