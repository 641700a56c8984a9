"""Documents whose whole text is the same, after a stated normalisation.

The cheapest level and the first to run: one pass over the text, 32 bytes a document through the shuffle. Near
duplicates (`near_duplicates.py`) share most of their text, repeated text (`repeated_text.py`) a piece of it.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe.characters import text_buffers
from datapipe.corpus import Part
from datapipe.shuffle import GroupRecords, group_starts
from datapipe.text_hashes import NORMALISATIONS, hash_spans, normalisation_table

COPY = np.dtype([("hash", "<u8"), ("hash_2", "<u8"), ("loss", "<f8"), ("id", "<u8")])


def copies(batch: pa.RecordBatch, normalise: str, quality: str | None) -> np.ndarray:
    """One `COPY` record for each document that has any text: its hash, minus its quality, its id."""
    data, bounds = text_buffers(batch.column("text"))
    hashes, counts = hash_spans(data, bounds[:-1], bounds[1:], normalisation_table(normalise))
    records = np.empty(len(batch), COPY)
    records["hash"], records["hash_2"] = hashes.T
    records["loss"] = losses(batch, quality)
    records["id"] = batch.column("id").to_numpy()
    return records[counts > 0]


def losses(batch: pa.RecordBatch, quality: str | None) -> np.ndarray:
    """Minus the quality of each document, so that an ascending sort puts the best first; a null one comes last."""
    if quality is None:
        return np.zeros(len(batch))
    values = batch.column(quality).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.nan_to_num(-values, nan=np.inf)


def duplicates(records: np.ndarray, keep_copies: int) -> pa.RecordBatch:
    """The verdicts on the documents of one partition that have a better copy.

    Args:
        records: `COPY` records sorted by their fields, so that the survivor leads its group.
        keep_copies: how many of a group stay.
    """
    same = (records["hash"][1:] == records["hash"][:-1]) & (records["hash_2"][1:] == records["hash_2"][:-1])
    starts = group_starts(np.cumsum(~np.r_[False, same])) if len(records) else np.zeros(0, np.int64)
    sizes = np.diff(starts, append=len(records))
    rank = np.arange(len(records)) - np.repeat(starts, sizes)
    survivor = np.repeat(records["id"][starts], sizes)
    other = rank > 0
    reason = pa.array(np.full(other.sum(), "exact_duplicate"), pa.string(), mask=rank[other] < keep_copies)
    ids = pa.array(records["id"][other])
    return pa.record_batch([ids, pa.array(survivor[other]), reason], schema=_VERDICTS)


_WRITES = pa.schema([("exact_duplicates_of", pa.uint64()), ("exact_duplicates_removed", pa.string())])
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])


@dataclasses.dataclass(eq=False)
class FindExactDuplicates(beam.PTransform):
    """Remove all but one of the documents whose text is the same: parts in, verdicts on all copies but the first out.

    The survivor is the copy of highest quality, then of lowest id. A document of which the normalisation leaves nothing
    is no copy of any.

    Attributes:
        normalise: what counts as the same text: `none`, `whitespace`, `text` or `ccnet`, see
            `datapipe.text_hashes.NORMALISATIONS`.
        quality: a numeric column, higher = better, that chooses the survivor; none: the lowest id survives.
        keep_copies: how many copies stay, the survivor counted; all past the first name it in `exact_duplicates_of`.
        partitions: how many groups the hashes are shuffled into; changes no result, only the memory a group takes.
    """

    normalise: str = "none"
    quality: str | None = None
    keep_copies: int = 1
    partitions: int = 64

    name: ClassVar[str] = "exact_duplicates"
    version: ClassVar[int] = 1
    writes: ClassVar[pa.Schema] = _WRITES

    def __post_init__(self) -> None:
        super().__init__()
        if self.normalise not in NORMALISATIONS:
            raise ValueError(
                f"exact_duplicates: normalise must be one of {list(NORMALISATIONS)}, got {self.normalise!r}"
            )
        for field in ("keep_copies", "partitions"):
            if getattr(self, field) < 1:
                raise ValueError(f"exact_duplicates: {field} must be at least 1, got {getattr(self, field)!r}")

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it needs."""
        return ("text",) if self.quality is None else ("text", self.quality)

    def _read(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(self.reads):
            yield copies(batch, self.normalise, self.quality)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        return (
            parts
            | "Spread" >> beam.Reshuffle()
            | "Hash" >> beam.FlatMap(self._read).with_output_types(np.ndarray)
            | "Shuffle" >> GroupRecords(COPY, "hash", self.partitions)
            | "Choose" >> beam.Map(duplicates, self.keep_copies).with_output_types(pa.RecordBatch)
        )
