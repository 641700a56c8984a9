"""Repeated pieces of text: what a piece is, which copies go, and who is named for them."""

import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.dedup.pieces import Pieces
from datapipe.dedup.repeated_text import CUT, KEY_COUNT, FindRepeatedText, frequent, merged, repeated, spans
from datapipe.store.corpus import Corpus, Part
from tests.helpers import CorpusOf, at_most, verdicts

Span = tuple[int, int, str, int]


def found(parts: list[Part], **options: Any) -> dict[int, list[Span]]:
    """The spans of each document."""
    rows = verdicts(parts, FindRepeatedText(**options))
    return {row: [tuple(span.values()) for span in verdict.spans] for row, verdict in rows.items()}


def test_later_copy_of_a_line_goes(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["Header\nfirst\n", "header!\nsecond", "third\nHEADER"], rows_per_part=2)
    assert found(parts, keep_copies={"line": 1}) == {
        1: [(0, 8, "line", 0)],
        1 << 32: [(6, 12, "line", 0)],
    }


def test_of_what_is_repeated_no_copy_stays_where_the_first_does_not(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["Header\nfirst\n", "header!\nsecond", "third\nHEADER"], rows_per_part=2)
    assert found(parts, keep_copies={"line": 1}, keep_first=False) == {
        0: [(0, 7, "line", 0)],
        1: [(0, 8, "line", 0)],
        1 << 32: [(6, 12, "line", 0)],
    }
    assert found(parts, keep_copies={"line": 3}, keep_first=False) == {}


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("line", [(0, 11, "line", 0)]),
        ("sentence", [(0, 7, "sentence", 0), (7, 11, "sentence", 0)]),
        ("paragraph", []),
        ("span", []),
    ],
)
def test_units_cut_the_text_up_differently(corpus_of: CorpusOf, unit: str, expected: list[Span]) -> None:
    parts = corpus_of(["One a. Two.\nThree.", "One a. Two\nFour."])
    assert found(parts, keep_copies={unit: 1}).get(1, []) == expected


def test_paragraphs_end_at_an_empty_line(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["a\nb\n\nc", "x\n\na\nb\n \nd"])
    assert found(parts, keep_copies={"paragraph": 1}) == {1: [(3, 9, "paragraph", 0)]}


def test_spans_are_sentences_in_a_row(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["甲一。乙二。丙三。丁四。", "新的。甲一。乙二。丙三。丁四。旧的。", "乙二。丙三。"])
    assert found(parts, keep_copies={"span": 1}) == {1: [(9, 45, "span", 0)]}
    assert found(parts, keep_copies={"span": 1}, span_sentences=2)[2] == [(0, 18, "span", 0)]


def test_spans_end_with_their_document(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["甲一。乙二。", "丙三。丁四。", "甲一。乙二。", "丙三。丁四。"])
    assert found(parts, keep_copies={"span": 1}) == {}


def test_windows_are_tokens_in_a_row(corpus_of: CorpusOf) -> None:
    words = [f"word{number}" for number in range(60)]
    shared = " ".join(words)
    parts = corpus_of([f"intro {shared} end", f"other, {shared.upper()}; else", " ".join(words[:49])])
    assert found(parts, keep_copies={"window": 1}) == {1: [(7, 7 + len(shared), "window", 0)]}
    shorter = found(parts, keep_copies={"window": 1}, window_tokens=49)
    assert shorter[2] == [(0, len(" ".join(words[:49])), "window", 0)]


def every_window(texts: list[str], size: int, keep: int) -> dict[int, list[Span]]:
    """Spans from a plain table of all windows of words."""
    copies: dict[tuple[str, ...], list[tuple[int, int, int]]] = {}
    for row, text in enumerate(texts):
        words = [(*match.span(), match.group().lower().decode()) for match in re.finditer(rb"[^ ,]+", text.encode())]
        for at in range(len(words) - size + 1):
            window = words[at : at + size]
            place = row, window[0][0], window[-1][1]
            copies.setdefault(tuple(word for _, _, word in window), []).append(place)
    cuts = []
    for places in copies.values():
        last = places[:keep][-1]
        cuts += [(*place, places[0][0]) for place in places[keep:] if place[0] != last[0] or place[1] >= last[2]]
    expected: dict[int, list[Span]] = {}
    for row, start, end, of in sorted(cuts):
        mine = expected.setdefault(row, [])
        if mine and start < mine[-1][1]:
            mine[-1] = (mine[-1][0], end, "window", mine[-1][3])
        else:
            mine.append((start, end, "window", of))
    return expected


WORDS = st.lists(st.sampled_from(["a", "b", "Bb", "中"]), max_size=30).map(" ".join)


