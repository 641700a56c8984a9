"""A column of quality holds numbers, and ranks: the best first, those without any last."""

import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from datapipe.dedup.survivors import check_quality, rank_keys
from datapipe.store.corpus import Corpus


@pytest.mark.parametrize("type_", [pa.int32(), pa.float32(), pa.float64()])
def test_the_best_come_first_and_those_without_last(type_: pa.DataType) -> None:
    batch = pa.record_batch({"id": pa.array(range(4), pa.uint64()), "stars": pa.array([2, None, 5, 3], type_)})
    assert np.argsort(rank_keys(batch, "stars"), kind="stable").tolist() == [2, 3, 0, 1]
    assert rank_keys(batch, None).tolist() == rank_keys(batch, "moons").tolist() == [np.inf] * 4


def test_a_column_of_quality_holds_numbers_or_is_missed_in_a_note(
    corpus_on_disk: Callable[..., Corpus], tmp_path: pathlib.Path
) -> None:
    corpus = corpus_on_disk(["a"], score=[1], name=["a"])
    for quality, notes in ((None, 0), ("score", 0), ("absent", 1)):
        check_quality("toy", quality, corpus, str(tmp_path))
        assert (tmp_path / "_notes.json").exists() == notes
    assert "no document has a column 'absent'" in (tmp_path / "_notes.json").read_text()
    with pytest.raises(ValueError, match="toy: quality must name a column of numbers, got 'name', which holds string"):
        check_quality("toy", "name", corpus, str(tmp_path))
