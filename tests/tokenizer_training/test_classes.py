import json
import pathlib

import numpy as np
import pytest

from tokenizer_training import classes
from tokenizer_training.algorithms import ALGORITHMS, AlgorithmName


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_file_holds_what_the_engine_says(name: AlgorithmName) -> None:
    np.testing.assert_array_equal(classes.class_table(name), classes.ask(name))


def test_another_version_of_the_engine_is_asked(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = json.loads(classes.FILE.read_bytes())
    other = tmp_path / "classes.json"
    other.write_text(json.dumps(stored | {"tokenizers": "0.0.1", "byte_level": [[0, classes.OTHER]]}))
    monkeypatch.setattr(classes, "FILE", other)
    assert classes.class_table.__wrapped__("byte_level")[ord("a")] == classes.LETTER
