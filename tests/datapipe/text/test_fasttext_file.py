"""Files that are no classifier, cut short or damaged are refused by name; what is read, predicts without a crash.

That every kind of model is read right, `test_fasttext_model.py` shows by its predictions.
"""

import pathlib
import random

import fasttext
import numpy as np
import pytest

from datapipe.text.fasttext_file import read_model
from datapipe.text.fasttext_model import FastTextModel
from tests.datapipe.text.fasttext_models import TEXTS, predictions, train_model


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of the model that has every section: a pruned dictionary, quantized vectors, norms, a tree."""
    return pathlib.Path(train_model("pruned", tmp_path_factory.mktemp("content"))).read_bytes()


def read(content: bytes, path: str = "some.bin") -> FastTextModel:
    return read_model(path, np.frombuffer(content, np.uint8))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 55, 60, 91, 100, 1000, 3000, 5000, 7000, -1])
def test_a_file_cut_short(content: bytes, size: int) -> None:
    with pytest.raises(ValueError, match=r"some\.bin is no fastText classifier: it ends too early"):
        read(content[:size])


def test_another_file() -> None:
    with pytest.raises(ValueError, match=r"some\.bin is no fastText classifier: it begins with "):
        read(b"PK\3\4" + bytes(1000))


def test_word_vectors(tmp_path: pathlib.Path) -> None:
    (tmp_path / "words.txt").write_text("alpha beta gamma\n" * 20)
    model = fasttext.train_unsupervised(str(tmp_path / "words.txt"), dim=4, minCount=1, bucket=100, thread=1, epoch=1)
    model.save_model(str(tmp_path / "vectors.bin"))
    with pytest.raises(ValueError, match=r"vectors\.bin is no fastText classifier: it holds word vectors"):
        read((tmp_path / "vectors.bin").read_bytes(), "vectors.bin")


def test_damaged_files_are_read_or_refused(content: bytes) -> None:
    chosen = random.Random(4)
    refused = []
    for _ in range(300):
        damaged = bytearray(content)
        # The header, the dictionary's, or anywhere.
        place = chosen.randrange(chosen.choice([92, 300, len(content)]))
        if 40 <= place < 44:
            continue  # the number of buckets: only memory bounds it
        damaged[place] = chosen.randrange(256)
        try:
            predictions(read(bytes(damaged)), TEXTS, 3)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert {message.partition(":")[0] for message in refused} == {"some.bin is no fastText classifier"}
