"""Components and spanning forests, against a slow Kruskal, and on the shapes that break union-find."""

import pathlib
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from datapipe.flow.components import EDGE, LINK, large_star, read_records, small_star, spanning_forest, star_components
from tests.helpers import ONE_WORKER, at_most

EDGES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from([0.5, 0.75, 1.0])).filter(lambda e: e[0] != e[1]),
    max_size=30,
)


def slow_forest(edges: list[tuple[int, int, float]]) -> tuple[list[tuple[int, int, float]], dict[int, int]]:
    cluster = {node: node for edge in edges for node in edge[:2]}
    forest = []
    for first, second, weight in sorted(edges, key=lambda edge: (-edge[2], edge[0], edge[1])):
        a, b = cluster[first], cluster[second]
        if a != b:
            forest.append((first, second, weight))
            cluster = {node: min(a, b) if root in (a, b) else root for node, root in cluster.items()}
    return forest, cluster


@given(EDGES)
def test_forest_and_components(edges: list[tuple[int, int, float]]) -> None:
    forest, nodes, roots = spanning_forest(np.array(edges, EDGE))
    expected, cluster = slow_forest(edges)
    assert forest.tolist() == expected
    assert dict(zip(nodes.tolist(), nodes[roots].tolist(), strict=True)) == cluster


@given(EDGES, st.integers(0, 30))
def test_forest_of_forests_is_the_forest(edges: list[tuple[int, int, float]], cut: int) -> None:
    records = np.array(edges, EDGE)
    halves = np.concatenate([spanning_forest(records[:cut])[0], spanning_forest(records[cut:])[0]])
    assert spanning_forest(halves)[0].tolist() == spanning_forest(records)[0].tolist()


@pytest.mark.parametrize("step", [1, -1])
def test_long_chain_and_large_star(step: int) -> None:
    chain = np.zeros(200_000, EDGE)
    chain["first"] = np.arange(len(chain))[::step]
    chain["second"] = chain["first"] + np.uint64(1)
    star = np.zeros(200_000, EDGE)
    star["first"] = 300_000 * (step > 0)
    star["second"] = np.arange(len(star)) + 300_001
    with at_most(seconds=5):
        forest, _, roots = spanning_forest(np.concatenate([chain, star]))
    assert len(forest) == 400_000
    assert len(np.unique(roots)) == (2 if step > 0 else 1)


def test_agrees_with_scipy() -> None:
    random = np.random.default_rng(1)
    edges = np.zeros(20_000, EDGE)
    edges["first"], edges["second"] = random.integers(0, 20_000, (2, len(edges)))
    _, nodes, roots = spanning_forest(edges)
    graph = scipy.sparse.coo_matrix((np.ones(len(edges)), (edges["first"], edges["second"])), (20_000, 20_000))
    _, labels = scipy.sparse.csgraph.connected_components(graph, directed=False)
    assert len(np.unique(roots)) == len(np.unique(labels[nodes]))
    assert len(np.unique(np.stack([roots, labels[nodes]]), axis=1).T) == len(np.unique(roots))


def test_further_fields_are_carried_along() -> None:
    edges = np.array([(1, 2, 0.5, 7), (1, 2, 0.75, 8)], np.dtype([*EDGE.descr, ("extra", "<i4")]))
    assert spanning_forest(edges)[0].tolist() == [(1, 2, 0.75, 8)]


def by_rounds(edges: np.ndarray, folder: pathlib.Path, partitions: int = 3) -> tuple[dict[int, int], int]:
    """The least node of the component of each node that is not it, and the number of rounds that it took."""
    rounds = []

    def run(build: Callable[[beam.Pipeline], Any]) -> None:
        rounds.append(ONE_WORKER.run(build, 0, lambda: None))

    (folder / "edges").write_bytes(edges.tobytes())
    paths = star_components([str(folder / "edges")], edges.dtype, str(folder / "rounds"), partitions, run)
    links = np.concatenate([np.zeros(0, LINK), *(read_records(path, LINK) for path in paths)])
    found = dict(links.tolist())
    assert len(found) == len(links)
    return found, len(rounds)


def by_union(edges: np.ndarray) -> dict[int, int]:
    _, nodes, roots = spanning_forest(edges)
    return {node: root for node, root in zip(nodes.tolist(), nodes[roots].tolist(), strict=True) if node != root}


@given(EDGES)
def test_steps_without_change_mean_stars(edges: list[tuple[int, int, float]]) -> None:
    links = {edge[:2] for edge in edges}
    changes = bool(links)
    while changes:
        both_ways = np.array(sorted(links | {link[::-1] for link in links}), LINK)
        large, changed = large_star(both_ways)
        small, changed_again = small_star(np.sort(large))
        links, changes = set(small.tolist()), bool(changed + changed_again)
    assert dict(links) == by_union(np.array(edges, EDGE))
    assert len(dict(links)) == len(links)


def test_rounds_follow_a_chain_of_ten_thousand_to_its_end(tmp_path: pathlib.Path) -> None:
    names = np.random.default_rng(1).permutation(10_000)
    chain = np.zeros(10_003, EDGE)
    chain["first"][:9_999], chain["second"][:9_999] = names[:-1], names[1:]
    chain["first"][9_999:], chain["second"][9_999:] = [20_001, 20_001, 20_004, 20_004], [20_002, 20_003, 20_000, 20_005]
    found, rounds = by_rounds(chain, tmp_path)
    assert found == by_union(chain)
    assert rounds <= 20
    assert [path.name for path in (tmp_path / "rounds").iterdir()] == [f"round-{rounds}"]
