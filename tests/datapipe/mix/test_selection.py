"""Selections: amounts as near to their targets as whole documents allow, against a plain search."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.mix.selection import (
    REST,
    Ends,
    Path,
    Phase,
    Rows,
    add_histograms,
    amounts,
    count_copies,
    ends,
    find_groups,
    histograms,
    leaves,
    place_of_copy,
    refinements,
    searches,
    with_rest,
)
from datapipe.text.bit_mixing import uniform_draw

GROUPS: list[Path] = [REST, ("a",), ("b", "x"), ("b", "y")]


def made(rows: list[tuple[int, float, int]], seed: int) -> Rows:
    ids = np.arange(len(rows), dtype=np.uint64)
    lengths = np.array([row[0] for row in rows], np.int64)
    weights = np.array([row[1] for row in rows])
    return Rows(ids, lengths, weights, np.array([row[2] for row in rows], np.int64), uniform_draw(ids, seed))


def select(phases: list[Phase], pieces: list[Rows], max_epochs: int) -> tuple[Ends, dict[Path, npt.NDArray[np.int64]]]:
    """As the stage does it: histograms of pieces of the rows, added."""
    known: dict[Path, npt.NDArray[np.int64]] = {}
    for piece in pieces:
        for index, histogram in histograms(piece, max_epochs):
            group = GROUPS[index]
            known[group] = add_histograms(known[group], histogram) if group in known else histogram
    halves = [(GROUPS.index(of.group), of.upper) for of in searches(amounts(phases, known), known)]
    refined: dict[tuple[Path, int], npt.NDArray[np.int64]] = {}
    for piece in pieces:
        for (index, half), histogram in refinements(piece, halves, max_epochs):
            key = GROUPS[index], half
            refined[key] = refined[key] + histogram if key in refined else histogram
    return ends(phases, GROUPS, known, refined), known


def plain(rows: Rows, phases: list[Phase], max_epochs: int) -> dict[tuple[int, Path], int]:
    """What each phase takes of each group: all copies in order, cut where the sum is nearest to the target."""
    copies: dict[Path, list[tuple[int, int]]] = {}
    for row in range(len(rows.ids)):
        for copy in range(1, max_epochs + 1):
            if rows.weights[row]:
                place = int(place_of_copy(rows, copy)[row])
                copies.setdefault(GROUPS[rows.groups[row]], []).append((place, int(rows.amounts[row])))
    left = {group: float(sum(amount for _, amount in of)) for group, of in copies.items()}
    one = int(np.float32(1).view(np.uint32))
    once = {group: sum(amount for place, amount in of if place <= one) for group, of in copies.items()}
    targets = dict.fromkeys(copies, 0.0)
    given = dict.fromkeys(copies, 0)
    taken = {}
    for number, phase in enumerate(phases):
        asked = {group: share for group, share in with_rest(phase.shares).items() if left.get(group)}
        full: set[Path] = set()
        total = phase.budget or sum(once[group] for group in asked)
        while asked.keys() - full:  # fill up what has too little, and share out what is left
            free = asked.keys() - full
            scale = (total - sum(left[group] for group in full)) / sum(asked[group] for group in free)
            if phase.budget is None and REST in asked:
                scale = once[REST] / asked[REST]
            now = {group for group in free if left[group] < scale * asked[group]}
            full |= now
            if not now:
                break
        for group, of in copies.items():
            amount = left[group] if group in full else scale * asked[group] if group in asked else 0.0
            left[group] -= amount
            targets[group] += amount
            sums = [0]
            for place in sorted({place for place, _ in of}):
                sums.append(sums[-1] + sum(amount for at, amount in of if at == place))
            reached = min(sums, key=lambda value: (abs(value - targets[group]), value))
            taken[number, group] = reached - given[group]
            given[group] = reached
    return taken


ROWS = st.lists(
    st.tuples(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 1.0, 2.0, 7.5]), st.integers(0, 3)), max_size=25
)
PHASES = st.lists(
    st.builds(
        Phase,
        st.fixed_dictionaries({group: st.sampled_from([0.0, 0.05, 0.2, 1 / 3]) for group in GROUPS[1:]}),
        st.one_of(st.none(), st.integers(1, 30_000)),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(ROWS, PHASES, st.integers(1, 4), st.integers(0, 5), st.integers(0, 25))
def test_amounts_are_as_near_as_documents_allow(
    listed: list[tuple[int, float, int]], phases: list[Phase], max_epochs: int, seed: int, cut: int
) -> None:
    rows = made(listed, seed)
    place = np.arange(len(listed))
    found, _ = select(phases, [rows.filter(place < cut), rows.filter(place >= cut)], max_epochs)
    copies = count_copies(rows, found, max_epochs)
    assert copies.shape == (len(phases), len(listed))
    assert ((copies >= 0) & (copies.sum(axis=0) <= max_epochs)).all()
    expected = plain(rows, phases, max_epochs)
    for taken in found.taken:
        of = rows.groups == GROUPS.index(taken.group)
        assert taken.amount == rows.amounts[of] @ copies[taken.phase, of].astype(np.int64)
        assert taken.amount == expected.get((taken.phase, taken.group), 0)


def test_no_document_comes_twice_in_one_epoch() -> None:
    ids = np.arange(3, dtype=np.uint64)
    draws = np.array([0.0, 0.5, 1 - 2**-53])  # of which a float of 32 bits makes 1
    rows = Rows(ids, np.full(3, 10), np.ones(3), np.zeros(3, np.int64), draws)
    found, _ = select([Phase({})], [rows], 3)
    assert count_copies(rows, found, 3).tolist() == [[1, 1, 1]]


def test_empty_documents_come_along_with_the_others() -> None:
    rows = made([(0, 1.0, 0), (10, 1.0, 0)] * 20, 0)
    found, _ = select([Phase({})], [rows], 3)
    assert count_copies(rows, found, 3).tolist() == [[1] * 40]
    found, _ = select([Phase({}, 600)], [rows], 3)
    assert count_copies(rows, found, 3).tolist() == [[3] * 40]


def test_groups_are_found_by_the_longest_path() -> None:
    values = [pa.array(["a", "b", "b", "b", "c"]), pa.array(["x", "x", "y", "z", "x"])]
    assert find_groups(values, GROUPS).tolist() == [1, 2, 3, 0, 0]
    assert dict(leaves({"a": 0.5, "b": {"x": 0.1, "y": 0}})) == {("a",): 0.5, ("b", "x"): 0.1, ("b", "y"): 0.0}
