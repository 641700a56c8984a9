"""What tells the documents of one topic from those of others: its words, weighed by class-based TF-IDF.

The formula is BERTopic's (Grootendorst 2022):

    weight of word x in topic c = tf / all words of c * log(1 + A / f)

tf: how often x occurs in c; f: in all topics; A: words of a topic on average. Words are those of this project's
segmentation where Chinese is written, and runs of letters of one kind elsewhere; of languages without spaces that have
no segmenter here (Thai, Khmer, ...) those runs are phrases.
"""

import collections
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import regex

from datapipe.text.characters import text_buffers
from datapipe.text.segmentation import word_ends
from datapipe.text.words import STOP_WORDS, primary

# Hiragana, which writes what joins the words of Japanese, is left out, and so are digits.
_WORD = regex.compile(r"\p{Han}+|[\p{Katakana}ー]+|(?:(?![\p{Han}\p{Hiragana}\p{Katakana}])[\p{L}\p{M}'’])+")
_LETTERS = regex.compile(r"^[\p{L}\p{M}'’]+$")
_STOP = frozenset(word for listed in STOP_WORDS.values() for word in listed)
# Of the documents of a topic's language that are of other topics: a word that more of them have joins sentences, and
# tells no topic from another. On manuals and novels in six languages little goes but "you", "für", "можете", of which
# lists would be needed for every language.
FUNCTION_WORD = 0.2
FEWEST_DOCUMENTS = 20  # of fewer, a share says little


def words_of(texts: pa.Array, languages: Sequence[str | None]) -> Iterator[list[str]]:
    """The words of each text that may say what it is about, in lower case, stop words left out.

    >>> list(words_of(pa.array(["The ferry leaves, the ferry!", "渡轮早上开往岛上"]), ["en", "zh"]))
    [['ferry', 'leaves', 'ferry'], ['渡轮', '早上', '开往', '岛上']]
    """
    chinese = np.array([primary(language) == "zh" for language in languages])
    ends, bounds = np.zeros(0, np.int32), np.zeros(len(texts) + 1, np.int64)
    if chinese.any():
        ends, bounds = word_ends(*text_buffers(texts), chinese)
    for place, text in enumerate(texts.to_pylist()):
        if text is None:
            yield []
            continue
        if chinese[place]:
            cuts = [0, *ends[bounds[place] : bounds[place + 1]].tolist()]
            found = [text[begin:end] for begin, end in itertools.pairwise(cuts)]
            found = [word.lower() for word in found if _LETTERS.match(word)]
        else:
            found = [word.strip("'’") for word in _WORD.findall(text.lower())]
        yield [word for word in found if len(word) > 1 and word not in _STOP]


class WordCounts:
    """How often words occur in the documents of each topic, and in how many of each topic and language."""

    def __init__(self) -> None:
        self.occurrences: dict[int, collections.Counter[str]] = {}
        self.documents: collections.Counter[tuple[int, str]] = collections.Counter()
        self.having: dict[tuple[int, str], collections.Counter[str]] = {}

    def add_document(self, topic: int, language: str | None, words: Iterable[str]) -> None:
        """Count the words of a document."""
        counts = collections.Counter(words)
        group = topic, primary(language)
        self.documents[group] += 1
        self.occurrences.setdefault(topic, collections.Counter()).update(counts)
        self.having.setdefault(group, collections.Counter()).update(counts.keys())

    def add(self, other: "WordCounts") -> None:
        """Add the counts of other documents."""
        self.documents.update(other.documents)
        for topic, occurrences in other.occurrences.items():
            self.occurrences.setdefault(topic, collections.Counter()).update(occurrences)
        for group, having in other.having.items():
            self.having.setdefault(group, collections.Counter()).update(having)


def top_terms(counts: WordCounts, terms: int) -> dict[int, list[str]]:
    """The words of greatest weight of each topic, see the module; of equal weight in order of the alphabet."""
    documents: collections.Counter[str] = collections.Counter()
    having: dict[str, collections.Counter[str]] = {}
    for (_, language), number in counts.documents.items():
        documents[language] += number
    for (_, language), words in counts.having.items():
        having.setdefault(language, collections.Counter()).update(words)
    occurrences = {}
    for topic, of in counts.occurrences.items():
        spoken = {language: number for (at, language), number in counts.documents.items() if at == topic}
        language = min(spoken, key=lambda name: (-spoken[name], name))
        others = documents[language] - spoken[language]
        here, everywhere = counts.having[topic, language], having[language]
        most = FUNCTION_WORD * others if others >= FEWEST_DOCUMENTS else math.inf
        occurrences[topic] = {word: count for word, count in of.items() if everywhere[word] - here[word] <= most}
    weights = class_tf_idf(occurrences)
    return {topic: sorted(of, key=lambda word: (-of[word], word))[:terms] for topic, of in weights.items()}


def class_tf_idf(occurrences: Mapping[int, Mapping[str, int]]) -> dict[int, dict[str, float]]:
    """The weight of each word in each topic, given how often it occurs there."""
    every: collections.Counter[str] = collections.Counter()
    for of in occurrences.values():
        every.update(of)
    average = every.total() / max(len(occurrences), 1)
    weights = {}
    for topic, of in occurrences.items():
        total = sum(of.values())
        weights[topic] = {word: count / total * math.log1p(average / every[word]) for word, count in of.items()}
    return weights
