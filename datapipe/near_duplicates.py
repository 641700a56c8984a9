"""Documents that share most of their text: MinHash-LSH to find candidates, exact Jaccard similarity to decide.

Unlike MinHash-LSH alone, which joins all that meet in a bucket and so removes 12 to 14 % too many documents, every pair
is verified on the shingle sets themselves. Exact copies are cheaper to find with `exact_duplicates.py`, shared pieces
with `repeated_text.py`, shared meaning with `semantic_duplicates.py`.
"""

import dataclasses
import uuid
from collections.abc import Iterable, Iterator
from typing import ClassVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems

from datapipe import files
from datapipe.components import EDGE, spanning_forest
from datapipe.corpus import ROW_BITS, Corpus, Part
from datapipe.exact_duplicates import losses
from datapipe.minhash import band_hashes
from datapipe.shingle_sets import read_entries, similarities, write_sets
from datapipe.shuffle import GOLDEN, GroupRecords, group_starts, partition, rejoin
from datapipe.sketches import SKETCHES, sketches

# Of the members of a bucket some are no near duplicates of its first. On 7,780 versions of 1,935 web pages pairs with
# the first alone tore 27 clusters (recall .981); with these distances too none is torn, for 1.6 times the pairs.
REACH = (1, 2, 4, 8)
MEMBER = np.dtype([("bucket", "<u8"), ("id", "<u8")])
PAIR = np.dtype([("parts", "<u8"), ("first", "<u8"), ("second", "<u8")])
ROW = np.dtype([("id", "<u8")])
TIE = np.dtype(
    [*EDGE.descr, ("first_loss", "<f8"), ("second_loss", "<f8"), ("first_bytes", "<i8"), ("second_bytes", "<i8")]
)


def members(signatures: npt.NDArray[np.uint32], ids: npt.NDArray[np.uint64], bands: int, rows: int) -> np.ndarray:
    """A `MEMBER` record for each band of each sketch; `signatures` has shape (n, slots), `ids` (n,)."""
    records = np.empty(len(ids) * bands, MEMBER)
    records["bucket"] = band_hashes(signatures, bands, rows).ravel()
    records["id"] = np.repeat(ids, bands)
    return records


def bucket_pairs(records: np.ndarray) -> np.ndarray:
    """The `PAIR`s of a bucket that are worth a look: a number linear in its size, however large it is.

    Each member is paired with the least id, and with those `REACH` places before it.

    Args:
        records: `MEMBER` records sorted by bucket, then id.
    """
    starts = group_starts(records["bucket"])
    starts = np.repeat(starts, np.diff(starts, append=len(records)))
    places = np.arange(len(records))
    others = [np.flatnonzero(places - starts >= distance) for distance in (1, *(d + 1 for d in REACH))]
    partners = [starts[others[0]], *(other - distance for other, distance in zip(others[1:], REACH, strict=True))]
    first, second = records["id"][np.concatenate(partners)], records["id"][np.concatenate(others)]
    # Documents that meet in one bucket meet in others: keep one of their pairs. By a hash, as sorting records is slow.
    mixed = first * GOLDEN
    _, distinct = np.unique((mixed ^ mixed >> np.uint64(32)) * GOLDEN + second, return_index=True)
    pairs = np.empty(len(distinct), PAIR)
    pairs["first"], pairs["second"] = first[distinct], second[distinct]
    part_bits = np.uint64(ROW_BITS)
    pairs["parts"] = pairs["first"] >> part_bits << part_bits | pairs["second"] >> part_bits
    return pairs


def ties(pairs: np.ndarray, paths: dict[int, str], threshold: float) -> np.ndarray:
    """The `TIE` of each pair whose exact Jaccard similarity reaches the threshold, as a maximum spanning forest.

    Args:
        pairs: `PAIR` records sorted by parts.
        paths: the file of shingle sets of each part in them.
        threshold: least similarity.
    """
    found = [np.zeros(0, TIE)]
    for group in np.split(pairs, group_starts(pairs["parts"])[1:]):
        left_path, right_path = (paths[int(group[end][0]) >> ROW_BITS] for end in ("first", "second"))
        left, right = read_entries(left_path), read_entries(right_path)
        left = left[np.searchsorted(left["id"], group["first"])]
        right = right[np.searchsorted(right["id"], group["second"])]
        # Sets of too different sizes cannot be that similar.
        possible = np.minimum(left["count"], right["count"]) >= threshold * np.maximum(left["count"], right["count"])
        left, right = left[possible], right[possible]
        similarity = similarities(left_path, right_path, left, right)
        verified = similarity >= threshold
        edges = np.empty(verified.sum(), TIE)
        edges["weight"] = similarity[verified]
        for end, side in (("first", left[verified]), ("second", right[verified])):
            edges[end], edges[f"{end}_loss"], edges[f"{end}_bytes"] = side["id"], side["loss"], side["bytes"]
        found.append(edges)
    return spanning_forest(np.concatenate(found))[0]


