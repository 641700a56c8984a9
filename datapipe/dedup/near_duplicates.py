"""Documents that share most of their text: MinHash-LSH to find candidates, exact Jaccard similarity to decide.

Unlike MinHash-LSH alone, which joins all that meet in a bucket and so removes 12 to 14 % too many documents, every pair
is verified on the shingle sets themselves. Exact copies are cheaper to find with `exact_duplicates.py`, shared pieces
with `repeated_text.py`, shared meaning with `semantic_duplicates.py`.
"""

import dataclasses
import uuid
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge
from apache_beam.io.filesystems import FileSystems

from datapipe.checks import ColumnOption, Count, PositiveShare
from datapipe.dedup.shingle_sets import read_entries, similarities, write_sets
from datapipe.dedup.signatures import check_scheme, compute_signatures
from datapipe.dedup.survivors import check_quality, rank_keys
from datapipe.flow.components import EDGE, LINK, read_records, spanning_forest, star_components
from datapipe.flow.gather import Gather
from datapipe.flow.shuffle import GroupRecords, group_starts, partition, rejoin
from datapipe.flow.spread import Spread, SpreadPieces
from datapipe.stage import CorpusStage, RunPipeline
from datapipe.store import files
from datapipe.store.corpus import ROW_BITS, Corpus, Part
from datapipe.text.bit_mixing import GOLDEN, golden_fold
from datapipe.text.minhash import band_hashes

# Of the members of a bucket some are no near duplicates of its first. On 7,780 versions of 1,935 web pages pairs with
# the first alone tore 27 clusters (recall .981); with these distances too none is torn, for 1.6 times the pairs.
REACH = (1, 2, 4, 8)
MEMBER = np.dtype([("bucket", "<u8"), ("id", "<u8")])
PAIR = np.dtype([("parts", "<u8"), ("first", "<u8"), ("second", "<u8")])
ROW = np.dtype([("id", "<u8")])
VERIFIED_PAIR = np.dtype(
    [
        *EDGE.descr,
        ("first_rank_key", "<f8"),
        ("second_rank_key", "<f8"),
        ("first_bytes", "<i8"),
        ("second_bytes", "<i8"),
    ]
)
# A document, the least id of its cluster, and its most similar partner: of equally similar ones that of least id.
NODE = np.dtype(
    [("id", "<u8"), ("root", "<u8"), ("partner", "<u8"), ("weight", "<f4"), ("rank_key", "<f8"), ("bytes", "<i8")]
)


def members(signatures: npt.NDArray[np.uint32], ids: npt.NDArray[np.uint64], bands: int, rows: int) -> np.ndarray:
    """A `MEMBER` record for each band of each signature; `signatures` has shape (n, slots), `ids` (n,)."""
    records = np.empty(len(ids) * bands, MEMBER)
    records["bucket"] = band_hashes(signatures, bands, rows).ravel()
    records["id"] = np.repeat(ids, bands)
    return records


def bucket_pairs(records: np.ndarray) -> np.ndarray:
    """The `PAIR`s of a bucket that are worth a look: a number linear in its size, however large it is.

    Each member is paired with the least id, and with those `REACH` before it.

    Args:
        records: `MEMBER` records sorted by bucket, then id.
    """
    starts = group_starts(records["bucket"])
    starts = np.repeat(starts, np.diff(starts, append=len(records)))
    indices = np.arange(len(records))
    others = [np.flatnonzero(indices - starts >= distance) for distance in (1, *(d + 1 for d in REACH))]
    partners = [starts[others[0]], *(other - distance for other, distance in zip(others[1:], REACH, strict=True))]
    first, second = records["id"][np.concatenate(partners)], records["id"][np.concatenate(others)]
    # Documents that meet in one bucket meet in others: keep one of their pairs. By a hash, as sorting records is slow.
    _, distinct = np.unique(golden_fold(first) * GOLDEN + second, return_index=True)
    pairs = np.empty(len(distinct), PAIR)
    pairs["first"], pairs["second"] = first[distinct], second[distinct]
    part_bits = np.uint64(ROW_BITS)
    pairs["parts"] = pairs["first"] >> part_bits << part_bits | pairs["second"] >> part_bits
    return pairs


