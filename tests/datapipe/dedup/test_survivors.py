"""Who survives: ascending rank keys put the best first, and a column of quality holds numbers."""

import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from datapipe.dedup.survivors import check_quality, rank_keys
from datapipe.store.corpus import Corpus


@pytest.mark.parametrize("data_type", [pa.int8(), pa.float16(), pa.float64()])
def test_the_best_comes_first_and_what_has_no_quality_last(data_type: pa.DataType) -> None:
    batch = pa.record_batch({"score": pa.array([2, None, 3, -1], pa.float64()).cast(data_type)})
    assert np.argsort(rank_keys(batch, "score"), kind="stable").tolist() == [2, 0, 3, 1]


def test_nan_is_no_quality() -> None:
    assert rank_keys(pa.record_batch({"score": [float("nan"), 1.0]}), "score").tolist() == [np.inf, -1]


@pytest.mark.parametrize("quality", [None, "absent"])
def test_without_quality_all_rank_alike(quality: str | None) -> None:
    assert rank_keys(pa.record_batch({"score": [2, 3]}), quality).tolist() == [np.inf, np.inf]


def test_a_column_of_quality_holds_numbers_or_is_missed_in_a_note(
    corpus_on_disk: Callable[..., Corpus], tmp_path: pathlib.Path
) -> None:
    corpus = corpus_on_disk(["a"], score=[1], name=["a"])
    for quality, notes in ((None, 0), ("score", 0), ("absent", 1)):
        check_quality("toy", quality, corpus, str(tmp_path))
        assert (tmp_path / "notes.json").exists() == notes
    assert "no document has a column 'absent'" in (tmp_path / "notes.json").read_text()
    with pytest.raises(ValueError, match="toy: quality must name a column of numbers, got 'name', which holds string"):
        check_quality("toy", "name", corpus, str(tmp_path))
