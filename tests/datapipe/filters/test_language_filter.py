"""The wanted languages stay, each above its own threshold."""

import pyarrow as pa
import pytest

from datapipe.filters.language_filter import FilterLanguage


def removed(rows: list[tuple[str | None, float | None, bool]], **options: object) -> list[str | None]:
    languages, scores, mixed = zip(*rows, strict=True)
    batch = pa.record_batch(
        {
            "language": pa.array(languages, pa.string()),
            "language_score": pa.array(scores, pa.float32()),
            "language_mixed": pa.array(mixed, pa.bool_()),
        }
    )
    (result,) = [batch] | FilterLanguage(**options)  # type: ignore[arg-type]
    return result.column("language_filter_reason").to_pylist()


ROWS = [("zh", 0.6, False), ("en", 0.6, True), ("fr", 0.9, False), ("und", 0.0, False), (None, None, False)]


def test_thresholds_and_languages() -> None:
    uncertain = "language_uncertain"
    assert removed(ROWS) == [None, None, None, uncertain, uncertain]
    assert removed(ROWS, min_score=0.65) == [uncertain, uncertain, None, uncertain, uncertain]
    assert removed(ROWS, thresholds={"zh": 0.692}) == [uncertain, None, None, uncertain, uncertain]
    assert removed(ROWS, keep=["zh", "en"]) == [None, None] + ["language_not_wanted"] * 3
    assert removed(ROWS, drop_mixed=True)[1] == "language_mixed"
    assert removed([("zh", 0.7, False)], min_score=0.7) == [None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 2}, "min_score must be between 0 and 1, got 2"),
        ({"thresholds": {"zh": -1}}, "thresholds.zh must be between 0 and 1, got -1"),
        ({"keep": ["en"], "thresholds": {"zh": 0.5}}, "thresholds names 'zh', which keep"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FilterLanguage(**options)  # type: ignore[arg-type]
