"""What tells the documents of one topic from those of others: its words, weighed by class-based TF-IDF.

The formula is BERTopic's (Grootendorst 2022):

    weight of word x in topic c = tf / all words of c * log(1 + A / f)

tf: how often x occurs in c; f: in all topics; A: words of a topic on average. Words are those of this project's
segmentation where Chinese is written, and runs of letters of one kind elsewhere; of languages without spaces that have
no segmenter here (Thai, Khmer, ...) those runs are phrases.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import regex

from datapipe.kernels import kept_table
from datapipe.text.characters import text_buffers
from datapipe.text.segmentation import word_ends
from datapipe.text.words import STOP_WORDS, primary

# What a code point is in a word. Hiragana, which writes what joins the words of Japanese, is in none, nor are digits;
# the long mark goes with katakana, and with letters that it follows.
_NONE, _LETTER, _HAN, _KATAKANA, _LONG = range(5)
_CLASSES = {
    _LETTER: r"[\p{L}\p{M}'’]",
    _NONE: r"\p{Hiragana}",
    _HAN: r"\p{Han}",
    _KATAKANA: r"\p{Katakana}",
    _LONG: "ー",
}
_LETTERS = regex.compile(r"^[\p{L}\p{M}'’]+$")
_STOP = frozenset(word for listed in STOP_WORDS.values() for word in listed)
# Of the documents of a topic's language that are of other topics: a word that more of them have joins sentences, and
# tells no topic from another. On manuals and novels in six languages little goes but "you", "für", "можете", of which
# lists would be needed for every language.
FUNCTION_WORD = 0.2
FEWEST_DOCUMENTS = 20  # of fewer, a share says little
_GROUP = ["topic", "language", "word"]


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of some texts that may say what they are about, in lower case, stop words left out.

    Attributes:
        distinct: each word once.
        codes: which one each word is, in the order of each text, shape (words,).
        texts: which text it stands in, shape (words,).
    """

    distinct: list[str]
    codes: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int64]


def words_of(texts: pa.Array, languages: Sequence[str | None]) -> Words:
    """The words of texts; those of Chinese texts come after the others.

    >>> words = words_of(pa.array(["渡轮早上开往岛上", "The ferry leaves, the ferry!"]), ["zh", "en"])
    >>> words.distinct, words.codes.tolist(), words.texts.tolist()
    (['ferry', 'leaves', '渡轮', '早上', '开往', '岛上'], [0, 1, 0, 2, 3, 4, 5], [1, 1, 1, 0, 0, 0, 0])
    """
    chinese = np.array([primary(language) == "zh" for language in languages], bool)
    places: dict[str, int] = {}
    codes, owners = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for (tokens, of), clean in ((_runs(texts, ~chinese), _stripped), (_segments(texts, chinese), _letters)):
        encoded = tokens.dictionary_encode()
        cleaned = map(clean, encoded.dictionary.to_pylist())
        known = np.array(
            [places.setdefault(word, len(places)) if len(word) > 1 and word not in _STOP else -1 for word in cleaned],
            np.int64,
        )
        found = known[encoded.indices.to_numpy()]
        codes.append(found[found >= 0])
        owners.append(of[found >= 0])
    return Words(list(places), np.concatenate(codes), np.concatenate(owners))


def _stripped(word: str) -> str:
    return word.strip("'’")


def _letters(word: str) -> str:
    return word.lower() if _LETTERS.match(word) else ""


@kept_table
def _classes() -> npt.NDArray[np.uint8]:
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    table = np.full(0x110000, _NONE, np.uint8)
    for number, pattern in _CLASSES.items():
        table[list(map(ord, regex.findall(pattern, every)))] = number
    return table


