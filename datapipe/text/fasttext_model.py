"""fastText classifiers: predicts what the library does, at twice its speed and more.

The stages `language`, `quality` and `safety` ask such models (Joulin et al. 2016, "Bag of Tricks for Efficient Text
Classification"). A text is the mean of the vectors of its words, of the words' character n-grams and of n-grams of
words, all but the words found by their hash; one layer then gives the probability of each label. The library makes a
string of each n-gram and looks it up in a map; the kernel here goes over the bytes of an Arrow array once.
`fasttext_file.py` reads the models. Training is left to the library, see `quality.py`.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, inlined, kernel

HIERARCHICAL_SOFTMAX, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
LABEL = np.frombuffer(b"__label__", np.uint8)
END = np.frombuffer(b"</s>", np.uint8)  # the token that stands for the end of a line
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619
_WORD_NGRAM_FACTOR = 116049371
_LOG_FLOOR = 1e-5  # the library adds it before each logarithm: probabilities come out that much higher
_FEATURES_AT_ONCE = 1024  # few enough to stay in the fastest cache
# Most words of a text stand in one before it. So many are known, by their hash: the last one of each slot, where it
# began and how many bytes it has, if few; how many vectors it has, if few, and how many count; and their rows.
_WORDS_KNOWN, _LONGEST_KNOWN, _FEATURES_KNOWN = 16384, 30, 12
_SIGMOID_STEPS, _SIGMOID_EDGE = 512, 8
# By how much two estimates of probabilities differ, at most, from what sums of rounded logarithms say: a share, since
# `_LOG_FLOOR` is added and a sum rounded at each level of a tree, of which no count of examples makes 90; and what
# `_estimate` and the rounding of 1 - p err by.
_SHARE_OFF, _OFF = np.float32(2e-3), np.float32(1e-6)


def _hash_of(token: bytes) -> int:
    """The hash of a word, FNV-1a of 32 bits; `_hashed` is its step."""
    return functools.reduce(lambda h, byte: ((h ^ byte) * _FNV_PRIME) & 0xFFFFFFFF, token, _FNV_OFFSET)


_END_HASH = _hash_of(END.tobytes())


class Weights(NamedTuple):
    """A model as kernels take it.

    Attributes:
        names, bounds: words, then labels, as bytes one after another, and where each begins.
        table: the hash and the number of each word and label, at the place of the hash or the next free one after it,
            shape (places, 2); -1 is free.
        words: how many of them are words.
        end: the number of the word `</s>`, -1 if it is none.
        minn, maxn: the lengths of character n-grams.
        word_ngrams: the greatest length of n-grams of words.
        buckets: how many values the hash of an n-gram has.
        used: a bit for each value, 0 if its vector is zero or left out, the lowest bit first. It fits into a cache,
            which the vectors do not, and most n-grams are none of those seen in training.
        rows: of each word and value, the row of its vector; shape (0,) unless the model is pruned, which leaves most
            vectors out. Those count for nothing; others count, zero or not.
        vectors: shape (rows, dimensions).
        outputs: the layer, shape (dimensions, labels): what it makes of a mean is summed up for all labels at a time.
        loss: what is made of the layer's sums.
        children: of each node of the tree whose first nodes are the labels, shape (nodes, 2); -1 at a label.
    """

    names: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    words: int
    end: int
    minn: int
    maxn: int
    word_ngrams: int
    buckets: int
    used: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]
    outputs: npt.NDArray[np.float32]
    loss: int
    children: npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class FastTextModel:
    """A classifier: its labels, without `__label__`, and its weights."""

    labels: tuple[str, ...]
    weights: Weights

    def predict(
        self, data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], k: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The `k` likeliest labels of each text, likeliest first, and their probabilities.

        A text is one line: a line break, and the token `</s>`, which would end it, count as blanks.

        Args:
            data: UTF-8.
            starts, ends: bounds of each text in `data`, in bytes, shape (n,).

        Returns:
            Places in `labels`, shape (n, k), -1 where there is none, as for text without a token; and float32 (n, k).
        """
        k = min(k, len(self.labels))
        return _predict(self.weights, data, starts, ends, k, -1)

    def probability(
        self, label: str, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """The probability of one label for each text, as in `predict`; 0 for text without a token.

        Args:
            label: its name without `__label__`; the probability of one that the model lacks is 0.
            data, bounds: UTF-8 and where each text begins and the last one ends, shape (n + 1,).
        """
        if label not in self.labels:
            return np.zeros(len(bounds) - 1, np.float32)
        return _predict(self.weights, data, bounds[:-1], bounds[1:], 1, self.labels.index(label))[1][:, 0]


@helper
def _hashed(h: int, byte: int) -> int:
    """The next value of the FNV-1a hash of 32 bits; to the library a byte is a signed number."""
    return ((h ^ (byte | 0xFFFFFF00 if byte >= 128 else byte)) * _FNV_PRIME) & 0xFFFFFFFF


@helper
def hash_token(data: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """The hash of a word or label."""
    h = _FNV_OFFSET
    for at in range(start, end):
        h = _hashed(h, data[at])
    return h


@helper
def find_token(
    table: npt.NDArray[np.int64],
    names: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
    start: int,
    end: int,
    h: int,
) -> int:
    """The number of the word or label that stands in `data` and has the hash `h`; -1 if there is none."""
    mask = len(table) - 1
    slot = h & mask
    while table[slot, 1] >= 0:
        if table[slot, 0] == h:
            number = table[slot, 1]
            at, other = start, bounds[number]
            while at < end and other < bounds[number + 1] and data[at] == names[other]:
                at += 1
                other += 1
            if at == end and other == bounds[number + 1]:
                return number
        slot = (slot + 1) & mask
    return -1


@kernel
def fill_table(names: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], table: npt.NDArray[np.int64]) -> None:
    """Fill a table of -1 with the hash and the number of each word and label; see `Weights`."""
    mask = len(table) - 1
    for number in range(len(bounds) - 1):
        h = hash_token(names, bounds[number], bounds[number + 1])
        slot = h & mask
        while table[slot, 1] >= 0:
            slot = (slot + 1) & mask
        table[slot, 0], table[slot, 1] = h, number


@helper
def _add(
    features: npt.NDArray[np.uint32], size: int, vectors: npt.NDArray[np.float32], total: npt.NDArray[np.float32]
) -> None:
    """Add the vectors of the first `size` features, one after another: the sum is the library's to the last bit.

    Four in one loop, so that the sum so far is read and written a quarter as often: in a fifth of the time.
    """
    i = 0
    while i + 4 <= size:
        a, b, c, d = features[i], features[i + 1], features[i + 2], features[i + 3]
        for j in range(len(total)):
            total[j] = (((total[j] + vectors[a, j]) + vectors[b, j]) + vectors[c, j]) + vectors[d, j]
        i += 4
    while i < size:
        for j in range(len(total)):
            total[j] += vectors[features[i], j]
        i += 1


@helper
def _is_blank(byte: int) -> bool:
    return byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0)


