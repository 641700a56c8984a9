"""Documents that an earlier run has already seen, nearly the same: found by its signatures alone, without its text.

So a corpus grows by what is new. What the earlier run removed for its own sake, by a rule or a filter, is not in the
corpus, and does not count. Within the new documents `near_duplicates.py` looks at the text; here the earlier text is
not at hand, and the similarity is the share of equal slots of two signatures, an estimate.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems

from datapipe.checks import Count, FilesOption, PositiveShare
from datapipe.dedup.near_duplicates import MEMBER, PAIR, members
from datapipe.dedup.signatures import OPTIONS_FILE
from datapipe.flow.shuffle import GroupRecords, group_starts
from datapipe.flow.spread import Spread, SpreadPieces
from datapipe.stage import CorpusStage, write_notes
from datapipe.store import files
from datapipe.store.corpus import REASON, ROW_BITS, Corpus, Part, first_reasons, part_path
from datapipe.store.record import RUN_FILE, RunRecord

# Whoever these remove is a copy of a document that the corpus holds.
_DUPLICATES = frozenset(
    f"{stage}{REASON}"
    for stage in ("exact_duplicates", "near_duplicates", "semantic_duplicates", "cross_run_duplicates")
)
EARLIER = np.uint64(1 << 63)  # marks an id of the earlier run while both share a shuffle
MATCH = np.dtype([("id", "<u8"), ("rank_key", "<f8"), ("of", "<u8")])


def is_held(part: Part) -> npt.NDArray[np.bool_]:
    """Which rows of a finished run's part its corpus holds: those kept, and the copies of others, shape (rows,)."""
    stages, _ = first_reasons(part)
    copies = np.array([decision in _DUPLICATES for decision in part.decisions] + [True])  # -1, kept, is the last
    return copies[stages]


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
    return FileSystems.split(signatures.rstrip("/"))[0]


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
        earlier: the parts of the earlier run, as `prepare` found them; no option.
    """

    against: FilesOption
    count_removed: bool = False
    threshold: PositiveShare = 0.8
    bands: Count = 20
    rows: Count = 6
    partitions: Count = 64
    earlier: dict[int, Part] = dataclasses.field(default_factory=dict, init=False)

    name: ClassVar[str] = "cross_run_duplicates"
    version: ClassVar[int] = 3
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
        parts = {part.number: part for part in record.corpus(run).parts} if record else {}
        if not parts:
            write_notes(folder, [f"no record of a run beside {self.against}: all its documents count as seen"])
        return self.ready(earlier=parts)

    def _new(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(self.requires()):
            batch = batch.filter(batch.column("signature").is_valid())
            if len(batch):
                yield members(unpack(batch.column("signature")), batch.column("id").to_numpy(), self.bands, self.rows)

    def _earlier(self, path: str) -> Iterator[np.ndarray]:
        number = int(path.removesuffix(".parquet").rpartition("-")[2])  # see `corpus.part_path`
        held = is_held(self.earlier[number]) if number in self.earlier else None
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
        row_mask = np.uint64((1 << ROW_BITS) - 1)
        for group in np.split(pairs, group_starts(pairs["parts"])[1:]):
            new = parts[int(group["first"][0]) >> ROW_BITS].column("signature")
            with files.open_columns(
                part_path(self.against, int(group["second"][0]) >> ROW_BITS), ["signature"]
            ) as source:
                earlier = pq.read_table(source, columns=["signature"]).column(0).combine_chunks()
            left, right = (
                unpack(column.take(pa.array(group[end] & row_mask)))
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