def _runs(texts: pa.Array, wanted: npt.NDArray[np.bool_]) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
    """Runs of letters of one kind in the lower-case form of texts, and the text of each."""
    lowered = [
        text.lower() if want and text else "" for text, want in zip(texts.to_pylist(), wanted.tolist(), strict=True)
    ]
    data, offsets = text_buffers(pa.array(lowered, pa.string()))
    classes = _classes()[np.frombuffer("".join(lowered).encode("utf-32-le"), np.uint32)]
    starts = _character_starts(data, offsets)
    first = np.searchsorted(starts, offsets[:-1])
    begins = np.zeros(len(classes), bool)
    begins[first[first < len(classes)]] = True
    for place in np.flatnonzero(classes == _LONG):  # in order: several may follow one another
        follows_letter = not begins[place] and classes[place - 1] == _LETTER
        classes[place] = _LETTER if follows_letter else _KATAKANA
    begins[1:] |= classes[1:] != classes[:-1]
    begin = np.flatnonzero(begins)
    end = np.append(begin[1:], len(classes))
    is_word = classes[begin] != _NONE
    begin, end = begin[is_word], end[is_word]
    return _cut(data, starts[begin], starts[end]), np.searchsorted(first, begin, "right") - 1


def _segments(texts: pa.Array, wanted: npt.NDArray[np.bool_]) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
    """The words, white space and symbols of Chinese texts, and the text of each."""
    if not wanted.any():
        return pa.array([], pa.string()), np.zeros(0, np.int64)
    data, offsets = text_buffers(texts)
    ends, bounds = word_ends(data, offsets, wanted)
    starts = _character_starts(data, offsets)
    of = np.repeat(np.arange(len(texts)), np.diff(bounds))
    end = starts[np.searchsorted(starts, offsets)[of] + ends]
    begin = np.concatenate([offsets[:1], end[:-1]])[: len(end)]
    begins = bounds[:-1][np.diff(bounds) > 0]
    begin[begins] = offsets[of[begins]]
    return _cut(data, begin, end), of


