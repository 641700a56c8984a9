"""Which documents a mixture takes, how often and in which phase: from ids, lengths and groups alone, without any text.

Every copy of a document has a place on its group's line of epochs: a document of weight w and draw d is taken for the
k-th time from epoch (k - d) / w on. So how far along the line a group has gone decides all: its amount rises document
by document, a phase takes what lies between the end of the one before and its own, and no document comes twice before
all have come once. The places where amounts come nearest to their targets are found exactly, to the document, in two
passes over histograms of the places' bits: `histograms` of the upper half, `refinements` of the lower half of a few.

The same functions serve the stage, which sums histograms of many parts, and `datapipe mix`, which has all rows at once.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.store.corpus import Part
from datapipe.text.bit_mixing import uniform_draw

Path = tuple[str, ...]  # the values, column by column, that make a group
REST: Path = ()  # the pooled group of all rows whose group has no share of its own
PART_KIND = "part_kind"  # groups by what a part holds, which is no column
NONE = "none"  # the group of rows that have no value in the column
WEIGHT = "upsampling_weight"

_HALF = 16  # bits of a place in either half
_BINS = 1 << _HALF
_ONE = np.float32(1).view(np.uint32)  # the place of one epoch
_ALL = np.uint32(0xFFFFFFFF)  # beyond every place
_HEAD = 2  # numbers before the histogram: of one epoch, and of the longest row

TOLERANCE = 0.005  # a share may be so far from what was asked for before it is said


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows to choose from.

    Attributes:
        ids: shape (rows,).
        amounts: tokens or bytes, shape (rows,).
        weights: how many epochs a row runs in one epoch of its group, shape (rows,).
        groups: indices of their groups, shape (rows,).
        draws: see `uniform_draw`, shape (rows,).
    """

    ids: npt.NDArray[np.uint64]
    amounts: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    groups: npt.NDArray[np.int64]
    draws: npt.NDArray[np.float64]

    def filter(self, wanted: npt.NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        return Rows(*(getattr(self, field.name)[wanted] for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Phase:
    """A mixture: the share of each group, and how much to take in all; none: see `amounts`."""

    shares: Mapping[Path, float]
    budget: int | None = None


@dataclasses.dataclass(frozen=True)
class Taken:
    """What a phase takes of a group.

    Attributes:
        phase: its number, from 0.
        group: the values that make it; none: the rest.
        asked: the share asked for.
        share: the share taken.
        amount: tokens or bytes, all copies counted.
        epochs: of the group, in this phase.
    """

    phase: int
    group: Path
    asked: float
    share: float
    amount: int
    epochs: float


def leaves(shares: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, float]]:
    """Nested shares as paths of values, each with its share of the whole.

    >>> dict(leaves({"web": {"zh": 0.4, "en": 0.3}, "books": 0.1}))
    {('web', 'zh'): 0.4, ('web', 'en'): 0.3, ('books',): 0.1}
    """
    for name, share in shares.items():
        if isinstance(share, Mapping):
            yield from leaves(share, (*above, name))
        else:
            yield (*above, name), float(share)


def read_groups(part: Part, columns: Sequence[str], unit: str) -> tuple[pa.Table, list[pa.Array]] | None:
    """The kept rows of a part: a table of id, amount and weight where there is one, and the values of each column."""
    own = [column for column in columns if column != PART_KIND]
    batches = list(part.read([unit], optional=[*own, WEIGHT]))
    if not batches:
        return None
    table = pa.Table.from_batches(batches)
    values = []
    for column in columns:
        if column in part.columns and column != PART_KIND:
            values.append(table.column(column).combine_chunks().cast(pa.string()).fill_null(NONE))
        else:
            values.append(pa.repeat(part.kind if column == PART_KIND else NONE, len(table)))
    return table, values


def find_groups(values: Sequence[pa.Array], groups: Sequence[Path]) -> npt.NDArray[np.int64]:
    """The index in `groups` of each row: of the path that its values begin with; else of `REST`, which is the first.

    >>> find_groups([pa.array(["web", "web", "books"]), pa.array(["zh", "ja", "en"])], [(), ("web", "zh"), ("books",)])
    array([1, 0, 2])
    """
    found = np.zeros(len(values[0]) if values else 0, np.int64)
    for depth in range(1, len(values) + 1):
        known = {path: index for index, path in enumerate(groups) if len(path) == depth}
        if known:
            joined = pc.binary_join_element_wise(*values[:depth], "\x1f")
            index = pc.index_in(joined, pa.array(["\x1f".join(path) for path in known], pa.string())).fill_null(-1)
            place = index.to_numpy()
            numbers = np.array([*known.values(), 0])
            found = np.where(place >= 0, numbers[place], found)
    return found


def as_rows(table: pa.Table, groups: npt.NDArray[np.int64], unit: str, seed: int) -> Rows:
    """The rows of `read_groups`; what has no amount counts as none, what has no weight as 1."""
    ids = table.column("id").to_numpy()
    weights = np.ones(len(table))
    if WEIGHT in table.column_names:
        weights = table.column(WEIGHT).fill_null(1).to_numpy().astype(np.float64)
    amounts = table.column(unit).fill_null(0).to_numpy().astype(np.int64)
    return Rows(ids, amounts, weights, groups, uniform_draw(ids, seed))


def place_of_copy(rows: Rows, copy: int) -> npt.NDArray[np.uint32]:
    """Where on the line of epochs each row is taken for the `copy`-th time: bits of a float, which order as it does."""
    # Upwards, here and below, so that what comes after an epoch's end is never counted within it.
    after = np.maximum(copy - rows.draws, np.nextafter(copy - 1.0, np.inf))
    with np.errstate(divide="ignore"):
        epochs = after / rows.weights
    places = epochs.astype(np.float32)
    return np.where(places < epochs, np.nextafter(places, np.float32(np.inf)), places).view(np.uint32)


_NEVER = np.float32(np.inf).view(np.uint32)


def histograms(rows: Rows, max_epochs: int) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """For each group that has rows: what one epoch gives, the longest row, amounts by the upper half of the place."""
    present = np.unique(rows.groups)
    found = {int(group): np.zeros(_HEAD + _BINS // 2, np.int64) for group in present}
    for copy in range(1, max_epochs + 1):
        places = place_of_copy(rows, copy)
        for group, histogram in found.items():
            of = (rows.groups == group) & (places < _NEVER)
            if of.any():
                amounts = rows.amounts[of]
                histogram[0] += amounts[places[of] <= _ONE].sum()
                histogram[1] = max(histogram[1], amounts.max())
                # Whole numbers below 2^53 are exact in floating point, whatever the order of addition.
                upper = np.bincount(places[of] >> np.uint32(_HALF), amounts, _BINS // 2)
                histogram[_HEAD:] += upper.astype(np.int64)
    yield from found.items()


def add_histograms(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The histogram of two sets of rows of one group."""
    both = one + other
    both[1] = max(one[1], other[1])
    return both


def amounts(phases: Sequence[Phase], known: Mapping[Path, npt.NDArray[np.int64]]) -> list[dict[Path, float]]:
    """What each phase should take of each group.

    Groups without a share are one group, `REST`, with what the shares leave. Where no budget is given, REST runs one
    epoch and the others are set against it; where there is no REST, the budget is what all groups have in one epoch. A
    share whose group has nothing left goes to the others, as does what a group cannot fill; all other groups keep their
    proportions.

    Args:
        phases: in order; a later one takes from what the earlier ones left.
        known: the histogram of each group that has rows.
    """
    left = {group: float(histogram[_HEAD:].sum()) for group, histogram in known.items()}
    wanted = []
    for phase in phases:
        asked = with_rest(phase.shares)
        present = {group: share for group, share in asked.items() if left.get(group, 0) > 0}
        scale = 0.0
        if present:
            if phase.budget is None and REST in present:
                scale = int(known[REST][0]) / present[REST]
            else:
                scale = _scale(present, left, phase.budget or sum(int(known[group][0]) for group in present))
        taken = {group: min(scale * share, left[group]) for group, share in present.items()}
        left = {group: amount - taken.get(group, 0) for group, amount in left.items()}
        wanted.append(taken)
    return wanted


def with_rest(shares: Mapping[Path, float]) -> dict[Path, float]:
    """The shares above nought, with that of the rest."""
    every = {**shares, REST: max(0.0, 1 - sum(shares.values()))}
    return {group: share for group, share in every.items() if share > 1e-9}


def _scale(shares: Mapping[Path, float], capacity: Mapping[Path, float], total: float) -> float:
    """The scale at which `sum(min(capacity, scale * share))` is the total; infinite where the groups have less."""
    free = set(shares)
    while free:
        rest = total - sum(capacity[group] for group in shares.keys() - free)
        scale = rest / sum(shares[group] for group in sorted(free))
        full = {group for group in free if capacity[group] < scale * shares[group]}
        if not full:
            return scale
        free -= full
    return np.inf


@dataclasses.dataclass(frozen=True)
class Search:
    """The end of a phase in a group, to be found.

    Attributes:
        phase, group: of it.
        target: how much the group is to have given by then.
        upper: the upper half of the place.
        below: what the group gives in all places of a lesser upper half.
    """

    phase: int
    group: Path
    target: float
    upper: int
    below: int


def searches(wanted: Sequence[Mapping[Path, float]], known: Mapping[Path, npt.NDArray[np.int64]]) -> list[Search]:
    """Where to look for the end of each phase in each group."""
    found = []
    for group, histogram in known.items():
        reached = np.cumsum(histogram[_HEAD:])
        target = 0.0
        for number, phase in enumerate(wanted):
            target += phase.get(group, 0)
            upper = int(np.searchsorted(reached, min(target, reached[-1]), "left"))
            found.append(Search(number, group, target, upper, int(reached[upper - 1]) if upper else 0))
    return found


def refinements(
    rows: Rows, wanted: Sequence[tuple[int, int]], max_epochs: int
) -> Iterator[tuple[tuple[int, int], npt.NDArray[np.int64]]]:
    """Amounts by the lower half of the place, for some groups and upper halves: (group, upper half), shape (2^16,)."""
    found = {key: np.zeros(_BINS, np.int64) for key in wanted if (rows.groups == key[0]).any()}
    for copy in range(1, max_epochs + 1):
        places = place_of_copy(rows, copy)
        upper = places >> np.uint32(_HALF)
        for (group, half), histogram in found.items():
            of = (rows.groups == group) & (upper == half)
            lower = places[of] & np.uint32(_BINS - 1)
            histogram += np.bincount(lower, rows.amounts[of], _BINS).astype(np.int64)
    yield from found.items()


def nearest_place(search: Search, refined: npt.NDArray[np.int64]) -> tuple[np.uint32, int]:
    """The last place to take, so that the group has given as near to the target as can be, and what it then has given.

    Of two as near it is the lower.
    """
    if search.target <= 0:
        return np.uint32(0), 0
    reached = search.below + np.cumsum(refined)
    lower = int(np.searchsorted(reached, min(search.target, reached[-1]), "left"))
    place = (search.upper << _HALF) + lower
    before = int(reached[lower - 1]) if lower else search.below
    if search.target - before <= reached[lower] - search.target:
        return np.uint32(place - 1), before
    return np.uint32(place), int(reached[lower])


@dataclasses.dataclass(frozen=True)
class Ends:
    """Where each phase ends.

    Attributes:
        places: the last place that each phase takes of each group, shape (phases, groups).
        taken: what each phase takes of each group that has rows.
    """

    places: npt.NDArray[np.uint32]
    taken: tuple[Taken, ...]


def ends(
    phases: Sequence[Phase],
    groups: Sequence[Path],
    known: Mapping[Path, npt.NDArray[np.int64]],
    refined: Mapping[tuple[Path, int], npt.NDArray[np.int64]],
) -> Ends:
    """Where each phase ends in each group, and what it takes by then.

    Args:
        phases: in order.
        groups: all, in the order of their indices.
        known: their histograms.
        refined: the `refinements` of all `searches`.
    """
    places = np.zeros((len(phases), len(groups)), np.uint32)
    given = np.zeros((len(phases) + 1, len(groups)), np.int64)
    for search in searches(amounts(phases, known), known):
        index = groups.index(search.group)
        place, amount = nearest_place(search, refined[search.group, search.upper])
        # Rows that add nothing, being empty, come along with what they stand among.
        once, *_ = known[search.group]
        if amount and amount in (once, known[search.group][_HEAD:].sum()):
            place = _ONE if amount == once else _ALL
        places[search.phase, index], given[search.phase + 1, index] = place, amount
    taken = np.diff(given, axis=0)
    listed = []
    for number, phase in enumerate(phases):
        total = max(int(taken[number].sum()), 1)
        for group in known:
            amount = int(taken[number, groups.index(group)])
            asked = with_rest(phase.shares).get(group, 0.0)
            listed.append(Taken(number, group, asked, amount / total, amount, amount / max(int(known[group][0]), 1)))
    return Ends(places, tuple(listed))


def count_copies(rows: Rows, ends: Ends, max_epochs: int) -> npt.NDArray[np.int32]:
    """How often each phase takes each row, shape (phases, rows)."""
    until = np.zeros((len(ends.places) + 1, len(rows.ids)), np.int32)
    for copy in range(1, max_epochs + 1):
        places = place_of_copy(rows, copy)
        until[1:] += (places <= ends.places[:, rows.groups]) & (places < _NEVER)
    return np.diff(until, axis=0)


def describe(phases: Sequence[Phase], known: Mapping[Path, npt.NDArray[np.int64]], ends: Ends, unit: str) -> list[str]:
    """A line for each share that lies further than `TOLERANCE` from what was asked, with what keeps it."""
    lines = []
    for number, (phase, wanted) in enumerate(zip(phases, amounts(phases, known), strict=True)):
        where = f"phase {number}: " if len(phases) > 1 else ""
        taken = {of.group: of for of in ends.taken if of.phase == number}
        total = sum(of.amount for of in taken.values())
        longest = max((int(known[group][1]) for group in wanted), default=0)
        for group, asked in with_rest(phase.shares).items():
            if group not in known:
                lines.append(f"{where}no {unit} in {name_of(group)}: its share of {asked:.1%} goes to the others")
                continue
            of = taken[group]
            if abs(of.share - asked) <= TOLERANCE:
                continue
            given = sum(before.amount for before in ends.taken if before.group == group and before.phase <= number)
            lacks = f"{of.share:.1%} of the {unit}, not {asked:.1%}"
            if given == int(known[group][_HEAD:].sum()):
                epochs = f"{given / max(int(known[group][0]), 1):g} epochs"
                lines.append(f"{where}{name_of(group)}: {epochs}, the most allowed, give {lacks}")
            elif abs(of.share - wanted.get(group, 0) / sum(wanted.values())) > TOLERANCE:
                lines.append(f"{where}{name_of(group)}: {lacks}: a document of {longest:,} is much of {total:,} {unit}")
    return lines


def join(pieces: Sequence[Rows]) -> Rows:
    """Several sets of rows as one."""
    return Rows(
        *(np.concatenate([getattr(piece, field.name) for piece in pieces]) for field in dataclasses.fields(Rows))
    )


def select(
    rows: Rows, phases: Sequence[Phase], groups: Sequence[Path], max_epochs: int
) -> tuple[Ends, dict[Path, npt.NDArray[np.int64]]]:
    """Where each phase ends, of rows that lie in memory together, and the histogram of each group."""
    known = {groups[index]: histogram for index, histogram in histograms(rows, max_epochs)}
    places = {group: index for index, group in enumerate(groups)}
    halves = sorted({(places[of.group], of.upper) for of in searches(amounts(phases, known), known)})
    refined = {(groups[index], half): of for (index, half), of in refinements(rows, halves, max_epochs)}
    return ends(phases, groups, known, refined), known


def name_of(group: Path) -> str:
    """A group's name for people."""
    return "/".join(group) or "the rest"