@helper
def _stands_at(token: npt.NDArray[np.uint8], data: npt.NDArray[np.uint8], at: int, end: int) -> bool:
    """Whether `token` stands in `data` at a place, before `end`."""
    i = 0
    while i < len(token) and at + i < end and data[at + i] == token[i]:
        i += 1
    return i == len(token)


@helper
def _are_equal(data: npt.NDArray[np.uint8], other: int, start: int, end: int) -> bool:
    """Whether what begins at `other` is what stands from `start` to `end`."""
    at = start
    while at < end and data[at] == data[other + at - start]:
        at += 1
    return at == end


@helper
def _bit(bits: npt.NDArray[np.uint8], i: int) -> int:
    return (bits[i >> 3] >> (i & 7)) & 1


@helper
def _find_rows(weights: Weights, features: npt.NDArray[np.uint32], start: int, end: int) -> None:
    """Put the rows of words and values in their place."""
    for i in range(start, end if len(weights.rows) else start):
        features[i] = weights.rows[features[i]]


@helper
def _spell(
    weights: Weights,
    data: npt.NDArray[np.uint8],
    start: int,
    end: int,
    number: int,
    word: npt.NDArray[np.uint8],
    features: npt.NDArray[np.uint32],
    size: int,
    mean: npt.NDArray[np.float32],
) -> tuple[int, int]:
    """Put the rows of a word and of its n-grams of characters after `size` others.

    All are added to `mean` when there are `_FEATURES_AT_ONCE`. Returns how many wait, and how many count for the word.
    """
    minn, maxn, words, used = weights.minn, weights.maxn, weights.words, weights.used
    pruned = len(weights.rows) > 0
    first, counted = size, 0
    if number >= 0:
        features[size] = number
        size, counted = size + 1, 1
    length = end - start + 2 if maxn > 0 else 0
    for i in range(start, end):
        word[i - start + 1] = data[i]
    word[end - start + 1] = 62  # >
    for begin in range(length):
        if word[begin] & 0xC0 == 0x80:
            continue
        h, n, following = _FNV_OFFSET, 1, begin
        while following < length and n <= maxn:
            h = _hashed(h, word[following])
            following += 1
            while following < length and word[following] & 0xC0 == 0x80:
                h = _hashed(h, word[following])
                following += 1
            if n >= minn and not (n == 1 and (begin == 0 or following == length)):
                bucket = np.int64(np.uint32(h) % np.uint32(weights.buckets))
                features[size] = words + bucket
                bit = _bit(used, bucket)
                size += bit
                counted += bit if pruned else 1
            n += 1
        if size >= _FEATURES_AT_ONCE:
            _find_rows(weights, features, first, size)
            _add(features, size, weights.vectors, mean)
            first, size = 0, 0
    _find_rows(weights, features, first, size)
    return size, counted


