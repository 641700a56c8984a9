"""The documents that the report shows: their texts, and pairs of near duplicates side by side."""

import dataclasses
import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from datapipe.engine.fates import KEPT
from datapipe.engine.report.figures import PAIR, REMOVED
from datapipe.engine.verdicts import Options, because, document_id
from datapipe.filters.rule_sets import DOCUMENT_RULES
from datapipe.store.corpus import ROW_BITS, Corpus, Part

TEXT_SHOWN = 600  # characters
PAIR_SHOWN = 1000
_PIECES_COMPARED = 400  # of either text: difflib takes quadratic time
_SHOWN = ("path", "source", "url", "language", "tokens")
_DECIDING = (
    "rules_failed",
    "language_score",
    "language_second",
    "language_second_share",
    "quality_filter_score",
    "perplexity",
    "safety_words_per_line",
    "safety_flagged_share",
    "safety_score",
    *(
        f"{kind}_duplicates_{what}"
        for kind in ("exact", "near", "semantic", "cross_run")
        for what in ("of", "similarity")
    ),
    "near_duplicates_size",
    "decontamination_leaks",
    "evaluation_questions_leaks",
    "contaminated_tokens_leaks",
)
_PIECE = re.compile(r"[^\W\d_]*[A-Za-zÀ-ɏ]+|\d+|\s+|.", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A document of the report.

    Attributes:
        id: part-row.
        stage, reason: what removed it, or "kept" and "borderline" or "any".
        note: what decided, in numbers.
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


def read_samples(corpus: Corpus, picks: pa.Table, options: Options) -> Samples:
    """Read the texts of the documents that `figures` has picked.

    Args:
        corpus: of the run.
        picks: rows of `figures.PICKS`.
        options: of the stages, by name.
    """
    paired = picks.filter(pc.starts_with(picks.column("why"), f"{PAIR}:")).column("id").to_pylist()
    found = _rows(corpus, paired, ["near_duplicates_of"])
    partners = [found[id_]["near_duplicates_of"] for id_ in paired]
    # Texts are read once: row groups of them, for a few documents each.
    rows = _rows(corpus, [*picks.column("id").to_pylist(), *partners], ["text"], (*_SHOWN, *_judged_by(picks)))
    removed, kept, scored = list[Sample](), list[Sample](), list[Scored]()
    for pick in picks.to_pylist():
        kind, _, rest = pick["why"].partition(":")
        row = rows[pick["id"]]
        if kind == REMOVED:
            stage, _, reason = rest.partition(":")
            removed.append(_sample(row, stage, reason, because(stage, reason, row, options.get(stage, {}))))
        elif kind == KEPT:
            kept.append(_sample(row, KEPT, rest, ""))
        elif kind != PAIR:
            column, place = rest.split(":")
            scored.append(Scored(column, int(place), _sample(row, "", "", "")))
    pairs = (_pair(rows[id_], rows[of]) for id_, of in zip(paired, partners, strict=True))
    return Samples(tuple(removed), tuple(kept), tuple(scored), tuple(pairs))


def _judged_by(picks: pa.Table) -> tuple[str, ...]:
    """The columns that tell why the documents that are shown were removed: few of all that there are."""
    reasons = {why.rpartition(":")[2] for why in pc.unique(picks.column("why")).to_pylist()}
    rules = {name: rule for rules in DOCUMENT_RULES.sets.values() for name, rule in rules.items()}
    return (*_DECIDING, *{rules[name].measurement for name in reasons & rules.keys()})


def _rows(
    corpus: Corpus, ids: Iterable[int], columns: Sequence[str], optional: Sequence[str] = ()
) -> dict[int, dict[str, Any]]:
    """Some columns of documents by their ids, and others as far as they have them."""
    by_part: dict[int, list[int]] = defaultdict(list)
    for id_ in ids:
        by_part[id_ >> ROW_BITS].append(id_ & (1 << ROW_BITS) - 1)
    parts = (part for part in corpus.parts if part.number in by_part)

    def read(part: Part) -> list[dict[str, Any]]:
        batches = part.pick(columns, by_part[part.number], optional=optional)
        return [row for batch in batches for row in batch.to_pylist()]

    return {row["id"]: row for rows in corpus.each(read, parts) for row in rows}


def _sample(row: dict[str, Any], stage: str, reason: str, note: str) -> Sample:
    about = {name: row[name] for name in _SHOWN if row.get(name) not in (None, "")}
    return Sample(document_id(row["id"]), stage, reason, note, about, (row["text"] or "")[:TEXT_SHOWN])


def _pair(removed: dict[str, Any], of: dict[str, Any]) -> Pair:
    return Pair(
        document_id(removed["id"]),
        document_id(of["id"]),
        removed["near_duplicates_similarity"],
        removed["near_duplicates_size"],
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
