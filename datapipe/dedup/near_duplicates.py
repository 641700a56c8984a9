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
import pyarrow.compute as pc
from annotated_types import Ge

from datapipe.checks import ColumnOption, Count, PositiveShare
from datapipe.dedup.exact_duplicates import OF as EXACT_OF
from datapipe.dedup.exact_duplicates import SIZE as EXACT_SIZE
from datapipe.dedup.held_out import HELD_OUT, HELD_OUT_NEIGHBOUR, HELD_OUT_REASON
from datapipe.dedup.shingle_sets import read_entries, similarities, write_sets
from datapipe.dedup.signatures import check_scheme, compute_signatures
from datapipe.dedup.survivors import check_quality, rank_keys
from datapipe.flow.components import EDGE, LINK, read_records, spanning_forest, star_components
from datapipe.flow.shuffle import GroupRecords, group_starts, partition
from datapipe.flow.spread import Spread, SpreadPieces
from datapipe.stage import CorpusStage, Parts, RunPipeline
from datapipe.store import files
from datapipe.store.corpus import ROW_BITS, Corpus, Part, PartKind
from datapipe.text.bit_mixing import GOLDEN, golden_fold
from datapipe.text.minhash import band_hashes

# Of the members of a bucket some are no near duplicates of its first. On 7,780 versions of 1,935 web pages pairs with
# the first alone tore 27 clusters (recall .981); with these distances too none is torn, for 1.6 times the pairs.
REACH = (1, 2, 4, 8)
PAIRS_AT_ONCE = 1 << 15  # verifying one takes half a kilobyte
# A group costs milliseconds whatever it holds: 3,000 documents in 64 groups took .6 s longer than in two.
ROWS_PER_GROUP = 1024
MEMBER = np.dtype([("bucket", "<u8"), ("id", "<u8")])
PAIR = np.dtype([("block", "<u8"), ("parts", "<u8"), ("first", "<u8"), ("second", "<u8")])
BLOCK_BITS = 15  # rows of a part whose pairs with another part are one block, as a power of 2
ROW = np.dtype([("id", "<u8")])
Block = bytes | str  # records, or the path of a file of them
VERIFIED_PAIR = np.dtype(
    [
        *EDGE.descr,
        ("first_rank_key", "<f8"),
        ("second_rank_key", "<f8"),
        ("first_bytes", "<i8"),
        ("second_bytes", "<i8"),
        ("first_copies", "<u4"),
        ("second_copies", "<u4"),
    ]
)
# A document, the least id of its cluster, and its most similar partner: of equally similar ones that of least id.
NODE = np.dtype(
    [
        ("id", "<u8"),
        ("root", "<u8"),
        ("partner", "<u8"),
        ("weight", "<f4"),
        ("rank_key", "<f8"),
        ("bytes", "<i8"),
        ("copies", "<u4"),
    ]
)
OF_DOCUMENT = ("rank_key", "bytes", "copies")  # what a pair knows of either document, and a set's entry of its own


def members(signatures: npt.NDArray[np.uint32], ids: npt.NDArray[np.uint64], bands: int, rows: int) -> np.ndarray:
    """A `MEMBER` record for each band of each signature; `signatures` has shape (n, slots), `ids` (n,)."""
    records = np.empty(len(ids) * bands, MEMBER)
    records["bucket"] = band_hashes(signatures, bands, rows).ravel()
    records["id"] = np.repeat(ids, bands)
    return records


def bucket_pairs(records: np.ndarray) -> Iterator[np.ndarray]:
    """The `PAIR`s of buckets that are worth a look: a number linear in their size, however large they are.

    Each member is paired with the least id, and with those `REACH` before it; a pair comes once, or a few times. Each
    distance with many is an array of its own, so that no more lies in memory.

    Args:
        records: `MEMBER` records sorted by bucket, then id.
    """
    starts = group_starts(records["bucket"])
    starts = np.repeat(starts, np.diff(starts, append=len(records)))
    before = np.arange(len(records)) - starts  # members of the bucket
    part_bits = np.uint64(ROW_BITS)
    few = [np.zeros(0, PAIR)]
    for distance in (0, *REACH):  # 0: the first of the bucket, where none of the others is it
        second = np.flatnonzero(before > distance if distance else before)
        first = records["id"][second - distance if distance else starts[second]]
        second = records["id"][second]
        # Documents that meet in one bucket meet in others: keep one of their pairs, by a hash: sorting records is slow.
        _, distinct = np.unique(golden_fold(first) * GOLDEN + second, return_index=True)
        pairs = np.empty(len(distinct), PAIR)
        pairs["first"], pairs["second"] = first[distinct], second[distinct]
        pairs["parts"] = pairs["first"] >> part_bits << part_bits | pairs["second"] >> part_bits
        pairs["block"] = golden_fold(pairs["parts"]) + (pairs["first"] >> np.uint64(BLOCK_BITS))
        if len(pairs) < PAIRS_AT_ONCE:
            few.append(pairs)
        else:
            yield pairs
    yield np.concatenate(few)


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
            edges[end] = side["id"]
            for field in OF_DOCUMENT:
                edges[f"{end}_{field}"] = side[field]
        found.append(edges)
    return spanning_forest(np.concatenate(found))[0]


