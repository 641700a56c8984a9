"""Which sources and languages a run has taken most documents of, and why: often nobody meant it to.

A rule that does not hold for a language, or a template that a filter takes for boilerplate, removes a whole language or
site, and in the funnel's sums that is a small number. So it is said of each, once the run is done.
"""

import collections
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from datapipe.filters.language_filter import NOT_WANTED
from datapipe.store.corpus import REASON, Corpus, Part, first_reasons

FEWEST_DOCUMENTS = 20  # of fewer, a share says little
LINES = 20  # the greatest losses; how many more there are is said in one
GROUPS = ("source", "language")
SAMPLED_OUT = ("mixture", "sampled_out")  # a stage and its reason: a mixture takes as much as it is told


class Loss(NamedTuple):
    """What became of the documents of one source or language.

    Attributes:
        group: the column that names it.
        name: of the source or language.
        documents: how many there were.
        removed: how many of them are gone, for whatever reason.
        stage, reason: what removed most of those.
        of_reason: how many that is.
    """

    group: str
    name: str
    documents: int
    removed: int
    stage: str
    reason: str
    of_reason: int

    def __str__(self) -> str:
        return (
            f"{self.group} {self.name}: {self.removed:,} of {self.documents:,} documents removed "
            f"({self.removed / self.documents:.0%}), {self.of_reason:,} by {self.stage}: {self.reason}"
        )


def find_losses(corpus: Corpus, most: float) -> list[Loss]:
    """The sources and languages that have lost more than a share of their documents, the greatest loss first.

    Languages that the recipe does not want do not count, nor what its mixture does not take.

    Args:
        corpus: of a finished run. Memory grows with its sources and reasons, not with its documents.
        most: the share of its documents that a source or language may lose unsaid.
    """
    counts: dict[tuple[str, str], collections.Counter[tuple[str, str]]] = collections.defaultdict(collections.Counter)
    for part in corpus.of_kind(("document",)):
        for group, name, stage, reason, count in _counts(part):
            counts[group, name][stage, reason] += count
    losses = []
    for (group, name), by_reason in counts.items():
        kept = by_reason.pop(("", ""), 0) + by_reason.pop(SAMPLED_OUT, 0)
        documents = kept + by_reason.total()
        (stage, reason), of_reason = max(by_reason.items(), key=lambda item: (item[1], item[0]), default=(("", ""), 0))
        meant = group == "language" and reason == NOT_WANTED
        if documents >= FEWEST_DOCUMENTS and documents - kept > most * documents and not meant:
            losses.append(Loss(group, name, documents, documents - kept, stage, reason, of_reason))
    return sorted(losses, key=lambda loss: (-loss.removed, loss))


def _counts(part: Part) -> Iterator[tuple[str, str, str, str, int]]:
    """Group, name, stage and reason, and how many documents share them; no stage and reason: those kept."""
    stages, reasons = first_reasons(part)
    names = [*(decision.removesuffix(REASON) for decision in part.decisions), ""]  # -1, kept, is the last
    for group in (group for group in GROUPS if group in part.columns):
        table = pa.table({"name": part.column(group), "stage": stages, "reason": reasons})
        for row in table.group_by(["name", "stage", "reason"]).aggregate([([], "count_all")]).to_pylist():
            if row["name"]:
                yield group, row["name"], names[row["stage"]], row["reason"] or "", row["count_all"]


def describe_losses(losses: list[Loss], most: float) -> list[str]:
    """A line each, for the run, its report and its record; at most `LINES`, and one on the others."""
    lines = [str(loss) for loss in losses[:LINES]]
    if len(losses) > LINES:
        lines.append(f"and {len(losses) - LINES:,} more sources and languages lost more than {most:.0%}")
    return lines
