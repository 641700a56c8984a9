"""A character n-gram model with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998): train, score, keep.

Characters need no tokenizer and suit Chinese as well as English. CCNet uses KenLM, but PyPI has its source only, and
building its trainer takes cmake and Boost.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors.numpy import load, save

from datapipe.kernels import helper, inlined, kernel
from datapipe.text.bit_mixing import multiply_fold
from datapipe.text.characters import decode, text_buffers
from datapipe.text.hashes import BLANK, DROPPED, normalization_table

NORMALIZATION = "ccnet"  # lower case, no accents or punctuation, digits as 0: what CCNet's models see
ORDER = 5  # CCNet's order, there of SentencePiece tokens
# From this length on, n-grams that occur once are left out: most of the model, and hardly any of its use.
PRUNED_FROM = 3

_SEED = np.uint64(0x452821E638D01377)  # digits of pi, as is the multiplier
_FACTOR = np.uint64(0xBE5466CF34E90C6D)
# KenLM's discounts for n-grams seen once, twice and more often, where the data are too few to estimate them.
_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


class NgramModel(NamedTuple):
    """A hash table with open addressing of all n-grams, the empty one too; each array of shape (slots,), a power of 2.

    Attributes:
        keys: the hash of each n-gram, 0 = empty slot.
        log_probability: of its last symbol after those before, natural logarithm.
        log_backoff: the weight of shorter n-grams where none follows it.
    """

    keys: npt.NDArray[np.uint64]
    log_probability: npt.NDArray[np.float32]
    log_backoff: npt.NDArray[np.float32]


@inlined
def _extend(key: np.uint64, symbol: int) -> np.uint64:
    """The key of an n-gram from the key of its last n - 1 symbols and the symbol before them."""
    return multiply_fold(key ^ np.uint64(symbol + 1), _FACTOR, 29)


@helper
def _symbols(
    data: npt.NDArray[np.uint8], start: int, end: int, table: npt.NDArray[np.int32], out: npt.NDArray[np.int32]
) -> int:
    """Write a text's symbols under a normalization table into `out`, after one blank; returns how many there are."""
    out[0] = 32
    count = 1
    blank = False
    at = start
    while at < end:
        code_point, at = decode(data, at)
        meaning = table[code_point]
        if meaning == BLANK:
            blank = count > 1
        elif meaning != DROPPED:
            if blank:
                out[count] = 32
                count += 1
                blank = False
            out[count] = meaning
            count += 1
    return count


@kernel
def _ngram_keys(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], table: npt.NDArray[np.int32], order: int
) -> npt.NDArray[np.uint64]:
    """The keys of all n-grams, shape (order + 1, symbols): row n holds the n-gram that ends at each symbol; 0 = none.

    Row 0 is the empty n-gram. N-grams do not reach over the beginning of a text. Each text stands after a blank.
    """
    keys = np.zeros((order + 1, len(data) + len(bounds)), np.uint64)
    symbols = np.empty(len(data) + 2, np.int32)
    column = 0
    for text in range(len(bounds) - 1):
        count = _symbols(data, bounds[text], bounds[text + 1], table, symbols)
        for i in range(count):
            key = _SEED
            keys[0, column] = key
            for n in range(1, min(order, i + 1) + 1):
                key = _extend(key, symbols[i - n + 1])
                keys[n, column] = key
            column += 1
    return keys[:, :column]