def both_ends(edges: np.ndarray) -> np.ndarray:
    """The `NODE`s at both ends of `VERIFIED_PAIR`s, shape (2 m,), those of one pair in sequence, each its own root."""
    nodes = np.empty((len(edges), 2), NODE)
    for column, (end, other) in enumerate((("first", "second"), ("second", "first"))):
        nodes["id"][:, column] = nodes["root"][:, column] = edges[end]
        nodes["partner"][:, column] = edges[other]
        nodes["weight"][:, column] = edges["weight"]
        for field in OF_DOCUMENT:
            nodes[field][:, column] = edges[f"{end}_{field}"]
    return nodes.ravel()


def clusters(blocks: Iterable[np.ndarray]) -> pa.RecordBatch:
    """The verdict on each document that has a near duplicate, by id.

    Args:
        blocks: all `VERIFIED_PAIR` records, in arrays of any length.
    """
    forest, waiting, new = np.zeros(0, VERIFIED_PAIR), [], 0
    for block in blocks:
        waiting.append(block)
        new += len(block)
        if new > max(PAIRS_AT_ONCE, len(forest) // 2):  # of all at once there are several times as many
            forest = spanning_forest(np.concatenate([forest, *waiting]))[0]
            waiting, new = [], 0
    forest, ids, roots = spanning_forest(np.concatenate([forest, *waiting]))
    # The ends of the strongest edges come first, so a document's first is that of its strongest edge.
    firsts = np.unique(np.column_stack([forest["first"], forest["second"]]), return_index=True)[1]
    nodes = np.empty(len(firsts), NODE)
    for start in range(0, len(firsts), PAIRS_AT_ONCE):  # both ends of all at once would take twice as much
        edge, end = np.divmod(firsts[start : start + PAIRS_AT_ONCE], 2)
        nodes[start : start + PAIRS_AT_ONCE] = both_ends(forest[edge])[2 * np.arange(len(edge)) + end]
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
    members = np.diff(starts, append=len(nodes))
    first, size = np.empty(len(nodes), np.int64), np.empty(len(nodes), np.int64)
    first[order] = np.repeat(order[starts], members)
    if len(nodes):
        size[order] = np.repeat(np.add.reduceat(nodes["copies"][order].astype(np.int64), starts), members)
    survivor = nodes["id"][first]
    held_out = nodes["rank_key"] == -np.inf
    reason = pa.array(held_out[first].astype(np.int8), mask=held_out | (nodes["id"] == survivor))
    return pa.record_batch(
        [
            pa.array(np.ascontiguousarray(nodes["id"])),
            pa.array(survivor),
            pa.array(np.ascontiguousarray(nodes["partner"])),
            pa.array(np.ascontiguousarray(nodes["weight"])),
            pa.array(size),
            pa.array(["near_duplicate", HELD_OUT_NEIGHBOUR]).take(reason),
        ],
        schema=pa.schema([("id", pa.uint64()), *_WRITES]),
    )


SIZE = "near_duplicates_size"
_WRITES = pa.schema(
    [
        ("near_duplicates_cluster", pa.uint64()),
        ("near_duplicates_of", pa.uint64()),
        ("near_duplicates_similarity", pa.float32()),
        (SIZE, pa.int64()),
        ("near_duplicates_reason", pa.string()),
    ]
)


@dataclasses.dataclass(eq=False)
class FindNearDuplicates(CorpusStage):
    """Remove all but the best of each cluster of near duplicates: parts in, verdicts on all documents in clusters out.

    Two documents are near duplicates where the Jaccard similarity of their sets of shingles, computed exactly, reaches
    the threshold; clusters are what such pairs connect. The survivor is the document of highest quality, then the
    longest in bytes, then of lowest id. Every member names the survivor (`near_duplicates_cluster`), its most similar
    verified partner (`near_duplicates_of`) and how similar that is, and how many documents the cluster had before any
    was removed, with the copies that `exact_duplicates` took. Tokens and shingles: see `datapipe.text.shingles`.

    Documents that `held_out` took out are compared too, and stay where they are: a cluster that has some loses all its
    others, for the reason `held_out_neighbour`.

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
        partitions: how many groups each shuffle makes, in a run at most; changes no result, only the memory a group
            takes.
        gather_edges: up to so many pairs one worker joins to clusters, in some 250 bytes a document; `datapipe run`
            finds those of more in rounds of pipelines (see `star_components`); changes no result.
        scratch: for the shingle sets of candidates while it runs, 8 bytes a shingle; none: a new one beside the text.
        parts: what it works on: "document", "instruction"; of dialogues, before `chat`, what is said.
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
    groups: int | None = dataclasses.field(default=None, init=False)
    scratch: str | None = dataclasses.field(default=None, init=False)
    edges: str | None = dataclasses.field(default=None, init=False)
    parts: Parts = dataclasses.field(default_factory=lambda: ["document"])

    name: ClassVar[str] = "near_duplicates"
    version: ClassVar[int] = 3
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
        """The quality, how many exact copies there were, and what is held out, where documents have it."""
        return (*self.named_columns(), EXACT_SIZE, EXACT_OF, HELD_OUT_REASON)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:
        """The stage with its scratch files in `folder`, without what a run that broke off may have left there."""
        check_quality(self.name, self.quality, corpus, folder)
        scratch, edges = files.join(folder, "scratch"), files.join(folder, "edges")
        for path in (scratch, edges, f"{edges}-rounds"):
            files.remove(path)
        rows = sum(part.rows for part in corpus.of_kind(self.part_kinds()))
        groups = min(self.partitions, max(1, rows // ROWS_PER_GROUP))
        return self.ready(scratch=scratch, edges=edges, groups=groups)

    def leftovers(self, folder: str) -> tuple[str, ...]:
        """The shuffles' files and the shingle sets; the pairs stay for `more_rounds`."""
        return (files.join(folder, "scratch"),)

    def more_rounds(self, run: RunPipeline) -> Iterator[beam.PTransform]:
        """The transform that gives the verdicts where pairs were too many to gather, once it can run.

        Args:
            run: builds a pipeline with the function that it is given and runs it to its end.
        """
        if self.edges is None or not files.exists(self.edges):
            return
        found = files.files_below(self.edges)
        if sum(file.size for file in found) > self.gather_edges * VERIFIED_PAIR.itemsize:
            pair_files = [file.path for file in found]
            stars = star_components(pair_files, VERIFIED_PAIR, f"{self.edges}-rounds", self.partitions, run)
            yield _JudgeStars(pair_files, stars, self.partitions)
            files.remove(f"{self.edges}-rounds")
        files.remove(self.edges)

    def _folder(self, name: str) -> str | None:
        """For records of a shuffle: in a run they wait on disk, for there are hundreds of bytes of them a document."""
        return None if self.scratch is None else files.join(self.scratch, name)

    def _members(self, part: Part) -> Iterator[np.ndarray]:
        for batch in part.read(["text"], despite=HELD_OUT):
            found, known = compute_signatures(batch.column("text"), self.scheme, self.slots, self.shingle_size)
            yield members(found[known], batch.column("id").to_numpy()[known], self.bands, self.rows)

    def _write_sets(
        self, group: tuple[int, Iterable[bytes]], scratch: str, parts: dict[int, Part]
    ) -> Iterator[tuple[int, str]]:
        number, rows = group
        wanted = np.unique(np.frombuffer(b"".join(rows), ROW)["id"])
        part = parts[number]
        folder = self.scratch or files.join(part.columns["text"].rpartition("/")[0], scratch)
        files.make_folder(folder)
        path = files.join(folder, f"part-{number:05d}")

        def chosen() -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.float64], npt.NDArray[np.uint32]]]:
            for batch in part.read(self.requires(), optional=self.optional(), despite=HELD_OUT):
                batch = batch.filter(pa.array(np.isin(batch.column("id").to_numpy(), wanted)))
                copies = np.ones(len(batch), np.uint32)
                if EXACT_SIZE in batch.schema.names:
                    sizes = batch.column(EXACT_SIZE).fill_null(1)
                    # Of exact copies that stay, the first counts for all.
                    copies = pc.if_else(batch.column(EXACT_OF).is_null(), sizes, 0).to_numpy().astype(np.uint32)
                yield batch, rank_keys(batch, self.quality), copies

        write_sets(path, chosen(), self.shingle_size)
        yield number, path

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        scratch = f"{self.name}-{uuid.uuid4().hex}.tmp"
        groups = self.groups or self.partitions
        pairs = (
            parts
            | "Spread" >> SpreadPieces()
            | "Sign" >> beam.FlatMap(self._members).with_output_types(np.ndarray)
            | "Buckets" >> GroupRecords(MEMBER, "bucket", groups, self._folder("buckets"))
            | "Pair" >> beam.FlatMap(bucket_pairs).with_output_types(np.ndarray)
            # First each pair once: near duplicates meet in most of the bands, each time to give the same pairs.
            | "Pairs" >> GroupRecords(PAIR, "second", 4 * groups, self._folder("pairs"))
            | "Distinct" >> beam.Map(_distinct).with_output_types(np.ndarray)
            | "Pairs of parts" >> GroupRecords(PAIR, "block", groups, self._folder("parts"))
            | "Blocks" >> beam.FlatMap(_blocks, self._folder("blocks")).with_output_types(Block)
        )
        rows = pairs | "Rows of parts" >> beam.FlatMap(_rows).with_output_types(tuple[int, bytes])
        numbered = parts | "Number" >> beam.Map(lambda part: (part.number, part)).with_output_types(tuple[int, Part])
        sets = (
            rows
            | "Join rows" >> beam.GroupByKey()
            | "Write sets"
            >> beam.FlatMap(self._write_sets, scratch, beam.pvalue.AsDict(numbered)).with_output_types(tuple[int, str])
        )
        paths = beam.pvalue.AsDict(sets)
        edges = pairs | "Verify" >> beam.FlatMap(_verify, paths, self.threshold, self.edges).with_output_types(
            tuple[Block, int]
        )
        return (
            parts.pipeline
            | "Once" >> beam.Impulse()
            | "Cluster"
            >> beam.FlatMap(
                _cluster, beam.pvalue.AsIter(edges), paths, self.scratch, self.gather_edges
            ).with_output_types(pa.RecordBatch)
        )