@settings(max_examples=200)
@given(st.lists(WORDS, min_size=1, max_size=5), st.integers(1, 7), st.integers(1, 3))
def test_windows_agree_with_a_table_of_all(texts: list[str], size: int, keep: int) -> None:
    stage = FindRepeatedText(keep_copies={"window": keep}, window_tokens=size)
    looks = Pieces(("window",), "ccnet", 1, 3, size, np.uint64(0))
    batches = [pa.record_batch({"id": np.array([row], np.uint64), "text": [text]}) for row, text in enumerate(texts)]
    sightings = []
    for part, batch in enumerate(batches):
        keys, counts = np.unique(looks.keys(batch), return_counts=True)
        sightings += [(key, part, count) for key, count in zip(keys.tolist(), counts.tolist(), strict=True)]
    told = frequent(np.array(sorted(sightings), KEY_COUNT), stage.keep_copies)
    places = [
        found for part, batch in enumerate(batches) for found in looks.find(batch, told["key"][told["part"] == part])
    ]
    cuts = repeated(np.concatenate(places), stage.keep_copies)
    rows = spans(np.sort(cuts)).to_pylist()
    got = {row["id"]: [tuple(span.values()) for span in row["repeated_text_spans"]] for row in rows}
    assert got == every_window(texts, size, keep)


CUTS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 20), st.integers(1, 9)), max_size=12)


@given(CUTS)
def test_merged_spans_cover_the_same_bytes(rows: list[tuple[int, int, int, int]]) -> None:
    rows = sorted({row[:3]: row for row in rows}.values())
    cuts = np.array([(row, unit, start, start + size, 9 + at) for at, (row, unit, start, size) in enumerate(rows)], CUT)
    covered = {(row, unit, byte) for row, unit, start, size in rows for byte in range(start, start + size)}
    spans = merged(cuts).tolist()
    assert {(row, unit, byte) for row, unit, start, end, _ in spans for byte in range(start, end)} == covered
    assert sum(end - start for _, _, start, end, _ in spans) == len(covered)
    assert {(row, unit, start): of for row, unit, start, _, of in spans}.items() <= {
        (row, unit, start): 9 + at for at, (row, unit, start, _) in enumerate(rows)
    }.items()


def test_windows_of_fifty_over_parts(corpus_of: CorpusOf) -> None:
    random = np.random.default_rng(4)
    words = [f"word{number}" for number in range(500)]
    shared = random.choice(words, 3000)
    texts = []
    for _ in range(60):
        text = random.choice(words, 150).tolist()
        for length in random.integers(30, 90, 2):
            at, into = random.integers(0, 3000 - length), random.integers(0, len(text))
            text[into:into] = shared[at : at + length].tolist()
        texts.append(", ".join(text))
    expected = every_window(texts, 50, 1)
    assert 10 < len(expected) < 60
    assert found(corpus_of(texts, rows_per_part=60), keep_copies={"window": 1}) == expected
    many = corpus_of(texts, rows_per_part=7, kind="many")
    row = {place // 7 << 32 | place % 7: place for place in range(60)}
    got = found(many, keep_copies={"window": 1}, partitions=3)
    assert {row[key]: [(*span[:3], row[span[3]]) for span in got[key]] for key in got} == expected


def test_a_run_of_one_token_keeps_its_first_window(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["啊" * 100])
    assert found(parts, keep_copies={"window": 1}, window_tokens=10) == {0: [(30, 300, "window", 0)]}


NUMBERED = [f"word{number}" for number in range(400)]
WHOLE, PART, OTHER = (" ".join(NUMBERED[start:stop]) for start, stop in ((0, 300), (50, 200), (300, 400)))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 0, 3), (3, 1, 2, 0), (2, 3, 1, 0)])
def test_what_stands_in_a_longer_text_goes_in_whatever_order(order: tuple[int, ...], corpus_of: CorpusOf) -> None:
    texts = [(WHOLE, PART, OTHER, PART)[place] for place in order]
    lost = found(corpus_of(texts, rows_per_part=1), keep_copies={"window": 1}, keep="longest", window_tokens=10)
    longest = texts.index(WHOLE) << 32
    contained = [number << 32 for number, text in enumerate(texts) if text == PART]
    assert lost == {number: [(0, len(PART), "window", longest)] for number in contained}


def test_of_two_that_are_equally_long_the_later_one_goes(corpus_of: CorpusOf) -> None:
    parts = corpus_of([PART, OTHER, PART], rows_per_part=1)
    assert list(found(parts, keep_copies={"window": 1}, keep="longest", window_tokens=10)) == [2 << 32]


