"""Which of several copies stays: the one of highest quality, by a numeric column that an option names.

Before all others one that is held out: its copies must leave training, whatever their quality.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.dedup.held_out import HELD_OUT, HELD_OUT_REASON
from datapipe.stage import write_notes
from datapipe.store import files
from datapipe.store.corpus import Corpus


def rank_keys(batch: pa.RecordBatch, quality: str | None) -> np.ndarray:
    """Minus the quality of each document, so that an ascending sort puts the best first; one without any comes last.

    Held-out documents have minus infinity, which is no quality's: nothing comes before them.
    """
    keys = np.full(len(batch), np.inf)
    if quality is not None and quality in batch.schema.names:
        values = batch.column(quality).cast(pa.float64()).to_numpy(zero_copy_only=False)
        keys = np.nan_to_num(-values, nan=np.inf)
    if HELD_OUT_REASON in batch.schema.names:
        held = pc.equal(batch.column(HELD_OUT_REASON), HELD_OUT).fill_null(False)
        keys[held.to_numpy(zero_copy_only=False)] = -np.inf
    return keys


def check_quality(stage: str, quality: str | None, corpus: Corpus, folder: str) -> None:
    """Check the column of quality that an option names, and leave a note in `folder` where no document has it.

    Raises:
        ValueError: if it does not hold numbers.
    """
    if quality is None:
        return
    having = [part for part in corpus.of_kind(("document",)) if quality in part.columns]
    for part in having:
        with files.open_columns(part.columns[quality], [quality]) as source:
            kind = pq.read_schema(source).field(quality).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            raise ValueError(f"{stage}: quality must name a column of numbers, got {quality!r}, which holds {kind}")
    if not having:
        write_notes(folder, [f"no document has a column {quality!r}: done without quality"])