def verified_pairs(pairs: np.ndarray, paths: dict[int, str], threshold: float) -> np.ndarray:
    """The `VERIFIED_PAIR`s whose exact Jaccard similarity reaches the threshold, as a maximum spanning forest.

    Args:
        pairs: `PAIR` records sorted by parts.
        paths: the file of shingle sets of each part in them.
        threshold: minimum similarity.
    """
    found = [np.zeros(0, VERIFIED_PAIR)]
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
        edges = np.empty(verified.sum(), VERIFIED_PAIR)
        edges["weight"] = similarity[verified]
        for end, side in (("first", left[verified]), ("second", right[verified])):
            edges[end], edges[f"{end}_rank_key"], edges[f"{end}_bytes"] = side["id"], side["rank_key"], side["bytes"]
        found.append(edges)
    return spanning_forest(np.concatenate(found))[0]


def both_ends(edges: np.ndarray) -> np.ndarray:
    """The `NODE`s at both ends of `VERIFIED_PAIR`s, shape (2 m,), those of one pair in sequence, each its own root."""
    nodes = np.empty((len(edges), 2), NODE)
    for column, (end, other) in enumerate((("first", "second"), ("second", "first"))):
        nodes["id"][:, column] = nodes["root"][:, column] = edges[end]
        nodes["partner"][:, column] = edges[other]
        nodes["weight"][:, column] = edges["weight"]
        nodes["rank_key"][:, column] = edges[f"{end}_rank_key"]
        nodes["bytes"][:, column] = edges[f"{end}_bytes"]
    return nodes.ravel()


def clusters(edges: np.ndarray) -> pa.RecordBatch:
    """The verdict on each document that has a near duplicate, by id.

    Args:
        edges: `VERIFIED_PAIR` records, all.
    """
    forest, ids, roots = spanning_forest(edges)
    # The ends of the strongest edges come first, so a document's first is that of its strongest edge.
    ends = both_ends(forest)
    nodes = ends[np.unique(ends["id"], return_index=True)[1]]
    nodes["root"] = ids[roots]
    return verdicts(nodes)


def strongest(ends: np.ndarray) -> np.ndarray:
    """One `NODE` for each id, with its least root and its strongest edge.

    Args:
        ends: `NODE`s, all of each id; one of weight 0 tells a root and nothing else.
    """
    ends = ends[np.lexsort([ends["partner"], -ends["weight"], ends["id"]])]
    starts = group_starts(ends["id"])
    nodes = ends[starts]
    nodes["root"] = np.minimum.reduceat(ends["root"], starts)
    return nodes


def verdicts(nodes: np.ndarray) -> pa.RecordBatch:
    """The verdicts on whole clusters, from one `NODE` for each document."""
    order = np.lexsort([nodes["id"], -nodes["bytes"], nodes["rank_key"], nodes["root"]])
    starts = group_starts(nodes["root"][order])
    survivor = np.empty(len(nodes), np.uint64)
    survivor[order] = np.repeat(nodes["id"][order[starts]], np.diff(starts, append=len(nodes)))
    return pa.record_batch(
        [
            pa.array(np.ascontiguousarray(nodes["id"])),
            pa.array(survivor),
            pa.array(np.ascontiguousarray(nodes["partner"])),
            pa.array(np.ascontiguousarray(nodes["weight"])),
            pa.array(np.full(len(nodes), "near_duplicate"), pa.string(), mask=nodes["id"] == survivor),
        ],
        schema=pa.schema([("id", pa.uint64()), *_WRITES]),
    )


_WRITES = pa.schema(
    [
        ("near_duplicates_cluster", pa.uint64()),
        ("near_duplicates_of", pa.uint64()),
        ("near_duplicates_similarity", pa.float32()),
        ("near_duplicates_reason", pa.string()),
    ]
)


