"""Counts of pre-tokens survive workers, partitions and sampling."""

import pathlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.store.corpus import Part
from tests.helpers import CorpusOf
from tests.tokenizer_training.samples import SPLIT_TEXTS, pretokens
from tokenizer_training import count
from tokenizer_training.algorithms import ALGORITHMS, Algorithm
from tokenizer_training.count import CountPretokens, count_pretokens, hash_words, read_counts, sample_rare
from tokenizer_training.options import TrainingOptions


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.none() | SPLIT_TEXTS, max_size=20))
def test_counts_equal_a_counter(algorithm: Algorithm, texts: list[str | None]) -> None:
    sliced = pa.array(["out of the slice", *texts], pa.string()).slice(1)
    table = count_pretokens([sliced, pa.array(texts, pa.large_string())], algorithm)
    expected = Counter(piece for text in texts * 2 if text for piece in pretokens(text, algorithm))
    assert dict(zip(table.column("word").to_pylist(), table.column("count").to_pylist(), strict=True)) == expected


def test_texts_count_as_often_as_their_weight() -> None:
    weighted = (pa.array(["one two", "two", "three"]), pa.array([3, None, 0], pa.int32()))
    table = count_pretokens([weighted, pa.array(["two"])], ALGORITHMS["byte_fallback"])
    assert table.to_pydict() == {"word": ["one", " two", "two", "three"], "count": [3, 3, 2, 0]}


def test_the_table_of_words_grows() -> None:
    text = " ".join(f"{chr(0x4E00 + i % 5000)}{chr(0x5E00 + i // 5000)}" for i in range(100_000)) * 2
    table = count_pretokens([pa.array([text])], ALGORITHMS["byte_level"])
    counts = Counter(pretokens(text, ALGORITHMS["byte_level"]))
    assert dict(zip(table.column("word").to_pylist(), table.column("count").to_pylist(), strict=True)) == counts


def run(parts: list[Part], folder: pathlib.Path, threshold: int) -> pa.Table:
    options = TrainingOptions(algorithm="byte_level", sample_threshold=threshold)
    paths = parts | CountPretokens(options, str(folder))
    return read_counts(paths)


def test_counts_of_parts_are_summed(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    texts = ["one two", "two three", None, "three three 中文"]
    table = run(corpus_of(texts, rows_per_part=1), tmp_path / "tokenizer", 10)
    expected = Counter(piece for text in texts if text for piece in pretokens(text, ALGORITHMS["byte_level"]))
    assert dict(zip(table.column("word").to_pylist(), table.column("count").to_pylist(), strict=True)) == expected


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
    kept = dict(zip(sampled.column("word").to_pylist(), sampled.column("count").to_pylist(), strict=True))
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
