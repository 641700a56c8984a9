"""Each limit removes for its own reason; what is not measured removes nothing."""

import pyarrow as pa
import pytest

from datapipe.filters.safety_filter import FilterSafety

ROWS = [(0.5, 0.017, 0.5), (0.6, 0.5, 1.0), (0.1, 0.02, 0.9), (0.1, 0.0, 0.6), (0.0, 0.0, None)]


def removed(**options: float) -> list[str | None]:
    columns = zip(*ROWS, strict=True)
    arrays = {
        name: pa.array(values, pa.float32()) for name, values in zip(FilterSafety().requires(), columns, strict=True)
    }
    (result,) = [pa.record_batch(arrays)] | FilterSafety(**options)
    return result.column("safety_filter_reason").to_pylist()


def test_limits() -> None:
    assert removed() == [None, "flagged_words_per_line", "flagged_share", "offensive", None]
    assert removed(max_words_per_line=1.0)[1] == "flagged_share"
    assert removed(max_flagged_share=0.1)[2] == "offensive"
    assert removed(max_score=0.4)[0] == "offensive"


@pytest.mark.parametrize("options", [{"max_words_per_line": -1.0}, {"max_flagged_share": 2.0}, {"max_score": -0.1}])
def test_options_are_checked(options: dict[str, float]) -> None:
    ((field, value),) = options.items()
    with pytest.raises(ValueError, match=rf"safety_filter: {field} must .*, got {value}"):
        FilterSafety(**options)
