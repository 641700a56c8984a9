"""The library is the oracle: the same labels, in the same order, with the same probabilities."""

import random
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.filters.language import model_path
from datapipe.read.models import load_classifier
from datapipe.text import fasttext_model
from datapipe.text.characters import text_buffers
from datapipe.text.fasttext_model import FastTextModel
from tests.datapipe.text.fasttext_models import MODELS, TEXTS, WORDS, predictions, train_model
from tests.helpers import compiled

pytestmark = pytest.mark.xdist_group("fasttext_model")  # of several processes each would make the fixtures anew


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[FastTextModel, Any]:
    """Ours, and the library's."""
    path = train_model(request.param, tmp_path_factory.mktemp(request.param))
    return load_classifier(path), fasttext.FastText._FastText(path).f


def library(model: Any, text: str, k: int) -> list[tuple[str, float]]:
    """What the library says of a text as one line."""
    line = text.replace("\n", " ").replace("</s>", " ")
    if not line.strip(" \t\v\f\r\0"):
        return []
    found = model.predict(line + "\n", k, 0.0, "strict")
    return [(label.removeprefix("__label__"), min(1.0, probability)) for probability, label in found]


def assert_same(found: list[tuple[str, float]], wanted: list[tuple[str, float]], text: str) -> None:
    np.testing.assert_allclose([p for _, p in found], [p for _, p in wanted], rtol=1e-5, err_msg=repr(text))
    for (label, probability), (other, _) in zip(found, wanted, strict=True):
        ties = {name for name, p in wanted if abs(p - probability) <= 1e-5 * probability}
        assert label == other or label in ties or len(ties) > 1 or abs(probability - wanted[-1][1]) < 1e-6, text


@pytest.mark.parametrize("k", [1, 3, 1000])
def test_predictions_are_those_of_the_library(model: tuple[FastTextModel, Any], k: int) -> None:
    ours, theirs = model
    chosen = random.Random(2)
    every = [word for words in WORDS.values() for word in words]
    texts = TEXTS + [" ".join(chosen.choices(every, k=chosen.randint(1, 40))) for _ in range(200)]
    for text, found in zip(texts, predictions(ours, texts, k), strict=True):
        assert_same(found, library(theirs, text, k), text)


PIECES = st.sampled_from([*"abé的🙂<>/s_ \n\0", "</s>", "report", "__label__", "rapport "])


@settings(max_examples=100)
@given(st.lists(st.lists(PIECES, max_size=40).map("".join)))
def test_any_text(model: tuple[FastTextModel, Any], texts: list[str]) -> None:
    ours, theirs = model
    for text, found in zip(texts, predictions(ours, texts, 2), strict=True):
        assert_same(found, library(theirs, text, 2), text)


def test_probability_of_one_label(model: tuple[FastTextModel, Any]) -> None:
    ours, theirs = model
    for label in (ours.labels[0], ours.labels[-1], "no such label"):
        found = ours.probability(label, *text_buffers(pa.array([*TEXTS, None])))
        wanted = [dict(library(theirs, text, -1)).get(label, 0.0) for text in [*TEXTS, ""]]
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_lid_176() -> None:
    path = model_path("")
    theirs = fasttext.FastText._FastText(path).f
    chosen = random.Random(3)
    every = [word for words in WORDS.values() for word in words] + ["Ωραία", "добрый", "день", "こんにちは", "안녕"]
    texts = TEXTS + [" ".join(chosen.choices(every, k=chosen.randint(1, 40))) for _ in range(500)]
    for text, found in zip(texts, predictions(load_classifier(path), texts, 5), strict=True):
        assert_same(found, library(theirs, text, 5), text)


def test_labels_ranked_by_estimates_are_those_of_the_walk() -> None:
    weights = load_classifier(model_path("")).weights
    by_estimate, walk = compiled(fasttext_model._rank_by_estimate), compiled(fasttext_model._walk)
    nodes = len(weights.children) + 1
    parents = np.full(nodes, -1, np.int32)
    for side in range(2):
        inner = weights.children[:, side] >= 0
        parents[weights.children[inner, side]] = np.flatnonzero(inner)
    chosen, sure = np.random.default_rng(1), 0
    for scale in np.repeat([0, 0.1, 1, 4, 30], 200):
        layer = (scale * chosen.normal(size=weights.outputs.shape[1])).astype(np.float32)
        k = int(chosen.integers(1, 8))
        found, wanted = ((np.full(k, -1, np.int32), np.zeros(k, np.float32)) for _ in range(2))
        waiting, best = np.empty((2, nodes), np.int32)
        estimates, sums = np.empty((2, nodes), np.float32)
        if by_estimate(weights, layer, parents, *found, waiting, best, estimates, sums):
            walk(weights, layer, -1, *wanted, waiting, sums)
            assert [values.tolist() for values in found] == [values.tolist() for values in wanted]
            sure += 1
    assert sure > 600  # never where all are as likely


def test_sliced_texts() -> None:
    texts = pa.array(["no", "le rapport", "the report", None, "no"])
    model = load_classifier(model_path(""))
    data, bounds = text_buffers(texts.slice(1, 3))
    labels, _ = model.predict(data, bounds[:-1], bounds[1:], 1)
    assert [model.labels[label] if label >= 0 else None for label in labels[:, 0]] == ["fr", "en", None]


def test_words_known_from_texts_before_change_nothing(model: tuple[FastTextModel, Any]) -> None:
    ours, _ = model
    chosen = random.Random(3)
    letters = "abcdeé的" * 3 + "xyz"
    words = ["".join(chosen.choices(letters, k=chosen.choice([1, 3, 6, 12, 40]))) for _ in range(3000)]
    words += [word for language in WORDS.values() for word in language] + ["é" * 2000, "ab" * 3000, "__label__x"]
    texts = [" ".join(chosen.choices(words, k=chosen.randint(1, 60))) for _ in range(2000)]
    together = predictions(ours, texts, 3)
    for i in chosen.sample(range(2000), 300):
        assert predictions(ours, [texts[i]], 3) == [together[i]], texts[i]
