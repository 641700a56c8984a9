"""The shares are those that counting tuples of tokens gives, in each system's way."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text import ngram_shares as kernels
from datapipe.text import repetition, spans
from datapipe.text.measures import DEFINITIONS, mark_table
from datapipe.text.repetition import new_memory
from datapipe.text.spans import new_text
from tests.datapipe.text.plain_ngrams import ngram_shares
from tests.helpers import compiled

read_text = compiled(spans.read_text)
measure_ngrams = compiled(kernels.measure_ngrams)
hash_tokens, all_positions = compiled(repetition.hash_tokens), compiled(repetition.all_positions)


def measured(tokens: list[str], definition: str) -> list[float]:
    """The shares in a text of the tokens with a space between them."""
    data = np.frombuffer(" ".join(tokens).encode(), np.uint8)
    system = DEFINITIONS[definition]
    text, memory = new_text(len(data), mark_table(system)), new_memory(len(data))
    length = read_text(text, data, 0, len(data))
    ends = [end - 1 for end in itertools.accumulate(len(token) + 1 for token in tokens)]
    text.ends[: len(tokens)] = ends
    text.starts[: len(tokens)] = [end - len(token) for end, token in zip(ends, tokens, strict=True)]
    shares = np.zeros(9)
    hash_tokens(text.points, text.starts, text.ends, len(tokens), True, memory)
    positions = all_positions(memory, len(tokens))
    measure_ngrams(text, memory, positions, len(tokens), length, 1, system, shares)
    return list(shares)


@pytest.mark.parametrize("definition", DEFINITIONS)
@given(tokens=st.lists(st.sampled_from(["a", "bc", "abc", "中"]), min_size=1, max_size=60))
@settings(max_examples=100)
def test_equals_plain_python(tokens: list[str], definition: str) -> None:
    expected = ngram_shares(tokens, "gram", len(" ".join(tokens)), 1, definition)
    assert measured(tokens, definition) == pytest.approx(list(expected.values()))


def test_commonest_and_repeated_ngrams() -> None:
    # "a b" four times in 23 code points; of n-grams of five and more none repeats.
    assert measured(list("abcabdabeabf"), "datapipe") == [12 / 23, *[0] * 8]
    # Said less often than that it is no sign of anything; datatrove counts it from two times on.
    assert measured(list("abcabdabecdf"), "datapipe") == [0] * 9
    assert measured(list("abcdabef"), "datatrove")[0] > 0
    # The second of two runs of six tokens is a copy, found from five tokens on; "a b c d e" of 9 + 4 code points.
    shares = measured(["a", "b", "c", "d", "e", "f", "a", "b", "c", "d", "e", "f"], "datapipe")
    assert shares[3:] == [5 / 23, 6 / 23, 0, 0, 0, 0]
