"""Documents stay by what a column says, and one without a value goes."""

import pyarrow as pa
import pytest

from datapipe.filters.column_filter import FilterColumns


def test_values_that_are_not_wanted_go() -> None:
    batch = pa.record_batch({"license": ["MIT", "gpl-3.0", None, "mit"], "year": [1, 1, 1, 2]})
    (judged,) = [batch] | FilterColumns({"license": ["mit"], "year": ["1"]})
    reasons = judged.column("column_filter_reason").to_pylist()
    assert reasons == [None, "license_not_wanted", "license_not_wanted", "year_not_wanted"]


def test_where_no_document_has_the_column_all_go() -> None:
    batch = pa.record_batch({"license": pa.nulls(2)})
    assert FilterColumns({"license": ["mit"]}).process(batch).column(0).to_pylist() == ["license_not_wanted"] * 2


def test_nothing_to_keep_is_refused() -> None:
    with pytest.raises(ValueError, match=r"column_filter: keep"):
        FilterColumns({})