def _character_starts(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each character begins, and the last one ends."""
    within = data[offsets[0] : offsets[-1]]
    return np.append(np.flatnonzero((within & 0xC0) != 0x80) + offsets[0], offsets[-1])


def _cut(data: npt.NDArray[np.uint8], begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> pa.StringArray:
    """The strings from each beginning to its end, which come one after the other."""
    edges = np.stack([begin, end], axis=1).astype(np.int32).ravel()  # every other string is what lies between
    pieces = pa.StringArray.from_buffers(max(len(edges) - 1, 0), pa.py_buffer(edges), pa.py_buffer(data))
    return pieces.take(pa.array(np.arange(0, len(edges), 2)))


class WordCounts:
    """How often words occur in the documents of each topic and language, and in how many of them."""

    def __init__(self) -> None:
        self.documents: collections.Counter[tuple[int, str]] = collections.Counter()
        # Of topic, language, word; how often it occurs, in how many documents.
        self.tables: list[pa.Table] = []

    def add_documents(self, topics: npt.NDArray[np.integer], languages: Sequence[str | None], texts: pa.Array) -> None:
        """Count the words of documents."""
        groups = list(zip(topics.tolist(), map(primary, languages), strict=True))
        self.documents.update(groups)
        numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        words = words_of(texts, languages)
        group_of = np.array([numbers[group] for group in groups], np.int64)
        # One number for a text and a word: Arrow groups by one column in half the time of two.
        together = pa.table({"both": words.texts * len(words.distinct) + words.codes})
        in_texts = together.group_by("both", use_threads=False).aggregate([([], "count_all")])
        text, code = np.divmod(in_texts["both"].to_numpy(), max(len(words.distinct), 1))
        counted = pa.table({"group": group_of[text], "code": code, "occurrences": in_texts["count_all"]})
        counted = counted.group_by(["group", "code"], use_threads=False).aggregate(
            [("occurrences", "sum"), ([], "count_all")]
        )
        named = list(numbers)
        self.tables.append(
            pa.table(
                {
                    "topic": pa.array([topic for topic, _ in named], pa.int64()).take(counted["group"]),
                    "language": pa.array([language for _, language in named], pa.string()).take(counted["group"]),
                    "word": pa.array(words.distinct, pa.string()).take(counted["code"]),
                    "occurrences": counted["occurrences_sum"],
                    "documents": counted["count_all"],
                }
            )
        )

    def add(self, other: "WordCounts") -> None:
        """Add the counts of other documents."""
        self.documents.update(other.documents)
        self.tables += other.tables

    def summed(self) -> pa.Table:
        """One row for each topic, language and word."""
        if not self.tables:
            self.add_documents(np.zeros(0, np.int64), [], pa.array([], pa.string()))
        if len(self.tables) > 1:
            every = pa.concat_tables(self.tables).group_by(_GROUP, use_threads=False)
            summed = every.aggregate([("occurrences", "sum"), ("documents", "sum")])
            self.tables = [summed.rename_columns([*_GROUP, "occurrences", "documents"])]
        return self.tables[0]


def top_terms(counts: WordCounts, terms: int) -> dict[int, list[str]]:
    """The words of greatest weight of each topic, see the module; of equal weight in order of the alphabet."""
    table = counts.summed()
    spoken: dict[int, dict[str, int]] = {}
    everywhere: collections.Counter[str] = collections.Counter()
    for (topic, language), number in counts.documents.items():
        spoken.setdefault(topic, {})[language] = number
        everywhere[language] += number
    # What is known of each topic: the language of most of its documents, and how many of others may have a word of it.
    languages = {topic: min(of, key=lambda name: (-of[name], name)) for topic, of in spoken.items()}
    most = []
    for topic, language in languages.items():
        others = everywhere[language] - spoken[topic][language]
        most.append(FUNCTION_WORD * others if others >= FEWEST_DOCUMENTS else math.inf)
    of_topic = pa.table(
        {
            "topic": pa.array(languages, pa.int64()),
            "main": pa.array(languages.values(), pa.string()),
            "most": pa.array(most, pa.float64()),
        }
    )
    having = table.group_by(["language", "word"], use_threads=False).aggregate([("documents", "sum")])
    here = table.select([*_GROUP, "documents"]).rename_columns(["topic", "main", "word", "here"])
    there = having.rename_columns(["main", "word", "everywhere"])
    words = table.group_by(["topic", "word"], use_threads=False).aggregate([("occurrences", "sum")])
    words = words.join(of_topic, "topic", use_threads=False)
    words = words.join(here, ["topic", "main", "word"], use_threads=False)
    words = words.join(there, ["main", "word"], use_threads=False)
    others = pc.subtract(words["everywhere"].fill_null(0), words["here"].fill_null(0))
    words = words.filter(pc.less_equal(others.cast(pa.float64()), words["most"]))
    words = words.append_column("weight", class_tf_idf(words, len(languages)))
    words = words.sort_by([("topic", "ascending"), ("weight", "descending"), ("word", "ascending")])
    found: dict[int, list[str]] = {topic: [] for topic in languages}
    bounds = np.searchsorted(words["topic"].to_numpy(), list(found), "left")
    ends = np.searchsorted(words["topic"].to_numpy(), list(found), "right")
    for topic, begin, end in zip(found, bounds, ends, strict=True):
        found[topic] = words["word"].slice(begin, min(terms, end - begin)).to_pylist()
    return found


def class_tf_idf(table: pa.Table, topics: int) -> pa.Array:
    """The weight of each word in each topic, shape (rows,).

    Args:
        table: a row for each topic and word, with `occurrences_sum`.
        topics: how many there are, with words or without.
    """
    occurrences = table["occurrences_sum"].to_numpy()

    def sums(name: str) -> npt.NDArray[np.int64]:
        """How often all words occur that have the same value in a column, shape (rows,)."""
        codes = table[name].combine_chunks().dictionary_encode().indices.to_numpy()
        return np.bincount(codes, occurrences).astype(np.int64)[codes]

    average = occurrences.sum() / max(topics, 1)
    every, place = np.unique(sums("word"), return_inverse=True)
    # numpy's log1p may differ in the last bit from one processor to the next, and near-ties depend on it.
    logarithms = np.array([math.log1p(average / number) for number in every.tolist()])
    return pa.array(occurrences / sums("topic") * logarithms[place], pa.float64())
