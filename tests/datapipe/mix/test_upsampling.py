"""Weights are the product of the rates that are asked for, and of no others."""

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from datapipe.mix.upsampling import WeighDocuments
from datapipe.store.corpus import Part
from tests.helpers import CorpusOf, verdicts

FINEWEB_2 = {1: 1.0, 2: 2.0, 3: 3.0, 5: 5.0, 100: 8.0, 1000: 1.0}


def weights(parts: list[Part], stage: WeighDocuments) -> list[float]:
    """Of all rows, in order."""
    return [verdict.weight for _, verdict in sorted(verdicts(parts, stage).items())]


def test_without_a_rate_every_document_is_seen_once(corpus_of: CorpusOf) -> None:
    parts = corpus_of([""] * 6, bytes=[1] * 6, topic=pa.array([0, 0, 0, 0, 0, 1], pa.int32()), rows_per_part=4)
    assert weights(parts, WeighDocuments()) == [1] * 6
    assert "no rate is asked for" in str(WeighDocuments().skip_reason())
    assert WeighDocuments(unimax=2.0).skip_reason() is None
    # What nobody has scored is not known to be good: rare topics are not repeated.
    assert weights(parts, WeighDocuments(quality="score")) == [1] * 6


def test_epochs_of_sources(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of([""] * 5, bytes=[1] * 5, source=["wikipedia", "web", "books", "web", None], rows_per_part=2)
    epochs = {"wikipedia": 2.45, "books": 2.0, "none": 0.5, "news": 3.0}
    stage = WeighDocuments(epochs=epochs).ready(folder=str(tmp_path))
    assert weights(parts, stage) == pytest.approx([2.45, 1, 2, 1, 0.5])
    assert json.loads((tmp_path / "_notes.json").read_text()) == ["no document has the source 'news'"]


@pytest.mark.parametrize(
    ("options", "en", "sw"),
    [
        ({"temperature": 2.0}, 100 * 3 / 4 / 90, 100 / 4 / 10),
        ({"temperature": 2.0, "budget": 400}, 400 * 3 / 4 / 90, 5.0),
        ({"temperature": 1.0}, 1, 1),
        ({"unimax": 4.0}, 60 / 90, 4),
        ({"unimax": 4.0, "budget": 40}, 20 / 90, 2),
    ],
)
def test_groups_by_size(corpus_of: CorpusOf, tmp_path: pathlib.Path, options: Any, en: float, sw: float) -> None:
    parts = corpus_of([""] * 4, bytes=[30, 4, 60, 6], language=["en", "sw", "en", "sw"], rows_per_part=3)
    stage = WeighDocuments(by="language", **options)
    assert weights(parts, stage.ready(folder=str(tmp_path))) == pytest.approx([en, sw, en, sw])
    assert weights(parts[::-1], stage) == pytest.approx([en, sw, en, sw])
    notes = tmp_path / "_notes.json"
    said = json.loads(notes.read_text()) if notes.exists() else []
    assert said == (["sw: 10 epochs would be its part, but max_repeats is 5"] if sw == 5 else [])


def test_the_share_rises_strictly_over_deciles_of_quality(corpus_of: CorpusOf) -> None:
    scores = np.random.default_rng(0).beta(9, 1, 3000)
    parts = corpus_of([""] * 3001, bytes=[1] * 3001, score=[*scores.tolist(), None], rows_per_part=700)
    rising = [0.1 * (2 * step + 1) for step in range(10)]
    found = np.array(weights(parts, WeighDocuments(quality="score", quality_epochs=rising)))
    assert found[-1] == 1
    deciles = found[:-1][np.argsort(scores, kind="stable")].reshape(10, 300).mean(axis=1)
    assert np.allclose(deciles, rising, atol=0.02)
    assert (np.diff(deciles) > 0).all()
    dropped = np.array(weights(parts, WeighDocuments(quality="score", quality_epochs=[0.0, 0.0, 1.0, 2.0, 5.0])))
    assert (dropped[:-1][scores < np.quantile(scores, 0.39)] == 0).all()


def test_small_good_topics_are_repeated_and_large_ones_cut(corpus_of: CorpusOf) -> None:
    topics = np.repeat([0, 1, 2], [100, 50, 10])
    columns: dict[str, Any] = {
        "bytes": [1] * 160,
        "topic": pa.array(topics, pa.int32()),
        "score": [[0.2, 0.5, 0.9][number] for number in topics],
    }
    parts = corpus_of([""] * 160, rows_per_part=64, **columns)
    found = np.array(weights(parts, WeighDocuments(quality="score", max_growth=0.5)))
    by_topic = [set(found[topics == number]) for number in range(3)]
    assert all(len(of) == 1 for of in by_topic)
    large, middle, small = (of.pop() for of in by_topic)
    assert large == 1 <= middle < small <= 5
    assert found.sum() <= 1.5 * 160 + 1e-4
    cut = np.array(weights(parts, WeighDocuments(max_topic_share=0.25)))
    assert [cut[topics == number].sum() for number in range(3)] == pytest.approx([40, 40, 10])


def test_duplicates_come_back_by_their_number(corpus_of: CorpusOf) -> None:
    parts = corpus_of(
        [""] * 6,
        bytes=[1] * 6,
        near_duplicates_size=pa.array([None, 2, 7, 100, 5000, None], pa.int64()),
        exact_duplicates_size=pa.array([None, None, 2, None, None, 3], pa.uint32()),
    )
    stage = WeighDocuments(rehydration=FINEWEB_2, max_repeats=8.0)
    assert weights(parts, stage) == [1, 2, 5, 8, 1, 3]
    assert stage.requires() == ("bytes", "near_duplicates_size")


def test_rates_multiply_up_to_max_repeats(corpus_of: CorpusOf) -> None:
    parts = corpus_of(
        [""] * 3, bytes=[1] * 3, source=["a", "a", "b"], near_duplicates_size=pa.array([3, None, 3], pa.int64())
    )
    stage = WeighDocuments(epochs={"a": 2.0}, rehydration={3: 3.0}, max_repeats=5.0)
    assert weights(parts, stage) == [5, 2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": {"a": 2.0}, "unimax": 2.0}, "epochs and unimax must not be given together"),
        ({"budget": 9}, "budget must go with temperature or unimax, got 9"),
        ({"quality_epochs": [1.0]}, "quality must be given with quality_epochs"),
        ({"rehydration": FINEWEB_2}, r"rehydration must not be above max_repeats \(5\), got 8"),
        ({"epochs": {"a": 6.0}}, "epochs must not be above max_repeats"),
        ({"temperature": 0.5}, "temperature must be at least 1"),
        ({"max_growth": -0.1}, "max_growth must be at least 0"),
        ({"max_repeats": 0.5}, "max_repeats must be at least 1"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeighDocuments(**options)
