"""Caps how many documents one data set may give, so that a large one does not drown the others.

GLM-130B's instruction data: at most 100,000 samples of each of T0's data sets, 200,000 of each of DeepStruct's. Shares
of whole groups are the business of `mixture.py`.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterator
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.checks import ColumnOption, Count, Seed
from datapipe.filters.order_statistics import by_language as by_group
from datapipe.filters.order_statistics import order_statistics
from datapipe.stage import DocumentStage, Parts
from datapipe.store.corpus import Corpus, PartKind
from datapipe.text.bit_mixing import uniform_draw


@dataclasses.dataclass(eq=False)
class CapGroups(DocumentStage):
    """Removes what a group has beyond its cap, chosen by lot, with the reason "beyond_cap".

    A document without a value in the column is in no group, and stays.

    Attributes:
        max_documents: of each group.
        by: the column whose values are the groups.
        groups: other caps, by group.
        seed: of the lot.
        parts: what it works on: "document", "instruction".
        edges: what `prepare` found, the draw from which on each group's documents go; no option.
    """

    max_documents: Count
    by: ColumnOption = "source"
    groups: dict[str, Count] = dataclasses.field(default_factory=dict)
    seed: Seed = 0
    parts: Parts = dataclasses.field(default_factory=lambda: ["instruction"])
    edges: dict[str, float] | None = dataclasses.field(default=None, init=False)

    name: ClassVar[str] = "caps"
    writes: ClassVar[pa.Schema] = pa.schema([("caps_reason", pa.string())])

    def part_kinds(self) -> tuple[PartKind, ...]:
        """As `parts` says."""
        return tuple(self.parts)

    def learns_from_corpus(self) -> bool:
        """It counts what is left of each group."""
        return True

    def _draws(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        return uniform_draw(batch.column("id").to_numpy(), self.seed).astype(np.float32)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - nothing is told
        """Find the draw that a group's first document beyond its cap has."""
        sizes: dict[str, int] = {}
        for group, draws in self._read(corpus):
            sizes[group] = sizes.get(group, 0) + len(draws)
        edges: dict[str, float] = {}
        for cap in sorted({self.max_documents, *self.groups.values()}):
            full = {group for group, size in sizes.items() if size > cap == self._cap(group)}
            found = order_statistics(functools.partial(self._read, corpus, full), functools.partial(_beyond, cap))
            edges |= {group: float(draws[0]) for group, draws in sorted(found.items())}
        return self.ready(edges=edges)

    def _read(
        self, corpus: Corpus, wanted: Collection[str] | None = None
    ) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """The draws of some groups, or of all."""
        for batch in corpus.read([], named=[self.by], kinds=self.part_kinds()):
            for group, draws in by_group(batch.column(self.by).cast(pa.string()), self._draws(batch)):
                if group is not None and (wanted is None or group in wanted):
                    yield group, draws

    def _cap(self, group: str) -> int:
        return self.groups.get(group, self.max_documents)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Decide by the column that the option names; returns the column of `writes`."""
        if self.edges is None:
            raise ValueError("caps: to find what is beyond the caps, call prepare first")
        names = batch.column(self.by).cast(pa.string()).to_pylist()
        edges = np.array([self.edges.get(name, np.inf) for name in names], np.float32)
        beyond = self._draws(batch) >= edges
        return pa.record_batch(
            [pa.array(np.full(len(batch), "beyond_cap"), pa.string(), mask=~beyond)], schema=self.writes
        )


def _beyond(cap: int, _: int) -> list[int]:
    """The place of the first document beyond the cap, of however many."""
    return [cap]
