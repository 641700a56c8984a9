"""Sentences and paragraphs are scored as the classifier scores them alone, and the means are by bytes."""

import json
import pathlib

import numpy as np
import pyarrow as pa
import pytest

from datapipe.filters.passages import ScorePassages, score_passages
from datapipe.filters.quality import ScoreQuality
from datapipe.filters.quality_training import score
from datapipe.store.corpus import Corpus
from datapipe.text.passages import SENTENCE
from tests.helpers import SAMPLE, write_lines

GOOD = "The river runs through the old town, and people meet at the market in the morning."
BAD = "BUY NOW cheap boats click here free shipping best price order today."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    base = tmp_path_factory.mktemp("quality")
    for kind in ("positive", "negative"):
        lines = (SAMPLE / "quality" / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
        write_lines(base / f"{kind}.jsonl", map(json.loads, lines[:: 1 + len(lines) // 200]))
    (base / "quality").mkdir()
    stage = ScoreQuality([str(base / "positive.jsonl")], [str(base / "negative.jsonl")])
    stage.prepare(Corpus(str(base)), str(base / "quality"))
    return base / "quality"


def test_means_are_by_bytes_and_scores_those_of_passages_alone(folder: pathlib.Path) -> None:
    stage = ScorePassages(str(folder)).prepare(Corpus(""), "")
    text = f"{GOOD} {BAD}\n\n{GOOD}"
    batch = pa.record_batch(
        {"text": [text, "", text, None], "quality_score": pa.array([0.5, 0.1, None, 0.2], pa.float32())}
    )
    found = stage.process(batch).to_pylist()
    alone = score(stage.model, pa.array([GOOD, BAD], pa.large_string()))
    scores = np.float32(found[0]["passages_sentence_scores"])
    assert scores == pytest.approx([alone[0], alone[1], alone[0]], abs=1e-6)
    sizes = [len(GOOD) + 1, len(BAD) + 2, len(GOOD)]
    assert found[0]["passages_sentence"] == pytest.approx(np.average(scores, weights=sizes), abs=1e-5)
    assert found[0]["passages_paragraph"] is not None
    assert found[1] == {"passages_sentence_scores": [], "passages_sentence": None, "passages_paragraph": None}
    assert found[2] == dict.fromkeys(found[0])
    assert found[3]["passages_sentence"] is None


def test_equal_passages_are_equal_wherever_they_stand(folder: pathlib.Path) -> None:
    (model,) = map(str, folder.glob("*.bin"))
    found = score_passages(model, pa.array([f"{GOOD} {BAD}", f"{BAD} {GOOD}"], pa.large_string()), SENTENCE)
    assert found.scores[0] == found.scores[3]
    assert found.texts.tolist() == [0, 0, 1, 1]


def test_a_folder_without_a_classifier_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"passages: quality must be the folder of a stage that has trained, got"):
        ScorePassages(str(tmp_path)).prepare(Corpus(""), "")