@helper
def _embed(
    weights: Weights,
    data: npt.NDArray[np.uint8],
    at: int,
    end: int,
    word: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.int32],
    features: npt.NDArray[np.uint32],
    known: npt.NDArray[np.int64],
    known_features: npt.NDArray[np.uint32],
    mean: npt.NDArray[np.float32],
) -> int:
    """Set `mean` to the mean of all vectors of a text; returns their number. The arrays before `mean` are scratch.

    The words of the texts before it are `known`, see `_WORDS_KNOWN`.
    """
    table, names, bounds = weights.table, weights.names, weights.bounds
    mean[:] = 0
    size, added, tokens, found = 0, 0, 0, False
    pruned = len(weights.rows) > 0
    while True:
        while at < end:
            if _is_blank(data[at]):
                at += 1
            elif data[at] == END[0] and _stands_at(END, data, at, end):
                at += len(END)
            else:
                break
        if at == end:
            break
        found = True
        start, h = at, _FNV_OFFSET
        while at < end:
            byte = data[at]
            if _is_blank(byte) or (byte == END[0] and _stands_at(END, data, at, end)):
                break
            h = _hashed(h, byte)
            at += 1
        slot = h & (_WORDS_KNOWN - 1)
        if known[slot, 1] == at - start and _are_equal(data, known[slot, 0], start, at):
            for i in range(known[slot, 2]):
                features[size + i] = known_features[slot, i]
            size += known[slot, 2]
            added += known[slot, 3]
        else:
            number = find_token(table, names, bounds, data, start, at, h)
            if number >= weights.words or (
                number < 0 and data[start] == LABEL[0] and _stands_at(LABEL, data, start, at)
            ):
                continue
            first = size
            size, counted = _spell(weights, data, start, at, number, word, features, size, mean)
            added += counted
            if at - start <= _LONGEST_KNOWN and first <= size <= first + _FEATURES_KNOWN:
                known[slot, 0], known[slot, 1] = start, at - start
                known[slot, 2], known[slot, 3] = size - first, counted
                for i in range(size - first):
                    known_features[slot, i] = features[first + i]
        if size >= _FEATURES_AT_ONCE:
            _add(features, size, weights.vectors, mean)
            size = 0
        hashes[tokens] = np.int32(np.uint32(h))
        tokens += 1
    if not found:
        return 0
    first = size
    if weights.end >= 0:
        features[size] = weights.end
        size += 1
        added += 1
    hashes[tokens] = np.int32(np.uint32(_END_HASH))
    tokens += 1
    for i in range(tokens):
        joined = np.uint64(np.int64(hashes[i]))
        for j in range(i + 1, min(tokens, i + weights.word_ngrams)):
            joined = joined * np.uint64(_WORD_NGRAM_FACTOR) + np.uint64(np.int64(hashes[j]))
            bucket = np.int64(joined % np.uint64(weights.buckets))
            features[size] = weights.words + bucket
            bit = _bit(weights.used, bucket)
            size += bit
            added += bit if pruned else 1
            if size >= _FEATURES_AT_ONCE:
                _find_rows(weights, features, first, size)
                _add(features, size, weights.vectors, mean)
                first, size = 0, 0
    _find_rows(weights, features, first, size)
    _add(features, size, weights.vectors, mean)
    for i in range(len(mean) if added else 0):
        mean[i] *= np.float32(1.0 / added)
    return added


