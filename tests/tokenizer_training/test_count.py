"""Counts of pre-tokens survive workers, partitions and sampling."""

import dataclasses
import pathlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.store import files
from datapipe.store.corpus import Part
from tests.helpers import CorpusOf
from tests.tokenizer_training.samples import SPLIT_TEXTS, pretokens
from tokenizer_training import count
from tokenizer_training.algorithms import ALGORITHMS, Algorithm
from tokenizer_training.count import (
    GROUPED,
    SCHEMA,
    UNIT,
    CountPretokens,
    count_pretokens,
    hash_words,
    once,
    read_counts,
    read_totals,
    sample_rare,
    split_digits,
    summed,
    weighted,
)
from tokenizer_training.options import TrainingOptions


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
@settings(max_examples=50)
@given(texts=st.lists(st.none() | SPLIT_TEXTS, max_size=20))
def test_counts_equal_a_counter(algorithm: Algorithm, texts: list[str | None]) -> None:
    sliced = pa.array(["out of the slice", *texts], pa.string()).slice(1)
    table = count_pretokens([sliced, pa.array(texts, pa.large_string())], algorithm)
    expected = Counter(piece for text in texts * 2 if text for piece in pretokens(text, algorithm))
    assert as_counter(table) == expected


def test_texts_count_as_often_as_their_weight() -> None:
    weighted = (pa.array(["one two", "two", "three"]), pa.array([3, None, 0], pa.int32()))
    table = count_pretokens([weighted, pa.array(["two"])], ALGORITHMS["byte_fallback"])
    assert table.to_pydict() == {"word": ["one", " two", "two", "three"], "count": [3, 3, 2, 0]}


def test_the_table_of_words_grows() -> None:
    text = " ".join(f"{chr(0x4E00 + i % 5000)}{chr(0x5E00 + i // 5000)}" for i in range(100_000)) * 2
    table = count_pretokens([pa.array([text])], ALGORITHMS["byte_level"])
    counts = Counter(pretokens(text, ALGORITHMS["byte_level"]))
    assert as_counter(table) == counts


def run(parts: list[Part], folder: pathlib.Path, threshold: int) -> pa.Table:
    options = TrainingOptions(algorithm="byte_level", sample_threshold=threshold)
    paths = parts | CountPretokens(options, str(folder))
    return read_counts(paths)


def as_counter(table: pa.Table) -> Counter[str]:
    return Counter(dict(zip(table.column("word").to_pylist(), table.column("count").to_pylist(), strict=True)))


