from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text import repetition
from datapipe.text.repetition import PREFIX_STEP, Memory, new_memory, text_hash
from tests.helpers import compiled

all_copies = compiled(repetition.all_copies)
all_positions = compiled(repetition.all_positions)
count_ngrams = compiled(repetition.count_ngrams)
covered_by_copies = compiled(repetition.covered_by_copies)
hash_tokens = compiled(repetition.hash_tokens)
later_copies = compiled(repetition.later_copies)
narrow = compiled(repetition.narrow)
repeated_ngrams = compiled(repetition.repeated_ngrams)
repeated_pieces = compiled(repetition.repeated_pieces)
span_hash = compiled(repetition.span_hash)
top_ngram = compiled(repetition.top_ngram)

tokens = st.lists(st.sampled_from(["a", "b", "ab", "中文", "ccc", *"defghijklm"]), min_size=1, max_size=60)
SLOTS = st.sampled_from([16, None])  # of the table: few make several passes


def points_of(text: str) -> np.ndarray:
    return np.array([ord(character) for character in text], np.int32)


def prefix_of(text: str) -> np.ndarray:
    starts = range(0, len(text) + 1, PREFIX_STEP)
    return np.array([text_hash(text[:end]) for end in starts], np.uint64)


def with_room(memory: Memory, slots: int | None) -> Memory:
    """The same with fewer slots in its table."""
    return memory._replace(keys=memory.keys[:slots], firsts=memory.firsts[:slots])


@given(st.text(max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_hashes_any_span_in_constant_time(text: str, start: int, end: int) -> None:
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    assert int(span_hash(points_of(text), prefix_of(text), start, end, new_memory(30))) == text_hash(text[start:end])


def test_hashes_spans_of_any_length() -> None:
    text = "ab" * 3000
    for start, end in ((0, 6000), (1, 5999), (1, 1024), (1, 1025), (0, 1), (7, 4103)):
        assert int(span_hash(points_of(text), prefix_of(text), start, end, new_memory(6000))) == text_hash(
            text[start:end]
        )


@given(tokens, st.booleans(), SLOTS)
def test_counts_repeated_pieces(pieces: list[str], copies: bool, slots: int | None) -> None:
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int32)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int32)
    text = "".join(pieces)
    memory = with_room(new_memory(len(text)), slots)
    found = repeated_pieces(points_of(text), prefix_of(text), starts, ends, len(pieces), copies, memory)
    counted = Counter(pieces)
    expected = {piece: n - (not copies) for piece, n in counted.items() if n > 1}
    assert found == (sum(expected.values()), sum(len(piece) * n for piece, n in expected.items()))


@given(tokens, SLOTS)
def test_narrowing_to_repeated_ngrams_changes_no_count(words: list[str], slots: int | None) -> None:
    ends = np.cumsum([len(word) for word in words], dtype=np.int32)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int32)
    text = "".join(words)
    narrowed, whole = with_room(new_memory(len(text)), slots), new_memory(len(text))
    for memory in (narrowed, whole):
        hash_tokens(points_of(text), starts, ends, len(words), True, memory)
    positions = all_positions(narrowed, len(words))
    for n in range(2, len(words) + 1):
        positions = count_ngrams(narrowed, positions, len(words), n, True)
        everywhere = count_ngrams(whole, all_positions(whole, len(words)), len(words), n, True)
        assert top_ngram(narrowed, positions, n, False) == top_ngram(whole, everywhere, n, False)
        assert repeated_ngrams(narrowed, positions) == repeated_ngrams(whole, everywhere)
        for measure in (all_copies, covered_by_copies, later_copies):  # the last changes counts
            assert measure(narrowed, positions, n) == measure(whole, everywhere, n)
        positions = narrow(narrowed, positions)
