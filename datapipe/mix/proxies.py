"""Small mixtures to train small models on, from which the shares of a large one are to be found.

RegMix (Liu et al. 2024) trains hundreds of small models on mixtures drawn around the natural shares and fits what share
does what; OLMix (Chen et al. 2026) goes on from there. Both draw from a Dirichlet distribution; the constants are those
of RegMix's `synthesize_mixture.py`.

A small run of the same shares would repeat a scarce group less often than the large one, or not at all, and so favour
it: "Repetition Mismatch" (Zhou et al. 2026, arXiv 2606.07597) finds that this alone makes such searches miss, and mends
it by subsampling every group until it is repeated as often as in the large run. So it is done here: a proxy of 1/100 of
the budget chooses from 1/100 of each group, the same documents for all proxies.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from datapipe.mix.selection import Path, Phase, Rows, count_copies, select
from datapipe.text.bit_mixing import uniform_draw

SMOOTHING = 0.5  # the natural shares are raised to this power, so that small groups are tried too
STRENGTHS = np.logspace(np.log10(0.1), np.log10(5), 15)  # small ones give one group nearly all, large ones the natural
LEAST = 2e-4  # a smaller share is none: a small model would see too little of it to tell
TRIES = 1000  # for each mixture, to find one that the data allow


def draw_shares(
    natural: npt.NDArray[np.float64], most: npt.NDArray[np.float64], count: int, seed: int
) -> npt.NDArray[np.float64]:
    """Shares drawn around the natural ones, none above what the data allow, shape (count, groups).

    Args:
        natural: the share of each group in one epoch of all, shape (groups,).
        most: the greatest share that each can have in the large run, shape (groups,).
        count: how many mixtures.
        seed: of the draws, from a generator that numpy keeps as it is.

    Raises:
        ValueError: if the data allow too few.
    """
    prior = natural**SMOOTHING
    prior /= prior.sum()
    random = np.random.RandomState(seed)
    found = list[npt.NDArray[np.float64]]()
    for _ in range(TRIES * count):
        if len(found) == count:
            return np.array(found)
        shares = random.dirichlet(prior * random.choice(STRENGTHS))
        shares[~(shares >= LEAST)] = 0  # also what is no number, where all of a draw were too small to tell
        if shares.any():
            shares /= shares.sum()
            if (shares <= most).all():
                found.append(shares)
    raise ValueError(
        f"the data allow only {len(found)} of {count} mixtures at this budget: lower it, or raise max_epochs"
    )


def subsample(rows: Rows, groups: Sequence[Path], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows are a share of each group's amount, as near as documents allow, shape (rows,).

    Every group keeps a row at least, so that it can be drawn at all.
    """
    # By other draws than the mixture's: else it would take those that the mixture takes first.
    alike = dataclasses.replace(rows, weights=np.ones(len(rows.ids)), draws=uniform_draw(rows.ids, seed + 1))
    chosen = np.zeros(len(rows.ids), bool)
    for index in np.unique(rows.groups):
        of = rows.groups == index
        group = [groups[index]]
        mine = dataclasses.replace(alike.filter(of), groups=np.zeros(int(of.sum()), np.int64))
        wanted = max(1, round(share * int(mine.amounts.sum())))
        found, _ = select(mine, [Phase({group[0]: 1.0}, wanted)], group, 1)
        taken = count_copies(mine, found, 1)[0] > 0
        if not taken.any():
            taken[np.argmax(mine.draws)] = True
        chosen[of] = taken
    return chosen


@dataclasses.dataclass(frozen=True)
class Proxy:
    """A small mixture.

    Attributes:
        shares: of each group.
        ids, copies: what it takes.
        amounts: what it takes of each group, all copies counted.
        epochs: how often it repeats what it may choose from of each group.
        final_epochs: how often a run of the final budget would repeat the group.
    """

    shares: Mapping[Path, float]
    ids: npt.NDArray[np.uint64]
    copies: npt.NDArray[np.int32]
    amounts: Mapping[Path, int]
    epochs: Mapping[Path, float]
    final_epochs: Mapping[Path, float]


def make_proxies(
    rows: Rows, groups: Sequence[Path], count: int, budget: int, final_budget: int, max_epochs: int, seed: int
) -> list[Proxy]:
    """Some small mixtures, each group repeated as often as in a run of the final budget.

    Args:
        rows: all there are, each in a group.
        groups: those that have rows, in the order of their indices.
        count: how many mixtures.
        budget: of each.
        final_budget: of the run that they stand for.
        max_epochs: no group runs more often in that.
        seed: of shares and samples.

    Raises:
        ValueError: if the data allow too few mixtures.
    """
    weighed = rows.amounts * rows.weights
    sizes = np.bincount(rows.groups, weighed, len(groups))
    shares = draw_shares(sizes / sizes.sum(), max_epochs * sizes / final_budget, count, seed)
    small = rows.filter(subsample(rows, groups, budget / final_budget, seed))
    proxies = []
    for drawn in shares:
        of_groups = dict(zip(groups, drawn.tolist(), strict=True))
        # What is left of a group may be less than its share of it, and then runs once more often.
        found, known = select(small, [Phase(of_groups, budget)], groups, max_epochs + 1)
        copies = count_copies(small, found, max_epochs + 1)[0]
        taken = {of.group: of for of in found.taken}
        proxies.append(
            Proxy(
                of_groups,
                small.ids[copies > 0],
                copies[copies > 0],
                {group: taken[group].amount for group in known},
                {group: taken[group].epochs for group in known},
                {
                    group: share * final_budget / size
                    for (group, share), size in zip(of_groups.items(), sizes, strict=True)
                },
            )
        )
    return proxies
