"""Terms: words as people know them in Chinese, Japanese and others, weighed by BERTopic's formula."""

import itertools
import math
import pickle
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from datapipe.mix.terms import WordCounts, class_tf_idf, top_terms, words_of
from datapipe.text.characters import text_buffers
from datapipe.text.segmentation import word_ends
from datapipe.text.words import STOP_WORDS

WORD = regex.compile(r"\p{Han}+|[\p{Katakana}ー]+|(?:(?![\p{Han}\p{Hiragana}\p{Katakana}])[\p{L}\p{M}'’])+")
LETTERS = regex.compile(r"^[\p{L}\p{M}'’]+$")
STOP = frozenset(word for listed in STOP_WORDS.values() for word in listed)


def in_plain_python(texts: Sequence[str | None], languages: Sequence[str | None]) -> Iterator[list[str]]:
    """The words of each text, by regular expressions."""
    chinese = np.array([language == "zh" for language in languages], bool)
    ends, bounds = word_ends(*text_buffers(pa.array(texts, pa.string())), chinese)
    for place, text in enumerate(texts):
        cuts = [0, *ends[bounds[place] : bounds[place + 1]].tolist()]
        found = [(text or "")[begin:end] for begin, end in itertools.pairwise(cuts)]
        found = [word.lower() for word in found if LETTERS.match(word)]
        if not chinese[place]:
            found = [word.strip("'’") for word in WORD.findall((text or "").lower())]
        yield [word for word in found if len(word) > 1 and word not in STOP]


def by_text(texts: Sequence[str | None], languages: Sequence[str | None]) -> list[list[str]]:
    words = words_of(pa.array(texts, pa.string()), languages)
    assert len(set(words.distinct)) == len(words.distinct)
    found: list[list[str]] = [[] for _ in texts]
    for text, code in zip(words.texts.tolist(), words.codes.tolist(), strict=True):
        found[text].append(words.distinct[code])
    return found


def test_words_of_several_scripts() -> None:
    texts = {
        "en": ("Don't the Ferries sail? 3 ferries, x.", ["don't", "ferries", "sail", "ferries"]),
        "zh": ("今天天气很好，渡轮9点出发。", ["今天天气", "渡轮", "出发"]),
        "ja": ("東京都の図書館でコーヒーを飲む", ["東京都", "図書館", "コーヒー"]),
        "de": ("Das Schiff fährt über den Fluss", ["schiff", "fährt", "über", "fluss"]),
        None: ("渡轮 und Fähre", ["渡轮", "fähre"]),
    }
    assert by_text([text for text, _ in texts.values()], list(texts)) == [words for _, words in texts.values()]
    assert by_text([None, ""], ["zh", "en"]) == [[], []]
    assert by_text([], []) == []


TEXTS = st.text(
    st.sampled_from("aBé'’-1 \n。中国渡轮カーーァひらİßΣ\u0301𠀀ก") | st.characters(exclude_categories=["Cs"]),
    max_size=30,
)


@given(st.lists(st.tuples(st.none() | TEXTS, st.sampled_from(["zh", "ja", "en", None])), max_size=6))
def test_words_are_those_of_regular_expressions(documents: list[tuple[str | None, str | None]]) -> None:
    texts, languages = [text for text, _ in documents], [language for _, language in documents]
    assert by_text(texts, languages) == list(in_plain_python(texts, languages))


def test_the_formula() -> None:
    sea, net, oven = range(3)
    weights = class_tf_idf(np.array([0, 0, 1, 1]), np.array([sea, net, sea, oven]), np.array([3, 1, 1, 5]), 2)
    # 10 words in 2 topics: 5 on average; "sea" occurs 4 times in all.
    assert weights[0] == pytest.approx(3 / 4 * math.log(1 + 5 / 4))
    assert weights[3] == pytest.approx(5 / 6 * math.log(1 + 5 / 5))


def test_what_documents_of_other_topics_say_as_often_is_no_term() -> None:
    counts, again = WordCounts(), WordCounts()
    for topic, word in enumerate(["sea", "oven", "law"]):
        for of, numbers in ((counts, range(0, 10, 2)), (again, range(1, 10, 2))):
            texts = [f"also also also {word} {f'{word}s' * (number < 3)}" for number in numbers]
            of.add_documents(np.full(5, topic), ["en"] * 5, pa.array(texts))
    counts.add_documents(np.array([6]), ["de"], pa.array(["also"]))
    counts.add(again)
    terms = top_terms(counts, 2)
    assert terms[0] == ["sea", "seas"]
    assert terms[2] == ["law", "laws"]
    assert terms[6] == ["also"]  # no other document is in its language
    assert top_terms(WordCounts(), 2) == {}


def test_counts_are_sent_to_other_workers_as_what_they_are() -> None:
    counts = WordCounts()
    texts = pa.array(
        [" ".join(f"{letter}{number:x}z".replace("0", "q") for number in range(9000)) for letter in "abcdefgh"]
    )
    for _ in range(2):
        counts.add_documents(np.arange(8), ["en"] * 8, texts)
        assert len(pickle.dumps(counts)) < 2 * sum(table.nbytes for table in counts.tables)
    counts.sum_up()
    assert len(counts.tables) == 1
    assert len(pickle.dumps(counts)) < 2 * counts.tables[0].nbytes
