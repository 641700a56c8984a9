"""Documents that an earlier run has already seen, nearly the same: found by its signatures alone, without its text.

So a corpus grows by what is new. What the earlier run removed for its own sake, by a rule or a filter, is not in the
corpus, and does not count; nor do its copies. Within the new documents `near_duplicates.py` looks at the text; here the
earlier text is not at hand, and the similarity is the share of equal slots of two signatures, an estimate.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.checks import Count, FilesOption, PositiveShare
from datapipe.dedup.near_duplicates import MEMBER, PAIR, members
from datapipe.dedup.signatures import OPTIONS_FILE
from datapipe.flow.shuffle import GroupRecords, group_starts
from datapipe.flow.spread import Spread, SpreadPieces
from datapipe.stage import CorpusStage, write_notes
from datapipe.store import files
from datapipe.store.corpus import REASON, ROW_BITS, Corpus, Part, first_reasons, part_path
from datapipe.store.record import RUN_FILE, RunRecord

# Whoever these remove is a copy: of a document that this column names, or of one that a still earlier run held.
_COPY_OF = {
    "exact_duplicates": "exact_duplicates_of",
    "near_duplicates": "near_duplicates_cluster",
    "semantic_duplicates": "semantic_duplicates_of",
    "cross_run_duplicates": None,
}
EARLIER = np.uint64(1 << 63)  # marks an id of the earlier run while both share a shuffle
_ROW_MASK = np.uint64((1 << ROW_BITS) - 1)
MATCH = np.dtype([("id", "<u8"), ("rank_key", "<f8"), ("of", "<u8")])


def held_rows(parts: Sequence[Part]) -> list[npt.NDArray[np.bool_]]:
    """Which rows of a finished run's parts its corpus holds, (rows,) of each: those kept, and the copies of such.

    A copy of a document that was removed later, for its own sake, is in no corpus. Takes a byte a document, and 32 for
    each that was removed as a copy.
    """
    starts = np.r_[0, np.cumsum([part.rows for part in parts])]
    start_of = np.zeros(max((part.number for part in parts), default=0) + 1, np.int64)
    held = np.zeros(starts[-1], bool)
    copies, originals = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for part, start in zip(parts, starts[:-1].tolist(), strict=True):
        start_of[part.number] = start
        stages, _ = first_reasons(part)
        held[start : start + part.rows] = stages < 0
        for place, decision in enumerate(part.decisions):
            rows = np.flatnonzero(stages == place)
            name = decision.removesuffix(REASON)
            column = _COPY_OF.get(name)
            if name in _COPY_OF and len(rows):
                if column in part.columns:
                    copies.append(start + rows)
                    originals.append(part.column(column).take(pa.array(rows)).to_numpy())
                else:
                    held[start + rows] = True
    copy, ids = np.concatenate(copies), np.concatenate(originals)
    original = start_of[(ids >> np.uint64(ROW_BITS)).astype(np.int64)] + (ids & _ROW_MASK).astype(np.int64)
    while True:  # what an exact copy is named after may be the near duplicate of another
        found = held[original] & ~held[copy]
        if not found.any():
            return [held[start:end] for start, end in itertools.pairwise(starts.tolist())]
        held[copy[found]] = True


def _held_path(folder: str, number: int) -> str:
    """Where it stands which rows of a part of the earlier run its corpus holds."""
    return files.join(folder, f"held-{number:05d}.parquet")


def unpack(column: pa.Array) -> npt.NDArray[np.uint32]:
    """The signatures of a `signature` column without nulls, shape (rows, slots)."""
    _, offsets, data = column.buffers()
    start, end = np.frombuffer(offsets, np.int32)[[column.offset, column.offset + len(column)]]
    return np.frombuffer(data, "<u4")[start // 4 : end // 4].reshape(len(column), -1)


def new_and_earlier(records: np.ndarray) -> np.ndarray:
    """A `PAIR` of each new document with the first earlier one of its bucket, if there is any.

    Args:
        records: `MEMBER` records sorted by bucket, then id; the ids of earlier documents bear `EARLIER`.
    """
    starts = group_starts(records["bucket"])
    sizes = np.diff(starts, append=len(records))
    earlier = records["id"] >= EARLIER
    new_before = np.r_[0, np.cumsum(~earlier)]
    first_earlier = starts + new_before[starts + sizes] - new_before[starts]
    met = np.repeat((first_earlier < starts + sizes), sizes) & ~earlier
    pairs = np.empty(met.sum(), PAIR)
    pairs["first"] = records["id"][met]
    pairs["second"] = records["id"][np.repeat(np.minimum(first_earlier, len(records) - 1), sizes)[met]] & ~EARLIER
    part_bits = np.uint64(ROW_BITS)
    pairs["parts"] = pairs["first"] >> part_bits << part_bits | pairs["second"] >> part_bits
    return pairs


def best(matches: np.ndarray) -> pa.RecordBatch:
    """The verdict on each document of some `MATCH` records, sorted by their fields: its most similar match."""
    firsts = matches[group_starts(matches["id"])]
    return pa.record_batch(
        [
            pa.array(firsts["id"]),
            pa.array(firsts["of"]),
            pa.array(-firsts["rank_key"].astype(np.float32)),
            pa.array(np.full(len(firsts), "seen_earlier"), pa.string()),
        ],
        schema=pa.schema([("id", pa.uint64()), *FindCrossRunDuplicates.writes]),
    )


def _run_of(signatures: str) -> str:
    """The output folder in which a folder of signatures lies."""
    return signatures.rstrip("/").rpartition("/")[0]


@dataclasses.dataclass(eq=False)
class FindCrossRunDuplicates(CorpusStage):
    """Remove documents that are near duplicates of some of an earlier run: parts in, verdicts on those removed out.

    Both runs need the stage `signatures`, with the same options. The candidates of a document are, for each band of its
    signature, the first earlier document that agrees in it; of those the most similar is named.

    Attributes:
        against: the folder `signatures` of the earlier run.
        count_removed: whether documents count as seen too that the earlier run removed otherwise than as copies. They
            do where nothing beside the folder says what became of them.
        threshold: minimum share of equal slots.
        bands: groups of slots that are compared as one.
        rows: slots a band.
        partitions: how many groups each shuffle makes; changes no result, only the memory a group takes.
        held: the folder in which `prepare` left what the earlier run's corpus holds, if anything tells; no option.
    """

    against: FilesOption
    count_removed: bool = False
    threshold: PositiveShare = 0.8
    bands: Count = 20
    rows: Count = 6
    partitions: Count = 64
    held: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "cross_run_duplicates"
    version: ClassVar[int] = 4
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("cross_run_duplicates_of", pa.uint64()),
            ("cross_run_duplicates_similarity", pa.float32()),
            ("cross_run_duplicates_reason", pa.string()),
        ]
    )

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("signature",)

    def named_files(self) -> tuple[str, ...]:
        """The signatures, and the record of what became of their documents."""
        record = files.join(_run_of(self.against), RUN_FILE)
        more = () if self.count_removed or not files.exists(record) else (record,)
        return (*super().named_files(), *more)

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """Check that the signatures of both runs can be compared, and find what the earlier one has removed.

        Raises:
            ValueError: if they were made with different options.
        """
        here, there = (
            files.read_json(files.join(of_run, OPTIONS_FILE)) for of_run in (corpus.folder("signatures"), self.against)
        )
        if here != there:
            raise ValueError(f"cross_run_duplicates: against holds signatures made with {there}, this run has {here}")
        if self.count_removed:
            return self
        run = _run_of(self.against)
        record = RunRecord.read(run)
        if not record:
            write_notes(folder, [f"no record of a run beside {self.against}: all its documents count as seen"])
            return self
        parts = record.corpus(run).parts
        for part, rows in zip(parts, held_rows(parts), strict=True):
            files.write_table(_held_path(folder, part.number), pa.table({"held": rows}))
        return self.ready(held=folder)

    def _new(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(self.requires()):
            batch = batch.filter(batch.column("signature").is_valid())
            if len(batch):
                yield members(unpack(batch.column("signature")), batch.column("id").to_numpy(), self.bands, self.rows)

    def _earlier(self, path: str) -> Iterator[np.ndarray]:
        number = int(path.removesuffix(".parquet").rpartition("-")[2])  # see `corpus.part_path`
        held = None
        if self.held:
            with files.open_input(_held_path(self.held, number)) as source:
                held = pq.read_table(source).column("held").to_numpy()
        start = 0
        with files.open_columns(path, ["signature"]) as source:
            for batch in pq.ParquetFile(source).iter_batches(columns=["signature"]):
                known = batch.column("signature").is_valid().to_numpy(zero_copy_only=False)
                if held is not None:
                    known &= held[start : start + len(batch)]
                rows = np.flatnonzero(known)
                if len(rows):
                    ids = rows.astype(np.uint64) + np.uint64((number << ROW_BITS) + start) | EARLIER
                    yield members(unpack(batch.column("signature").take(rows)), ids, self.bands, self.rows)
                start += len(batch)

    def _matches(self, pairs: np.ndarray, parts: dict[int, Part]) -> Iterator[np.ndarray]:
        pairs = pairs[np.r_[True, pairs[1:] != pairs[:-1]]]
        for group in np.split(pairs, group_starts(pairs["parts"])[1:]):
            new = parts[int(group["first"][0]) >> ROW_BITS].column("signature")
            with files.open_columns(
                part_path(self.against, int(group["second"][0]) >> ROW_BITS), ["signature"]
            ) as source:
                earlier = pq.read_table(source, columns=["signature"]).column(0).combine_chunks()
            left, right = (
                unpack(column.take(pa.array(group[end] & _ROW_MASK)))
                for column, end in ((new, "first"), (earlier, "second"))
            )
            similarity = (left == right).mean(axis=1)
            near = similarity >= self.threshold
            matches = np.empty(near.sum(), MATCH)
            matches["id"], matches["of"], matches["rank_key"] = (
                group["first"][near],
                group["second"][near],
                -similarity[near],
            )
            yield matches

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        earlier = [path for path in files.list_folder(self.against) if path.endswith(".parquet")]
        new_members = (
            parts | "Spread" >> SpreadPieces() | "New" >> beam.FlatMap(self._new).with_output_types(np.ndarray)
        )
        earlier_members = (
            parts.pipeline
            | "Signatures" >> beam.Create(earlier, reshuffle=False)
            | "Spread signatures" >> Spread()
            | "Earlier" >> beam.FlatMap(self._earlier).with_output_types(np.ndarray)
        )
        numbered = parts | "Number" >> beam.Map(lambda part: (part.number, part)).with_output_types(tuple[int, Part])
        return (
            (new_members, earlier_members)
            | "Both" >> beam.Flatten()
            | "Buckets" >> GroupRecords(MEMBER, "bucket", self.partitions)
            | "Pair" >> beam.Map(new_and_earlier).with_output_types(np.ndarray)
            | "Pairs of parts" >> GroupRecords(PAIR, "parts", self.partitions)
            | "Estimate" >> beam.FlatMap(self._matches, beam.pvalue.AsDict(numbered)).with_output_types(np.ndarray)
            | "By document" >> GroupRecords(MATCH, "id", self.partitions)
            | "Best" >> beam.Map(best).with_output_types(pa.RecordBatch)
        )
