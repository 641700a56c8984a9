"""Terms: words as people know them in Chinese, Japanese and others, weighed by BERTopic's formula."""

import math

import pyarrow as pa
import pytest

from datapipe.mix.terms import WordCounts, class_tf_idf, top_terms, words_of


def test_words_of_several_scripts() -> None:
    texts = {
        "en": ("Don't the Ferries sail? 3 ferries, x.", ["don't", "ferries", "sail", "ferries"]),
        "zh": ("今天天气很好，渡轮9点出发。", ["今天天气", "很", "渡轮", "出发"]),
        "ja": ("東京都の図書館でコーヒーを飲む", ["東京都", "図書館", "コーヒー"]),
        "de": ("Das Schiff fährt über den Fluss", ["schiff", "fährt", "über", "fluss"]),
        None: ("渡轮 und Fähre", ["渡轮", "fähre"]),
    }
    found = list(words_of(pa.array([text for text, _ in texts.values()]), list(texts)))
    assert found[0] == texts["en"][1]
    assert {"渡轮", "出发"} <= set(found[1])
    assert all(len(word) > 1 for word in found[1])
    assert found[2:] == [words for _, words in list(texts.values())[2:]]
    assert list(words_of(pa.array([None, ""], pa.string()), ["zh", "en"])) == [[], []]


def test_the_formula() -> None:
    weights = class_tf_idf({0: {"sea": 3, "net": 1}, 1: {"sea": 1, "oven": 5}})
    # 10 words in 2 topics: 5 on average; "sea" occurs 4 times in all.
    assert weights[0]["sea"] == pytest.approx(3 / 4 * math.log(1 + 5 / 4))
    assert weights[1]["oven"] == pytest.approx(5 / 6 * math.log(1 + 5 / 5))


def test_what_documents_of_other_topics_say_as_often_is_no_term() -> None:
    counts, again = WordCounts(), WordCounts()
    for topic, word in enumerate(["sea", "oven", "law"]):
        for number in range(10):
            of = counts if number % 2 else again
            more = [f"{word}s"] if number < 3 else []
            of.add_document(topic, "en", ["also", "also", "also", word, *more])
    counts.add_document(6, "de", ["also"])
    counts.add(again)
    terms = top_terms(counts, 2)
    assert terms[0] == ["sea", "seas"]
    assert terms[2] == ["law", "laws"]
    assert terms[6] == ["also"]  # no other document is in its language
