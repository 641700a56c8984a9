"""Connected components of a graph of pairs, and the strongest tie of each node: from verified pairs to clusters.

Any part of the pairs may first be cut down to its maximum spanning forest, since the forest of all forests is the
forest of all pairs. So each worker sends at most one edge a node, and one worker joins them. Past some hundred million
edges that worker's memory would call for a driver loop of star rounds; it is not here.
"""

import numba
import numpy as np
import numpy.typing as npt

EDGE = np.dtype([("first", "<u8"), ("second", "<u8"), ("weight", "<f4")])


@numba.njit(cache=True, nogil=True)
def _join(
    nodes: int, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Union-find over the edges in their order: which of them joined two trees, and the least node of each tree."""
    root = np.arange(nodes)
    joined = np.zeros(len(first), np.bool_)
    for edge in range(len(first)):
        a, b = first[edge], second[edge]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if a != b:
            joined[edge] = True
            root[max(a, b)] = min(a, b)
    for node in range(nodes):
        root[node] = root[root[node]]
    return joined, root


def spanning_forest(
    edges: npt.NDArray[np.void],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The maximum spanning forest of weighted edges; equal weights rank by (first, second).

    Each node's strongest edge is in it. Fields after those of `EDGE` are carried along.

    Args:
        edges: a structured array with the fields of `EDGE`, shape (m,).

    Returns:
        The edges of the forest, strongest first; the nodes, ascending, shape (n,); for each node the place in that
        array of the least node of its component, shape (n,).
    """
    edges = edges[np.lexsort([edges["second"], edges["first"], -edges["weight"]])]
    nodes, places = np.unique(np.concatenate([edges["first"], edges["second"]]), return_inverse=True)
    joined, roots = _join(len(nodes), places[: len(edges)], places[len(edges) :])
    return edges[joined], nodes, roots
