"""Words in cells are found again, symbol by symbol."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tokenizer_training.samples import in_cells
from tokenizer_training.cells import NONE, find_pair, words_in_cells, words_of

WORDS = st.lists(st.text("abé中", min_size=1, max_size=90), min_size=1, max_size=20)


@given(WORDS, st.booleans())
def test_each_word_has_its_symbols_and_a_negative_cell_on_both_sides(words: list[str], by_character: bool) -> None:
    laid = in_cells(words, by_character=by_character)
    for word, start, stop in zip(words, laid.starts[:-1], laid.starts[1:], strict=True):
        symbols = [*map(ord, word)] if by_character else [*word.encode()]
        assert laid.cells[start : stop - 1].tolist() == [NONE if symbol == ord("b") else symbol for symbol in symbols]
        assert laid.cells[start - 1] == laid.cells[stop - 1] == NONE


@given(WORDS)
def test_a_cell_knows_its_word(words: list[str]) -> None:
    laid = in_cells(words, by_character=True)
    for number, (start, stop) in enumerate(itertools.pairwise(laid.starts.tolist())):
        assert set(words_of(laid, np.arange(start, stop, dtype=np.int32)).tolist()) == {number}


@given(WORDS)
def test_a_pair_is_found_wherever_it_stands_in_the_words_asked_for(words: list[str]) -> None:
    laid = in_cells(words, by_character=True)
    chosen = np.arange(0, len(words), 2)
    found = find_pair(laid, chosen, np.ones(0x110000, np.int32), ord("a"), ord("é"))
    assert found.tolist() == [
        laid.starts[number] + at
        for number in chosen
        for at, pair in enumerate(itertools.pairwise(words[number]))
        if pair == ("a", "é")
    ]


def test_too_many_cells_are_refused() -> None:
    class Huge(np.ndarray):
        def __len__(self) -> int:
            return 2**31

    with pytest.raises(ValueError, match="sample_threshold"):
        words_in_cells(np.zeros(1, np.int32).view(Huge), np.zeros(1, np.int64), np.zeros(0, np.int64))
