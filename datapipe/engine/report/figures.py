"""What the report draws, counted part by part: sums that add up, so that workers count and a driver only adds.

All counts are rows of one long table, whose size depends on languages, sources, rules and bins, and not on documents.
Beside them stand the ids of a few documents worth showing: of each reason the nearest to its threshold, of each score
one a bin.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.engine.fates import KEPT, fates
from datapipe.engine.sampling import float_columns, margins_of
from datapipe.engine.verdicts import RULES, Options
from datapipe.filters.rule_sets import DOCUMENT_RULES, Rule
from datapipe.store.corpus import REASON, Part, first_reasons
from datapipe.text.bit_mixing import uniform_draw
from datapipe.text.words import primary_languages

REMOVED = "removed"
BORDERLINE, ANY = "kept:borderline", "kept:any"
PAIR = "pair"
FAILS, PASSES = "fails", "passes"
OTHERS = "(others)"
FAILED = "rules_failed"  # of the stage `rules`: all rules that a document fails
GROUPS = ("language", "source", "language_script")
SIZES = ("exact_duplicates_size", "near_duplicates_size")
SIMILARITIES = ("near_duplicates_similarity", "semantic_duplicates_similarity")
NAMES_KEPT = 1000  # of a group, in a part: those with most documents; the rest are counted together
_KEYS = ("figure", "group", "name", "series", "bin")
_AMOUNTS = ("documents", "bytes", "tokens")
COUNTS = pa.schema(
    [*((key, pa.string()) for key in _KEYS[:-1]), ("bin", pa.int32()), *((amount, pa.int64()) for amount in _AMOUNTS)]
)
PICKS = pa.schema([("why", pa.string()), ("rank", pa.float64()), ("id", pa.uint64())])

_Rows = npt.NDArray[np.bool_]
_Values = npt.NDArray[np.float64]


class Bins(NamedTuple):
    """Bins of equal width from 0 on, or, where the width is 0, half octaves on both sides of a middle.

    The first and last one hold whatever lies beyond.
    """

    width: float
    middle: float
    number: int

    def place(self, values: _Values) -> npt.NDArray[np.int32]:
        """The bin of each value, shape (values,); of a value that is not there, 0.

        >>> Bins(0.25, 0, 4).place(np.array([0, 0.3, 7])), Bins(0, 50, 24).place(np.array([0, 50, 100]))
        (array([0, 1, 3], dtype=int32), array([ 0, 12, 14], dtype=int32))
        """
        if self.width:
            places = np.floor(values / self.width)
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                places = np.floor(2 * np.log2(values / self.middle)) + self.number // 2
        return np.clip(np.nan_to_num(places), 0, self.number - 1).astype(np.int32)

    def edges(self, place: int) -> tuple[float, float]:
        """Where a bin begins and ends."""
        if self.width:
            return place * self.width, (place + 1) * self.width
        first = place - self.number // 2
        return self.middle * 2 ** (first / 2), self.middle * 2 ** ((first + 1) / 2)


SHARES = Bins(0.05, 0, 20)
LENGTHS = Bins(0, 2**14, 56)  # 1 byte or token to 2^28
CLUSTER_SIZES = Bins(0, 2**8, 32)
# A score's bins; perplexities of a KenLM model of CCNet's lie about 300.
SCORES = {"language_score": SHARES, "quality_score": SHARES, "safety_score": SHARES, "perplexity": Bins(0, 300, 28)}


def rule_bins(rule: Rule) -> Bins:
    """Bins of a rule's measurement, of which one begins at the threshold.

    >>> rule_bins(Rule("hash_ratio", "max", 0.1)), rule_bins(Rule("words", "min", 50))
    (Bins(width=0.025, middle=0, number=40), Bins(width=0, middle=50, number=24))
    """
    threshold = rule.threshold
    if not threshold:
        return Bins(1, 0, 8)
    if threshold < 1:
        nearest = min(threshold, 1 - threshold)
        return Bins(nearest / max(1, int(40 * nearest)), 0, 40)
    return Bins(0, threshold, 24)


def rules_of(options: Options, language: str) -> dict[str, Rule]:
    """The rules by which a run has judged a language."""
    given = options.get(RULES, {})
    return DOCUMENT_RULES.rules_of(language, given.get("rule_sets", {}), given.get("thresholds", {}))


@dataclasses.dataclass(frozen=True)
class Figures:
    """Counts and picks of some parts; the sum of two is that of all their parts.

    Attributes:
        counts: rows of `COUNTS`: documents, bytes and tokens by figure, and within it by group, name, series and bin.
            Null are the tokens of documents that were removed before they were counted, and all but the documents of
            the figure "thresholds".
        picks: rows of `PICKS`: documents to show, and why; of each why those of least rank.
    """

    counts: pa.Table = dataclasses.field(default_factory=COUNTS.empty_table)
    picks: pa.Table = dataclasses.field(default_factory=PICKS.empty_table)

    def __add__(self, other: "Figures") -> "Figures":
        counts = pa.concat_tables([self.counts, other.counts])
        return Figures(_sums(counts), _least(pa.concat_tables([self.picks, other.picks])))

    def as_bytes(self) -> bytes:
        """For a shuffle or a file."""
        sink = pa.BufferOutputStream()
        for table in (self.counts, self.picks):
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        return sink.getvalue().to_pybytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `as_bytes` gave."""
        source = pa.BufferReader(content)
        return cls(*(pa.ipc.open_stream(source).read_all() for _ in range(2)))

    def of(self, figure: str) -> pa.Table:
        """The counts of one figure, in order."""
        rows = self.counts.filter(pc.equal(self.counts.column("figure"), figure))
        return rows.sort_by([(key, "ascending") for key in _KEYS])


