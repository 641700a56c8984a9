"""The model is the one that the formulas give, it sums to one, and it prefers text to noise."""

import math
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text.characters import text_buffers
from datapipe.text.hashes import normalization_table
from datapipe.text.ngram_model import (
    NORMALIZATION,
    NgramModel,
    from_bytes,
    log_probabilities,
    perplexities,
    to_bytes,
    train,
)

ENGLISH = [
    f"the {part} of the {place} was described at length in the {number} chapter"
    for part in ("age", "depth", "shape")
    for place in ("river", "forest", "valley", "glacier")
    for number in ("first", "second", "last")
]


def log_probability(text: str, model: NgramModel, order: int) -> float:
    data, bounds = text_buffers(pa.array([text]))
    sums, _ = log_probabilities(data, bounds, normalization_table(NORMALIZATION), model, order)
    return float(sums[0])


class Reference:
    """Interpolated Kneser-Ney with fixed discounts, straight from the formula; texts are of letters alone."""

    def __init__(self, texts: list[str], order: int) -> None:
        self.order = order
        grams = [
            (" " + text)[i : i + n] for text in texts for n in range(1, order + 1) for i in range(len(text) + 2 - n)
        ]
        occurrences = Counter(grams)
        followed = Counter(gram[1:] for gram in occurrences if len(gram) > 1)
        self.weight = {g: c if len(g) == order else max(1, followed[g]) for g, c in occurrences.items()}
        self.kept = {g for g, c in occurrences.items() if len(g) < 3 or c > 1}
        self.after = defaultdict(set)
        for gram in occurrences:
            self.after[gram[:-1]].add(gram)
        self.symbols = len({gram for gram in occurrences if len(gram) == 1})

    def probability(self, context: str, symbol: str) -> float:
        """P(symbol | context), the context at most order - 1 symbols."""
        below = self.probability(context[1:], symbol) if context else 1 / (self.symbols + 1)
        total = sum(self.weight[g] for g in self.after[context])
        share = {g: (w - min(w, 3) / 2) / total for g in self.after[context] & self.kept if (w := self.weight[g])}
        return share.get(context + symbol, 0.0) + (1 - sum(share.values())) * below

    def log_probability(self, text: str) -> float:
        text = " " + text
        return sum(
            math.log(self.probability(text[max(0, i - self.order + 1) : i], text[i])) for i in range(1, len(text))
        )


@given(
    st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=6),
    st.text("abcd", max_size=8),
    st.integers(1, 4),
)
@settings(max_examples=150)
def test_equals_the_formula_and_sums_to_one(texts: list[str], text: str, order: int) -> None:
    reference = Reference(texts, order)
    for n in range(1, order + 1):  # the reference has fixed discounts: leave out data from which they can be estimated
        weights = {w for g, w in reference.weight.items() if len(g) == n}
        if {1, 2, 3, 4} <= weights:
            return
    seen = [gram for gram in reference.weight if len(gram) == 1]
    for context in (texts[0][: order - 1], text[: order - 1]):
        assert sum(reference.probability(context, symbol) for symbol in [*seen, "unseen"]) == pytest.approx(1)
    assert log_probability(text, train(texts, order), order) == pytest.approx(reference.log_probability(text), abs=1e-4)


def test_text_is_less_perplexing_than_noise() -> None:
    model = train(ENGLISH)
    known = "the shape of the valley was described in the second chapter"
    noise = "".join(sorted(known))
    good, other, bad, foreign = perplexities(pa.array([known, known.upper() + "!", noise, "河流"]), model)
    assert good == other < bad / 5
    assert foreign > bad / 5
    assert np.isnan(perplexities(pa.array(["", None, "?!"], pa.string()), model)).all()


def test_sliced_arrays() -> None:
    model = train(ENGLISH)
    texts = pa.array([*ENGLISH[:5], None, ENGLISH[6]])
    np.testing.assert_array_equal(perplexities(texts.slice(3), model), perplexities(texts, model)[3:])


def test_a_file_holds_the_model_to_the_byte() -> None:
    model = train(ENGLISH)
    content = to_bytes(model)
    for read, made in zip(from_bytes(content), model, strict=True):
        np.testing.assert_array_equal(read, made)
    assert to_bytes(train(ENGLISH)) == content
