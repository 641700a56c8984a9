"""A few documents of a run to read: of those that a reason removed or that are kept, drawn by seed or nearest the edge.

The nearest to a threshold tell whether it stands right: what it has just removed, and what it has just let pass.
"""

import dataclasses
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.engine.fates import KEPT, all_fates, fates
from datapipe.engine.verdicts import RULES, Options
from datapipe.filters.rule_sets import DOCUMENT_RULES
from datapipe.near import suggest
from datapipe.store.corpus import Corpus, Part
from datapipe.text import words
from datapipe.text.bit_mixing import seeded_hash


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A document that was picked.

    Attributes:
        id: of it.
        fate: "kept", or the stage and the reason.
        margin: how far what decided is from its threshold, as a share of that; None where no threshold decided.
        nearest: the rule or the stage whose threshold that is; of what is kept, the one that is nearest.
    """

    id: int
    fate: str
    margin: float | None
    nearest: str = ""


def count_fates(corpus: Corpus) -> Counter[str]:
    """How many documents met each fate: "kept", the stage, and the stage with the reason, `rules: gopher_min_words`."""
    counts: Counter[str] = Counter()
    for table in all_fates(corpus):
        counted = table.group_by(["stage", "reason"]).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            counts[row["stage"]] += row["count_all"]
            if row["reason"] is not None:
                counts[f"{row['stage']}: {row['reason']}"] += row["count_all"]
    return counts


def pick(
    corpus: Corpus,
    options: Options,
    reason: str,
    count: int,
    *,
    borderline: bool = False,
    where: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[Sampled]:
    """Pick documents.

    Args:
        corpus: of a run.
        options: of its stages, by name.
        reason: "kept", a stage, a reason, or both as "stage: reason".
        count: how many at most.
        borderline: take those nearest to the threshold that decided, rather than any.
        where: values of columns that they must have.
        seed: another choice of any.

    Raises:
        ValueError: if no document met that fate.
    """
    best: list[tuple[float, int, Sampled]] = []
    known: Counter[str] = Counter()
    for part in corpus.parts:
        table = fates(part, list(where or ()))
        rows = _rows(table, reason, where or {})
        known.update(filter(None, [*table.column("stage").to_pylist(), *table.column("reason").to_pylist()]))
        if not len(rows):
            continue
        margins, nearest = margins_of(part, table, rows, options)
        ids = part.ids[rows]
        order = np.nan_to_num(margins, nan=np.inf) if borderline else seeded_hash(ids, seed).astype(np.float64)
        for at in np.argsort(order, kind="stable")[:count].tolist():
            said = table.slice(int(rows[at]), 1).to_pylist()[0]
            fate = said["stage"] if said["reason"] is None else f"{said['stage']}: {said['reason']}"
            margin = None if np.isnan(margins[at]) else float(margins[at])
            best.append((float(order[at]), int(ids[at]), Sampled(int(ids[at]), fate, margin, nearest[at])))
        best = heapq.nsmallest(count, best)
    if not best and reason not in known:
        raise ValueError(f"no document was {reason!r}{suggest(reason, sorted(known))}")
    return [sampled for _, _, sampled in best]


def _rows(table: pa.Table, reason: str, where: Mapping[str, str]) -> npt.NDArray[np.int64]:
    stage, _, exact = reason.partition(": ")
    wanted = pc.equal(table.column("stage"), stage)
    if exact:
        wanted = pc.and_(wanted, pc.equal(table.column("reason"), exact))
    else:
        wanted = pc.or_(wanted, pc.equal(table.column("reason"), reason).fill_null(False))
    for name, value in where.items():
        wanted = pc.and_(wanted, pc.equal(table.column(name).cast(pa.string()), value).fill_null(False))
    return np.asarray(pc.indices_nonzero(wanted.fill_null(False)).to_numpy(), np.int64)


def margins_of(
    part: Part,
    table: pa.Table,
    rows: npt.NDArray[np.int64],
    options: Options,
    read: Callable[[set[str]], Mapping[str, npt.NDArray[np.floating[Any]]]] | None = None,
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """How far each row is from the threshold that decided, and whose that is.

    Args:
        part: the part.
        table: its fates.
        rows: numbers of rows in it.
        options: of the stages, by name.
        read: gives columns of the part as `float_columns` does, where the caller has some already.

    Returns:
        The distance as a share of the threshold, shape (rows,), NaN where nothing tells; and names of rules or stages.
    """
    margins, nearest = np.full(len(rows), np.nan), np.full(len(rows), "", object)
    stages, stage_codes = _codes(table.column("stage"), rows)
    kept = stages == stage_codes.get(KEPT)
    judges = [
        (np.flatnonzero((stages == stage_codes.get(stage)) | kept), stage, column, threshold)
        for stage, column, threshold in _scores(options)
        if column in part.columns and threshold
    ]
    by_rules = stages == stage_codes.get(RULES)
    judges += _rules(part, rows, kept, by_rules, *_codes(table.column("reason"), rows), options.get(RULES, {}))
    columns = {column for _, _, column, _ in judges}
    values = read(columns) if read else float_columns(part, columns)
    for here, name, column, threshold in judges:
        found = np.abs(values[column][rows[here]].astype(np.float64) - threshold) / abs(threshold)
        closer = ~np.isnan(found) & ~(found >= margins[here])  # what is NaN so far gives way
        margins[here[closer]] = found[closer]
        nearest[here[closer]] = name
    return margins, nearest.tolist()


def float_columns(part: Part, columns: Collection[str]) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """Columns of all rows, each file read once; a null is NaN. Floats of 32 bits stay so, all else gets 64."""
    found: dict[str, npt.NDArray[np.floating[Any]]] = {}
    at, (start, stop) = 0, part.bounds
    for batch in part.read(sorted(columns), kept_only=False) if columns else ():
        for name in columns:
            values = batch.column(name)
            if name not in found:
                found[name] = np.empty(stop - start, np.float32 if pa.types.is_float32(values.type) else np.float64)
            found[name][at : at + len(batch)] = values.to_numpy(zero_copy_only=False)
        at += len(batch)
    return found


def _scores(options: Options) -> Iterator[tuple[str, str, float]]:
    """The stages that compare one number with one threshold, the column of the number, and the threshold."""
    quality = options.get("quality_filter", {})
    if quality.get("keep_rate") is None and quality.get("pareto_alpha") is None:
        yield "quality_filter", "quality_filter_score", float(quality.get("min_score") or 0)
    for stage in ("near_duplicates", "semantic_duplicates"):
        yield stage, f"{stage}_similarity", float(options.get(stage, {}).get("threshold") or 0)
    yield "language_filter", "language_score", float(options.get("language_filter", {}).get("min_score") or 0)


def _codes(column: pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
    """The values of some rows as numbers, -1 for a null, and the number of each value: objects are slow to compare."""
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)[rows]
    return codes, {value: code for code, value in enumerate(encoded.dictionary.to_pylist())}


def _rules(
    part: Part,
    rows: npt.NDArray[np.int64],
    kept: npt.NDArray[np.bool_],
    by_rules: npt.NDArray[np.bool_],
    reasons: npt.NDArray[np.int64],
    reason_codes: Mapping[str, int],
    options: Mapping[str, Any],
) -> Iterator[tuple[npt.NDArray[np.int64], str, str, float]]:
    """Rows, by their number among `rows`, with the name, measurement and threshold of a rule that speaks of them.

    Of a document that a rule removed it is that rule; of one that is kept, any that judged it.
    """
    if "rules_reason" not in part.columns:
        return
    names, languages = words.primary_languages(part.column("language"))
    for place, language in enumerate(names):
        rules = DOCUMENT_RULES.rules_of(language, options.get("rule_sets", {}), options.get("thresholds", {}))
        of_language = np.flatnonzero(languages[rows] == place)
        kept_of_language, gone = of_language[kept[of_language]], of_language[by_rules[of_language]]
        for name, rule in rules.items():
            here = np.concatenate([kept_of_language, gone[reasons[gone] == reason_codes.get(name, -2)]])
            if len(here) and rule.threshold:
                yield here, name, rule.measurement, rule.threshold