def _quota(why: str) -> int:
    """How many documents are shown for a reason."""
    return {KEPT: 12, REMOVED: 4, PAIR: 6}.get(why.partition(":")[0], 1)


def _least(picks: pa.Table) -> pa.Table:
    """Of each why, as many as are shown, those of least rank."""
    if not len(picks):
        return picks
    picks = picks.sort_by([("why", "ascending"), ("rank", "ascending"), ("id", "ascending")])
    whys = picks.column("why").combine_chunks().dictionary_encode()
    codes = whys.indices.to_numpy()
    first = np.searchsorted(codes, np.arange(len(whys.dictionary)))
    quotas = np.array([_quota(why) for why in whys.dictionary.to_pylist()])
    return picks.filter(pa.array(np.arange(len(picks)) - first[codes] < quotas[codes]))


def count_figures(part: Part, options: Options) -> Figures:
    """Count one part of documents.

    Args:
        part: with the columns of the stages that have run.
        options: of these stages, by name.
    """
    return _Counter(part, options).figures()


def count_parts(parts: Iterable[Part], options: Options) -> Figures:
    """Count parts, one after the other."""
    return functools.reduce(operator.add, (count_figures(part, options) for part in parts), Figures())


class _Counter:
    """The columns of one part, and what is counted of them."""

    def __init__(self, part: Part, options: Options) -> None:
        self.part = part
        self.options = options
        self.stages, self.reasons = first_reasons(part)
        self.alive: _Rows = self.stages < 0
        self.fates = _named([REMOVED, KEPT], self.alive)
        self.amounts = {
            "documents": pa.array(np.ones(part.rows, np.int64)),
            "bytes": part.column("bytes").cast(pa.int64()),
            "tokens": (part.column("tokens") if "tokens" in part.columns else pa.nulls(part.rows)).cast(pa.int64()),
        }
        self.draws: _Values = uniform_draw(part.ids, 0)
        self.floats: dict[str, _Values] = {}
        self.measured: dict[str, npt.NDArray[np.floating[Any]]] = {}

    def figures(self) -> Figures:
        """All counts and picks."""
        counts = [*self._composition(), *self._thresholds(), *self._scores(), *self._lengths(), *self._duplicates()]
        return Figures(
            pa.concat_tables([COUNTS.empty_table(), *counts]), pa.concat_tables([PICKS.empty_table(), *self._picks()])
        )

    def _floats(self, column: str) -> _Values:
        """A column as floats, a null as NaN."""
        if column not in self.floats:
            self.floats[column] = _as_floats(self.part.column(column))
        return self.floats[column]

    def _measured(self, columns: AbstractSet[str]) -> dict[str, npt.NDArray[np.floating[Any]]]:
        """Columns as `float_columns` has them, and those that were asked for before: each is read once."""
        self.measured |= float_columns(self.part, columns - self.measured.keys())
        return self.measured

    def _removed_by(self, stage: str) -> _Rows:
        return _mask(self.part.column(stage + REASON).is_valid())

    def _count(
        self,
        figure: str,
        group: str,
        rows: _Rows,
        *,
        name: pa.Array | str = "",
        series: pa.Array | str = "",
        places: npt.NDArray[np.int32] | int = 0,
    ) -> pa.Table:
        """The amounts of some rows, by the name, series and bin of each, or of all."""
        chosen, size = pa.array(rows), int(rows.sum())

        def of_rows(values: pa.Array | str, type_: pa.DataType) -> pa.Array:
            return values.filter(chosen) if isinstance(values, pa.Array) else pa.repeat(pa.scalar(values, type_), size)

        keys = {
            "figure": of_rows(figure, pa.string()),
            "group": of_rows(group, pa.string()),
            "name": of_rows(name, pa.string()),
            "series": of_rows(series, pa.string()),
            "bin": pa.array(places[rows] if isinstance(places, np.ndarray) else np.full(size, places, np.int32)),
        }
        table = pa.table(keys | {amount: values.filter(chosen) for amount, values in self.amounts.items()})
        return _sums(table)

    def _composition(self) -> Iterator[pa.Table]:
        """Kept and removed, and what removed, by language, source and script."""
        every = np.ones(self.part.rows, bool)
        stages = _named([name.removesuffix(REASON) for name in self.part.decisions], self.stages)
        what = pc.binary_join_element_wise(stages, self.reasons, ": ") if self.part.decisions else self.reasons
        for group in (group for group in GROUPS if group in self.part.columns):
            names = _most_frequent(self.part.column(group))
            yield self._count("composition", group, every, name=names, series=self.fates)
            yield self._count("reasons", group, ~self.alive, name=names, series=what)

    def _thresholds(self) -> Iterator[pa.Table]:
        """What each rule measures, of the documents that it has judged, by language."""
        if FAILED not in self.part.columns:
            return
        names_of, languages = primary_languages(self.part.column("language"))  # null: gone before it was told
        failed = self.part.column(FAILED)
        reached = _mask(failed.is_valid())
        by_language = {place: rules_of(self.options, names_of[place]) for place in np.unique(languages[reached])}
        wanted = {rule.measurement for rules in by_language.values() for rule in rules.values()}
        measured = self._measured(wanted & self.part.columns.keys())
        names, owners = pc.list_flatten(failed).dictionary_encode(), pc.list_parent_indices(failed).to_numpy()
        failed_rules = names.indices.to_numpy()
        failing = {name: owners[failed_rules == code] for code, name in enumerate(names.dictionary.to_pylist())}
        found: list[tuple[str, str, int, int, int]] = []
        for place, rules in by_language.items():
            here = np.flatnonzero(reached & (languages == place))
            for name, rule in rules.items():
                if rule.measurement not in measured:
                    continue
                values = measured[rule.measurement][here].astype(np.float64)
                known = ~np.isnan(values)
                fails = np.zeros(self.part.rows, bool)
                fails[failing.get(name, [])] = True
                bins = rule_bins(rule)
                places = bins.place(values[known]) + bins.number * fails[here[known]]
                counted = np.bincount(places, minlength=2 * bins.number)
                there = np.flatnonzero(counted)
                language = names_of[place]
                found += [(name, language, int(bin_), bins.number, int(counted[bin_])) for bin_ in there]
        yield pa.table(
            {
                "figure": pa.repeat("thresholds", len(found)),
                "group": pa.array([name for name, *_ in found], pa.string()),
                "name": pa.array([language for _, language, *_ in found], pa.string()),
                "series": pa.array([FAILS if place >= count else PASSES for *_, place, count, _ in found], pa.string()),
                "bin": pa.array([place % count for *_, place, count, _ in found], pa.int32()),
                "documents": pa.array([documents for *_, documents in found], pa.int64()),
                "bytes": pa.nulls(len(found), pa.int64()),
                "tokens": pa.nulls(len(found), pa.int64()),
            }
        )

    def _scores(self) -> Iterator[pa.Table]:
        for column, bins in SCORES.items():
            if column in self.part.columns:
                values = self._floats(column)
                yield self._count("scores", column, ~np.isnan(values), series=self.fates, places=bins.place(values))

    def _lengths(self) -> Iterator[pa.Table]:
        for amount in ("bytes", "tokens"):
            values = _as_floats(self.amounts[amount])
            yield self._count("lengths", amount, ~np.isnan(values), series=self.fates, places=LENGTHS.place(values))

    def _duplicates(self) -> Iterator[pa.Table]:
        """Documents by the size of their cluster, of each cluster the one that stays; and how like the others were."""
        for column in SIZES:
            if column in self.part.columns:
                sizes = self._floats(column)
                stays = (sizes > 1) & ~self._removed_by(column.removesuffix("_size"))
                yield self._count("clusters", column, stays, places=CLUSTER_SIZES.place(sizes))
        for column in SIMILARITIES:
            if column in self.part.columns:
                values = self._floats(column)
                removed = self._removed_by(column.removesuffix("_similarity")) & ~np.isnan(values)
                yield self._count("similarity", column, removed, places=SHARES.place(values))

    def _picks(self) -> Iterator[pa.Table]:
        """Documents to show: see `_quota`."""
        one = np.zeros(self.part.rows, int)
        every = np.arange(self.part.rows)
        margins, _ = margins_of(self.part, fates(self.part), every, self.options, self._measured)
        nearest = np.where(np.isnan(margins), 1 + self.draws, margins)
        yield self._pick([BORDERLINE], one, margins, self.alive & ~np.isnan(margins))
        yield self._pick([ANY], one, self.draws, self.alive)
        reasons = self.reasons.fill_null("").dictionary_encode()
        for place, decision in enumerate(self.part.decisions):
            stage = decision.removesuffix(REASON)
            whys = [f"{REMOVED}:{stage}:{reason}" for reason in reasons.dictionary.to_pylist()]
            yield self._pick(whys, reasons.indices.to_numpy(), nearest, self.stages == place)
        for column, bins in SCORES.items():
            if column in self.part.columns:
                values = self._floats(column)
                whys = [f"score:{column}:{place:02d}" for place in range(bins.number)]
                yield self._pick(whys, bins.place(values), self.draws, ~np.isnan(values))
        if "near_duplicates_of" in self.part.columns:
            sizes = np.nan_to_num(self._floats("near_duplicates_size"))
            yield self._pick([f"{PAIR}:near_duplicates"], one, self.draws - sizes, self._removed_by("near_duplicates"))

    def _pick(self, whys: Sequence[str], codes: npt.NDArray[Any], ranks: _Values, rows: _Rows) -> pa.Table:
        """Some of the rows, for the why of each, which a code names."""
        chosen = np.flatnonzero(rows)
        order = chosen[np.lexsort((ranks[chosen], codes[chosen]))]
        first = np.searchsorted(codes[order], np.arange(len(whys)))
        quotas = np.array(list(map(_quota, whys)), int)
        order = order[np.arange(len(order)) - first[codes[order]] < quotas[codes[order]]]
        columns = [
            pa.array([whys[code] for code in codes[order]], pa.string()),
            pa.array(ranks[order]),
            pa.array(self.part.ids[order]),
        ]
        return pa.table(columns, schema=PICKS)


