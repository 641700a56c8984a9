"""Each language of the references has its model, the same each time, and none scores the text of another."""

import pathlib

import numpy as np
import pyarrow as pa
import pytest

from datapipe.filters.perplexity import ScorePerplexity
from datapipe.store.corpus import Corpus
from tests.helpers import write_lines

ENGLISH = [
    f"the {part} of the {place} was described at length in the {number} chapter"
    for part in ("age", "depth", "shape")
    for place in ("river", "forest", "valley", "glacier")
    for number in ("first", "second", "last")
]
CHINESE = [
    f"这本书的第{number}章详细描述了{side}{place}的形成过程和历史"
    for side in "南北东西"
    for place in ("河流", "森林", "山谷", "冰川")
    for number in "一二三四"
]


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("references") / "good.jsonl"
    write_lines(path, ({"text": text} for text in ENGLISH + CHINESE))
    return [str(path)]


def test_each_language_has_its_model(references: list[str], tmp_path: pathlib.Path) -> None:
    stage = ScorePerplexity(references, min_characters=500)
    ready = stage.prepare(Corpus(""), str(tmp_path))
    assert sorted(ready.trained) == ["en", "zh"]
    assert not stage.trained
    batch = pa.record_batch(
        {
            "text": [ENGLISH[0], CHINESE[0], CHINESE[0], ENGLISH[0], None],
            "language": ["en", "zh", "en", "fr", "zh"],
        }
    )
    english, chinese, wrong, none, empty = ready.process(batch).column("perplexity").to_pylist()
    assert english < 3
    assert chinese < 3
    assert wrong > 10
    assert none is None
    assert empty is None
    again = tmp_path / "again"
    again.mkdir()
    paths = stage.prepare(Corpus(""), str(again)).trained.values()
    assert [pathlib.Path(path).read_bytes() for path in paths] == [
        pathlib.Path(path).read_bytes() for path in ready.trained.values()
    ]


def test_references_are_no_model(references: list[str]) -> None:
    with pytest.raises(ValueError, match="no model; call prepare first"):
        ScorePerplexity(references).process(pa.record_batch({"text": ["a"], "language": ["en"]}))


def test_options(references: list[str], tmp_path: pathlib.Path) -> None:
    assert ScorePerplexity().skip_reason() == "no reference texts given"
    assert ScorePerplexity(["no.jsonl"]).skip_reason() == "no such file: no.jsonl"
    assert ScorePerplexity(references).skip_reason() is None
    with pytest.raises(ValueError, match="no language has 10000 characters"):
        ScorePerplexity(references).prepare(Corpus(""), str(tmp_path))
    small = ScorePerplexity(references, min_characters=500, max_characters=600).prepare(Corpus(""), str(tmp_path))
    large = ScorePerplexity(references, min_characters=500).prepare(Corpus(""), str(tmp_path))
    batch = pa.record_batch({"text": ENGLISH, "language": ["en"] * len(ENGLISH)})
    means = [np.mean(stage.process(batch).column(0).to_numpy()) for stage in (small, large)]
    assert means[0] > means[1]
    with pytest.raises(ValueError, match="min_characters must be at least 1, got 0"):
        ScorePerplexity(min_characters=0)
    with pytest.raises(ValueError, match="max_characters must be at least min_characters"):
        ScorePerplexity(max_characters=5)
