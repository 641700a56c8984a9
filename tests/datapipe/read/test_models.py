"""Models are those in their files, each read once."""

import pathlib
import shutil

import numpy as np
import pytest

from datapipe.filters.language import model_path
from datapipe.read.models import load_classifier, load_ngram_model
from datapipe.text.ngram_model import to_bytes, train


def test_a_classifier_is_read_once(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "own.ftz")
    shutil.copy(model_path(""), path)
    model = load_classifier(path)
    assert "zh" in model.labels
    assert load_classifier(path) is model
    (tmp_path / "text.bin").write_text("no model")
    with pytest.raises(ValueError, match=r"text\.bin is no fastText classifier"):
        load_classifier(str(tmp_path / "text.bin"))


def test_an_ngram_model_is_read_once(tmp_path: pathlib.Path) -> None:
    model = train(["some text to learn from"])
    path = tmp_path / "en.safetensors"
    path.write_bytes(to_bytes(model))
    read = load_ngram_model(str(path))
    for found, made in zip(read, model, strict=True):
        np.testing.assert_array_equal(found, made)
    assert load_ngram_model(str(path)) is read
    path.write_bytes(to_bytes(train(["some other text"])))
    assert load_ngram_model(str(path)) is not read
