"""One document as kernels read it: its code points, and its lines as Python splits them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text import spans
from datapipe.text.spans import (
    CLOSING,
    TERMINAL,
    WIDE_TERMINAL,
    Text,
    new_text,
    sentence_marks,
)
from tests.helpers import compiled

read_text = compiled(spans.read_text)
split_as_python = compiled(spans.split_as_python)
split_at_breaks = compiled(spans.split_at_breaks)
strip = compiled(spans.strip)

TEXTS = st.text(st.sampled_from("a 中。\n\r\t\x0b\x1c\x85\u2028"), max_size=40)


def read(text: str) -> tuple[Text, int]:
    t = new_text(max(1, len(text)), sentence_marks())
    data = np.frombuffer(text.encode(), np.uint8)
    return t, read_text(t, data, 0, len(data))


def pieces(t: Text, number: int) -> list[str]:
    return ["".join(map(chr, t.points[t.starts[i] : t.ends[i]])) for i in range(number)]


@settings(max_examples=300)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_code_points_are_pythons(text: str) -> None:
    t, length = read(text)
    assert "".join(map(chr, t.points[:length])) == text


@settings(max_examples=300)
@given(text=TEXTS)
def test_lines_are_those_of_splitlines(text: str) -> None:
    t, length = read(text)
    assert pieces(t, split_as_python(t, length)) == text.splitlines()


@settings(max_examples=300)
@given(text=TEXTS)
def test_strip_is_pythons(text: str) -> None:
    t, length = read(text)
    start, end = strip(t, 0, length)
    assert text[start:end] == text.strip()


@pytest.mark.parametrize(
    ("least", "most", "expected"), [(1, 1, ["a", "b", "", "c"]), (2, 2, ["a\nb", "c"]), (1, 9, ["a", "b", "c"])]
)
def test_breaks_are_runs_of_line_feeds(least: int, most: int, expected: list[str]) -> None:
    t, length = read("a\nb\n\nc")
    assert pieces(t, split_at_breaks(t, 0, length, least, most)) == expected


def test_what_ends_a_sentence() -> None:
    marks = sentence_marks()
    assert all(marks[ord(mark)] & TERMINAL for mark in ".?!。？！…")
    assert all(marks[ord(mark)] & WIDE_TERMINAL for mark in "。？！…")
    assert not marks[ord(".")] & WIDE_TERMINAL
    assert all(marks[ord(mark)] & CLOSING for mark in "\"'」）")
    assert marks[ord("a")] == 0
