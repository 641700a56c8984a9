"""The learner makes the merges of an obvious one, and of HuggingFace's trainer."""

import heapq
import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tokenizer_training.learn import Learner, character_counts, start

Merge = tuple[int, int]


def learn_slowly(
    words: list[list[int]], counts: list[int], tokens: list[bytes], size: int, min_count: int
) -> list[Merge]:
    """The learner as one would write it on a board, with HuggingFace's order of ties."""
    pair_counts: dict[Merge, int] = {}
    words_of: dict[Merge, set[int]] = {}
    ids = {token: number for number, token in enumerate(tokens)}
    for number, word in enumerate(words):
        for pair in itertools.pairwise(word):
            pair_counts[pair] = pair_counts.get(pair, 0) + counts[number]
            words_of.setdefault(pair, set()).add(number)
    entries = list(words_of.values())
    heap = [(-pair_counts[pair], pair, entry) for entry, pair in enumerate(words_of)]
    heapq.heapify(heap)
    merges: list[Merge] = []
    while len(ids) < size and heap:
        negative, pair, entry = heapq.heappop(heap)
        if -negative != pair_counts[pair]:
            if pair_counts[pair] >= min_count:
                heapq.heappush(heap, (-pair_counts[pair], pair, entry))
            continue
        if -negative < min_count:
            break
        left, right = pair
        token = tokens[left] + tokens[right]
        new = ids.setdefault(token, len(tokens))
        if new == len(tokens):
            tokens.append(token)
        merges.append(pair)
        grown: dict[Merge, set[int]] = {}
        for number in entries[entry]:
            word, count, at = words[number], counts[number], 0
            changes: list[tuple[Merge, int]] = []
            while at < len(word) - 1:
                if word[at] == left and word[at + 1] == right:
                    if at:
                        changes += [((word[at - 1], left), -count), ((word[at - 1], new), count)]
                    word[at : at + 2] = [new]
                    if at + 1 < len(word):
                        changes += [((right, word[at + 1]), -count), ((new, word[at + 1]), count)]
                at += 1
            for changed, change in changes:
                pair_counts[changed] = pair_counts.get(changed, 0) + change
                if change > 0:
                    grown.setdefault(changed, set()).add(number)
        for pair, numbers in grown.items():
            if pair_counts[pair] >= min_count:
                entries.append(numbers)
                heapq.heappush(heap, (-pair_counts[pair], pair, len(entries) - 1))
    return merges


def learner_of(counts: dict[str, int], symbols: Sequence[str] | None = None) -> Learner:
    alphabet = symbols or sorted({character for word in counts for character in word})
    return start(
        pa.array(list(counts), pa.large_string()),
        np.array(list(counts.values()), np.int64),
        [symbol.encode() for symbol in alphabet],
        by_character=True,
    )


@st.composite
def word_counts(draw: st.DrawFn) -> dict[str, int]:
    """Words of few characters, so that ties, runs and strings reached by two merges are common."""
    alphabet = "abé中d"[: draw(st.integers(1, 5))]
    word = st.text(alphabet, min_size=1, max_size=draw(st.sampled_from([3, 8, 30])))
    return draw(st.dictionaries(word, st.integers(1, draw(st.sampled_from([1, 3, 50]))), max_size=40))


@settings(max_examples=3000)
@given(word_counts(), st.integers(0, 80), st.integers(1, 5))
def test_merges_equal_the_obvious_learner(counts: dict[str, int], size: int, min_count: int) -> None:
    symbols = sorted({character for word in counts for character in word})
    words = [[symbols.index(character) for character in word] for word in counts]
    expected = learn_slowly(words, list(counts.values()), [s.encode() for s in symbols], size, min_count)
    learner = learner_of(counts)
    learner.learn(size, min_frequency=min_count)
    assert learner.merges == expected


@settings(max_examples=150)
@given(word_counts(), st.integers(1, 60), st.integers(1, 4), st.integers(2, 6))
def test_merges_equal_huggingface(counts: dict[str, int], size: int, min_count: int, max_length: int) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # HuggingFace's max_token_length refuses tokens of that very length, too: hence one more.
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=min_count, max_token_length=max_length + 1, show_progress=False
    )
    tokenizer.train_from_iterator([" ".join([word] * count) for word, count in counts.items()], trainer)
    learner = learner_of(counts)
    learner.learn(size, min_frequency=min_count, max_length=max_length)
    ids = {token.decode(): number for number, token in enumerate(learner.tokens)}
    assert tokenizer.get_vocab() == ids


def test_counts_past_32_bits_are_right() -> None:
    # 2.2e9 occurrences of "ab" overflow HuggingFace's 32-bit count to a negative one, and "cd" is merged first.
    learner = learner_of({"ab": 2_200_000_000, "cd": 5})
    learner.learn(5)
    assert learner.tokens[-1] == b"ab"


def test_learning_goes_on_under_other_rules() -> None:
    learner = learner_of({"aaab": 10, "中国人": 5, "中国": 3})
    learner.learn(6)
    learner.learn(100, allowed=lambda token: token.decode() == "中国")
    assert [token.decode() for token in learner.tokens[5:]] == ["aa", "中国"]
    assert len(learner.merges) == 2


def test_words_can_be_made_one_token_each() -> None:
    learner = learner_of({"abcab": 1, "abd": 1, "cab": 7})
    assert learner.merges_needed(2) == 6
    learner.learn(5)
    assert [learner.tokens[number] for number in learner.segments(0)] == [b"ab", b"c", b"ab"]
    learner.merge_words(2)
    assert learner.merges_needed(2) == 0
    assert learner.tokens[5:] == [b"abc", b"abcab", b"abd"]
    assert [learner.tokens[number] for number in learner.segments(2)] == [b"c", b"ab"]


def test_a_character_outside_the_alphabet_separates() -> None:
    learner = learner_of({"axb": 9, "ab": 1}, symbols=["a", "b"])
    learner.learn(10)
    assert learner.frequencies == [1]


def test_progress_is_told_with_the_seconds_left() -> None:
    seen: list[tuple[int, int, float]] = []
    words = {chr(0x4E00 + i) + chr(0x5E00 + i): 2 for i in range(600)}
    learner = learner_of(words)
    learner.learn(1800, progress=lambda done, goal, left: seen.append((done, goal, left)))
    assert [done for done, _, _ in seen] == [1456, 1712]
    assert all(goal == 1800 and left >= 0 for _, goal, left in seen)


def test_character_counts() -> None:
    totals = character_counts(
        np.frombuffer("a中aé".encode(), np.uint8), np.array([0, 4, 7], np.int64), np.array([2, 5], np.int64)
    )
    assert {chr(code_point): int(totals[code_point]) for code_point in np.flatnonzero(totals)} == {
        "a": 7,
        "中": 2,
        "é": 5,
    }
