"""How often each document deserves to be seen: the product of the rates that a recipe asks for, and of no others.

The rates are those of the field, each described in `rates.py`. `semantic_duplicates.py` removes what is said twice,
this repeats what is said well and seldom, or was found often. `mixture.py` turns weights into whole copies.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Ge

from datapipe.checks import ColumnOption, Count, NotNegative, Positive, PositiveShare
from datapipe.dedup.exact_duplicates import SIZE as EXACT_SIZE
from datapipe.dedup.near_duplicates import SIZE as NEAR_SIZE
from datapipe.dedup.survivors import check_quality
from datapipe.flow.gather import Gather
from datapipe.mix.rates import (
    coarse_scores,
    down_sampling,
    quantile_epochs,
    rehydration,
    temperature_epochs,
    topic_epochs,
    unimax_epochs,
)
from datapipe.mix.topics import TOPIC
from datapipe.stage import CorpusStage, read_notes, write_notes
from datapipe.store.corpus import Corpus, Part

NONE = "none"  # the group of documents that have no value in the column

_WRITES = pa.schema([("upsampling_weight", pa.float32())])
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])


@dataclasses.dataclass(frozen=True)
class _Counted:
    """What a part tells of the whole.

    Attributes:
        part: its number.
        groups: bytes of each group.
        topics: documents, documents with a score, and sum of scores of each topic.
        scores: documents of each coarse score.
    """

    part: int
    groups: dict[str, int]
    topics: dict[int, tuple[int, int, float]]
    scores: dict[int, int]


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The weights of groups, of topics by number, and of coarse scores in ascending order."""

    groups: dict[str, float]
    topics: npt.NDArray[np.float64]
    scores: npt.NDArray[np.uint32]
    of_scores: npt.NDArray[np.float64]


