"""Listed words and the classifier score documents as stated."""

import pathlib

import pyarrow as pa
import pytest

from datapipe.filters.quality_training import train_fasttext
from datapipe.filters.safety import SCHEMA, ScoreSafety


def test_stage(tmp_path: pathlib.Path) -> None:
    (tmp_path / "words.txt").write_text("bad\n赌博\n", encoding="utf-8")
    stage = ScoreSafety([str(tmp_path / "words.txt")])
    assert stage.skip_reason() is None
    batch = pa.record_batch({"text": ["bad one\nfine\n", None, "网上赌博"]})
    (result,) = [batch] | stage
    assert result.select(SCHEMA.names).to_pylist() == [
        dict(zip(SCHEMA.names, values, strict=True))
        for values in [(1, 0.5, pytest.approx(0.3), None), (0, 0, 0, None), (1, 1, 0.5, None)]
    ]


def test_classifier(tmp_path: pathlib.Path) -> None:
    (tmp_path / "train.txt").write_text("__label__toxic awful words\n__label__fine kind words\n" * 50)
    path = str(tmp_path / "own.bin")
    train_fasttext(str(tmp_path / "train.txt"), dim=10, bucket=1 << 10, wordNgrams=2, epoch=50, lr=0.5).save_model(path)
    batch = pa.record_batch({"text": ["awful", "kind"]})
    toxic = ScoreSafety(model=path).process(batch).column("safety_score").to_pylist()
    fine = ScoreSafety(model=path, bad_label="fine").process(batch).column("safety_score").to_pylist()
    assert toxic[0] > 0.9 > 0.1 > toxic[1]
    assert fine[1] > 0.9


def test_missing() -> None:
    assert ScoreSafety().skip_reason() == "no word lists and no model given"
    assert ScoreSafety(["no.txt"]).skip_reason() == "no such file: no.txt"
    with pytest.raises(ValueError, match=r"words must be a list, got 'a\.txt'"):
        ScoreSafety("a.txt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"safety: model .* is another file: expected SHA-256 0, found"):
        ScoreSafety(model=__file__, model_sha256="0")
