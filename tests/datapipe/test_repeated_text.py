"""Repeated pieces of text: what a piece is, which copies go, and who is named for them."""

import re
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.characters import text_buffers
from datapipe.corpus import Part
from datapipe.repeated_text import LINE, PARAGRAPH, SENTENCE, FindRepeatedText, split
from tests.conftest import CorpusOf

WHITE = r"[ \t\n\r\x0b\x0c]"
CLOSES = "[!\"').?\\]’”。》」』】！）？]*+"
REFERENCE = {
    LINE: r"[^\n]*\n|[^\n]+",
    PARAGRAPH: rf"(?s).*?(?:\n(?=[ \t\r\x0b\x0c]*\n){WHITE}+|\Z)",
    SENTENCE: rf"(?s).*?(?:(?:\n|[。！？]{CLOSES}|[.!?]{CLOSES}(?=[ \n\t]|\Z)){WHITE}*|\Z)",
}
Span = tuple[int, int, str, int]


def found(parts: list[Part], **options: Any) -> dict[int, list[Span]]:
    """The spans of each document."""
    batches = parts | FindRepeatedText(**options)
    table = pa.Table.from_batches(batches, pa.schema([("id", pa.uint64()), *FindRepeatedText.writes]))
    rows = {row["id"]: [tuple(span.values()) for span in row["repeated_text_spans"]] for row in table.to_pylist()}
    assert len(rows) == len(table)
    return rows


@pytest.mark.parametrize("unit", REFERENCE)
@settings(deadline=None, max_examples=200)
@given(texts=st.lists(st.text("ab1中.!?。？)”\n\r\t é", max_size=25), max_size=4))
def test_pieces_are_the_whole_text(unit: int, texts: list[str]) -> None:
    data, bounds = text_buffers(pa.array(["before.\n", *texts], pa.string()).slice(1))
    documents, starts, ends = split(data, bounds, unit)
    for number, text in enumerate(texts):
        mine = documents == number
        pieces = [data[a:b].tobytes().decode() for a, b in zip(starts[mine], ends[mine], strict=True)]
        assert pieces == [piece for piece in re.findall(REFERENCE[unit], text) if piece]


def test_later_copy_of_a_line_goes(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["Header\nfirst\n", "header!\nsecond", "third\nHEADER"], rows_per_part=2)
    assert found(parts, keep_copies={"line": 1}) == {
        1: [(0, 8, "line", 0)],
        1 << 32: [(6, 12, "line", 0)],
    }


@pytest.mark.parametrize(
    ("unit", "spans"),
    [
        ("line", [(0, 11, "line", 0)]),
        ("sentence", [(0, 7, "sentence", 0), (7, 11, "sentence", 0)]),
        ("paragraph", []),
        ("span", []),
    ],
)
def test_units_cut_the_text_up_differently(corpus_of: CorpusOf, unit: str, spans: list[Span]) -> None:
    parts = corpus_of(["One a. Two.\nThree.", "One a. Two\nFour."])
    assert found(parts, keep_copies={unit: 1}).get(1, []) == spans


def test_paragraphs_end_at_an_empty_line(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["a\nb\n\nc", "x\n\na\nb\n \nd"])
    assert found(parts, keep_copies={"paragraph": 1}) == {1: [(3, 9, "paragraph", 0)]}


def test_spans_are_sentences_in_a_row(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["甲一。乙二。丙三。丁四。", "新的。甲一。乙二。丙三。丁四。旧的。", "乙二。丙三。"])
    assert found(parts, keep_copies={"span": 1}) == {1: [(9, 45, "span", 0)]}
    assert found(parts, keep_copies={"span": 1}, span_sentences=2)[2] == [(0, 18, "span", 0)]


