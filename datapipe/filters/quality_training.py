"""Trains the classifier of `quality.py` on good and bad examples, language by language.

The examples of a user are few and of a few kinds; three things make more of them. Each is seen whole and in pieces of
many lengths, since a classifier that saw only whole pages doubts a paragraph. What is nobody's example is made from the
good ones: their words in another order, words drawn from all of them, their letters in another order; so heaps of words
and of letters are bad in each language, whatever the user's bad examples are. And a word that few of them have is read
as its kind, see `datapipe.text.classifier_words`.

Training twice on the same examples gives the same bytes.
"""

import collections
import contextlib
import ctypes
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe import kernels
from datapipe.filters.language import identify
from datapipe.read.models import load_classifier
from datapipe.store.temporary import temporary_folder
from datapipe.text.bit_mixing import DEGSKI, fractions, golden_fold
from datapipe.text.classifier_words import KINDS, Vocabulary, tokens
from datapipe.text.words import primary

GOOD, BAD = "good", "bad"

HELD_OUT = 0.1  # share of the examples that the model is judged on, never trained on
FEWEST_EXAMPLES = 10  # of either kind in a language: fewer leave nothing to judge the model on
KNOWN = 10  # examples that have a word, before the classifier is to learn anything of it
# Of what stands for bad, the share that is made of good examples where all their words are known, and less in measure
# where fewer are. Without any, letters at random score between good and bad; with half of it, of heaps of words drawn
# from news pages a few in a hundred are taken for text. Order says little of words that are read as their kinds: with
# as much of it in Arabic, where two in three are, one good paragraph in twelve is bad.
NOISE = 0.6
PIECES = 2  # of each example, beside the whole
_LENGTHS = {True: (60, 500), False: (180, 1500)}  # characters of a piece, by whether a character says as much as a word

_HAN = (0x4E00, 0x9FFF)  # the block of Chinese characters in use
_SENTENCE = 12  # words of a made sentence, in the mean

_BUCKETS, _DIMENSIONS = 1 << 20, 10
_LEARNING_RATE = 0.3
# fastText divides a document's step by its length, so few examples need many rounds.
_UPDATES, _FEWEST_EPOCHS, _MOST_EPOCHS = 60_000, 5, 100
# From glibc's malloc.h: memory is given out filled with the complement of the byte that is set.
_M_PERTURB, _ALL_ONES = -6, 0xFF


def _hash(text: bytes, seed: int) -> bytes:
    """Sorted by it, texts are in an order that is random and always the same."""
    return hashlib.blake2b(text, digest_size=8, salt=seed.to_bytes(4, "little")).digest()


def _draws(text: bytes, seed: int, count: int) -> npt.NDArray[np.uint64]:
    """Random numbers, always the same for the same text and seed, shape (count,)."""
    indices = np.arange(count, dtype=np.uint64) + np.frombuffer(_hash(text, seed), np.uint64)
    return golden_fold(indices) * DEGSKI


def scramble(text: str) -> str:
    """The characters of a text in another order, random and always the same."""
    return "".join(text[index] for index in np.argsort(_draws(text.encode(), 0, len(text)), kind="stable"))


def train_fasttext(examples: str, **options: Any) -> Any:
    """A supervised fastText model that is the same each time it is trained on a file of labelled lines.

    With one thread, fastText 0.9.3 sets only the first tenth of its input matrix and leaves the rest as malloc gave it:
    the model then differs from run to run, or training dies with "Encountered NaN". So glibc is told to give out
    zeros meanwhile; elsewhere blocks of this size are fresh pages. More threads would race for the weights.

    Args:
        examples: path of a text file, a line an example: `__label__NAME` and the text.
        options: of `fasttext.train_supervised`, without `thread` and `verbose`.
    """
    libc = ctypes.CDLL(None)
    has_mallopt = hasattr(libc, "mallopt")
    if has_mallopt:
        libc.mallopt(_M_PERTURB, _ALL_ONES)
    try:
        return fasttext.train_supervised(examples, thread=1, verbose=0, **options)
    finally:
        if has_mallopt:
            libc.mallopt(_M_PERTURB, 0)


class Examples(NamedTuple):
    """The different examples of one language, in an order that is random and always the same."""

    good: list[str]
    bad: list[str]

    @property
    def suffice(self) -> bool:
        """Whether a classifier can learn from them, and be judged."""
        return min(map(len, self)) >= FEWEST_EXAMPLES


