"""The one way records move between workers: packed numpy arrays, partitioned by a hash of their key.

A Beam GroupByKey with one tuple per record costs 19 times the CPU of the same grouping in numpy (5 million pairs, Beam
2.77). So a shuffle here carries a few large blocks, `(partition, bytes)`, and the records are sorted and grouped with
numpy inside a partition. Only hashes, row ids and numbers travel this way, never text.
"""

import dataclasses
import itertools
import uuid
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.runners.direct.direct_runner import SwitchingDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from datapipe.store import files
from datapipe.text.bit_mixing import GOLDEN

BLOCK_BYTES = 1 << 20  # Beam keeps an element whole in memory and in a message: larger ones gain no speed


def spread(keys: npt.NDArray[np.uint64], partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each key, 0 to `partitions` - 1: equal keys share one, keys that follow one another do not."""
    return ((keys * GOLDEN >> np.uint64(32)) % np.uint64(partitions)).astype(np.int64)


def partition(records: npt.NDArray[np.void], destinations: npt.NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """Cut records into blocks of at most `BLOCK_BYTES`, each with the number of the group that it goes to.

    Args:
        records: a structured array, shape (n,).
        destinations: the group of each record, shape (n,).
    """
    if not len(records):
        return
    # numpy sorts 16-bit keys by radix, 20 times faster.
    narrow = destinations.astype(np.uint16) if destinations.max() < 1 << 16 else destinations
    order = np.argsort(narrow, kind="stable")
    ordered = narrow[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    step = max(1, BLOCK_BYTES // records.dtype.itemsize)
    for start, end in zip(starts, np.r_[starts[1:], len(order)], strict=True):
        for at in range(start, end, step):
            yield int(ordered[start]), records[order[at : min(at + step, end)]].tobytes()


def rejoin(blocks: Iterable[bytes], dtype: np.dtype) -> npt.NDArray[np.void]:
    """The records of one group, sorted by their fields from first to last, whatever order the blocks arrived in."""
    # A worker reads documents in order: where that is the order wanted, blocks need only follow one another. They are
    # joined as bytes: numpy would compare the fields of each with those of the others.
    ordered = sorted(filter(None, blocks), key=lambda block: np.frombuffer(block, dtype, 1)[0].item())
    records = np.frombuffer(bytearray().join(ordered), dtype)
    if _ascending(records):
        return records
    assert dtype.names
    order, starts = ordered_groups(np.ascontiguousarray(records[dtype.names[0]]))
    sizes = np.diff(starts, append=len(order))
    # Equal keys are mostly in order already; only groups that are not are sorted by the other fields.
    tied = np.flatnonzero(np.repeat(sizes > 1, sizes))
    group = np.repeat(np.arange(len(starts)), sizes)[tied]
    wrong = np.unique(group[1:][_descends(records[order[tied]]) & (group[1:] == group[:-1])])
    tied = tied[np.isin(group, wrong, assume_unique=False)] if len(wrong) else tied[:0]
    among = order[tied]
    order[tied] = among[np.lexsort([records[name][among] for name in reversed(dtype.names)])]
    return records[order]


def _descends(records: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Which records come after a greater one, comparing fields from first to last, shape (n - 1,)."""
    descends = np.zeros(max(len(records) - 1, 0), bool)
    equal = ~descends
    for name in records.dtype.names or ():
        values = np.ascontiguousarray(records[name])
        descends |= equal & (values[1:] < values[:-1])
        equal &= values[1:] == values[:-1]
    return descends


def _ascending(records: npt.NDArray[np.void]) -> bool:
    first = np.ascontiguousarray(records[(records.dtype.names or ("",))[0]])
    return not (first[1:] < first[:-1]).any() and not _descends(records).any()


def ordered_groups(key: npt.NDArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The stable order that sorts some keys, shape (n,), and where in it each run of equal ones begins, shape (runs,).

    By two unstable sorts, of the keys and of (run, index) in one number, a third of the time of a stable one.

    >>> order, starts = ordered_groups(np.array([5, 1, 5, 2], np.uint64))
    >>> order.tolist(), starts.tolist()
    ([1, 3, 0, 2], [0, 1, 2])
    """
    order = np.argsort(key)
    starts = group_starts(key[order])
    runs = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    return np.sort(runs * len(order) + order) - runs * len(order), starts


def group_starts(key: npt.NDArray) -> npt.NDArray[np.int64]:
    """Where each run of equal values begins in a sorted array, shape (runs,).

    >>> group_starts(np.array([1, 1, 2, 5, 5])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, np.int64)


@dataclasses.dataclass(eq=False)
class GroupRecords(beam.PTransform):
    """Bring records of equal key together: structured arrays in; out, one sorted array for each partition that has any.

    All records with one key are in one output array. The output does not depend on `partitions` but for how it is cut.

    Attributes:
        dtype: the records.
        key: their uint64 field to group by.
        partitions: how many groups of work; one must fit in memory.
        folder: for files in which the records wait, one for each input array, while only references to them are
            shuffled; none: the records are shuffled themselves. For records that are many, on Beam's local runner: it
            holds in memory all that it shuffles. Engines elsewhere have a shuffle for that, and there each block of a
            file would be a request. Whoever names the folder deletes it.
    """

    dtype: np.dtype
    key: str
    partitions: int = 64
    folder: str | None = None

    def __post_init__(self) -> None:
        super().__init__()
        if self.partitions < 1:
            raise ValueError(f"shuffle: partitions must be at least 1, got {self.partitions!r}")

    def _partition(self, records: np.ndarray) -> Iterator[tuple[int, bytes]]:
        return partition(records, spread(records[self.key], self.partitions))

    def _spill(self, records: np.ndarray) -> Iterator[tuple[int, tuple[str, int, int]]]:
        if not len(records):
            return
        folder = self.folder or ""
        files.make_folder(folder)
        path = files.join(folder, uuid.uuid4().hex)
        blocks = []
        at = 0
        with files.whole_file(path) as sink:
            for number, block in self._partition(records):
                sink.write(block)
                blocks.append((number, (path, at, len(block))))
                at += len(block)
        yield from blocks

    def _rejoin(self, group: tuple[int, Iterable[bytes]]) -> np.ndarray:
        return rejoin(group[1], self.dtype)

    def _rejoin_spilt(self, group: tuple[int, Iterable[tuple[str, int, int]]]) -> np.ndarray:
        return rejoin(itertools.starmap(files.read_range, group[1]), self.dtype)

    def expand(self, records: beam.PCollection[np.ndarray]) -> beam.PCollection[np.ndarray]:
        if self.folder is not None and isinstance(records.pipeline.runner, FnApiRunner | SwitchingDirectRunner):
            return (
                records
                | "Spill" >> beam.FlatMap(self._spill).with_output_types(tuple[int, tuple[str, int, int]])
                | "Group blocks" >> beam.GroupByKey()
                | "Read" >> beam.Map(self._rejoin_spilt).with_output_types(np.ndarray)
            )
        return (
            records
            | "Partition" >> beam.FlatMap(self._partition).with_output_types(tuple[int, bytes])
            | "Group" >> beam.GroupByKey()
            | "Rejoin" >> beam.Map(self._rejoin).with_output_types(np.ndarray)
        )
