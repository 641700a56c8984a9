"""Shingle sets of chosen documents in a scratch file, and the exact Jaccard similarity of any two of them.

Candidates for near duplicates are verified without a second look at the text and without a shuffle of it: each part
writes the sets of its candidates once, and whoever verifies a pair reads just the two sets.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.kernels import kernel
from datapipe.store import files
from datapipe.text.characters import text_buffers
from datapipe.text.shingles import shingle_hashes

# Where a document's set lies in the file, in members, and what else the choice of survivors wants to know.
ENTRY = np.dtype(
    [("id", "<u8"), ("start", "<i8"), ("count", "<i8"), ("bytes", "<i8"), ("rank_key", "<f8"), ("copies", "<u4")]
)
# Members of all sets that are in memory at once: 16 MB, for both sides of a comparison together.
MEMBERS_AT_ONCE = 1 << 21


def sorted_sets(
    hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The members of each set, ascending, each once; sorts `hashes` in place.

    Args:
        hashes: the members of set i are `hashes[bounds[i]:bounds[i + 1]]`, in any order and as often as they like.
        bounds: shape (n + 1,).

    Returns:
        The members and bounds as above, shape (n + 1,).

    >>> members, bounds = sorted_sets(np.array([5, 2, 5, 9, 9], np.uint64), np.array([0, 3, 5]))
    >>> members.tolist(), bounds.tolist()
    ([2, 5, 9], [0, 2, 3])
    """
    for start, end in itertools.pairwise(bounds.tolist()):
        hashes[start:end].sort()
    new = np.r_[True, hashes[1:] != hashes[:-1]][: len(hashes)]
    new[bounds[:-1][np.diff(bounds) > 0]] = True
    return hashes[new], np.searchsorted(np.flatnonzero(new), bounds)


def write_sets(
    path: str,
    batches: Iterator[tuple[pa.RecordBatch, npt.NDArray[np.float64], npt.NDArray[np.uint32]]],
    size: int,
) -> None:
    """Write the sorted shingle set of each document.

    Args:
        path: the file; what it holds is described in another, `<path>.entries`.
        batches: batches with `id` and `text`, ids ascending, each with the rank_key of its documents, and how many
            exact copies there were of each.
        size: tokens a shingle.
    """
    all_entries = []
    start = 0
    with files.whole_file(path) as sink:
        for batch, rank_key, copies in batches:
            data, bounds = text_buffers(batch.column("text"))
            hashes, hash_bounds = shingle_hashes(data, bounds, size)
            members, member_bounds = sorted_sets(hashes, hash_bounds)
            entries = np.empty(len(batch), ENTRY)
            entries["id"] = batch.column("id").to_numpy()
            entries["start"] = start + member_bounds[:-1]
            entries["count"] = np.diff(member_bounds)
            entries["bytes"] = np.diff(bounds)
            entries["rank_key"] = rank_key
            entries["copies"] = copies
            start += len(members)
            sink.write(pa.py_buffer(members))
            all_entries.append(entries)
    with files.whole_file(path + ".entries") as sink:
        sink.write(np.concatenate([*all_entries, np.zeros(0, ENTRY)]).tobytes())


def read_entries(path: str) -> npt.NDArray[np.void]:
    """The `ENTRY` of every document in a file of sets, by id."""
    with files.open_input(path + ".entries") as source:
        return np.frombuffer(source.read(), ENTRY)


def read_sets(path: str, entries: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The sets of some documents, one after the other, and where each begins.

    Args:
        path: the file.
        entries: `ENTRY` records, at least one, ascending by id; neighbours in the file are read together.
    """
    ends = entries["start"] + entries["count"]
    runs = np.flatnonzero(np.r_[True, entries["start"][1:] != ends[:-1]])
    starts = np.cumsum(entries["count"]) - entries["count"]
    members = np.empty(int(entries["count"].sum()), np.uint64)
    with files.open_input(path) as source:
        for first, last in zip(runs, np.r_[runs[1:], len(entries)] - 1, strict=True):
            source.seek(8 * int(entries["start"][first]))
            run = np.frombuffer(source.read(8 * int(ends[last] - entries["start"][first])), np.uint64)
            members[starts[first] : starts[first] + len(run)] = run
    return members, starts


@kernel
def shared_members(
    left: npt.NDArray[np.uint64],
    left_starts: npt.NDArray[np.int64],
    left_counts: npt.NDArray[np.int64],
    right: npt.NDArray[np.uint64],
    right_starts: npt.NDArray[np.int64],
    right_counts: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """How many members two sorted sets share, for each pair of sets, shape (pairs,)."""
    shared = np.zeros(len(left_starts), np.int64)
    for pair in range(len(left_starts)):
        at, end = left_starts[pair], left_starts[pair] + left_counts[pair]
        other, other_end = right_starts[pair], right_starts[pair] + right_counts[pair]
        while at < end and other < other_end:
            # No branch on the order: it cannot be predicted.
            one, two = left[at], right[other]
            shared[pair] += one == two
            at += one <= two
            other += two <= one
    return shared


def similarities(
    left_path: str,
    right_path: str,
    left: npt.NDArray[np.void],
    right: npt.NDArray[np.void],
) -> npt.NDArray[np.float64]:
    """The exact Jaccard similarity of pairs of documents in two files, in bounded memory.

    Args:
        left_path, right_path: the files.
        left, right: the `ENTRY` of either document, shape (pairs,).
    """
    result = np.empty(len(left))
    if not len(left):
        return result
    members = np.cumsum(left["count"] + right["count"])
    for chunk in np.split(np.arange(len(left)), 1 + np.flatnonzero(np.diff(members // MEMBERS_AT_ONCE))):
        sides = []
        for path, entries in ((left_path, left[chunk]), (right_path, right[chunk])):
            _, kept, indices = np.unique(entries["id"], return_index=True, return_inverse=True)
            flat, starts = read_sets(path, entries[kept])
            sides += [flat, starts[indices], np.ascontiguousarray(entries["count"])]
        shared = shared_members(*sides)
        result[chunk] = shared / (left["count"][chunk] + right["count"][chunk] - shared)
    return result
