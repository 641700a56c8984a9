"""What is held out, in shards of its own, in a folder beside those that are trained on.

Apart from `shards.py`, so that no reader who loads a folder of shards trains on what is to be evaluated on.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.dedup.held_out import HELD_OUT, HELD_OUT_REASON
from datapipe.mix.shards import WriteShards
from datapipe.store.corpus import Part, PartKind


@dataclasses.dataclass(eq=False)
class WriteHeldOutShards(WriteShards):
    """Write what `held_out` took out, each document once, as `held_out-00000.parquet`, ...; else as `shards` does."""

    name: ClassVar[str] = "held_out_shards"
    version: ClassVar[int] = 1
    prefix: ClassVar[str] = "held_out"
    despite: ClassVar[str | None] = HELD_OUT

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Documents."""
        return ("document",)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", HELD_OUT_REASON)

    def optional(self) -> tuple[str, ...]:
        """The columns that every shard has."""
        return ("source", "language", "tokens")

    def _copies(self, part: Part) -> npt.NDArray[np.int32]:
        reasons = part.column(HELD_OUT_REASON).filter(pa.array(part.kept(self.despite)))
        held_out = pc.equal(reasons, HELD_OUT).fill_null(False)
        return held_out.to_numpy(zero_copy_only=False).astype(np.int32)[np.newaxis]
