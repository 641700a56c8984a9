"""Decides how often each document is trained on, so that groups of documents take given shares of tokens or bytes.

The last decision before export, and the only one that may take a document more than once. Upsampling weights say how
the documents of one group stand to each other; the shares here say how the groups stand to each other. A mixture is a
selection, of ids, copies and phases: it reads no text, and `datapipe mix` tries others in seconds. How documents are
chosen is told in `selection.py`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import MinLen

from datapipe.checks import ColumnOption, Count, Seed, Share
from datapipe.flow.spread import SpreadPieces
from datapipe.mix.selection import (
    PART_KIND,
    REST,
    WEIGHT,
    Ends,
    Path,
    Phase,
    Rows,
    add_histograms,
    amounts,
    as_rows,
    count_copies,
    describe,
    ends,
    find_groups,
    histograms,
    leaves,
    read_groups,
    refinements,
    searches,
)
from datapipe.stage import CorpusStage, write_notes
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part, PartKind

SHARES_FILE = "_shares.json"  # what each phase takes of each group; readers of a folder pass over "_"
VERDICTS = pa.schema(
    [
        ("id", pa.uint64()),
        ("mixture_copies", pa.int32()),
        ("mixture_phases", pa.list_(pa.int32())),
        ("mixture_reason", pa.string()),
    ]
)
Shares = dict[str, Share | dict[str, Share | dict[str, Share]]]


@dataclasses.dataclass(eq=False)
class MixSources(CorpusStage):
    """Set how many copies of each kept row are exported in which phase, so that groups take their shares.

    No document is taken twice before all of its group have been taken once, over all phases. Each share that is missed
    by more than half a point is told with the reason: too little data for `max_epochs`, or a document that is much of
    the budget. The table of all shares is in `_shares.json`.

    Attributes:
        by: the columns that group the rows: "part_kind" ("document", "instruction"), "source", "language", one of your
            own, ... Rows without a value are the group "none": by "language", that is the instructions.
        shares: share of each group of the whole, from 0 to 1; with several columns nested, the first outermost:
            {web: {zh: 0.4, en: 0.3}, books: 0.1}. What no share names has the rest, in its natural proportions. By
            default 5 % instructions, as GLM-130B.
        unit: what shares and budgets are of, `tokens` or `bytes`.
        budget: how much the mixture should have; by default as much as leaves what no share names as it is.
        phases: mixtures one after the other, each with its own budget and shares instead of those above:
            [{budget: 3000000, shares: {stem: 0.1}}, {budget: 130000, shares: {stem: 0.4}}].
        max_epochs: no document is taken more often in all: "generally" 5 times in Skywork.
        seed: which documents a fraction of an epoch takes.
        folder: where notes and shares are written; empty: nowhere.
    """

    by: Annotated[list[ColumnOption], MinLen(1)] = dataclasses.field(default_factory=lambda: [PART_KIND])
    shares: Shares = dataclasses.field(default_factory=lambda: {"instruction": 0.05})
    unit: Literal["tokens", "bytes"] = "tokens"
    budget: Count | None = None
    phases: list[dict[Literal["budget", "shares"], Count | Shares]] = dataclasses.field(default_factory=list)
    max_epochs: Count = 5
    seed: Seed = 0
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "mixture"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema(list(VERDICTS)[1:])

    def check(self) -> None:
        """The shares are those of groups, and of one whole; each phase has a budget and shares."""
        for given in self.phases:
            if not isinstance(given.get("budget"), int) or not isinstance(given.get("shares"), dict):
                raise ValueError(f"mixture: phases must each have a budget and shares, got {given!r}")
        if self.phases and self.budget is not None:
            raise ValueError(f"mixture: budget must be that of each phase where there are phases, got {self.budget!r}")
        for phase in self.planned():
            for path in phase.shares:
                if "" in path or len(path) > len(self.by):
                    raise ValueError(
                        f"mixture: shares must each be of a named group of {', '.join(self.by)}, got {'/'.join(path)!r}"
                    )
            if sum(phase.shares.values()) > 1 + 1e-9:
                raise ValueError(f"mixture: shares must not exceed 1 together, got {dict(phase.shares)!r}")

    def planned(self) -> list[Phase]:
        """The phases, one where none are named."""
        given: list[Any] = self.phases or [{"budget": self.budget, "shares": self.shares}]
        return [Phase(dict(leaves(phase["shares"])), phase["budget"]) for phase in given]

    def groups(self) -> list[Path]:
        """The groups of all phases, the rest first."""
        return list(dict.fromkeys([REST, *(path for phase in self.planned() for path in phase.shares)]))

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return (self.unit,)

    def optional(self) -> tuple[str, ...]:
        """How often a document deserves to be seen, where that is weighed."""
        return (WEIGHT,)

    def named_columns(self) -> tuple[str, ...]:
        """The columns that group the rows, but for the kind of the part."""
        return tuple(column for column in self.by if column != PART_KIND)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - the plan is part of the pipeline
        """The transform, with the folder for its notes."""
        return self.ready(folder=folder)

    def rows(self, part: Part) -> Iterator[Rows]:
        """The kept rows of a part, once, if there are any."""
        found = read_groups(part, self.by, self.unit)
        if found:
            table, values = found
            yield as_rows(table, find_groups(values, self.groups()), self.unit, self.seed)

    def _histograms(self, part: Part) -> Iterator[tuple[int, bytes]]:
        for rows in self.rows(part):
            for group, histogram in histograms(rows, self.max_epochs):
                yield group, histogram.tobytes()

    def _known(self, packed: Mapping[int, bytes]) -> dict[Path, npt.NDArray[np.int64]]:
        groups = self.groups()
        return {groups[index]: np.frombuffer(packed[index], np.int64) for index in sorted(packed)}

    def _halves(self, _: bytes, packed: Mapping[int, bytes]) -> list[tuple[int, int]]:
        groups, known = self.groups(), self._known(packed)
        found = searches(amounts(self.planned(), known), known)
        return sorted({(groups.index(search.group), search.upper) for search in found})

    def _refinements(self, part: Part, halves: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], bytes]]:
        for rows in self.rows(part):
            for key, histogram in refinements(rows, halves, self.max_epochs):
                yield key, histogram.tobytes()

    def _ends(self, _: bytes, packed: Mapping[int, bytes], refined: Mapping[tuple[int, int], bytes]) -> Ends:
        groups, known, planned = self.groups(), self._known(packed), self.planned()
        fine = {(groups[group], upper): np.frombuffer(of, np.int64) for (group, upper), of in refined.items()}
        found = ends(planned, groups, known, fine)
        if self.folder:
            write_notes(self.folder, describe(planned, known, found, self.unit))
            listed = [dataclasses.asdict(taken) for taken in found.taken]
            files.write_json(
                files.join(self.folder, SHARES_FILE), {"unit": self.unit, "taken": listed}, files.summed_file
            )
        return found

    def _verdicts(self, part: Part, found: Ends) -> Iterator[pa.RecordBatch]:
        for rows in self.rows(part):
            copies = count_copies(rows, found, self.max_epochs)
            every = copies.sum(axis=0, dtype=np.int32)
            phases = pa.nulls(len(every), VERDICTS.field("mixture_phases").type)
            if self.phases:
                bounds = pa.array(np.arange(len(every) + 1, dtype=np.int32) * len(copies))
                phases = pa.ListArray.from_arrays(bounds, pa.array(copies.T.ravel()))
            reasons = pa.array(np.full(len(every), "sampled_out"), pa.string(), mask=every > 0)
            yield pa.record_batch([pa.array(rows.ids), pa.array(every), phases, reasons], schema=VERDICTS)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        spread = parts | "Spread" >> SpreadPieces()
        once = parts.pipeline | "Once" >> beam.Impulse()
        known = beam.pvalue.AsDict(
            spread
            | "Histograms" >> beam.FlatMap(self._histograms).with_output_types(tuple[int, bytes])
            | "Add" >> beam.CombinePerKey(_add)
        )
        halves = once | "Look" >> beam.Map(self._halves, known).with_output_types(list[tuple[int, int]])
        refined = beam.pvalue.AsDict(
            spread
            | "Refine"
            >> beam.FlatMap(self._refinements, beam.pvalue.AsSingleton(halves)).with_output_types(
                tuple[tuple[int, int], bytes]
            )
            | "Sum" >> beam.CombinePerKey(_sum)
        )
        found = once | "Plan" >> beam.Map(self._ends, known, refined).with_output_types(Ends)
        return spread | "Copies" >> beam.FlatMap(self._verdicts, beam.pvalue.AsSingleton(found)).with_output_types(
            pa.RecordBatch
        )


def _add(packed: Iterable[bytes]) -> bytes:
    first, *others = (np.frombuffer(of, np.int64) for of in packed)
    for other in others:
        first = add_histograms(first, other)
    return first.tobytes()


def _sum(packed: Iterable[bytes]) -> bytes:
    first, *others = (np.frombuffer(of, np.int64) for of in packed)
    return sum(others, start=first).tobytes()