@helper
def _log(x: float) -> np.float32:
    return np.float32(math.log(np.float64(x) + _LOG_FLOOR))


@helper
def _apply(outputs: npt.NDArray[np.float32], mean: npt.NDArray[np.float32], sums: npt.NDArray[np.float32]) -> None:
    """Set `sums` to what the layer makes of a mean, of all labels at a time, and in the order of the library."""
    sums[:] = 0
    i = 0
    while i + 4 <= len(mean):
        a, b, c, d = mean[i], mean[i + 1], mean[i + 2], mean[i + 3]
        for j in range(len(sums)):
            total = ((sums[j] + outputs[i, j] * a) + outputs[i + 1, j] * b) + outputs[i + 2, j] * c
            sums[j] = total + outputs[i + 3, j] * d
        i += 4
    while i < len(mean):
        for j in range(len(sums)):
            sums[j] += outputs[i, j] * mean[i]
        i += 1


@helper
def _offer(score: np.float32, label: int, labels: npt.NDArray[np.int32], scores: npt.NDArray[np.float32]) -> None:
    """Take a label among the likeliest if it is one of them; the first one wins a tie."""
    rank = len(labels)
    while rank > 0 and (labels[rank - 1] < 0 or score > scores[rank - 1]):
        rank -= 1
    if rank < len(labels):
        for i in range(len(labels) - 1, rank, -1):
            labels[i], scores[i] = labels[i - 1], scores[i - 1]
        labels[rank], scores[rank] = label, score


@inlined
def _share_right(value: np.float32) -> np.float32:
    """Of what a node of the tree has, what goes to its right child, in the order of the library."""
    return np.float32(1.0 / (np.float32(1) + np.exp(-value)))


@helper
def _estimate(layer: npt.NDArray[np.float32], out: npt.NDArray[np.float32]) -> None:
    """The logistic function, off by 3e-7 at most: of half of it the tangent, as Eigen has that (`ptanh_float`)."""
    for i in range(len(layer)):
        x = min(max(layer[i] * np.float32(0.5), np.float32(-7.9)), np.float32(7.9))
        y = x * x
        odd = y * np.float32(-2.76076847742355e-16) + np.float32(2.00018790482477e-13)
        odd = y * odd + np.float32(-8.60467152213735e-11)
        odd = y * odd + np.float32(5.12229709037114e-08)
        odd = y * odd + np.float32(1.48572235717979e-05)
        odd = y * odd + np.float32(6.37261928875436e-04)
        odd = y * odd + np.float32(4.89352455891786e-03)
        even = y * np.float32(1.19825839466702e-06) + np.float32(1.18534705686654e-04)
        even = y * even + np.float32(2.26843463243900e-03)
        even = y * even + np.float32(4.89352518554385e-03)
        # Not `/`, which asks whether it is by zero: then it would be done for one at a time.
        out[i] = np.float32(0.5) + np.float32(0.5) * np.divide(x * odd, even)