def _distinct(pairs: np.ndarray) -> np.ndarray:
    return pairs[np.r_[True, pairs[1:] != pairs[:-1]]]


def _block(records: np.ndarray, folder: str | None) -> Block:
    """Records as bytes, or in a file: Beam's local runner holds what waits for a step in memory, and more than once.

    The file is named after the first and last record, so that a step that is done again writes none besides.
    """
    if folder is None:
        return records.tobytes()
    files.make_folder(folder)
    ends = [int(record[end]) for record in records[[0, -1]] for end in ("first", "second")]
    path = files.join(folder, "-".join(f"{end:x}" for end in ends))
    with files.whole_file(path) as sink:
        sink.write(records.tobytes())
    return path


def _records(block: Block, dtype: np.dtype) -> np.ndarray:
    return read_records(block, dtype) if isinstance(block, str) else np.frombuffer(block, dtype)


def _blocks(pairs: np.ndarray, folder: str | None) -> Iterator[Block]:
    """Pairs in blocks that are verified at once, all of which wait until all sets are written."""
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        yield _block(pairs[start : start + PAIRS_AT_ONCE], folder)


def _rows(block: Block) -> Iterator[tuple[int, bytes]]:
    records = _records(block, PAIR)
    ids = np.unique(np.concatenate([records["first"], records["second"]]))
    return partition(ids.astype(ROW), (ids >> np.uint64(ROW_BITS)).astype(np.int64))


def _verify(block: Block, paths: dict[int, str], threshold: float, folder: str | None) -> Iterator[tuple[Block, int]]:
    """What is verified of a block of pairs, in blocks, each with how many there are in it."""
    found = verified_pairs(_records(block, PAIR), paths, threshold)
    for start in range(0, len(found), PAIRS_AT_ONCE):
        some = found[start : start + PAIRS_AT_ONCE]
        yield _block(some, folder), len(some)


def _cluster(
    _: bytes, edges: Iterable[tuple[Block, int]], paths: dict[int, str], scratch: str | None, gather_edges: int
) -> Iterator[pa.RecordBatch]:
    """The verdicts, unless there are more pairs than may be gathered, which `more_rounds` then finds in their files."""
    blocks = list(edges)
    if scratch is None or sum(count for _, count in blocks) <= gather_edges:
        yield clusters(_records(block, VERIFIED_PAIR) for block, _ in blocks)
    if scratch is None:
        for folder in {path.rpartition("/")[0] for path in paths.values()}:
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
