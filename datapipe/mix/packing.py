"""Dialogues one after another in rows of one length: what supervised fine-tuning reads, with the prompts' loss zeroed.

Llama 2 trains so: "all the prompts and answers" concatenated to fill 4,096 tokens, loss on answers alone. `shards`
keeps a row a document; here a row is so many tokens, and where each dialogue starts in it.
"""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Ge

from datapipe.checks import Count, Seed
from datapipe.flow.counters import count
from datapipe.flow.gather import Gather
from datapipe.flow.spread import Spread
from datapipe.mix.chat_tokens import NO_LOSS
from datapipe.mix.shards import COPIES, MANIFEST, row_ids, shuffle_copies
from datapipe.stage import ProductStage
from datapipe.store import files
from datapipe.store.corpus import Part, PartKind

GROUP_ROWS = 256  # of a row group: about a million tokens of 4,096


def pack(
    input_ids: pa.Array, labels: pa.Array, order: npt.NDArray[np.int64], length: int, pad_id: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], list[list[tuple[int, int]]]]:
    """Sequences one after another, cut into rows of one length; only the last is filled up, with no loss.

    Args:
        input_ids: lists of token ids, shape (dialogues,).
        labels: lists of their labels, shape (dialogues,).
        order: which dialogues, in which order; one may come several times.
        length: tokens of a row.
        pad_id: what fills up the last row.

    Returns:
        Ids and labels, each of shape (rows, length), and for each row the dialogues in it with where they start; one
        that goes on from the row before starts at 0.

    >>> ids, labels, starts = pack(pa.array([[5, 6, 7], [8]]), pa.array([[-100, 6, 7], [8]]), np.array([0, 1]), 2, 0)
    >>> ids.tolist(), labels.tolist(), starts
    ([[5, 6], [7, 8]], [[-100, 6], [7, 8]], [[(0, 0)], [(0, 0), (1, 1)]])
    """
    taken, targets = input_ids.take(pa.array(order)), labels.take(pa.array(order))
    lengths = taken.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    total = int(lengths.sum())
    rows = -(-total // length)
    ids = np.full(rows * length, pad_id, np.int32)
    ids[:total] = taken.flatten().to_numpy()
    learnt = np.full(rows * length, NO_LOSS, np.int32)
    learnt[:total] = targets.flatten().to_numpy()
    starts: list[list[tuple[int, int]]] = [[] for _ in range(rows)]
    ends = np.cumsum(lengths)
    for dialogue, begin, end in zip(order.tolist(), (ends - lengths).tolist(), ends.tolist(), strict=True):
        for row in range(begin // length, -(-end // length) if end > begin else 0):
            starts[row].append((dialogue, max(begin - row * length, 0)))
    return ids.reshape(-1, length), learnt.reshape(-1, length), starts


@dataclasses.dataclass(eq=False)
class PackDialogues(ProductStage):
    """Write the dialogues of instruction data, shuffled within each part, as rows of `length` tokens each.

    Parts in, a summary a file out: `train-00000.parquet` for part 0, with `input_ids` and `labels` (-100: no loss), and
    for each row the `ids` of its dialogues and where in it they start. Only the last row of a part is filled up. What
    the mixture takes several times comes several times.

    Attributes:
        length: tokens of a row; Llama 2 takes 4,096, Qwen 2,048.
        pad_id: the token that fills up the last row; it bears no loss.
        seed: of the shuffle.
    """

    length: Count = 4096
    pad_id: Annotated[int, Ge(0)] = 0
    seed: Seed = 0
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "packing"

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Instruction data."""
        return ("instruction",)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("input_ids", "labels")

    def optional(self) -> tuple[str, ...]:
        """How often a dialogue is written."""
        return (COPIES,)

    def _write(self, part: Part) -> Iterator[dict[str, Any]]:
        """Write one part and return its entry in the manifest, if it has any token."""
        batches = list(part.read(["input_ids", "labels"], optional=[COPIES]))
        if not batches:
            return
        table = pa.Table.from_batches(batches).combine_chunks()
        numbers = table.column("id").to_numpy()
        copies = np.ones(len(table), np.int32)
        if COPIES in table.column_names:
            copies = table.column(COPIES).fill_null(0).to_numpy()
        order, _ = shuffle_copies(numbers, copies, np.zeros_like(copies), self.seed)
        inputs, targets = (table.column(name).combine_chunks() for name in ("input_ids", "labels"))
        ids, labels, starts = pack(inputs, targets, order, self.length, self.pad_id)
        if not len(ids):
            return
        names = row_ids(table.column("id")).to_pylist()
        packed = pa.table(
            {
                "input_ids": pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), self.length),
                "labels": pa.FixedSizeListArray.from_arrays(pa.array(labels.reshape(-1)), self.length),
                "ids": pa.array([[names[dialogue] for dialogue, _ in row] for row in starts], pa.list_(pa.string())),
                "starts": pa.array([[start for _, start in row] for row in starts], pa.list_(pa.int32())),
            }
        )
        name = f"train-{part.number:05d}.parquet"
        with files.whole_file(files.join(self.folder, name)) as sink:
            pq.write_table(packed, sink, row_group_size=GROUP_ROWS, compression="zstd", use_dictionary=False)
        count(self.name, bytes=packed.nbytes)
        learnt = int((labels != NO_LOSS).sum())
        yield {"file": name, "rows": len(ids), "dialogues": len(order), "tokens_with_loss": learnt}

    def _finish(self, summaries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        packed = sorted(summaries, key=lambda summary: summary["file"])
        totals = {key: sum(summary[key] for summary in packed) for key in ("rows", "dialogues", "tokens_with_loss")}
        files.write_json(files.join(self.folder, MANIFEST), {**totals, "length": self.length, "files": packed})
        return packed

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        return (
            parts
            | "Spread" >> Spread()
            | "Pack" >> beam.FlatMap(self._write).with_output_types(dict[str, Any])
            | "Gather" >> Gather()
            | "Finish" >> beam.FlatMap(self._finish).with_output_types(dict[str, Any])
        )