@dataclasses.dataclass(eq=False)
class FindNearDuplicates(CorpusStage):
    """Remove all but the best of each cluster of near duplicates: parts in, verdicts on all documents in clusters out.

    Two documents are near duplicates where the Jaccard similarity of their sets of shingles, computed exactly, reaches
    the threshold; clusters are what such pairs connect. The survivor is the document of highest quality, then the
    longest in bytes, then of lowest id. Every member names the survivor (`near_duplicates_cluster`), its most similar
    verified partner (`near_duplicates_of`) and how similar that is. Tokens and shingles: see `datapipe.text.shingles`.

    Candidates are pairs that agree in all rows of some band; a pair of similarity s is one with a probability of
    1 - (1 - s^rows)^bands: 20 x 6 finds 99.8 % at 0.8 from the signature alone. FineWeb takes 14 x 8.

    Attributes:
        threshold: minimum Jaccard similarity of near duplicates.
        shingle_size: tokens a shingle.
        bands: groups of slots that are compared as one.
        rows: slots a band.
        slots: length of a signature, at least bands * rows.
        scheme: `fast` (Fast Similarity Sketching), or `datasketch` and `datasketch_legacy`, equal to datasketch since
            2.0 and before; see `datapipe.text.minhash`.
        quality: a numeric column, of a stage or the documents' own, higher = better, that chooses the survivor; a
            document without it comes last. None: the longest survives.
        partitions: how many groups each shuffle makes; changes no result, only the memory a group takes.
        gather_edges: up to so many pairs (52 bytes each) one worker joins to clusters; `datapipe run` finds those of
            more in rounds of pipelines (see `star_components`); changes no result.
        scratch: for the shingle sets of candidates while it runs, 8 bytes a shingle; none: a new one beside the text.
    """

    threshold: PositiveShare = 0.8
    shingle_size: Count = 5
    bands: Count = 20
    rows: Count = 6
    slots: Count = 128
    scheme: Literal["fast", "datasketch", "datasketch_legacy"] = "fast"
    quality: ColumnOption | None = None
    partitions: Count = 64
    gather_edges: Annotated[int, Ge(0)] = 50_000_000
    scratch: str | None = dataclasses.field(default=None, init=False)
    edges: str | None = dataclasses.field(default=None, init=False)

    name: ClassVar[str] = "near_duplicates"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = _WRITES
    may_need_rounds: ClassVar[bool] = True

    def check(self) -> None:
        """The bands fit into the signature, which can be made here."""
        if self.slots < self.bands * self.rows:
            raise ValueError(
                f"near_duplicates: slots must be at least bands * rows = {self.bands * self.rows}, got {self.slots!r}"
            )
        check_scheme(self.name, self.scheme)

    def optional(self) -> tuple[str, ...]:
        """The quality, where documents have it."""
        return self.named_columns()

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """The stage with its scratch files in `folder`, without what a run that broke off may have left there."""
        check_quality(self.name, self.quality, corpus, folder)
        scratch, edges = files.join(folder, "scratch"), files.join(folder, "edges")
        for path in (scratch, edges, f"{edges}-rounds"):
            files.remove(path)
        return self.ready(scratch=scratch, edges=edges)

    def more_rounds(self, run: RunPipeline) -> Iterator[beam.PTransform]:
        """The transform that gives the verdicts where pairs were too many to gather, once it can run.

        Args:
            run: builds a pipeline with the function that it is given and runs it to its end.
        """
        if self.edges is None or not files.exists(self.edges):
            return
        pair_files = files.list_folder(self.edges)
        stars = star_components(pair_files, VERIFIED_PAIR, f"{self.edges}-rounds", self.partitions, run)
        yield _JudgeStars(pair_files, stars, self.partitions)
        files.remove(f"{self.edges}-rounds")
        files.remove(self.edges)

    def _members(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(["text"]):
            found, known = compute_signatures(batch.column("text"), self.scheme, self.slots, self.shingle_size)
            yield members(found[known], batch.column("id").to_numpy()[known], self.bands, self.rows)

    def _write_sets(self, group: tuple[int, dict[str, Iterable]], scratch: str) -> Iterator[tuple[int, str]]:
        number, found = group
        wanted = np.unique(np.frombuffer(b"".join(found["rows"]), ROW)["id"])
        if not len(wanted):
            return
        (part,) = found["part"]
        folder = self.scratch or files.join(FileSystems.split(part.columns["text"])[0], scratch)
        files.make_folder(folder)
        path = files.join(folder, f"part-{number:05d}")

        def chosen() -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.float64]]]:
            for batch in part.read(self.requires(), optional=self.optional()):
                batch = batch.filter(pa.array(np.isin(batch.column("id").to_numpy(), wanted)))
                yield batch, rank_keys(batch, self.quality)

        write_sets(path, chosen(), self.shingle_size)
        yield number, path

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        scratch = f"{self.name}-{uuid.uuid4().hex}.tmp"
        pairs = (
            parts
            | "Spread" >> SpreadPieces()
            | "Sign" >> beam.FlatMap(self._members).with_output_types(np.ndarray)
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
        if self.edges is not None:
            total = (
                edges
                | "Lengths" >> beam.Map(lambda block: len(block) // VERIFIED_PAIR.itemsize).with_output_types(int)
                | "Gather" >> Gather()
                | "Total" >> beam.Map(sum).with_output_types(int)
            )
            edges = edges | "Spill" >> beam.FlatMap(
                _spill, beam.pvalue.AsSingleton(total), self.gather_edges, self.edges
            ).with_output_types(bytes)
        return (
            parts.pipeline
            | "Once" >> beam.Create([None], reshuffle=False)
            | "Cluster" >> beam.FlatMap(_cluster, beam.pvalue.AsIter(edges), paths).with_output_types(pa.RecordBatch)
        )


def _distinct(pairs: np.ndarray) -> bytes:
    return pairs[np.r_[True, pairs[1:] != pairs[:-1]]].tobytes()


def _rows(pairs: bytes) -> Iterator[tuple[int, bytes]]:
    records = np.frombuffer(pairs, PAIR)
    ids = np.unique(np.concatenate([records["first"], records["second"]]))
    return partition(ids.astype(ROW), (ids >> np.uint64(ROW_BITS)).astype(np.int64))


def _verify(pairs: bytes, paths: dict[int, str], threshold: float) -> Iterator[bytes]:
    found = verified_pairs(np.frombuffer(pairs, PAIR), paths, threshold)
    return (block for _, block in partition(found, np.zeros(len(found), np.int64)))


def _spill(block: bytes, total: int, gather_edges: int, folder: str) -> Iterator[bytes]:
    """The block, or a file of it where there are too many to gather."""
    if total <= gather_edges:
        yield block
        return
    files.make_folder(folder)
    first, second = np.frombuffer(block, VERIFIED_PAIR)[0].tolist()[:2]  # no other block holds this pair
    with files.whole_file(files.join(folder, f"{first:016x}-{second:016x}")) as sink:
        sink.write(block)


def _cluster(_: None, edges: Iterable[bytes], paths: dict[int, str]) -> Iterator[pa.RecordBatch]:
    yield clusters(rejoin(edges, VERIFIED_PAIR))
    for folder in {FileSystems.split(path)[0] for path in paths.values()}:
        files.remove(folder)


@dataclasses.dataclass(eq=False)
class _JudgeStars(beam.PTransform):
    """Files of `VERIFIED_PAIR`s, and of the stars that they come to, into verdicts; the parts are not read."""

    verified_pairs: list[str]
    stars: list[str]
    partitions: int

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        pairs = (
            parts.pipeline | "Pairs" >> beam.Create(self.verified_pairs, reshuffle=False) | "Spread pairs" >> Spread()
        )
        stars = parts.pipeline | "Stars" >> beam.Create(self.stars, reshuffle=False) | "Spread stars" >> Spread()
        return (
            (
                pairs | "Ends" >> beam.Map(_ends).with_output_types(np.ndarray),
                stars | "Roots" >> beam.Map(_roots).with_output_types(np.ndarray),
            )
            | "Both" >> beam.Flatten()
            | "Documents" >> GroupRecords(NODE, "id", self.partitions)
            | "Strongest" >> beam.Map(strongest).with_output_types(np.ndarray)
            | "Clusters" >> GroupRecords(NODE, "root", self.partitions)
            | "Judge" >> beam.Map(verdicts).with_output_types(pa.RecordBatch)
        )


def _ends(path: str) -> np.ndarray:
    return both_ends(read_records(path, VERIFIED_PAIR))


def _roots(path: str) -> np.ndarray:
    links = read_records(path, LINK)
    nodes = np.zeros(len(links), NODE)
    nodes["id"], nodes["root"] = links["node"], links["other"]
    return nodes