def train(texts: Sequence[str], order: int = ORDER) -> NgramModel:
    """Learn a model.

    Args:
        texts: the reference texts.
        order: symbols in the longest n-gram.
    """
    data, bounds = text_buffers(pa.array(texts, pa.large_string()))
    columns = _ngram_keys(data, bounds, normalization_table(NORMALIZATION), order)
    keys: list[npt.NDArray[np.uint64]] = []
    first: list[npt.NDArray[np.intp]] = []  # where each distinct n-gram ends for the first time
    occurrences: list[npt.NDArray[np.intp]] = []
    for row in columns:
        ends = np.flatnonzero(row)
        distinct, index, counts = np.unique(row[ends], return_index=True, return_counts=True)
        keys.append(distinct)
        first.append(ends[index])
        occurrences.append(counts)

    def index_of(n: int, ends: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Which of the distinct n-grams of length n ends at each symbol."""
        return np.searchsorted(keys[n], columns[n][ends])

    kept = [row > 1 if n >= PRUNED_FROM else row > 0 for n, row in enumerate(occurrences)]
    # Of the empty n-gram: all symbols, and one for all that were never seen, are as likely.
    probabilities: list[npt.NDArray[np.floating]] = [np.array([1 / (len(keys[1]) + 1)])]
    backoffs: list[npt.NDArray[np.floating]] = []
    for n in range(1, order + 1):
        # The longest are counted; the others by the number of symbols they follow, as Kneser and Ney found better.
        counts = np.bincount(index_of(n, first[n + 1]), minlength=len(keys[n])) if n < order else occurrences[n]
        weights = np.maximum(counts, 1).astype(np.float64)
        context, suffix = index_of(n - 1, first[n] - 1), index_of(n - 1, first[n])
        totals = np.bincount(context, weights, len(keys[n - 1]))
        share = (weights - _discounts(weights)) / totals[context] * kept[n]
        backoffs.append(1.0 - np.bincount(context, share, len(keys[n - 1])))
        probabilities.append(share + backoffs[-1][context] * probabilities[-1][suffix])
    backoffs.append(np.ones(len(keys[order])))
    flat_keys, flat_probabilities, flat_backoffs = (
        np.concatenate([values[keep] for values, keep in zip(each, kept, strict=True)])
        for each in (keys, probabilities, backoffs)
    )
    slots = 1 << int(np.ceil(np.log2(1.5 * len(flat_keys))))
    where = _slots(flat_keys, slots)
    model = NgramModel(np.zeros(slots, np.uint64), np.zeros(slots, np.float32), np.zeros(slots, np.float32))
    model.keys[where] = flat_keys
    model.log_probability[where] = np.log(flat_probabilities)
    model.log_backoff[where] = np.log(flat_backoffs)
    return model


def _discounts(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What is taken off each count for n-grams never seen."""
    ones, twos, threes, fours = (float((counts == n).sum()) for n in (1, 2, 3, 4))
    discounts = _FALLBACK_DISCOUNTS
    if min(ones, twos, threes, fours) > 0:
        share = ones / (ones + 2 * twos)
        estimated = (1 - 2 * share * twos / ones, 2 - 3 * share * threes / twos, 3 - 4 * share * fours / threes)
        if all(0 < discount < n for n, discount in enumerate(estimated, 1)):
            discounts = estimated
    return np.select([counts == 1, counts == 2], discounts[:2], discounts[2])


@kernel
def _slots(keys: npt.NDArray[np.uint64], slots: int) -> npt.NDArray[np.int64]:
    """A slot of its own for each key: the first free one from where its low bits point."""
    taken = np.zeros(slots, np.bool_)
    where = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        slot = np.int64(keys[i] & np.uint64(slots - 1))
        while taken[slot]:
            slot = (slot + 1) & (slots - 1)
        taken[slot] = True
        where[i] = slot
    return where


@kernel
def log_probabilities(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    table: npt.NDArray[np.int32],
    model: NgramModel,
    order: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The summed natural log probability of each text's symbols, and how many symbols it has, shape (texts,) each.

    An n-gram stands in the table only if its last n - 1 symbols do, so the longest match is found from below, and the
    backoff weights of one symbol's n-grams are those that the next symbol needs.
    """
    keys = model.keys
    mask = np.uint64(len(keys) - 1)
    sums = np.zeros(len(bounds) - 1)
    counts = np.zeros(len(bounds) - 1, np.int64)
    longest = 0
    for text in range(len(bounds) - 1):
        longest = max(longest, bounds[text + 1] - bounds[text])
    symbols = np.empty(longest + 2, np.int32)
    backoffs = np.zeros(order + 1)  # of the n-grams that end at the symbol before, by length
    new_backoffs = np.zeros(order + 1)
    for text in range(len(bounds) - 1):
        count = _symbols(data, bounds[text], bounds[text + 1], table, symbols)
        given = 0  # length of the longest n-gram found that ends at the symbol before
        total = 0.0
        for i in range(count):
            key = _SEED
            found = 0
            probability = 0.0
            for n in range(min(order, i + 1) + 1):
                if n > 0:
                    key = _extend(key, symbols[i - n + 1])
                slot = np.int64(key & mask)
                while keys[slot] != 0 and keys[slot] != key:
                    slot = (slot + 1) & np.int64(mask)
                if keys[slot] == 0:
                    break
                found = n
                probability = model.log_probability[slot]
                new_backoffs[n] = model.log_backoff[slot]
            if i > 0:  # the blank before the text is given, not predicted
                for n in range(found, min(order, given + 1)):
                    probability += backoffs[n]
                total += probability
            given = found
            backoffs[: found + 1] = new_backoffs[: found + 1]
        sums[text] = total
        counts[text] = count - 1
    return sums, counts


def perplexities(texts: pa.Array, model: NgramModel, order: int = ORDER) -> npt.NDArray[np.float64]:
    """Perplexity per character of each text, shape (n,); NaN for text without a letter or digit."""
    data, bounds = text_buffers(texts)
    sums, counts = log_probabilities(data, bounds, normalization_table(NORMALIZATION), model, order)
    return np.exp(-sums / np.where(counts, counts, np.nan))


def to_bytes(model: NgramModel) -> bytes:
    """A model as a safetensors file."""
    return save(model._asdict())


def from_bytes(content: bytes) -> NgramModel:
    """The model of such a file."""
    return NgramModel(**load(content))
