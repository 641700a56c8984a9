"""Documents whose whole text is the same, after a stated normalization.

The cheapest level and the first to run: one pass over the text, 32 bytes a document through the shuffle. Near
duplicates (`near_duplicates.py`) share most of their text, repeated text (`repeated_text.py`) a piece of it.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe.checks import ColumnOption, Count
from datapipe.dedup.survivors import check_quality, rank_keys
from datapipe.flow.shuffle import GroupRecords, group_starts
from datapipe.flow.spread import SpreadPieces
from datapipe.stage import CorpusStage, Parts
from datapipe.store.corpus import Corpus, Part, PartKind
from datapipe.text.characters import text_buffers
from datapipe.text.hashes import hash_spans, normalization_table

COPY = np.dtype([("hash", "<u8"), ("hash_2", "<u8"), ("rank_key", "<f8"), ("id", "<u8")])


def copies(batch: pa.RecordBatch, normalization: str, quality: str | None) -> np.ndarray:
    """One `COPY` record for each document that has any text: its hash, minus its quality, its id."""
    data, bounds = text_buffers(batch.column("text"))
    hashes, counts = hash_spans(data, bounds[:-1], bounds[1:], normalization_table(normalization))
    records = np.empty(len(batch), COPY)
    records["hash"], records["hash_2"] = hashes.T
    records["rank_key"] = rank_keys(batch, quality)
    records["id"] = batch.column("id").to_numpy()
    return records[counts > 0]


def duplicates(records: np.ndarray, keep_copies: int) -> pa.RecordBatch:
    """The verdicts on the documents of one partition that have copies.

    Args:
        records: `COPY` records sorted by their fields, so that the survivor leads its group.
        keep_copies: how many of a group stay.
    """
    same = (records["hash"][1:] == records["hash"][:-1]) & (records["hash_2"][1:] == records["hash_2"][:-1])
    starts = group_starts(np.cumsum(~np.r_[False, same])) if len(records) else np.zeros(0, np.int64)
    sizes = np.diff(starts, append=len(records))
    rank = np.arange(len(records)) - np.repeat(starts, sizes)
    survivor = np.repeat(records["id"][starts], sizes)
    size = np.repeat(sizes, sizes)
    copy = size > 1
    rank, survivor = rank[copy], survivor[copy]
    reason = pa.array(np.full(len(rank), "exact_duplicate"), pa.string(), mask=rank < keep_copies)
    arrays = [records["id"][copy], pa.array(survivor, mask=rank == 0), size[copy].astype(np.uint32), reason]
    return pa.record_batch(arrays, schema=_VERDICTS)


OF, SIZE = "exact_duplicates_of", "exact_duplicates_size"
_WRITES = pa.schema([(OF, pa.uint64()), (SIZE, pa.uint32()), ("exact_duplicates_reason", pa.string())])
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])


@dataclasses.dataclass(eq=False)
class FindExactDuplicates(CorpusStage):
    """Remove all but one of the documents whose text is the same: parts in, verdicts on all copies out.

    The survivor is the copy of highest quality, then of lowest id; the others name it. All say how many they are, the
    survivor counted. A document of which the normalization leaves nothing is no copy of any.

    Attributes:
        normalization: what counts as the same text: `none`, `whitespace`, `text` or `ccnet`, see
            `datapipe.text.hashes.NORMALIZATIONS`.
        quality: a numeric column, of a stage or the documents' own, higher = better, that chooses the survivor; a
            document without it comes last. None: the lowest id survives.
        keep_copies: how many copies stay, the survivor counted; all past the first name it in `exact_duplicates_of`.
        partitions: how many groups the hashes are shuffled into; changes no result, only the memory a group takes.
        parts: what it works on: "document", "instruction"; of dialogues, before `chat`, what is said.
    """

    normalization: Literal["none", "whitespace", "text", "ccnet"] = "none"
    quality: ColumnOption | None = None
    keep_copies: Count = 1
    partitions: Count = 64
    parts: Parts = dataclasses.field(default_factory=lambda: ["document"])

    name: ClassVar[str] = "exact_duplicates"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = _WRITES

    def optional(self) -> tuple[str, ...]:
        """The quality, where documents have it."""
        return self.named_columns()

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """Check the column of quality."""
        check_quality(self.name, self.quality, corpus, folder)
        return self

    def _read(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(self.requires(), optional=self.optional()):
            yield copies(batch, self.normalization, self.quality)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        return (
            parts
            | "Spread" >> SpreadPieces()
            | "Hash" >> beam.FlatMap(self._read).with_output_types(np.ndarray)
            | "Shuffle" >> GroupRecords(COPY, "hash", self.partitions)
            | "Choose" >> beam.Map(duplicates, self.keep_copies).with_output_types(pa.RecordBatch)
        )
