"""How often documents deserve to be seen, by the rates that the field has: each a pure function of sizes and scores.

`upsampling.py` multiplies those that a recipe asks for, and `mixture.py` turns the product into whole copies.
"""

import bisect
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

BISECTIONS = 60  # more than the bits of a float64
# Of a score as a float of 32 bits, those that are not looked at: two scores are then told apart where they differ by
# more than one part in 8,192.
COARSE = 10


def temperature_epochs(sizes: Mapping[str, int], temperature: float, budget: float | None) -> dict[str, float]:
    """Epochs of each group so that its share of the whole goes with size ^ (1 / temperature), as mT5 and others sample.

    Args:
        sizes: what there is of each group.
        temperature: 1 leaves the natural shares, a great one makes all groups alike.
        budget: of all groups together; none: as much as there is.

    >>> temperature_epochs({"en": 900, "sw": 100}, 2, None)
    {'en': 0.8333333333333334, 'sw': 2.5}
    """
    there = {group: size for group, size in sizes.items() if size}
    powers = {group: size ** (1 / temperature) for group, size in there.items()}
    total = budget or sum(there.values())
    return {group: total * powers[group] / sum(powers.values()) / size for group, size in there.items()}


def unimax_epochs(sizes: Mapping[str, int], max_epochs: float, budget: float | None) -> dict[str, float]:
    """Epochs of each group under UniMax (Chung et al. 2023, algorithm 1): as even as `max_epochs` allows.

    From the smallest group on, each gets an even part of what is left of the budget, or `max_epochs` of what it has.

    Args:
        sizes: what there is of each group.
        max_epochs: no group runs more often.
        budget: of all groups together; none: as much as there is.

    >>> unimax_epochs({"sw": 10, "de": 100, "en": 1000}, 4, 500)
    {'sw': 4.0, 'de': 2.3, 'en': 0.23}
    """
    there = sorted((size, group) for group, size in sizes.items() if size)
    left = budget or sum(size for size, _ in there)
    epochs = {}
    for place, (size, group) in enumerate(there):
        amount = min(left / (len(there) - place), size * max_epochs)
        epochs[group] = amount / size
        left -= amount
    return epochs


def rehydration(size: int, weights: Mapping[int, float]) -> float:
    """How often to see a document that stands for `size` duplicates, as FineWeb-2 samples them back.

    Args:
        size: the documents of its cluster before deduplication.
        weights: from which size on documents get which weight; below the first, 1.

    >>> fineweb_2 = {1: 1, 2: 2, 3: 3, 5: 5, 100: 8, 1000: 1}
    >>> [rehydration(size, fineweb_2) for size in (1, 2, 4, 99, 100, 1000)]
    [1, 2, 3, 5, 8, 1]
    """
    limits = sorted(weights)
    place = bisect.bisect_right(limits, size)
    return weights[limits[place - 1]] if place else 1


def coarse_scores(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Scores as whole numbers that order as they do, `COARSE` bits of their float dropped, shape (n,)."""
    bits = (scores + 0.0).astype(np.float32).view(np.uint32)  # -0 becomes 0
    sign = np.uint32(1 << 31)
    ordered = np.where(bits & sign, ~bits, bits | sign)
    return ordered >> np.uint32(COARSE)


def quantile_epochs(counts: npt.NDArray[np.int64], epochs: Sequence[float]) -> npt.NDArray[np.float64]:
    """How often to see documents of each score, where each of equally large parts of them, worst first, runs `epochs`.

    Documents of one score are all treated alike: where they fall into several parts, by the mean of those. So the
    document counts of all parts, and all sums of weights, are exact.

    Args:
        counts: documents of each score, scores ascending, shape (n,).
        epochs: of each part.

    >>> quantile_epochs(np.array([1, 3]), [0.0, 1.0]).round(2).tolist()
    [0.0, 0.67]
    """
    ends = np.r_[0, np.cumsum(counts)] * len(epochs) / max(counts.sum(), 1)
    reached = np.interp(ends, np.arange(len(epochs) + 1), np.r_[0, np.cumsum(epochs)])
    return np.diff(reached) / np.maximum(np.diff(ends), 1e-300)


def topic_epochs(
    sizes: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    rarity: float,
    max_repeats: float,
    max_growth: float,
) -> npt.NDArray[np.float64]:
    """How often the documents of each topic are to be seen, shape (topics,), each from 1 to `max_repeats`.

    Baichuan 2 lets frequency and quality of clusters drive sampling; its formula is not public. This one, with rank =
    the share of documents in topics of lower score, plus half of those in topics of the same score:

        weight = 2 x rank x (typical size / size) ^ rarity    where rank >= 1/2, else 1

    clipped to the range; the typical size is that of the median document's topic. So the better half of the corpus is
    repeated, the more the better and the rarer it is, and what is rare because it is bad is not. If the corpus would
    then grow by more than `max_growth`, all weights shrink by one factor, none below 1, until it does not. Among topics
    of one size, and among all where `rarity` is 0, the weight never falls as the score rises. Where no topic has a
    score, all weights are 1: nothing is then known to be good.

    Args:
        sizes: documents of each topic, shape (topics,).
        scores: their mean quality, higher is better, on any scale, NaN where none is known, shape (topics,). A topic
            without a score has the mean of the others.
        rarity: how much small topics gain; 0 = size does not count.
        max_repeats: the highest weight.
        max_growth: by how much the sum of weights may exceed the documents, as a share of them.

    >>> sizes, scores = np.array([100, 100, 10]), np.array([0.2, 0.5, 0.9])
    >>> topic_epochs(sizes, scores, rarity=0.5, max_repeats=5.0, max_growth=1.0).round(2).tolist()
    [1.0, 1.43, 5.0]
    """
    documents = sizes.sum()
    known = np.isfinite(scores)
    if not documents or not known.any():
        return np.ones(len(sizes))
    mean = (sizes[known] @ scores[known]) / max(sizes[known].sum(), 1)
    _, tie = np.unique(np.where(known, scores, mean), return_inverse=True)
    alike = np.bincount(tie, weights=sizes)
    rank = ((np.cumsum(alike) - alike / 2) / documents)[tie]
    ascending = np.sort(sizes)
    typical = ascending[np.searchsorted(np.cumsum(ascending), documents / 2)]
    merit = np.where(rank >= 0.5, 2 * rank * (typical / np.maximum(sizes, 1)) ** rarity, 0)

    def weights(factor: float) -> npt.NDArray[np.float64]:
        return np.clip(factor * merit, 1, max_repeats)

    low, high = 0.0, 1.0
    if sizes @ weights(high) <= (1 + max_growth) * documents:
        return weights(high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if sizes @ weights(middle) <= (1 + max_growth) * documents:
            low = middle
        else:
            high = middle
    return weights(low)


def down_sampling(sizes: npt.NDArray[np.int64], max_share: float) -> npt.NDArray[np.float64]:
    """What of each topic to see so that none counts for more than a share of all documents there are, shape (topics,).

    >>> down_sampling(np.array([80, 15, 5]), 0.2).tolist()
    [0.25, 1.0, 1.0]
    """
    most = max_share * sizes.sum()
    return np.where(sizes > most, most / np.maximum(sizes, 1), 1.0)
