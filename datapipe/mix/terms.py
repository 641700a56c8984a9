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

from datapipe.flow.shuffle import group_starts
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
        table = pa.table(
            {
                "topic": pa.array([topic for topic, _ in named], pa.int64()).take(counted["group"]),
                "language": pa.array([language for _, language in named], pa.string()).take(counted["group"]),
                "word": pa.array(words.distinct, pa.string()).take(counted["code"]),
                "occurrences": counted["occurrences_sum"],
                "documents": counted["count_all"],
            }
        )
        # Combined: what Arrow gives are slices of one buffer, and each is pickled with all of it.
        self.tables.append(table.combine_chunks())

    def add(self, other: "WordCounts") -> None:
        """Add the counts of other documents."""
        self.documents.update(other.documents)
        self.tables += other.tables

    def sum_up(self) -> None:
        """Have one row for each topic, language and word."""
        if len(self.tables) > 1:
            every = pa.concat_tables(self.tables).group_by(_GROUP, use_threads=False)
            summed = every.aggregate([("occurrences", "sum"), ("documents", "sum")])
            self.tables = [summed.rename_columns([*_GROUP, "occurrences", "documents"]).combine_chunks()]


def top_terms(counts: WordCounts, terms: int) -> dict[int, list[str]]:
    """The words of greatest weight of each topic, see the module; of equal weight in order of the alphabet."""
    spoken: dict[int, dict[str, int]] = {}
    everywhere: collections.Counter[str] = collections.Counter()
    for (topic, language), number in sorted(counts.documents.items()):
        spoken.setdefault(topic, {})[language] = number
        everywhere[language] += number
    # What is known of each topic: the language of most of its documents, and how many of others may have a word of it.
    languages = list(everywhere)
    main, most = np.zeros(len(spoken), np.int64), np.zeros(len(spoken))
    for number, of in enumerate(spoken.values()):
        language = min(of, key=lambda name: (-of[name], name))
        others = everywhere[language] - of[language]
        main[number] = languages.index(language)
        most[number] = FUNCTION_WORD * others if others >= FEWEST_DOCUMENTS else math.inf
    if not counts.tables:
        return {}
    table = pa.concat_tables(counts.tables)
    encoded = table["word"].combine_chunks().dictionary_encode()
    words, word = encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)
    topic_of = np.searchsorted(np.array(list(spoken), np.int64), table["topic"].to_numpy())
    language_of = pc.index_in(table["language"], pa.array(languages, pa.string())).to_numpy()
    documents, is_main = table["documents"].to_numpy(), language_of == main[topic_of]
    # Each pair is one number, such as topic * len(words) + word.
    in_topic, occurrences = _sums(topic_of * len(words) + word, table["occurrences"].to_numpy())
    having = _sums(language_of * len(words) + word, documents)
    here = _sums(topic_of[is_main] * len(words) + word[is_main], documents[is_main])
    topic_of, word = np.divmod(in_topic, max(len(words), 1))
    elsewhere = _look_up(having, main[topic_of] * len(words) + word) - _look_up(here, in_topic)
    kept = elsewhere <= most[topic_of]
    topic_of, word = topic_of[kept], word[kept]
    weights = class_tf_idf(topic_of, word, occurrences[kept], len(spoken))
    found = {}
    for number, topic in enumerate(spoken):
        begin, end = np.searchsorted(topic_of, [number, number + 1])
        best = weights[begin:end]
        if len(best) > terms:
            best = np.partition(best, -terms)[-terms:]
        chosen = begin + np.flatnonzero(weights[begin:end] >= best.min(initial=np.inf))
        named = zip((-weights[chosen]).tolist(), words.take(pa.array(word[chosen])).to_pylist(), strict=True)
        found[topic] = [name for _, name in sorted(named)[:terms]]
    return found


_Sums = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _sums(keys: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> _Sums:
    """Each key once, ascending, and the sum of its values."""
    order = np.argsort(keys)
    starts = group_starts(keys[order])
    return keys[order[starts]], np.add.reduceat(values[order], starts) if len(starts) else values[:0]


def _look_up(sums: _Sums, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of each key; 0 where there is none."""
    if not len(sums[0]):
        return np.zeros(len(keys), np.int64)
    place = np.minimum(np.searchsorted(sums[0], keys), len(sums[0]) - 1)
    return np.where(sums[0][place] == keys, sums[1][place], 0)


def class_tf_idf(
    topic: npt.NDArray[np.int64], word: npt.NDArray[np.int64], occurrences: npt.NDArray[np.int64], topics: int
) -> npt.NDArray[np.float64]:
    """The weight of each word in each topic, shape (n,).

    Args:
        topic, word: numbers of a topic and a word, each pair once, shape (n,).
        occurrences: how often the word occurs there.
        topics: how many there are, with words or without.
    """
    every = np.bincount(word, occurrences)[word]
    average = occurrences.sum() / max(topics, 1)
    distinct, place = np.unique(every, return_inverse=True)
    # numpy's log1p may differ in the last bit from one processor to the next, and near-ties depend on it.
    logarithms = np.array([math.log1p(average / number) for number in distinct.tolist()])
    return occurrences / np.bincount(topic, occurrences)[topic] * logarithms[place]