@dataclasses.dataclass(eq=False)
class WeighDocuments(CorpusStage):
    """Weigh each document by the rates that are asked for: parts in, a verdict on each kept document out.

    The weight is how often to see the document, 1.0 = once: the product of all rates, never above `max_repeats`.

    Attributes:
        by: the column whose groups `epochs`, `temperature` and `unimax` are of.
        epochs: of some groups, the others run once: LLaMA's table (wikipedia: 2.45, books: 2.23, github: 0.64), or
            Qwen's up-sampling of selected sources.
        temperature: groups take shares of the bytes that go with their size ^ (1 / temperature).
        unimax: groups take shares as even as this many epochs of each allow (Chung et al. 2023).
        budget: bytes of all groups together under `temperature` or `unimax`; none: as many as there are.
        quality: a numeric column, of a stage or the documents' own, higher = better; where no document has it, it
            weighs nothing.
        quality_epochs: of equally many documents each, the worst first: ten numbers are the epochs of ten deciles. As
            they rise, so does the sampled share (Baichuan 2); zeros drop the worst (OLMo 3). Empty: topics are weighed
            by their mean quality instead, see `topic_epochs`.
        rarity: how much small topics gain where topics are weighed; 0 = only quality counts.
        max_growth: by that the corpus grows by no more than this share of its documents.
        max_topic_share: of a larger topic only so many documents are seen that they are this share of all there are.
        rehydration: from which number of duplicates on a document is seen how often; FineWeb-2:
            {1: 1, 2: 2, 3: 3, 5: 5, 100: 8, 1000: 1}.
        max_repeats: no document is seen more often (Skywork: generally at most 5 times).
        folder: for notes; empty: nowhere.
    """

    by: ColumnOption = "source"
    epochs: dict[str, NotNegative] = dataclasses.field(default_factory=dict)
    temperature: Annotated[float, Ge(1)] | None = None
    unimax: Positive | None = None
    budget: Count | None = None
    quality: ColumnOption | None = None
    quality_epochs: list[NotNegative] = dataclasses.field(default_factory=list)
    rarity: NotNegative = 0.5
    max_growth: NotNegative = 0.25
    max_topic_share: PositiveShare | None = None
    rehydration: dict[Count, NotNegative] = dataclasses.field(default_factory=dict)
    max_repeats: Annotated[float, Ge(1)] = 5.0
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "upsampling"
    version: ClassVar[int] = 3
    writes: ClassVar[pa.Schema] = _WRITES

    def check(self) -> None:
        """One rate of groups at most, and none that `max_repeats` would cut."""
        of_groups = [name for name in ("epochs", "temperature", "unimax") if getattr(self, name)]
        if len(of_groups) > 1:
            raise ValueError(f"upsampling: {' and '.join(of_groups)} must not be given together")
        if self.budget is not None and of_groups not in (["temperature"], ["unimax"]):
            raise ValueError(f"upsampling: budget must go with temperature or unimax, got {self.budget!r}")
        if self.quality_epochs and self.quality is None:
            raise ValueError(f"upsampling: quality must be given with quality_epochs, got {self.quality!r}")
        asked = {
            "epochs": max(self.epochs.values(), default=0),
            "unimax": self.unimax or 0,
            "quality_epochs": max(self.quality_epochs, default=0),
            "rehydration": max(self.rehydration.values(), default=0),
        }
        for name, most in asked.items():
            if most > self.max_repeats:
                raise ValueError(
                    f"upsampling: {name} must not be above max_repeats ({self.max_repeats:g}), got {most:g}"
                )

    @property
    def _by_group(self) -> bool:
        return bool(self.epochs or self.temperature or self.unimax)

    @property
    def _by_topic(self) -> bool:
        return self.quality is not None and not self.quality_epochs

    def named_columns(self) -> tuple[str, ...]:
        """The column of groups, where they have a rate, and that of quality."""
        return tuple(column for column in (self.by if self._by_group else None, self.quality) if column is not None)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs for the rates asked for."""
        topics = (TOPIC,) if self._by_topic or self.max_topic_share else ()
        return ("bytes", *topics, *((NEAR_SIZE,) if self.rehydration else ()))

    def optional(self) -> tuple[str, ...]:
        """Quality and the number of exact copies, where documents have them."""
        quality = (self.quality,) if self.quality is not None else ()
        return (*quality, *((EXACT_SIZE,) if self.rehydration else ()))

    def skip_reason(self) -> str | None:
        """Why there is nothing to do: no rate is asked for."""
        if self._by_group or self.quality or self.max_topic_share or self.rehydration:
            return None
        return "no rate is asked for: name epochs, temperature, unimax, quality, max_topic_share or rehydration"

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """The stage with the folder for its notes, once the column of quality is checked."""
        check_quality(self.name, self.quality, corpus, folder)
        return self.ready(folder=folder)

    def _read(self, part: Part) -> pa.Table | None:
        named = [column for column in self.named_columns() if column not in self.optional()]
        batches = list(part.read(self.requires(), optional=self.optional(), named=named))
        return pa.Table.from_batches(batches).combine_chunks() if batches else None

    def _groups(self, table: pa.Table) -> pa.Array:
        return table.column(self.by).combine_chunks().cast(pa.string()).fill_null(NONE)

    def _scores(self, table: pa.Table) -> npt.NDArray[np.float64]:
        if self.quality is None or self.quality not in table.column_names:
            return np.full(len(table), np.nan)
        return np.asarray(table.column(self.quality).cast(pa.float64()).to_numpy())

    def _count(self, part: Part) -> _Counted:
        table = self._read(part)
        groups: dict[str, int] = {}
        topics: dict[int, tuple[int, int, float]] = {}
        scores: dict[int, int] = {}
        if table is None:
            return _Counted(part.number, groups, topics, scores)
        found = self._scores(table)
        scored = np.isfinite(found)
        if self._by_group:
            sums = pa.table({"group": self._groups(table), "bytes": table.column("bytes")})
            for row in sums.group_by("group").aggregate([("bytes", "sum")]).to_pylist():
                groups[row["group"]] = row["bytes_sum"]
        if TOPIC in table.column_names:
            topic = table.column(TOPIC).fill_null(-1).to_numpy()
            for number in np.unique(topic[topic >= 0]).tolist():
                of = (topic == number) & scored
                topics[number] = int((topic == number).sum()), int(of.sum()), float(found[of].sum())
        if self.quality_epochs:
            values, counts = np.unique(coarse_scores(found[scored]), return_counts=True)
            scores = dict(zip(values.tolist(), counts.tolist(), strict=True))
        return _Counted(part.number, groups, topics, scores)

    def _plan(self, counted: Sequence[_Counted]) -> _Plan:
        sizes: collections.Counter[str] = collections.Counter()
        scores: collections.Counter[int] = collections.Counter()
        count = 1 + max((number for some in counted for number in some.topics), default=-1)
        documents, scored, sums = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count)
        # In order of part: a sum of floats depends on its order.
        for some in sorted(counted, key=lambda some: some.part):
            sizes.update(some.groups)
            scores.update(some.scores)
            for number, (of, of_scored, total) in some.topics.items():
                documents[number] += of
                scored[number] += of_scored
                sums[number] += total
        groups = self._group_epochs(dict(sorted(sizes.items())))
        topics = np.ones(count)
        if self._by_topic:
            means = np.where(scored > 0, sums / np.maximum(scored, 1), np.nan)
            topics *= topic_epochs(documents, means, self.rarity, self.max_repeats, self.max_growth)
        if self.max_topic_share:
            topics *= down_sampling(documents, self.max_topic_share)
        values = np.array(sorted(scores), np.uint32)
        counts = np.array([scores[value] for value in values.tolist()], np.int64)
        of_scores = quantile_epochs(counts, self.quality_epochs) if self.quality_epochs else np.ones(len(values))
        return _Plan(groups, topics, values, of_scores)

    def _group_epochs(self, sizes: dict[str, int]) -> dict[str, float]:
        """The epochs of each group; with a note for what is not there, and for what cannot be had."""
        notes = []
        if self.temperature:
            epochs = temperature_epochs(sizes, self.temperature, self.budget)
        elif self.unimax:
            epochs = unimax_epochs(sizes, self.unimax, self.budget)
        else:
            epochs = dict(self.epochs)
            notes += [f"no document has the {self.by} {group!r}" for group in epochs if group not in sizes]
        notes += [
            f"{group}: {asked:.3g} epochs would be its part, but max_repeats is {self.max_repeats:g}"
            for group, asked in epochs.items()
            if asked > self.max_repeats
        ]
        if self.folder and notes:
            write_notes(self.folder, [*read_notes(self.folder), *notes])
        return epochs

    def _verdicts(self, part: Part, plan: _Plan) -> pa.RecordBatch:
        table = self._read(part)
        if table is None:
            return pa.RecordBatch.from_pylist([], _VERDICTS)
        weights = np.ones(len(table))
        if plan.groups:
            groups = self._groups(table)
            names = pa.array(plan.groups, pa.string())
            place = pc.index_in(groups, names).fill_null(len(names)).to_numpy()
            weights *= np.array([*plan.groups.values(), 1.0])[place]
        if TOPIC in table.column_names:
            weights *= np.append(plan.topics, 1.0)[table.column(TOPIC).fill_null(-1).to_numpy()]
        if len(plan.scores):
            found = self._scores(table)
            scored = np.isfinite(found)
            weights[scored] *= plan.of_scores[np.searchsorted(plan.scores, coarse_scores(found[scored]))]
        if self.rehydration:
            sizes = table.column(NEAR_SIZE)
            if EXACT_SIZE in table.column_names:
                sizes = pc.coalesce(sizes, table.column(EXACT_SIZE).cast(sizes.type))
            distinct, place = np.unique(sizes.fill_null(1).to_numpy(), return_inverse=True)
            weights *= np.array([rehydration(size, self.rehydration) for size in distinct.tolist()])[place]
        arrays = [table.column("id").combine_chunks(), np.minimum(weights, self.max_repeats).astype(np.float32)]
        return pa.record_batch(arrays, schema=_VERDICTS)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        plan = (
            parts
            | "Count" >> beam.Map(self._count).with_output_types(_Counted)
            | "Gather" >> Gather()
            | "Plan" >> beam.Map(self._plan).with_output_types(_Plan)
        )
        return parts | "Verdicts" >> beam.Map(self._verdicts, beam.pvalue.AsSingleton(plan)).with_output_types(
            pa.RecordBatch
        )
