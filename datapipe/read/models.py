"""Models that stages ask, from wherever their files lie, each read once a process."""

import numpy as np

from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.text.fasttext_file import read_model
from datapipe.text.fasttext_model import FastTextModel
from datapipe.text.ngram_model import NgramModel, from_bytes


@made_by_content
def load_classifier(path: str) -> FastTextModel:
    """The fastText classifier of a file.

    Raises:
        ValueError: if it is none.
    """
    with files.open_input(path) as source:
        return read_model(path, np.frombuffer(source.read_buffer(), np.uint8))


@made_by_content
def load_ngram_model(path: str) -> NgramModel:
    """The n-gram model of a file that `ngram_model.to_bytes` made."""
    with files.open_input(path) as source:
        return from_bytes(source.read())
