"""Counts for whoever watches a job on its engine's own page: by stage, as it goes.

Results never depend on them: an engine may count a step that it does twice, twice, and Dask shows none.
"""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.metrics.metric import Metrics

PROGRESS = "progress"  # what `tell_done` adds to, the name of no stage
DONE = "done"


def count(stage: str, **figures: int) -> None:
    """Add to a stage's counters, from a step.

    Args:
        stage: its name.
        figures: what to add, by name: `rows`, `bytes`, `milliseconds`, ...
    """
    for name, figure in figures.items():
        if figure:
            counter: Any = Metrics.counter(stage, name)
            counter.inc(figure)


def count_removed(stage: str, reasons: Iterable[pa.Array]) -> None:
    """Add to its counters `removed_<reason>` how often each reason stands in some columns.

    Args:
        stage: its name.
        reasons: columns of strings; null: the row stays.
    """
    for column in reasons:
        if column.null_count < len(column):
            found = pc.value_counts(column.drop_null()).to_pylist()
            count(stage, **{f"removed_{entry['values']}": entry["counts"] for entry in found})


def tell_done(amount: int) -> None:
    """Add to how far the pass has come, in its unit: what a driver reads whose workers share no disk with it."""
    count(PROGRESS, **{DONE: amount})