def _sums(table: pa.Table) -> pa.Table:
    """A row for each figure, group, name, series and bin; tokens that some document lacks are null."""
    how = pc.ScalarAggregateOptions(skip_nulls=False)
    sums = table.group_by(list(_KEYS)).aggregate([(amount, "sum", how) for amount in _AMOUNTS])
    return sums.rename_columns([name.removesuffix("_sum") for name in sums.column_names]).select(COUNTS.names)


def _named(names: Sequence[str], places: npt.NDArray[Any]) -> pa.Array:
    """The name at each place; none before the first."""
    indices = places.astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), pa.array(names, pa.string())).cast(
        pa.string()
    )


def _mask(values: pa.Array) -> _Rows:
    mask: _Rows = values.to_numpy(zero_copy_only=False)
    return mask


def _as_floats(column: pa.Array) -> _Values:
    values: _Values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _most_frequent(names: pa.Array) -> pa.Array:
    """Names as they are, but that all rare ones beyond `NAMES_KEPT` are one."""
    names = names.cast(pa.string()).fill_null("")
    counted = pc.value_counts(names)
    if len(counted) <= NAMES_KEPT:
        return names
    order = np.argsort(-counted.field("counts").to_numpy(), kind="stable")[:NAMES_KEPT]
    kept = counted.field("values").take(pa.array(order))
    return pc.if_else(pc.is_in(names, kept), names, OTHERS)
