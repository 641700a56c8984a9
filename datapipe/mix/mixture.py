"""Decides how often each document is trained on, so that groups of documents take given shares of the tokens.

The last decision before export, and the only one that may take a document more than once. Upsampling weights say how
the documents of one group stand to each other; the shares here say how the groups stand to each other.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import MinLen

from datapipe.checks import ColumnOption, Count, Seed, Share
from datapipe.flow.spread import SpreadPieces
from datapipe.stage import CorpusStage, write_notes
from datapipe.store.corpus import Corpus, Part, PartKind
from datapipe.text.bit_mixing import uniform_draw

REST = ""  # the pooled group of all documents whose group has no share of its own
PART_KIND = "part_kind"  # groups by what a part holds, which is no column
NONE = "none"  # the group of documents that have no value in the column
VERDICTS = pa.schema([("id", pa.uint64()), ("mixture_copies", pa.int32()), ("mixture_reason", pa.string())])
STEPS = 1 << 14  # steps of a curve in one epoch: a large group is met to within 0.006 % of its tokens


def count_copies(
    epochs: npt.NDArray[np.float64], draws: npt.NDArray[np.float64], max_epochs: int
) -> npt.NDArray[np.int32]:
    """How often each row is taken: the whole part of its epochs, and once more with the fraction as probability.

    Args:
        epochs: how often a row should be taken on average, shape (rows,).
        draws: see `uniform_draw`, shape (rows,).
        max_epochs: no row is taken more often.

    >>> count_copies(np.array([0.3, 1.2, 2.5]), np.array([0.5, 0.9, 0.6]), max_epochs=2).tolist()
    [0, 2, 2]
    """
    return np.minimum(np.floor(epochs + draws), max_epochs).astype(np.int32)


def token_curve(
    tokens: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    draws: npt.NDArray[np.float64],
    max_epochs: int,
) -> npt.NDArray[np.int64]:
    """The tokens that rows give at each step of their group's epochs; the sum of two parts' curves is that of both.

    A row of weight w and draw d is taken for the k-th time from epoch (k - d) / w on: then `count_copies` of
    w * epoch reaches k.

    Args:
        tokens: of the rows, shape (rows,).
        weights: how many epochs a row runs in one epoch of its group, shape (rows,).
        draws: see `uniform_draw`, shape (rows,).
        max_epochs: the epochs of the last step, and the maximum copies of a row.

    Returns:
        Tokens, shape (max_epochs * STEPS + 1,).
    """
    last = max_epochs * STEPS
    added = np.zeros(last + 1, np.int64)
    for copy in range(1, max_epochs + 1):
        with np.errstate(divide="ignore"):
            step = np.ceil((copy - draws) / weights * STEPS)
        reached = step <= last
        # Whole numbers below 2^53 are exact in floating point, whatever the order of addition.
        added += np.bincount(step[reached].astype(np.int64), tokens[reached], last + 1).astype(np.int64)
    return np.cumsum(added)


def plan_epochs(
    curves: Mapping[str, npt.NDArray[np.int64]], shares: Mapping[str, float], total: int | None = None
) -> tuple[dict[str, float], list[str]]:
    """How many epochs each group runs, so that it takes its share of the tokens.

    The groups without a share are one group, `REST`, with what the shares leave. Where no total is given, REST runs one
    epoch and the others are set against it; where there is no REST, the total is what all groups have in one epoch. A
    share whose group has no tokens goes to the others, as does what a group cannot fill; all other groups keep their
    proportions.

    Args:
        curves: the `token_curve` of each group.
        shares: share of the tokens of each group, from 0 to 1, together at most 1.
        total: tokens that the mixture should have.

    Returns:
        The epochs of each group, and a line for each share that could not be met.
    """
    asked = {**shares, REST: max(0.0, 1 - sum(shares.values()))}
    asked = {group: share for group, share in asked.items() if share > 1e-9}
    present = {group: share for group, share in asked.items() if group in curves and curves[group][-1] > 0}
    notes = [
        f"no tokens in {group or 'the rest'}: its share of {share:.1%} goes to the others"
        for group, share in asked.items()
        if group not in present
    ]
    if not present:
        return dict.fromkeys(curves, 0.0), notes
    max_tokens = {group: int(curves[group][-1]) for group in present}
    if total is None and REST in present:
        scale = curves[REST][STEPS] / present[REST]
    else:
        scale = _scale(present, max_tokens, total or sum(int(curves[group][STEPS]) for group in present))
    wanted = {group: scale * share for group, share in present.items()}
    epochs = {
        group: _nearest_step(curve, min(wanted[group], max_tokens[group])) / STEPS if group in present else 0.0
        for group, curve in curves.items()
    }
    taken = {group: int(curves[group][round(epochs[group] * STEPS)]) for group in present}
    for group in present:
        if max_tokens[group] < wanted[group]:
            name = group or "the rest"
            got = taken[group] / sum(taken.values())
            limit = f"{epochs[group]:g} epochs, the most allowed"
            notes.append(f"{name}: {limit}, give {got:.1%} of the tokens, not {asked[group]:.1%}")
    return epochs, notes


def _scale(shares: Mapping[str, float], max_tokens: Mapping[str, int], total: int) -> float:
    """The scale at which `sum(min(max_tokens, scale * share))` is the total; infinite where the groups have less."""
    free = set(shares)
    while free:
        left = total - sum(max_tokens[group] for group in shares.keys() - free)
        scale = left / sum(shares[group] for group in sorted(free))
        full = {group for group in free if max_tokens[group] < scale * shares[group]}
        if not full:
            return scale
        free -= full
    return np.inf


def _nearest_step(curve: npt.NDArray[np.int64], tokens: float) -> int:
    """The step at which a rising curve is nearest to some tokens: the last of equals, the lower of two as near."""
    below = int(np.searchsorted(curve, tokens, "right")) - 1
    if below + 1 < len(curve) and curve[below + 1] - tokens < tokens - curve[below]:
        return below + 1
    return below


def _sum(curves: Iterable[bytes]) -> bytes:
    """The sum of packed curves, packed."""
    first, *others = (np.frombuffer(packed, np.int64) for packed in curves)
    return sum(others, start=first).tobytes()


@dataclasses.dataclass(eq=False)
class MixSources(CorpusStage):
    """Set how many copies of each kept row are exported, so that groups take their shares of the tokens.

    Attributes:
        by: the column that groups the rows: "part_kind" ("document", "instruction"), "source", "language", one of your
            own, ... Rows without a value are the group "none": by "language", that is the instructions.
        shares: share of the tokens of each group, from 0 to 1. Other groups have the rest, in their natural
            proportions. By default 5 % instructions, as GLM-130B.
        max_epochs: no document is taken more often: "generally" 5 times in Skywork.
        tokens: tokens that the mixture should have; by default as many as leave the groups without a share as they are.
        seed: which documents a fraction of an epoch takes.
        folder: where a line is written for each share that could not be met; empty: nowhere.
    """

    by: Annotated[ColumnOption, MinLen(1)] = PART_KIND
    shares: dict[str, Share] = dataclasses.field(default_factory=lambda: {"instruction": 0.05})
    max_epochs: Count = 5
    tokens: Count | None = None
    seed: Seed = 0
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "mixture"
    writes: ClassVar[pa.Schema] = pa.schema(list(VERDICTS)[1:])

    def check(self) -> None:
        """The shares are those of groups, and of one whole."""
        if "" in self.shares:
            raise ValueError(f"mixture: shares must each be of a named group, got {self.shares!r}")
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError(f"mixture: shares must not exceed 1 together, got {self.shares!r}")

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("tokens",)

    def optional(self) -> tuple[str, ...]:
        """How often a document deserves to be seen, where that is weighed."""
        return ("upsampling_weight",)

    def named_columns(self) -> tuple[str, ...]:
        """The column that groups the rows, unless it is the kind of the part."""
        return () if self.by == PART_KIND else (self.by,)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents and instruction data."""
        return ("document", "instruction")

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - the plan is part of the pipeline
        """The transform, with the folder for its notes."""
        return self.ready(folder=folder)

    def _rows(self, part: Part) -> Iterator[tuple[pa.Table, npt.NDArray, npt.NDArray, npt.NDArray]]:
        """The kept rows of a part, once, if there are any: table, index in `_groups`, weight and draw of each."""
        batches = list(part.read(["tokens"], optional=[self.by, *self.optional()]))
        if not batches:
            return
        table = pa.Table.from_batches(batches)
        if self.by in part.columns:
            group = table.column(self.by).cast(pa.string()).fill_null(NONE)
        else:
            group = pa.repeat(part.kind if self.by == PART_KIND else NONE, len(table))
        indices = pc.add(pc.index_in(group, pa.array(self.shares, pa.string())), 1).fill_null(0).to_numpy()
        weights = np.ones(len(table))
        if "upsampling_weight" in part.columns:
            weights = table.column("upsampling_weight").fill_null(1).to_numpy().astype(np.float64)
        yield table, indices, weights, uniform_draw(table.column("id").to_numpy(), self.seed)

    @property
    def _groups(self) -> list[str]:
        return [REST, *self.shares]

    def _curves(self, part: Part) -> Iterator[tuple[str, bytes]]:
        for table, indices, weights, draws in self._rows(part):
            tokens = table.column("tokens").fill_null(0).to_numpy()
            for number, group in enumerate(self._groups):
                of = indices == number
                if of.any():
                    yield group, token_curve(tokens[of], weights[of], draws[of], self.max_epochs).tobytes()

    def _plan(self, _: None, packed: Mapping[str, bytes]) -> dict[str, float]:
        curves = {group: np.frombuffer(packed[group], np.int64) for group in sorted(packed)}
        epochs, notes = plan_epochs(curves, self.shares, self.tokens)
        if self.folder:
            write_notes(self.folder, notes)
        return epochs

    def _verdicts(self, part: Part, epochs: Mapping[str, float]) -> Iterator[pa.RecordBatch]:
        for table, indices, weights, draws in self._rows(part):
            of_row = np.array([epochs.get(group, 0.0) for group in self._groups])[indices]
            copies = count_copies(of_row * weights, draws, self.max_epochs)
            reasons = pc.if_else(pa.array(copies == 0), "sampled_out", pa.scalar(None, pa.string()))
            yield pa.record_batch([table.column("id").combine_chunks(), copies, reasons], schema=VERDICTS)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        spread = parts | "Spread" >> SpreadPieces()
        curves = (
            spread
            | "Curves" >> beam.FlatMap(self._curves).with_output_types(tuple[str, bytes])
            | "Sum" >> beam.CombinePerKey(_sum)
        )
        epochs = (
            parts.pipeline
            | "Once" >> beam.Create([None], reshuffle=False)
            | "Plan" >> beam.Map(self._plan, beam.pvalue.AsDict(curves)).with_output_types(dict[str, float])
        )
        return spread | "Copies" >> beam.FlatMap(self._verdicts, beam.pvalue.AsSingleton(epochs)).with_output_types(
            pa.RecordBatch
        )
