"""Connected components of a graph of pairs, and the strongest edge of each node: from verified pairs to clusters.

Any part of the pairs may first be cut down to its maximum spanning forest, since the forest of all forests is the
forest of all pairs. So each worker sends at most one edge a node, and one worker joins them. Where that is too much for
one worker, `star_components` finds the components alone, in rounds of one pipeline each.
"""

from collections.abc import Callable
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt

from datapipe.flow.shuffle import GroupRecords, group_starts, spread
from datapipe.flow.spread import Spread
from datapipe.kernels import kernel
from datapipe.store import files

EDGE = np.dtype([("first", "<u8"), ("second", "<u8"), ("weight", "<f4")])
LINK = np.dtype([("node", "<u8"), ("other", "<u8")])


@kernel
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
        The edges of the forest, strongest first; the nodes, ascending, shape (n,); for each node the index in that
        array of the least node of its component, shape (n,).

    >>> edges = np.array([(1, 2, 0.5), (2, 3, 0.9), (1, 3, 0.7), (7, 8, 1.0)], EDGE)
    >>> forest, nodes, roots = spanning_forest(edges)
    >>> [(first, second) for first, second, _ in forest.tolist()]
    [(7, 8), (2, 3), (1, 3)]
    >>> dict(zip(nodes.tolist(), nodes[roots].tolist()))
    {1: 1, 2: 1, 3: 1, 7: 7, 8: 7}
    """
    nodes, ends = np.unique(np.concatenate([edges["first"], edges["second"]]), return_inverse=True)
    order = np.lexsort([edges["second"], edges["first"], -edges["weight"]])
    joined, roots = _join(len(nodes), ends[: len(edges)][order], ends[len(edges) :][order])
    return edges[order[joined]], nodes, roots


def read_records(path: str, dtype: np.dtype) -> np.ndarray:
    """The records of a file that holds nothing else, shape (n,)."""
    with files.open_input(path) as source:
        return np.frombuffer(source.read(), dtype)


def large_star(links: np.ndarray) -> tuple[np.ndarray, int]:
    """Each node's greater neighbours tied to the least of the node and its neighbours, and how many were not before.

    Args:
        links: `LINK` records sorted by node, then other, each edge both ways round; all of each node in them.
    """
    links, minima = _with_minima(links)
    minima = np.minimum(minima, links["node"])
    greater = links["other"] > links["node"]
    return _links(links["other"][greater], minima[greater]), int((greater & (minima != links["node"])).sum())


def small_star(links: np.ndarray) -> tuple[np.ndarray, int]:
    """Each node and its lesser neighbours tied to the least of these, and how many were not before.

    Args:
        links: `LINK` records sorted by node, then other, the node greater than the other; all of each node in them.
    """
    links, minima = _with_minima(links)
    rest = links["other"] != minima
    return _links(np.where(rest, links["other"], links["node"]), minima), int(rest.sum())


def _with_minima(links: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct links, and for each the least neighbour of its node."""
    links = links[np.r_[True, links[1:] != links[:-1]]]
    starts = group_starts(links["node"])
    return links, np.repeat(links["other"][starts], np.diff(starts, append=len(links)))


def _links(nodes: np.ndarray, others: np.ndarray) -> np.ndarray:
    links = np.empty(len(nodes), LINK)
    links["node"], links["other"] = nodes, others
    return links


def star_components(
    paths: list[str],
    dtype: np.dtype,
    folder: str,
    partitions: int,
    run: Callable[[Callable[[beam.Pipeline], Any]], Any],
) -> list[str]:
    """Connected components of a graph that fits no single worker, by alternating large-star and small-star steps.

    After Kiveris et al. (2014), "Connected Components in MapReduce and Beyond". A round is one pipeline; it is over
    when neither step has changed an edge. No fixed number of rounds would do: they grow with the logarithm of the
    longest chain. A worker holds one partition; all edges of a node are in one.

    Args:
        paths: files of edges.
        dtype: their records, with uint64 fields `first` and `second`, which differ.
        folder: for the edges of each round; those of the round before are deleted.
        partitions: how many groups each shuffle makes.
        run: builds a pipeline with the function that it is given and runs it to its end.

    Returns:
        Files of `LINK`s: each node but the least of its component, once, with the least.
    """
    number = 0
    while True:
        number += 1
        into = files.join(folder, f"round-{number}")
        files.make_folder(into)
        run(_StarRound(paths, dtype, into, partitions))
        if number > 1:
            files.remove(files.join(folder, f"round-{number - 1}"))
        found = files.list_folder(into)
        changes = [path for path in found if path.endswith("changes")]
        paths, dtype = [path for path in found if path not in changes], LINK
        if not any(files.read_json(path) for path in changes):
            return paths


class _StarRound:
    """Builds the pipeline of one round: files of edges in; files of links, and of the number of changes, out."""

    def __init__(self, paths: list[str], dtype: np.dtype, into: str, partitions: int) -> None:
        self.paths, self.dtype, self.into, self.partitions = paths, dtype, into, partitions

    def _read(self, path: str) -> np.ndarray:
        records = read_records(path, self.dtype)
        ends = [records[name] for name in (self.dtype.names or ())[:2]]
        return _links(np.concatenate(ends), np.concatenate(ends[::-1]))

    def _large(self, links: np.ndarray) -> np.ndarray:
        stars, changes = large_star(links)
        self._count("large", links, changes)
        return stars

    def _small(self, links: np.ndarray) -> None:
        stars, changes = small_star(links)
        self._count("small", links, changes)
        with files.whole_file(files.join(self.into, self._name("small", links))) as sink:
            sink.write(stars.tobytes())

    def _count(self, step: str, links: np.ndarray, changes: int) -> None:
        files.write_json(files.join(self.into, f"{self._name(step, links)}-changes"), changes)

    def _name(self, step: str, links: np.ndarray) -> str:
        return f"{step}-{spread(links['node'][:1], self.partitions)[0]:05d}"

    def __call__(self, pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | "Edges" >> beam.Create(self.paths, reshuffle=False)
            | "Spread" >> Spread()
            | "Both ways" >> beam.Map(self._read).with_output_types(np.ndarray)
            | "Neighbours" >> GroupRecords(LINK, "node", self.partitions)
            | "Large star" >> beam.Map(self._large).with_output_types(np.ndarray)
            | "Lesser neighbours" >> GroupRecords(LINK, "node", self.partitions)
            | "Small star" >> beam.Map(self._small).with_output_types(type(None))
        )