def test_windows_are_tokens_in_a_row(corpus_of: CorpusOf) -> None:
    words = [f"word{number}" for number in range(60)]
    shared = " ".join(words)
    parts = corpus_of([f"intro {shared} end", f"other, {shared.upper()}; else", " ".join(words[:49])])
    assert found(parts, keep_copies={"window": 1}) == {1: [(7, 7 + len(shared), "window", 0)]}
    shorter = found(parts, keep_copies={"window": 1}, window_tokens=49)
    assert shorter[2] == [(0, len(" ".join(words[:49])), "window", 0)]


def test_a_run_of_one_token_keeps_its_first_window(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["啊" * 100])
    assert found(parts, keep_copies={"window": 1}, window_tokens=10) == {0: [(30, 300, "window", 0)]}


def test_copies_within_a_document_go_too(corpus_of: CorpusOf) -> None:
    assert found(corpus_of(["x\ny\nx\nx"]), keep_copies={"line": 2}) == {0: [(6, 7, "line", 0)]}


def test_keep_copies_by_unit(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["Same line."] * 3)
    assert set(found(parts, keep_copies={"line": 2, "sentence": 1})) == {1, 2}
    assert found(parts, keep_copies={"line": 2, "sentence": 1})[1] == [(0, 10, "sentence", 0)]
    assert found(parts, keep_copies={"line": 2})[2] == [(0, 10, "line", 0)]


def test_normalise_and_min_characters(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["Page 12\n}", "page 13\n}"])
    assert set(found(parts, keep_copies={"line": 1})) == {1}
    assert found(parts, keep_copies={"line": 1}, normalise="whitespace") == {1: [(8, 9, "line", 0)]}
    assert found(parts, keep_copies={"line": 1}, min_characters=8) == {}


def test_groups_of_parts_do_not_meet(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["same"] * 4, rows_per_part=1)
    assert set(found(parts, keep_copies={"line": 1})) == {1 << 32, 2 << 32, 3 << 32}
    assert set(found(parts, keep_copies={"line": 1}, parts_per_group=2)) == {1 << 32, 3 << 32}


def test_number_of_partitions_changes_nothing(corpus_of: CorpusOf) -> None:
    parts = corpus_of([f"a{number % 7}\nb{number % 3}\nb{number % 3}" for number in range(60)], rows_per_part=11)
    options = {"keep_copies": {"line": 2, "window": 1}, "normalise": "whitespace", "window_tokens": 2}
    assert found(parts, **options, partitions=1) == found(parts, **options, partitions=5)


def test_null_and_empty_text(corpus_of: CorpusOf) -> None:
    options = {"keep_copies": dict.fromkeys(["line", "paragraph", "sentence", "span", "window"], 1)}
    assert found(corpus_of([None, "", "\n\n", "。。", " "]), **options) == {}


def test_hundred_thousand_copies_of_a_line(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["same\nline\n" * 50] * 1000)
    start = time.process_time()
    spans = found(parts, keep_copies={"line": 1})
    assert sum(map(len, spans.values())) == 100_000 - 2
    assert time.process_time() - start < 10


def test_agrees_with_a_plain_count(corpus_of: CorpusOf) -> None:
    random = np.random.default_rng(3)
    texts = ["\n".join(f"line{number}" for number in random.integers(0, 40, 5)) for _ in range(30)]
    seen: dict[str, int] = {}
    expected: dict[int, list[Span]] = {}
    for row, text in enumerate(texts):
        at = 0
        for line in text.split("\n"):
            end = min(at + len(line) + 1, len(text))
            if line in seen:
                expected.setdefault(row, []).append((at, end, "line", seen[line]))
            seen.setdefault(line, row)
            at = end
    assert found(corpus_of(texts), keep_copies={"line": 1}, normalise="whitespace") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_copies": {}}, "keep_copies must name at least one"),
        ({"keep_copies": {"page": 1}}, "got 'page': 1"),
        ({"keep_copies": {"line": 0}}, "got 'line': 0"),
        ({"normalise": "none"}, "normalise must be one of .*, got 'none'"),
        ({"window_tokens": 0}, "window_tokens must be at least 1, got 0"),
        ({"parts_per_group": -1}, "parts_per_group must be at least 0, got -1"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FindRepeatedText(**options)