def by_language(good: Sequence[str], bad: Sequence[str]) -> dict[str, Examples]:
    """Examples by the language that they are in. One that stands twice counts once; one of both kinds, not at all."""
    kinds = {GOOD: set(good) - set(bad), BAD: set(bad) - set(good)}
    found: dict[str, Examples] = collections.defaultdict(lambda: Examples([], []))
    for kind, texts in kinds.items():
        ordered = sorted(texts, key=lambda text: _hash(text.encode(), 0))
        languages = identify(pa.array(ordered, pa.large_string())).column("language").to_pylist()
        for language, text in zip(languages, ordered, strict=True):
            getattr(found[primary(language)], kind).append(text)
    return dict(sorted(found.items()))


def pieces(text: str) -> Iterator[str]:
    """A text without its line breaks, and `PIECES` of it, their places and lengths random and always the same."""
    words = text.split()
    text = " ".join(words)
    yield text
    shortest, longest = _LENGTHS[len(text) > 12 * len(words)]
    spread = fractions(_draws(text.encode(), 1, 2 * PIECES))
    for length, place in zip(spread[::2], spread[1::2], strict=True):
        size = int(shortest * (longest / shortest) ** length)
        if size < 0.8 * len(text):
            start = int(place * (len(text) - size))
            start = text.rfind(" ", 0, start + 1) + 1 if longest > 1000 else start
            yield text[start : start + size]


def noise(texts: Sequence[str]) -> Iterator[str]:
    """What nobody wrote, of the words of good texts, in turn:

    the words of a text in another order; as many words drawn from all texts, as often as they occur; as many drawn
    alike, the rare ones as often as the common ones, both in sentences; and its characters scrambled, or for Chinese
    ones, any others.
    """
    split = [line.decode().split() for line in token_lines(texts)]
    words = [word for own in split for word in own if word.isalpha()]
    different = sorted(set(words))
    ends = collections.Counter(own[-1] for own in split if not own[-1].isalnum())
    stop = max(ends, key=lambda end: (ends[end], end), default="")
    for number, (text, own) in enumerate(zip(texts, split, strict=True)):
        draws = _draws(text.encode(), 2, len(text))
        kind = number % 4
        if kind == 0:
            yield " ".join(own[index] for index in np.argsort(draws[: len(own)], kind="stable"))
        elif kind == 3:
            drawn = (chr(_HAN[0] + int(draw * (_HAN[1] - _HAN[0] + 1))) for draw in fractions(draws))
            letters = (
                other if _HAN[0] <= ord(letter) <= _HAN[1] else letter
                for letter, other in zip(text, drawn, strict=True)
            )
            yield scramble("".join(letters))
        else:
            source = words if kind == 1 else different
            drawn = (source[int(draw * len(source))] for draw in fractions(draws[: len(own)]))
            ended = (fractions(draws[: len(own)] * DEGSKI) < 1 / _SENTENCE).tolist()
            yield " ".join(word + f" {stop}" * end for word, end in zip(drawn, ended, strict=True))


def token_lines(texts: Sequence[str], vocabulary: Vocabulary | None = None) -> list[bytes]:
    """The tokens of each text as a line that fastText reads, without its end; see `tokens`."""
    data, bounds = tokens(pa.array(texts, pa.large_string()), vocabulary)
    return [data[a:b].tobytes() for a, b in itertools.pairwise(bounds.tolist())]


def known_words(texts: Sequence[str]) -> Vocabulary:
    """The words that `KNOWN` of the texts have, or a tenth of them where that is less."""
    counts: collections.Counter[bytes] = collections.Counter()
    for line in token_lines(texts):
        counts.update(set(line.split()))
    return Vocabulary.of(sorted(word for word, count in counts.items() if count >= min(KNOWN, len(texts) / 10)))