def test_the_first_copy_stays_though_another_text_is_longer(corpus_of: CorpusOf) -> None:
    parts = corpus_of([PART, WHOLE], rows_per_part=1)
    assert list(found(parts, keep_copies={"window": 1}, window_tokens=10)) == [1 << 32]


def test_copies_within_a_document_go_too(corpus_of: CorpusOf) -> None:
    assert found(corpus_of(["x\ny\nx\nx"]), keep_copies={"line": 2}) == {0: [(6, 7, "line", 0)]}


def test_keep_copies_by_unit(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["Same line."] * 3)
    assert set(found(parts, keep_copies={"line": 2, "sentence": 1})) == {1, 2}
    assert found(parts, keep_copies={"line": 2, "sentence": 1})[1] == [(0, 10, "sentence", 0)]
    assert found(parts, keep_copies={"line": 2})[2] == [(0, 10, "line", 0)]


def test_normalization_and_min_characters(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["Page 12\n}", "page 13\n}"])
    assert set(found(parts, keep_copies={"line": 1})) == {1}
    assert found(parts, keep_copies={"line": 1}, normalization="whitespace") == {1: [(8, 9, "line", 0)]}
    assert found(parts, keep_copies={"line": 1}, min_characters=8) == {}


def test_groups_of_parts_do_not_meet(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["same"] * 4, rows_per_part=1)
    assert set(found(parts, keep_copies={"line": 1})) == {1 << 32, 2 << 32, 3 << 32}
    assert set(found(parts, keep_copies={"line": 1}, parts_per_group=2)) == {1 << 32, 3 << 32}


def test_number_of_partitions_changes_nothing(corpus_of: CorpusOf) -> None:
    parts = corpus_of([f"a{number % 7}\nb{number % 3}\nb{number % 3}" for number in range(60)], rows_per_part=11)
    options = {"keep_copies": {"line": 2, "window": 1}, "normalization": "whitespace", "window_tokens": 2}
    assert found(parts, **options, partitions=1) == found(parts, **options, partitions=5)


def test_pieces_wait_in_files_that_go(corpus_on_disk: Callable[..., Corpus], tmp_path: pathlib.Path) -> None:
    corpus = corpus_on_disk([f"a{number % 7}\nb{number % 3}" for number in range(60)], rows_per_part=11)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "left over").touch()
    stage = FindRepeatedText(keep_copies={"line": 1}, normalization="whitespace")
    batches = list(corpus.parts) | stage.prepare(corpus, str(tmp_path))
    rows = pa.Table.from_batches(batches).to_pylist()
    got = {row["id"]: [tuple(span.values()) for span in row["repeated_text_spans"]] for row in rows}
    assert got == found(list(corpus.parts), keep_copies={"line": 1}, normalization="whitespace")
    assert [str(tmp_path / "scratch")] == list(stage.leftovers(str(tmp_path)))
    assert {path.name for path in tmp_path.iterdir()} == {"corpus", "scratch"}


def test_null_and_empty_text(corpus_of: CorpusOf) -> None:
    options = {"keep_copies": dict.fromkeys(["line", "paragraph", "sentence", "span", "window"], 1)}
    assert found(corpus_of([None, "", "\n\n", "。。", " "]), **options) == {}


def test_hundred_thousand_copies_of_a_line(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["same\nline\n" * 50] * 1000)
    with at_most(seconds=10):
        assert sum(map(len, found(parts, keep_copies={"line": 1}).values())) == 100_000 - 2


@pytest.mark.parametrize(
    ("texts", "spans"),
    [
        ([" ".join(f"word{number}" for number in range(60))] * 20_000, 19_999),
        (["word " * 40] * 20_000, 0),
        (["啊" * 1_000_000], 1),
        (["a"] * 20_000, 0),
        ([""] * 20_000, 0),
    ],
    ids=["identical", "too short", "one character", "letters", "empty"],
)
def test_windows_of_hostile_corpora(texts: list[str | None], spans: int, corpus_of: CorpusOf) -> None:
    parts = corpus_of(texts, rows_per_part=5000)
    with at_most(seconds=10):
        assert sum(map(len, found(parts, keep_copies={"window": 1}).values())) == spans


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
    assert found(corpus_of(texts), keep_copies={"line": 1}, normalization="whitespace") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_copies": {}}, "keep_copies must have at least 1 item"),
        ({"keep_copies": {"page": 1}}, "keep_copies.page must be one of .*, got 'page'"),
        ({"keep_copies": {"line": 0}}, "keep_copies.line must be at least 1, got 0"),
        ({"normalization": "none"}, "normalization must be one of .*, got 'none'"),
        ({"window_tokens": 0}, "window_tokens must be at least 1, got 0"),
        ({"parts_per_group": -1}, "parts_per_group must be at least 0, got -1"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FindRepeatedText(**options)
