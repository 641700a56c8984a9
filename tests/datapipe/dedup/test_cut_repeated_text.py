"""Cutting spans: what stays, what it counts, and which documents go."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.dedup.cut_repeated_text import CutRepeatedText, without
from datapipe.dedup.repeated_text import FindRepeatedText

TYPE = FindRepeatedText.writes.field("repeated_text_spans").type
Spans = list[tuple[int, int, str]]


def cut(texts: Sequence[str | None], spans: Sequence[Spans | None], **options: Any) -> list[tuple]:
    values = [
        None if row is None else [{"start": a, "end": b, "unit": unit, "of": 0} for a, b, unit in row] for row in spans
    ]
    batch = pa.record_batch([pa.array(texts), pa.array(values, TYPE)], CutRepeatedText().requires())
    new = CutRepeatedText(**options).process(batch)
    assert new.schema == CutRepeatedText.writes
    rows = new.to_pylist()
    for before, row in zip(texts, rows, strict=True):
        assert row.pop("cut_repeated_text_cut_bytes") == len((before or "").encode()) - len(
            (row["text"] or "").encode()
        )
    return [tuple(row.values()) for row in rows]


@given(st.binary(max_size=20), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=5))
def test_without_drops_every_covered_byte(text: bytes, ends: list[tuple[int, int]]) -> None:
    spans = [(min(pair), max(pair)) for pair in ends]
    kept = bytes(byte for at, byte in enumerate(text) if not any(a <= at < b for a, b in spans))
    assert without(text, spans) == (kept.strip() if spans else text)


def test_spans_go_and_are_counted_in_characters() -> None:
    assert cut(["一。二。三。", " as it was ", None], [[(6, 12, "line")], None, None]) == [
        ("一。三。", 2, None),
        (" as it was ", 0, None),
        (None, 0, None),
    ]


def test_document_with_too_little_left_is_removed_whole() -> None:
    texts, spans = ["abc\ndef\n", "gone", "short"], [[(0, 4, "line")], [(0, 4, "line")], None]
    assert cut(texts, spans) == [("def", 5, None), ("gone", 4, "too_little_left"), ("short", 0, None)]
    assert [row[2] for row in cut(texts, spans, min_characters=6)] == ["too_little_left", "too_little_left", None]


def test_a_short_document_that_loses_nothing_stays() -> None:
    assert cut(["ab"], [[(0, 1, "line")]], units=["window"], min_characters=5) == [("ab", 0, None)]


def test_documents_that_are_mostly_repeated_go_and_others_keep_their_texts() -> None:
    texts = ["0123456789", "0123456789", "0123456789", "abc"]
    spans = [[(0, 9, "window")], [(0, 5, "window"), (5, 10, "window")], [(1, 3, "window")], None]
    assert [row[2] for row in cut(texts, spans, max_share=0.9)] == [None, "mostly_repeated", None, None]
    assert cut(texts, spans, max_share=0.9, cut=False, min_characters=9) == [
        ("0123456789", 0, None),
        ("0123456789", 10, "mostly_repeated"),
        ("0123456789", 0, None),
        ("abc", 0, None),
    ]


def test_units_choose_which_spans_go() -> None:
    texts, spans = ["a b c "], [[(0, 2, "line"), (4, 6, "window")]]
    assert cut(texts, spans)[0][0] == "b"
    assert cut(texts, spans, units=["window"])[0][0] == "a b"
    assert cut(texts, spans, units=["span"])[0] == ("a b c ", 0, None)


def test_works_on_batches_in_a_list() -> None:
    batch = pa.record_batch([pa.array(["ab"]), pa.array([None], TYPE)], CutRepeatedText().requires())
    (result,) = [batch] | CutRepeatedText()
    assert result.column("text").to_pylist() == ["ab"]


def test_min_characters_must_be_positive() -> None:
    with pytest.raises(ValueError, match="min_characters must be at least 1, got 0"):
        CutRepeatedText(min_characters=0)