def clusters(edges: np.ndarray) -> pa.RecordBatch:
    """The verdict on each document that has a near duplicate, by id.

    Args:
        edges: `TIE` records, all.
    """
    forest, ids, roots = spanning_forest(edges)
    # The ends of the strongest edges come first, so the first place of a document gives its strongest tie.
    ends = np.stack([forest["first"], forest["second"]], axis=1).ravel()
    partners = np.stack([forest["second"], forest["first"]], axis=1).ravel()
    _, places = np.unique(ends, return_index=True)
    loss = np.stack([forest["first_loss"], forest["second_loss"]], axis=1).ravel()[places]
    length = np.stack([forest["first_bytes"], forest["second_bytes"]], axis=1).ravel()[places]
    order = np.lexsort([ids, -length, loss, roots])
    starts = group_starts(roots[order])
    survivor = np.empty(len(ids), np.uint64)
    survivor[roots[order[starts]]] = ids[order[starts]]
    survivor = survivor[roots]
    return pa.record_batch(
        [
            pa.array(ids),
            pa.array(survivor),
            pa.array(partners[places]),
            pa.array(forest["weight"][places // 2]),
            pa.array(np.full(len(ids), "near_duplicate"), pa.string(), mask=ids == survivor),
        ],
        schema=pa.schema([("id", pa.uint64()), *_WRITES]),
    )


_WRITES = pa.schema(
    [
        ("near_duplicates_cluster", pa.uint64()),
        ("near_duplicates_of", pa.uint64()),
        ("near_duplicates_similarity", pa.float32()),
        ("near_duplicates_removed", pa.string()),
    ]
)


@dataclasses.dataclass(eq=False)
class FindNearDuplicates(beam.PTransform):
    """Remove all but the best of each cluster of near duplicates: parts in, verdicts on all documents in clusters out.

    Two documents are near duplicates where the Jaccard similarity of their sets of shingles, computed exactly, reaches
    the threshold; clusters are what such pairs connect. The survivor is the document of highest quality, then the
    longest in bytes, then of lowest id. Every member names the survivor (`near_duplicates_cluster`), its most similar
    verified partner (`near_duplicates_of`) and how similar that is. Tokens and shingles: see `datapipe.shingles`.

    Candidates are pairs that agree in all rows of some band; a pair of similarity s is one with a probability of
    1 - (1 - s^rows)^bands: 20 x 6 finds 99.8 % at 0.8 from the sketch alone. FineWeb takes 14 x 8.

    Attributes:
        threshold: least Jaccard similarity of near duplicates.
        shingle_size: tokens a shingle.
        bands: groups of slots that are compared as one.
        rows: slots a band.
        slots: length of a sketch, at least bands * rows.
        sketch: `fast` (Fast Similarity Sketching), or `datasketch` and `datasketch_legacy`, equal to datasketch since
            2.0 and before; see `datapipe.minhash`.
        quality: a numeric column, higher = better, that chooses the survivor; none: the longest survives.
        partitions: how many groups each shuffle makes; changes no result, only the memory a group takes.
        folder: for the shingle sets of candidates while it runs, 8 bytes a shingle; none: a new one beside the text.
    """

    threshold: float = 0.8
    shingle_size: int = 5
    bands: int = 20
    rows: int = 6
    slots: int = 128
    sketch: str = "fast"
    quality: str | None = None
    partitions: int = 64
    folder: str | None = None

    name: ClassVar[str] = "near_duplicates"
    version: ClassVar[int] = 1
    writes: ClassVar[pa.Schema] = _WRITES

    def __post_init__(self) -> None:
        super().__init__()
        if not 0 < self.threshold <= 1:
            raise ValueError(f"near_duplicates: threshold must be above 0 and at most 1, got {self.threshold!r}")
        for field in ("shingle_size", "bands", "rows", "partitions"):
            if getattr(self, field) < 1:
                raise ValueError(f"near_duplicates: {field} must be at least 1, got {getattr(self, field)!r}")
        if self.slots < self.bands * self.rows:
            raise ValueError(
                f"near_duplicates: slots must be at least bands * rows = {self.bands * self.rows}, got {self.slots!r}"
            )
        if self.sketch not in SKETCHES:
            raise ValueError(f"near_duplicates: sketch must be one of {list(SKETCHES)}, got {self.sketch!r}")

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it needs."""
        return ("text",) if self.quality is None else ("text", self.quality)

    def prepare(self, corpus: Corpus, folder: str) -> "FindNearDuplicates":  # noqa: ARG002 - it learns nothing
        """The stage with its scratch files in `folder`, without what a run that broke off may have left there."""
        scratch = files.join(folder, "scratch")
        files.remove(scratch)
        return dataclasses.replace(self, folder=scratch)

    def _members(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(["text"]):
            found, known = sketches(batch.column("text"), self.sketch, self.slots, self.shingle_size)
            yield members(found[known], batch.column("id").to_numpy()[known], self.bands, self.rows)

    def _write_sets(self, group: tuple[int, dict[str, Iterable]], scratch: str) -> Iterator[tuple[int, str]]:
        number, found = group
        wanted = np.unique(np.frombuffer(b"".join(found["rows"]), ROW)["id"])
        if not len(wanted):
            return
        (part,) = found["part"]
        folder = self.folder or files.join(FileSystems.split(part.columns["text"])[0], scratch)
        files.make_folder(folder)
        path = files.join(folder, f"part-{number:05d}")

        def chosen() -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.float64]]]:
            for batch in part.read(self.reads):
                batch = batch.filter(pa.array(np.isin(batch.column("id").to_numpy(), wanted)))
                yield batch, losses(batch, self.quality)

        write_sets(path, chosen(), self.shingle_size)
        yield number, path

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        scratch = f"{self.name}-{uuid.uuid4().hex}.tmp"
        parts = parts | "Spread" >> beam.Reshuffle()
        pairs = (
            parts
            | "Sketch" >> beam.FlatMap(self._members).with_output_types(np.ndarray)
            | "Buckets" >> GroupRecords(MEMBER, "bucket", self.partitions)
            | "Pair" >> beam.Map(bucket_pairs).with_output_types(np.ndarray)
            | "Pairs of parts" >> GroupRecords(PAIR, "parts", self.partitions)
            | "Distinct" >> beam.Map(_distinct).with_output_types(bytes)
        )
        rows = pairs | "Rows of parts" >> beam.FlatMap(_rows).with_output_types(tuple[int, bytes])
        numbered = parts | "Number" >> beam.Map(lambda part: (part.number, part)).with_output_types(tuple[int, Part])
        sets = (
            {"part": numbered, "rows": rows}
            | "Join rows" >> beam.CoGroupByKey()
            | "Write sets" >> beam.FlatMap(self._write_sets, scratch).with_output_types(tuple[int, str])
        )
        paths = beam.pvalue.AsDict(sets)
        edges = pairs | "Verify" >> beam.FlatMap(_verify, paths, self.threshold).with_output_types(bytes)
        return (
            parts.pipeline
            | "Once" >> beam.Create([None])
            | "Cluster" >> beam.FlatMap(_cluster, beam.pvalue.AsIter(edges), paths).with_output_types(pa.RecordBatch)
        )


def _distinct(pairs: np.ndarray) -> bytes:
    return pairs[np.r_[True, pairs[1:] != pairs[:-1]]].tobytes()


def _rows(pairs: bytes) -> Iterator[tuple[int, bytes]]:
    records = np.frombuffer(pairs, PAIR)
    ids = np.unique(np.concatenate([records["first"], records["second"]]))
    return partition(ids.astype(ROW), (ids >> np.uint64(ROW_BITS)).astype(np.int64))


def _verify(pairs: bytes, paths: dict[int, str], threshold: float) -> Iterator[bytes]:
    found = ties(np.frombuffer(pairs, PAIR), paths, threshold)
    return (block for _, block in partition(found, np.zeros(len(found), np.int64)))


def _cluster(_: None, edges: Iterable[bytes], paths: dict[int, str]) -> Iterator[pa.RecordBatch]:
    yield clusters(rejoin(edges, TIE))
    for folder in {FileSystems.split(path)[0] for path in paths.values()}:
        files.remove(folder)
