"""The documents that the report shows: their texts, and pairs of near duplicates side by side."""

import dataclasses
import difflib
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from datapipe.engine.report.figures import BORDERLINE, KEPT, PAIR, REMOVED
from datapipe.engine.verdicts import document_id
from datapipe.store.corpus import ROW_BITS, Corpus

TEXT_SHOWN = 600  # characters
PAIR_SHOWN = 1000
_PIECES_COMPARED = 400  # of either text: difflib takes quadratic time
_SHOWN = ("path", "source", "url", "language", "tokens")
_PIECE = re.compile(r"[^\W\d_]*[A-Za-zÀ-ɏ]+|\d+|\s+|.", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A document of the report.

    Attributes:
        id: part-row.
        stage, reason: what removed it, or "kept" and "borderline" or "any".
        note: what it measured and what was needed, if a rule says.
        about: its path, source, language and tokens, as far as they are known.
        text: its beginning.
    """

    id: str
    stage: str
    reason: str
    note: str
    about: dict[str, Any]
    text: str


class Run(NamedTuple):
    """A run of text of a pair: in both, or in one of them only."""

    side: Literal["both", "removed", "kept"]
    text: str


@dataclasses.dataclass(frozen=True)
class Pair:
    """A removed near duplicate beside the document that it is one of."""

    removed: str
    of: str
    similarity: float
    size: int
    runs: tuple[Run, ...]


@dataclasses.dataclass(frozen=True)
class Scored:
    """A document of one bin of a score."""

    column: str
    place: int
    sample: Sample


@dataclasses.dataclass(frozen=True)
class Samples:
    """All that the report shows of documents."""

    removed: tuple[Sample, ...]
    kept: tuple[Sample, ...]
    scored: tuple[Scored, ...]
    pairs: tuple[Pair, ...]


def read_samples(corpus: Corpus, picks: pa.Table) -> Samples:
    """Read the texts of the documents that `figures` has picked.

    Args:
        corpus: of the run.
        picks: rows of `figures.PICKS`.
    """
    pairs = picks.filter(pc.starts_with(picks.column("why"), f"{PAIR}:"))
    ids = set(picks.column("id").to_pylist())
    partners = {
        row["id"]: row
        for row in _rows(
            corpus,
            pairs.column("id").to_pylist(),
            ["near_duplicates_of", "near_duplicates_similarity", "near_duplicates_size"],
        )
    }
    rows = {
        row["id"]: row
        for row in _rows(corpus, ids | {row["near_duplicates_of"] for row in partners.values()}, ["text"])
    }
    removed, kept, scored = list[Sample](), list[Sample](), list[Scored]()
    for pick in picks.to_pylist():
        kind, _, rest = pick["why"].partition(":")
        row = rows[pick["id"]]
        if kind == REMOVED:
            stage, _, reason = rest.partition(":")
            removed.append(_sample(row, stage, reason, pick["note"]))
        elif kind == KEPT:
            kept.append(_sample(row, KEPT, rest, pick["note"] if pick["why"] == BORDERLINE else ""))
        elif kind != PAIR:
            column, place = rest.split(":")
            scored.append(Scored(column, int(place), _sample(row, "", "", "")))
    return Samples(
        tuple(removed),
        tuple(kept),
        tuple(scored),
        tuple(_pair(partner, rows) for partner in partners.values()),
    )


def _rows(corpus: Corpus, ids: Iterable[int], columns: list[str]) -> list[dict[str, Any]]:
    by_part: dict[int, list[int]] = defaultdict(list)
    for id_ in ids:
        by_part[id_ >> ROW_BITS].append(id_ & (1 << ROW_BITS) - 1)
    optional = _SHOWN if "text" in columns else ()
    parts = (part for part in corpus.parts if part.number in by_part)
    batches = (batch for part in parts for batch in part.pick(columns, by_part[part.number], optional=optional))
    return [row for batch in batches for row in batch.to_pylist()]


def _sample(row: dict[str, Any], stage: str, reason: str, note: str) -> Sample:
    about = {name: row[name] for name in _SHOWN if row.get(name) not in (None, "")}
    return Sample(document_id(row["id"]), stage, reason, note, about, (row["text"] or "")[:TEXT_SHOWN])


def _pair(partner: dict[str, Any], rows: dict[int, dict[str, Any]]) -> Pair:
    removed, of = rows[partner["id"]], rows[partner["near_duplicates_of"]]
    return Pair(
        document_id(removed["id"]),
        document_id(of["id"]),
        partner["near_duplicates_similarity"],
        partner["near_duplicates_size"],
        compare(removed["text"][:PAIR_SHOWN], of["text"][:PAIR_SHOWN]),
    )


def compare(removed: str, kept: str) -> tuple[Run, ...]:
    """The runs of two texts, those that only one of them has apart.

    >>> [run.text for run in compare("a red cat", "a blue cat") if run.side == "kept"]
    ['blue']
    """
    first, second = (_PIECE.findall(text)[:_PIECES_COMPARED] for text in (removed, kept))
    runs = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "equal":
            runs.append(Run("both", "".join(first[a:b])))
            continue
        runs += [Run("removed", "".join(first[a:b]))] * (b > a) + [Run("kept", "".join(second[c:d]))] * (d > c)
    return tuple(runs)