def _labelled(examples: Examples, vocabulary: Vocabulary) -> Iterator[tuple[bytes, bytes]]:
    """The lines to train on, each with what sorts it: as much of either kind, however many there are of each."""
    good, bad = ([piece for text in texts for piece in pieces(text)] for texts in examples)
    most = max(len(good), len(bad))
    written = token_lines(good, vocabulary)
    words = b" ".join(written).split()
    made = NOISE * sum(not word.startswith(KINDS) for word in words) / max(1, len(words))
    of_noise = token_lines(list(noise(good)), vocabulary)
    for label, unsorted, share in (
        (GOOD, written, 1.0),
        (BAD, token_lines(bad, vocabulary), 1 - made),
        (BAD, of_noise, made),
    ):
        lines = sorted(unsorted, key=lambda line: _hash(line, 3))
        for number in range(round(2 * share * most)):
            line = lines[number % len(lines)]
            yield _hash(line, number // len(lines)), f"__label__{label} ".encode() + line + b"\n"


class Trained(NamedTuple):
    """A classifier and what is known of it.

    Attributes:
        model: the fastText model.
        judged: of each language that it judges, what `train` returns.
        examples: of each language, whether judged or not, how many there are of either kind.
    """

    model: bytes
    judged: dict[str, Any]
    examples: dict[str, list[int]]


def train_once(good: Sequence[str], bad: Sequence[str], languages: Sequence[str] = ()) -> Trained:
    """A classifier trained on examples in their languages; the last one is kept for the next process.

    To train it takes as long as all else that a short run does.

    Args:
        good, bad: the examples.
        languages: those to judge; none: all that have enough examples.

    Raises:
        ValueError: if no language has enough examples, or one of `languages` has not.
    """
    key = hashlib.blake2b(json.dumps((good, bad, languages)).encode(), digest_size=8).hexdigest()
    model, facts = (kernels.kept_file(f"quality.{key}", suffix) for suffix in (".bin", ".json"))
    with contextlib.suppress(FileNotFoundError):
        return Trained(model.read_bytes(), **json.loads(facts.read_bytes()))
    found = by_language(good, bad)
    chosen = {name: each for name, each in found.items() if each.suffice and name in (languages or found)}
    lacking = [language for language in languages if language not in chosen]
    if lacking or not chosen:
        there = ", ".join(f"{name} has {len(e.good)} good and {len(e.bad)} bad" for name, e in found.items())
        raise ValueError(
            f"quality: at least {FEWEST_EXAMPLES} different positives and as many negatives are needed in "
            f"{' and in '.join(lacking) or 'one language'}; {there or 'there are none'}"
        )
    with temporary_folder() as folder:
        judged = train(chosen, str(folder / "model.bin"))
        content = (folder / "model.bin").read_bytes()
    known = {"judged": judged, "examples": {name: [len(each.good), len(each.bad)] for name, each in found.items()}}
    for older in facts.parent.glob("quality.*"):
        older.unlink(missing_ok=True)
    for path, data in ((model, content), (facts, json.dumps(known).encode())):
        with kernels.whole(path) as sink:
            sink.write(data)
    return Trained(content, **known)


def train(examples: Mapping[str, Examples], path: str) -> dict[str, Any]:
    """Train a classifier on examples, write it to the local file `path`, and judge it on those held out.

    Args:
        examples: of each language that the classifier is to judge, as `by_language` gives them.

    Returns:
        For each language the number of examples trained on and held out, and the area under the ROC curve on these.
    """
    held_out, trained = {}, {}
    for language, (good, bad) in examples.items():
        sizes = [max(1, round(HELD_OUT * len(texts))) for texts in (good, bad)]
        held_out[language] = Examples(good[: sizes[0]], bad[: sizes[1]])
        trained[language] = Examples(good[sizes[0] :], bad[sizes[1] :])
    vocabulary = known_words([text for kinds in trained.values() for texts in kinds for text in texts])
    lines = sorted(line for kinds in trained.values() for line in _labelled(kinds, vocabulary))
    with temporary_folder() as folder:
        file = folder / "examples.txt"
        file.write_bytes(b"".join(line for _, line in lines))
        model = train_fasttext(
            str(file),
            lr=_LEARNING_RATE,
            dim=_DIMENSIONS,
            epoch=min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, _UPDATES // len(lines))),
            wordNgrams=2,
            bucket=_BUCKETS,
        )
    model.save_model(path)
    return {
        language: {
            "trained": {kind: len(texts) for kind, texts in trained[language]._asdict().items()},
            "held_out": {kind: len(texts) for kind, texts in kinds._asdict().items()},
            "held_out_auc": round(area_under_curve(*(score(path, texts) for texts in kinds)), 4),
        }
        for language, kinds in held_out.items()
    }


def score(path: str, texts: Sequence[str] | pa.Array) -> npt.NDArray[np.float32]:
    """The probability of each text to be good, by a classifier that `train` made; 0 for text without a token."""
    classifier = load_classifier(path)
    return classifier.probability(GOOD, *tokens(pa.array(texts), Vocabulary.of_model(classifier)))


def area_under_curve(good: npt.NDArray[np.float32], bad: npt.NDArray[np.float32]) -> float:
    """The probability that a good example scores above a bad one; a tie counts half.

    >>> area_under_curve(np.array([0.9, 0.8]), np.array([0.1, 0.85]))
    0.75
    """
    bad = np.sort(bad)
    below = np.searchsorted(bad, good, "left") + np.searchsorted(bad, good, "right")
    return float(below.mean() / (2 * len(bad)))
