"""Tokens are contaminated as Llama 2 says, and what each record lost is there to read."""

import itertools
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.mix.contaminated_tokens import FindContaminatedTokens, Texts, find_runs, make_records
from datapipe.stage import read_notes
from datapipe.store.corpus import Corpus
from tests.helpers import at_most, random_words, save_word_tokenizer, write_lines


def texts_of(*lists: list[int]) -> Texts:
    flat = np.array([*itertools.chain(*lists)], np.uint32)
    return Texts(flat, np.cumsum([0, *map(len, lists)]))


def flags(texts: list[list[int]], records: list[list[int]], longer_than: int = 10, mismatches: int = 4) -> Any:
    """For each text and record, which tokens of the record the text contaminates."""
    marked = [[[False] * len(record) for record in records] for _ in texts]
    made = make_records(texts_of(*records), longer_than)
    for text, record, begin, end, _ in zip(*find_runs(texts_of(*texts), made, longer_than, mismatches), strict=True):
        marked[text][record][begin:end] = [True] * (end - begin)
    return marked


def flagged(sample: list[int], training: list[int], **options: int) -> list[bool]:
    return list(flags([training], [sample], **options)[0][0])


def test_runs_of_eleven_tokens_are_contaminated_and_of_ten_are_not() -> None:
    sample = list(range(30))
    assert flagged(sample, [*range(5, 16), 99]) == [5 <= token < 16 for token in sample]
    assert not any(flagged(sample, [*range(5, 15), 99]))


def test_four_tokens_of_a_run_may_differ_but_not_the_last() -> None:
    sample = list(range(20))
    for mismatches, run in ((4, 15), (5, 0)):
        training = [*range(10), *[99] * mismatches, *range(10 + mismatches, 15), *[99] * 10]
        if mismatches == 5:
            training = [*range(10), *[99] * 5, *range(15, 20)]
        assert flagged(sample, training) == [token < run for token in sample]
    assert not any(flagged(sample, [*range(10), 99, 99, 99, 99]))
    assert flagged(sample, [*range(11), 99, 99]) == [token < 11 for token in sample]


def slow_contaminated(sample: list[int], training: list[int], longer_than: int, skips: int) -> list[bool]:
    """By the definition: every pair of places, every length."""
    marked = [False] * len(sample)
    for i, j in itertools.product(range(len(sample)), range(len(training))):
        for length in range(longer_than + 1, min(len(sample) - i, len(training) - j) + 1):
            same = [sample[i + k] == training[j + k] for k in range(length)]
            if all(same[:longer_than]) and same[-1] and same.count(False) <= skips:
                marked[i : i + length] = [True] * length
    return marked


TOKENS = st.lists(st.lists(st.integers(0, 2), max_size=15), max_size=3)


@given(TOKENS, TOKENS, st.integers(1, 4), st.integers(0, 2))
def test_contaminated_tokens_by_definition(
    texts: list[list[int]], records: list[list[int]], longer_than: int, mismatches: int
) -> None:
    expected = [[slow_contaminated(record, text, longer_than, mismatches) for record in records] for text in texts]
    assert flags(texts, records, longer_than, mismatches) == expected


def test_texts_that_repeat_themselves_take_no_quadratic_time() -> None:
    record, text = list(range(20)) * 200, list(range(20)) * 10_000
    flagged(record, text)  # compiles
    with at_most(5):
        assert all(flagged(record, text))
        assert flagged([7] * 3000, [7] * 100_000) == [True] * 3000


RECORD = " ".join(random_words(1, 50))


def rows(path: pathlib.Path, *records: dict[str, Any]) -> str:
    write_lines(path, records)
    return str(path)


def marked(stage: FindContaminatedTokens, texts: list[str | None], tmp_path: pathlib.Path) -> dict[str, list[Any]]:
    ready = stage.prepare(Corpus(str(tmp_path)), str(tmp_path))
    return dict(ready.process(pa.record_batch({"text": pa.array(texts, pa.string())})).to_pydict())


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    save_word_tokenizer(path, random_words(1, 50) + random_words(2, 50))
    return str(path)


def test_stage_says_how_much_of_which_record(tokenizer: str, tmp_path: pathlib.Path) -> None:
    words = RECORD.split()
    path = rows(
        tmp_path / "a.jsonl", {"q": " ".join(random_words(2, 50))}, {"q": " ".join(words[:25]), "a": words[25:]}
    )
    quote = " ".join(words[30:50])
    texts = [f"No. {' '.join(words[:9])}", None, f"So: {quote} {quote}", f"{' '.join(words[5:16])} ends"]
    stage = FindContaminatedTokens([path], tokenizer, remove_from=0.3)
    found = marked(stage, texts, tmp_path)
    assert found["contaminated_tokens_reason"] == [None, None, "contaminated_tokens", None]
    much, little = found["contaminated_tokens_leaks"][2:]
    assert found["contaminated_tokens_leaks"][:2] == [None, None]
    assert much == [{"record": "a.jsonl#1", "share": pytest.approx(0.4), "runs": [30, 50], "text": quote}]
    assert (little[0]["share"], little[0]["runs"]) == (pytest.approx(0.22), [5, 16])
    assert read_notes(str(tmp_path)) == (f"tokens are those of {tokenizer}",)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "contaminated_tokens"),
        ({"remove_from": None}, None),
        ({"remove_from": 0.5}, None),
        ({"longer_than": 20}, None),
        ({"longer_than": 12, "mismatches": 0}, None),
        ({"longer_than": 12, "mismatches": 1}, "contaminated_tokens"),
        ({"fields": ["other"]}, None),
    ],
)
def test_each_option_changes_what_is_found(
    options: dict[str, Any], reason: str | None, tokenizer: str, tmp_path: pathlib.Path
) -> None:
    path = rows(tmp_path / "a.jsonl", {"q": RECORD, "other": "nothing"})
    words = RECORD.split()[:18]
    words[12] = "else"
    found = marked(FindContaminatedTokens([path], tokenizer, **options), [" ".join(words)], tmp_path)
    assert found["contaminated_tokens_reason"] == [reason]


def test_records_too_short_for_a_run_are_told(tokenizer: str, tmp_path: pathlib.Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"q": RECORD}, {"q": "too short"})
    marked(FindContaminatedTokens([path], tokenizer), ["x"], tmp_path)
    assert read_notes(str(tmp_path))[1] == "1 of 2 evaluation records have no more than 10 tokens"


def test_without_a_tokenizer_there_are_no_tokens() -> None:
    with pytest.raises(ValueError, match=r"contaminated_tokens: tokenizer must name a tokenizer\.json"):
        FindContaminatedTokens(["a.jsonl"])
    assert FindContaminatedTokens().skip_reason() == "no evaluation set given"
    assert FindContaminatedTokens(parts=["instruction"]).part_kinds() == ("instruction",)
