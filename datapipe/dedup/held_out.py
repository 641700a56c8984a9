"""Takes a share of the documents out of training, to evaluate on: each by a hash of its own text.

So a document that is held out stays so, whatever others come or go, in the next crawl as in this one; and a larger
share holds out the same ones and more. It stands before deduplication: `near_duplicates` compares what is held out with
all that is left, and removes from training what is nearly the same, for the reason `held_out_neighbour`. What is held
out is written by `held_out_shards`, as it was when it was taken out: stages that change text stand before this one.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from datapipe.checks import Count, PositiveShare, Seed
from datapipe.flow.shuffle import GroupRecords
from datapipe.flow.spread import SpreadPieces
from datapipe.stage import CorpusStage
from datapipe.store.corpus import Part
from datapipe.text.bit_mixing import uniform_draw
from datapipe.text.characters import text_buffers
from datapipe.text.hashes import hash_spans, normalization_table

HELD_OUT = "held_out"
HELD_OUT_COPY = "held_out_copy"  # of one that is held out already, to the letter
HELD_OUT_NEIGHBOUR = "held_out_neighbour"
HELD_OUT_REASON = "held_out_reason"

DRAWN = np.dtype([("hash", "<u8"), ("hash_2", "<u8"), ("id", "<u8")])


def draw(batch: pa.RecordBatch, share: float, seed: int) -> np.ndarray:
    """A `DRAWN` record for each document that is held out: the hash of its text, its id. Empty ones never are.

    Args:
        batch: with `id` and `text`.
        share: of all texts there could be, from 0 to 1.
        seed: another one holds out others.
    """
    data, bounds = text_buffers(batch.column("text"))
    hashes, counts = hash_spans(data, bounds[:-1], bounds[1:], normalization_table("none"))
    records = np.empty(len(batch), DRAWN)
    records["hash"], records["hash_2"] = hashes.T
    records["id"] = batch.column("id").to_numpy()
    return records[(counts > 0) & (uniform_draw(records["hash"], seed) < share)]


def verdicts(records: np.ndarray) -> pa.RecordBatch:
    """The verdict on each document that is drawn: of those of one text the first is held out, the others are copies.

    Args:
        records: `DRAWN` records sorted by their fields.
    """
    texts = records[["hash", "hash_2"]]
    copy = np.r_[False, texts[1:] == texts[:-1]][: len(records)]
    reasons = np.where(copy, HELD_OUT_COPY, HELD_OUT)
    return pa.record_batch([np.ascontiguousarray(records["id"]), pa.array(reasons, pa.string())], schema=_VERDICTS)


_WRITES = pa.schema([(HELD_OUT_REASON, pa.string())])
_VERDICTS = pa.schema([("id", pa.uint64()), *_WRITES])


@dataclasses.dataclass(eq=False)
class HoldOut(CorpusStage):
    """Take documents out of training by a hash of their own text: parts in, verdicts on those taken out.

    Attributes:
        share: of the documents, to be evaluated on.
        seed: another one takes others.
        partitions: how many groups the hashes are shuffled into; changes no result, only the memory a group takes.
    """

    share: PositiveShare = 0.01
    seed: Seed = 0
    partitions: Count = 8

    name: ClassVar[str] = "held_out"
    writes: ClassVar[pa.Schema] = _WRITES

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def _read(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(self.requires()):
            yield draw(batch, self.share, self.seed)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        return (
            parts
            | "Spread" >> SpreadPieces()
            | "Draw" >> beam.FlatMap(self._read).with_output_types(np.ndarray)
            | "Shuffle" >> GroupRecords(DRAWN, "hash", self.partitions)
            | "Judge" >> beam.Map(verdicts).with_output_types(pa.RecordBatch)
        )
