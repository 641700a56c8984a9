"""An option of the wrong type or out of its range is an error that says where, what it must be, and what it is."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le, Len, Lt, MinLen

from datapipe.checks import Count, Language, PositiveShare, Share, check_known, check_value


@pytest.mark.parametrize(
    ("hint", "good", "bad", "message"),
    [
        (int, 1, "many", "must be a whole number, got 'many'"),
        (int, -1, True, "must be a whole number, got True"),
        (int, 0, 1.5, "must be a whole number, got 1.5"),
        (float, 1, "1", "must be a number, got '1'"),
        (float, 0.5, float("nan"), "must be a finite number, got nan"),
        (bool, False, 1, "must be true or false, got 1"),
        (str, "", 5, "must be a string, got 5"),
        (str | None, None, 5, "must be a string, got 5"),
        (list[str], ["a"], "a", "must be a list, got 'a'"),
        (list[str], [], ["a", 5], r"\[1\] must be a string, got 5"),
        (dict[str, float], {"zh": 1}, {"zh": "much"}, r"\.zh must be a number, got 'much'"),
        (dict[str, Share], {"zh": 1.0}, {"zh": 2}, r"\.zh must be between 0 and 1, got 2"),
        (
            dict[str, dict[str, float | None]],
            {"a": {"b": None}},
            {"a": {"b": "c"}},
            r"\.a\.b must be a number, got 'c'",
        ),
        (str | list[str], ["a"], 5, "must be a string or a list, got 5"),
        (Count, 1, 0, "must be at least 1, got 0"),
        (Count | None, None, 0, "must be at least 1, got 0"),
        (PositiveShare, 1.0, 0.0, "must be above 0 and at most 1, got 0.0"),
        (Annotated[float, Ge(0), Lt(1)], 0.0, 1.0, "must be at least 0 and below 1, got 1.0"),
        (Annotated[int, Ge(1 << 10), Le(1 << 20)], 1024, 5, "must be between 1024 and 1048576, got 5"),
        (Literal["a", "b"], "a", "c", "must be one of 'a', 'b', got 'c'"),
        (list[Literal["a", "b"]], ["b"], ["c"], r"\[0\] must be one of 'a', 'b', got 'c'"),
        (Annotated[list[str], MinLen(1)], ["a"], [], "must have at least 1 item, got \\[\\]"),
        (Annotated[list[int], Len(2, 2)], [1, 2], [1], "must have at least 2 items, got"),
        (Language, "zh", "english", "must be a language code of ISO 639, 'code' or 'und', got 'english'"),
        (Language, "yue", "eng", "must be 'en', which is what documents in that language bear, got 'eng'"),
        (Language, "sh", "zh-CN", "must be 'zh', .*, got 'zh-CN'"),
        (Language, "tl", "En", "must be 'en', .*, got 'En'"),
        (dict[Language, float], {"eml": 1.0}, {"zz": 1.0}, r"\.zz must be a language code of ISO 639, .*, got 'zz'"),
    ],
)
def test_values_are_what_their_type_says(hint: Any, good: Any, bad: Any, message: str) -> None:
    check_value("stage: option", hint, good)
    with pytest.raises(
        ValueError, match=f"^stage: option{message}" if message[0] == "\\" else f"^stage: option {message}"
    ):
        check_value("stage: option", hint, bad)


def test_an_unknown_name_comes_with_the_nearest() -> None:
    check_known("unknown rule", "min", ["min", "max"])
    with pytest.raises(ValueError, match=r"unknown rule 'mix'; did you mean 'm..'\?"):
        check_known("unknown rule", "mix", ["min", "max"])
    with pytest.raises(ValueError, match="unknown rule 'x'; known are min, max"):
        check_known("unknown rule", "x", ["min", "max"])