@helper
def _rank_by_estimate(
    weights: Weights,
    layer: npt.NDArray[np.float32],
    parents: npt.NDArray[np.int32],
    labels: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    nodes: npt.NDArray[np.int32],
    best: npt.NDArray[np.int32],
    estimates: npt.NDArray[np.float32],
    sums: npt.NDArray[np.float32],
) -> bool:
    """Rank the labels as `_walk` does, in a third of the time; returns whether estimates leave no doubt of the order.

    Logarithms are taken only of the branches above the likeliest labels.
    """
    inner, root, k = len(layer), len(weights.children) - 1, len(labels)
    floor = np.float32(_LOG_FLOOR)
    _estimate(layer, sums)
    estimates[root] = 1
    for i in range(np.uint64(root + 1 - inner)):  # a node comes after those below it
        node = np.uint64(root) - i
        right, estimate = sums[node - np.uint64(inner)], estimates[node]
        estimates[np.uint32(weights.children[node, 0])] = estimate * (np.float32(1) - right + floor)
        estimates[np.uint32(weights.children[node, 1])] = estimate * (right + floor)
    found, least = 0, floor * (np.float32(1) - _SHARE_OFF) - _OFF
    for label in range(inner):
        estimate = estimates[label]
        if estimate < least:
            continue
        rank = found
        while rank > 0 and estimate > estimates[best[rank - 1]]:
            best[rank] = best[rank - 1]
            rank -= 1
        best[rank] = label
        found += found <= k
        if found > k:  # the next one after those that are wanted
            least = estimates[best[k]]
    for rank in range(min(found, k)):
        estimate = estimates[best[rank]]
        below = estimates[best[rank + 1]] if rank + 1 < found else floor
        if estimate - max(below, floor) <= _SHARE_OFF * estimate + _OFF:
            return False
    sums[: root + 1] = np.nan
    sums[root] = 0
    for rank in range(min(found, k)):
        node, above = best[rank], 0
        while np.isnan(sums[node]):
            nodes[above], node, above = node, parents[node], above + 1
        score = sums[node]
        while above:
            above -= 1
            parent, node = node, nodes[above]
            right = _share_right(layer[parent - inner])
            score += _log(right if weights.children[parent, 1] == node else np.float32(1.0 - right))
            sums[node] = score
        labels[rank], scores[rank] = best[rank], score
    return True


@helper
def _walk(
    weights: Weights,
    layer: npt.NDArray[np.float32],
    wanted: int,
    labels: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    nodes: npt.NDArray[np.int32],
    sums: npt.NDArray[np.float32],
) -> None:
    """Rank the labels by hierarchical softmax, but for the branches of the tree that are too unlikely."""
    inner, least = len(layer), _log(0.0)
    node, score, waiting = len(weights.children) - 1, np.float32(0), 0
    while True:
        while weights.children[node, 0] >= 0 and score >= least and (labels[-1] < 0 or score >= scores[-1]):
            right = _share_right(layer[node - inner])
            likelier = int(right > 0.5)
            # The other branch waits, unless that is too unlikely already.
            other = score + _log(np.float32(1.0 - right) if likelier else right)
            score += _log(right if likelier else np.float32(1.0 - right))
            nodes[waiting], sums[waiting] = weights.children[node, 1 - likelier], other
            waiting += other >= least and (labels[-1] < 0 or other >= scores[-1])
            node = weights.children[node, likelier]
        if weights.children[node, 0] < 0 and score >= least and (wanted < 0 or wanted == node):
            _offer(score, node, labels, scores)
        if not waiting:
            return
        waiting -= 1
        node, score = nodes[waiting], sums[waiting]