def test_counts_of_parts_are_summed(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    texts = ["one two", "two three", None, "three three 中文"]
    table = run(corpus_of(texts, rows_per_part=1), tmp_path / "tokenizer", 10)
    expected = Counter(piece for text in texts if text for piece in pretokens(text, ALGORITHMS["byte_level"]))
    assert as_counter(table) == expected


def test_totals_by_row_groups_are_those_of_all_counts(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    texts = [f"word{row % 7} {row} other{row % 11}" for row in range(60)]
    parts = corpus_of(texts, rows_per_part=5, source=["a", "b", "c"] * 20)
    paths = parts | CountPretokens(TrainingOptions(algorithm="byte_level", sample_threshold=1), str(tmp_path))
    assert len(paths) > 1
    assert read_totals(paths).combine_chunks().equals(weighted(read_counts(paths), once)[0].combine_chunks())
    assert read_totals([]).equals(SCHEMA.empty_table())


@pytest.mark.parametrize("parts", [1, 16, 17, 100])
def test_opens_grow_as_parts_and_change_nothing(
    parts: int, corpus_of: CorpusOf, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = corpus_of([f"one two{number % 7} three{number} 中文" for number in range(parts)], rows_per_part=1)
    opened: list[str] = []
    once = files.open_input

    def open_input(path: str) -> pa.NativeFile:
        opened.append(path)
        return once(path)

    monkeypatch.setattr(files, "open_input", open_input)
    few = run(corpus, tmp_path / "few", 1)
    assert len([path for path in opened if "/spill/" in path]) <= 8 * parts
    assert len(list((tmp_path / "few" / "counts").iterdir())) <= max(1, parts // 2)
    monkeypatch.setattr(count, "FILES_ADDED_UP", 1000)
    assert run(corpus, tmp_path / "all", 1).equals(few)


def test_rows_come_in_the_order_in_which_keys_first_occur() -> None:
    rng = np.random.default_rng(0)
    words, groups, numbers = rng.integers(0, 900, 5000), rng.integers(0, 7, 5000), rng.integers(1, 1 << 54, 5000)
    table = pa.table([list(map(str, words)), groups, numbers], names=["word", "group", "count"])
    expected: dict[tuple[str, int], int] = {}
    for word, group, number in zip(map(str, words), groups.tolist(), numbers.tolist(), strict=True):
        expected[word, group] = expected.get((word, group), 0) + number
    found = summed(pa.concat_tables([table.slice(0, 1000), table.slice(1000)]), ["word", "group"]).to_pydict()
    assert list(zip(found["word"], found["group"], strict=True)) == list(expected)
    assert found["count"] == list(expected.values())


def test_files_are_the_same_however_parts_are_counted(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    texts = [f"{'ab'[number % 2]} one two{number % 5}" for number in range(40)]
    (part,) = corpus_of(texts, source=["xy"[number % 3 // 2] for number in range(40)])
    pieces = [dataclasses.replace(part, span=(start, start + 10)) for start in range(0, 40, 10)]
    assert run([part], tmp_path / "whole", 10).equals(run(pieces, tmp_path / "pieces", 10))


def test_no_parts_give_no_counts(tmp_path: pathlib.Path) -> None:
    assert run([], tmp_path, 10).num_rows == 0


def test_sampling_starts_where_words_are_many(
    corpus_of: CorpusOf, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = corpus_of([" ".join(f"word{chr(0x4E00 + i)}" for i in range(3000))])
    exact = run(parts, tmp_path / "exact", 10)
    monkeypatch.setattr(count, "EXACT_WORDS", 100)
    sampled = run(parts, tmp_path / "sampled", 10)
    assert exact.num_rows == 3000 or set(exact.column("count").to_pylist()) == {1}
    assert 200 < sampled.num_rows < 400
    assert set(sampled.column("count").to_pylist()) == {10}
    assert run(parts, tmp_path / "all", 1).num_rows == exact.num_rows


def test_sampling_is_unbiased_and_keeps_the_frequent() -> None:
    number = np.resize(np.arange(1, 21), 40_000)
    words = pa.array([f"{i}" for i in range(len(number))], pa.large_string())
    sampled = sample_rare(pa.table([words, number], schema=count.SCHEMA), 10)
    kept = as_counter(sampled)
    for n in range(1, 21):
        group = [kept.get(f"{i}", 0) for i in np.flatnonzero(number == n)]
        # The standard error of the mean of 2,000 draws is at most 0.11.
        assert np.mean(group) == pytest.approx(n, abs=0.45)
    assert all(kept[f"{i}"] == number[i] for i in np.flatnonzero(number >= 10))


def test_hashes_are_part_of_the_file_format() -> None:
    data = np.frombuffer("the中".encode(), np.uint8)
    hashes = hash_words(data, np.array([0, 3, 6, 6], np.int64))
    assert [f"{value:016x}" for value in hashes.tolist()] == [
        "362758281e1e46d7",
        "a17b0a02ebd448df",
        "fdbdf6ac4fc52e7f",
    ]


def test_words_are_counted_by_source_and_language(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    texts = ["one two", "one", "eins", "one 2024", None]
    parts = corpus_of(texts, rows_per_part=2, source=["a", "b", "a", "a", "c"], language=["en", "en", "de", None, "en"])
    table = run(parts, tmp_path / "tokenizer", 10)
    assert table.schema == GROUPED
    assert {tuple(row.values()) for row in table.to_pylist()} == {
        ("one", "a", "en", 1),
        (" two", "a", "en", 1),
        ("one", "b", "en", 1),
        ("eins", "a", "de", 1),
        *((word, "a", "", 1) for word in ("one", " ", "202", "4")),
    }
    single, unit = weighted(table, lambda source, language: {"a": 2, "b": 0}.get(source, 1) * (3 if language else 1))
    assert (unit, as_counter(single)) == (1, {"one": 8, " two": 6, "eins": 6, " ": 2, "202": 2, "4": 2})
    fraction, unit = weighted(table, lambda source, _: 0.5 if source == "a" else 1)
    assert (unit, as_counter(fraction)["one"]) == (UNIT, 2 * UNIT)


def test_the_smallest_groups_are_counted_together(
    corpus_of: CorpusOf, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count, "GROUPS", 2)
    parts = corpus_of(["x", "x y", "z z", "x", "q"], rows_per_part=2, source=["b", "b", "a", "a", "c"])
    table = run(parts, tmp_path / "tokenizer", 10)
    assert {tuple(row.values()) for row in table.to_pylist()} == {
        *(("x", "b", "", 2), (" y", "b", "", 1)),
        *(("z", "a", "", 1), (" z", "a", "", 1), ("x", "a", "", 1)),
        ("q", "", "", 1),
    }


@settings(max_examples=100)
@given(texts=st.lists(SPLIT_TEXTS | st.integers(0, 10**9).map(str), max_size=20))
def test_digits_by_threes_tell_single_digits(texts: list[str]) -> None:
    algorithm = ALGORITHMS["byte_level"]
    by_three = count_pretokens([pa.array(texts, pa.string())], algorithm.with_digits(3))
    single = count_pretokens([pa.array(texts, pa.string())], algorithm)
    assert as_counter(split_digits(by_three, 1)) == as_counter(single)
    assert split_digits(by_three, 3) is by_three


def test_groups_share_what_a_sampled_word_counts() -> None:
    rows = [("a", 0, 2), ("b", 0, 50), ("a", 1, 1), ("c", 0, 1), ("a", 2, 1), ("b", 1, 1)]
    columns = [
        pa.array([row[at] for row in rows], kind) for at, kind in enumerate((pa.string(), pa.int32(), pa.int64()))
    ]
    counts = pa.table(columns, names=["word", "group", "count"])
    for threshold in (1, 4, 60):
        sampled = sample_rare(counts, threshold)
        totals = Counter[str]()
        for row in sampled.to_pylist():
            totals[row["word"]] += row["count"]
        assert all(total == max(threshold, {"a": 4, "b": 51, "c": 1}[word]) for word, total in totals.items())
    assert sample_rare(counts, 1).equals(counts)
