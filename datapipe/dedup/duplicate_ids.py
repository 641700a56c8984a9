"""Documents that bear an id which an earlier one bears: a corpus joined twice, a crawl resumed, a broken export.

The ids are the user's own, in whatever column they came. Unlike `exact_duplicates`, texts under one id may differ.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Literal

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe.checks import ColumnOption, Count
from datapipe.flow.shuffle import GroupRecords
from datapipe.flow.spread import SpreadPieces
from datapipe.stage import CorpusStage
from datapipe.store.corpus import Part
from datapipe.store.schemas import conform_column
from datapipe.text.characters import text_buffers
from datapipe.text.hashes import hash_spans, normalization_table

ID_RECORD = np.dtype([("hash", "<u8"), ("hash_2", "<u8"), ("id", "<u8")])


def id_records(batch: pa.RecordBatch, column: str) -> np.ndarray:
    """One `ID_RECORD` record for each document that has an id: the hash of the id, and the row's own id."""
    # Parts may hold one id as an integer, a float or a string.
    names = conform_column(batch.column(column), pa.string()).cast(pa.large_string())
    data, bounds = text_buffers(names)
    hashes, _ = hash_spans(data, bounds[:-1], bounds[1:], normalization_table("none"))
    records = np.empty(len(batch), ID_RECORD)
    records["hash"], records["hash_2"] = hashes.T
    records["id"] = batch.column("id").to_numpy()
    return records[names.is_valid().to_numpy(zero_copy_only=False)]


def repeats(records: np.ndarray, reason: str | None) -> pa.RecordBatch:
    """The verdicts on the documents of one partition whose id has been seen.

    Args:
        records: `ID_RECORD` records sorted by their fields.
        reason: why they are removed; None removes none.
    """
    again = (records["hash"][1:] == records["hash"][:-1]) & (records["hash_2"][1:] == records["hash_2"][:-1])
    again = np.r_[np.zeros(min(1, len(records)), bool), again]
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(records)))) if len(records) else again.astype(int)
    reasons = pa.array([reason] * int(again.sum()), pa.string())
    arrays = [pa.array(records["id"][again]), pa.array(records["id"][first[again]]), reasons]
    return pa.RecordBatch.from_arrays(arrays, schema=_VERDICTS)


_WRITES = pa.schema([("duplicate_ids_of", pa.uint64()), ("duplicate_ids_reason", pa.string())])
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])


@dataclasses.dataclass(eq=False)
class FindDuplicateIds(CorpusStage):
    """Find documents that bear the id of an earlier one: parts in, verdicts on all with an id but the first out.

    Attributes:
        column: where the user's ids stand. A column `id` of the input is `input_id` in the corpus. Parts without it,
            and documents in which it is null, have no id.
        action: "flag" names the first document with it in `duplicate_ids_of`; "remove" also removes all others.
        partitions: how many groups the hashes are shuffled into; changes no result, only the memory a group takes.
    """

    column: ColumnOption = "input_id"
    action: Literal["flag", "remove"] = "flag"
    partitions: Count = 64

    name: ClassVar[str] = "duplicate_ids"
    version: ClassVar[int] = 2
    # The ids' column is the user's, so that no stage promises it; like it, this one comes with every document.
    writes: ClassVar[pa.Schema] = _WRITES

    def optional(self) -> tuple[str, ...]:
        """The ids, where documents have any."""
        return (self.column,)

    def _read(self, part: Part) -> Iterator[np.ndarray]:
        if self.column in part.columns:
            for batch in part.read([self.column]):
                yield id_records(batch, self.column)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        reason = "duplicate_id" if self.action == "remove" else None
        return (
            parts
            | "Spread" >> SpreadPieces()
            | "Hash" >> beam.FlatMap(self._read).with_output_types(np.ndarray)
            | "Shuffle" >> GroupRecords(ID_RECORD, "hash", self.partitions)
            | "Compare" >> beam.Map(repeats, reason).with_output_types(pa.RecordBatch)
        )
