"""Components and spanning forests, against a slow Kruskal, and on the shapes that break union-find."""

import time

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.components import EDGE, spanning_forest

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


@settings(deadline=None)
@given(EDGES)
def test_forest_and_components(edges: list[tuple[int, int, float]]) -> None:
    forest, nodes, roots = spanning_forest(np.array(edges, EDGE))
    expected, cluster = slow_forest(edges)
    assert forest.tolist() == expected
    assert dict(zip(nodes.tolist(), nodes[roots].tolist(), strict=True)) == cluster


@settings(deadline=None)
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
    start = time.process_time()
    forest, _, roots = spanning_forest(np.concatenate([chain, star]))
    assert len(forest) == 400_000
    assert len(np.unique(roots)) == (2 if step > 0 else 1)
    assert time.process_time() - start < 5


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