@helper
def _rank(
    weights: Weights,
    layer: npt.NDArray[np.float32],
    wanted: int,
    labels: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    parents: npt.NDArray[np.int32],
    nodes: npt.NDArray[np.int32],
    best: npt.NDArray[np.int32],
    estimates: npt.NDArray[np.float32],
    sums: npt.NDArray[np.float32],
) -> None:
    """Rank the labels by the logarithms of their probabilities.

    Args:
        layer: used up.
        wanted: if it is no negative number, only that label is ranked.
        labels, scores: -1 and 0, to be filled.
        parents: of each node of the tree; -1 of the root.
        nodes, best, estimates, sums: scratch, as many as there are nodes, and one more.
    """
    if weights.loss == HIERARCHICAL_SOFTMAX:
        if wanted >= 0 or not _rank_by_estimate(weights, layer, parents, labels, scores, nodes, best, estimates, sums):
            _walk(weights, layer, wanted, labels, scores, nodes, sums)
        return
    highest, total = np.float32(-np.inf), np.float32(0)
    for label in range(len(layer)):
        highest = max(highest, layer[label])
    for label in range(len(layer)):
        layer[label] = np.exp(layer[label] - highest) if weights.loss == SOFTMAX else _sigmoid(layer[label])
        total += layer[label]
    for label in range(len(layer) if weights.loss == SOFTMAX else 0):
        layer[label] /= total
    for label in range(len(layer)):
        if wanted < 0 or wanted == label:
            _offer(_log(layer[label]), label, labels, scores)


@helper
def _sigmoid(x: np.float32) -> np.float32:
    """The logistic function as the library has it, from a table."""
    if abs(x) > _SIGMOID_EDGE:
        return np.float32(x > 0)
    step = int(np.float32(x + np.float32(_SIGMOID_EDGE)) * (_SIGMOID_STEPS / _SIGMOID_EDGE / 2))
    return np.float32(1.0 / (1.0 + math.exp(_SIGMOID_EDGE - step * (2 * _SIGMOID_EDGE / _SIGMOID_STEPS))))


@kernel
def _predict(
    weights: Weights,
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    k: int,
    wanted: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """See `FastTextModel.predict`; where `wanted` is no negative number, only that label is asked for."""
    labels = np.full((len(starts), k), -1, np.int32)
    probabilities = np.zeros((len(starts), k), np.float32)
    longest = 0
    for text in range(len(starts)):
        longest = max(longest, ends[text] - starts[text])
    word = np.empty(longest + 2, np.uint8)
    word[0] = 60  # <
    hashes = np.empty(longest // 2 + 2, np.int32)
    # Once there are so many, they are added: after each word, and after the n-grams that begin with one character.
    most = max(_FEATURES_KNOWN, min(weights.maxn, longest + 2))
    features = np.empty(_FEATURES_AT_ONCE + most + 2, np.uint32)
    known = np.zeros((_WORDS_KNOWN, 4), np.int64)
    known_features = np.empty((_WORDS_KNOWN, _FEATURES_KNOWN), np.uint32)
    dimensions, count = weights.outputs.shape
    mean, layer = np.empty(dimensions, np.float32), np.empty(count, np.float32)
    size = len(weights.children) + 1
    parents, nodes, best = np.full(size, -1, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    estimates, sums = np.empty(size, np.float32), np.empty(size, np.float32)
    for node in range(len(weights.children)):
        for child in range(2 if weights.children[node, 0] >= 0 else 0):
            parents[weights.children[node, child]] = node
    for text in range(len(starts)):
        if _embed(weights, data, starts[text], ends[text], word, hashes, features, known, known_features, mean):
            _apply(weights.outputs, mean, layer)
            _rank(weights, layer, wanted, labels[text], probabilities[text], parents, nodes, best, estimates, sums)
            for i in range(k):
                if labels[text, i] >= 0:
                    probabilities[text, i] = min(np.float32(1), np.exp(probabilities[text, i]))
    return labels, probabilities
