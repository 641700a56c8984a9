"""Pieces of text that occur again and again over the corpus: lines, paragraphs, sentences, spans of them, windows.

Boilerplate, quotations and templates live in documents that are no duplicates of each other as wholes, which
`exact_duplicates.py` and `near_duplicates.py` leave alone. Here the repeated spans are found and named; what is to be
done about them is the next stage's business, `cut_repeated_text.py`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, MinLen

from datapipe.checks import Count
from datapipe.dedup.pieces import HASH_BITS, KEY, PIECE, SIZED_PIECE, UNITS, Pieces, Unit
from datapipe.flow.shuffle import GroupRecords, group_starts, ordered_groups, partition
from datapipe.flow.spread import SpreadPieces
from datapipe.stage import CorpusStage
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part
from datapipe.text.bit_mixing import golden_multiple

KEY_COUNT = np.dtype([*KEY.descr, ("part", "<u4"), ("count", "<u4")])
CUT = np.dtype([("id", "<u8"), ("unit", "u1"), ("start", "<u4"), ("end", "<u4"), ("of", "<u8")])


def frequent(records: np.ndarray, keep_copies: Mapping[Unit, int]) -> np.ndarray:
    """The `KEY_COUNT`s of those keys that more pieces may have than may stay.

    Args:
        records: `KEY_COUNT` records, sorted.
        keep_copies: how many copies of a piece stay, by unit.
    """
    starts = group_starts(records["key"])
    if not len(starts):
        return records
    counts = np.add.reduceat(records["count"].astype(np.int64), starts)
    many = counts > _keep(records["key"][starts], keep_copies)
    return records[np.repeat(many, np.diff(starts, append=len(records)))]


def _keep(hashes: npt.NDArray[np.uint64], keep_copies: Mapping[Unit, int]) -> npt.NDArray[np.int64]:
    """How many copies stay of the piece of each hash."""
    keep_of = np.zeros(len(UNITS), np.int64)
    for unit, keep in keep_copies.items():
        keep_of[UNITS[unit]] = keep
    return keep_of[hashes >> HASH_BITS]


def repeated(records: np.ndarray, keep_copies: Mapping[Unit, int], keep_first: bool = True) -> np.ndarray:
    """The `CUT`s that cover each copy of a piece past the first ones, sorted by unit, id, start.

    A copy that overlaps the last one kept stays: else text of one repeated character would lose even that.

    Args:
        records: `PIECE` records sorted by unit, id, start; of `SIZED_PIECE` the longest document's come first.
        keep_copies: how many copies of a piece stay, by unit.
        keep_first: whether they stay where there are more, too.
    """
    if records.dtype == SIZED_PIECE:
        length = records["size"].astype(np.int64)
        records = records[np.lexsort([records["start"], records["id"], -length, records["unit"]])]
    order, starts = ordered_groups(np.ascontiguousarray(records["hash"]))
    sizes = np.diff(starts, append=len(records))
    keep = np.repeat(_keep(records["hash"][order[starts]], keep_copies), sizes)
    starts = np.repeat(starts, sizes)
    rank = np.arange(len(records)) - starts
    if not keep_first:
        keep = np.where(np.repeat(sizes, sizes) > keep, 0, keep)
    later = rank >= keep
    last_kept = records[order[np.maximum(starts + keep - 1, 0)[later]]]
    copies, firsts = order[later], order[starts[later]]
    going = (records["id"][copies] != last_kept["id"]) | (records["start"][copies] >= last_kept["end"])
    going |= keep[later] == 0
    first_of = np.full(len(records), -1)
    first_of[copies[going]] = firsts[going]
    gone = np.flatnonzero(first_of >= 0)
    cuts = np.empty(len(gone), CUT)
    for field in ("id", "unit", "start", "end"):
        cuts[field] = records[field][gone]
    cuts["of"] = records["id"][first_of[gone]]
    return merged(cuts)


def merged(cuts: np.ndarray) -> np.ndarray:
    """`CUT`s of which those of one document and unit that overlap are one, with the `of` of the first.

    Args:
        cuts: `CUT` records; those of one document and unit stand together, by start.
    """
    if not len(cuts):
        return cuts
    other = np.r_[True, (cuts["id"][1:] != cuts["id"][:-1]) | (cuts["unit"][1:] != cuts["unit"][:-1])]
    # How far the cuts so far reach, of the same document and unit: each of these lies above all before it.
    above = np.cumsum(other) << 32
    reach = np.maximum.accumulate(above + cuts["end"])
    new = np.r_[True, (above + cuts["start"])[1:] >= reach[:-1]]
    found = cuts[new]
    found["end"] = (reach - above)[np.r_[new[1:], True]]
    return found


def spans(cuts: np.ndarray) -> pa.RecordBatch:
    """One row for each document: its spans, overlapping ones of one unit as one.

    Args:
        cuts: `CUT` records sorted by id, unit, start, end.
    """
    cuts = merged(cuts)
    starts = group_starts(cuts["id"])
    units = pa.array(list(UNITS)).take(pa.array(cuts["unit"]))
    values = pa.StructArray.from_arrays(
        [pa.array(cuts["start"]), pa.array(cuts["end"]), units, pa.array(cuts["of"])], fields=list(_SPAN)
    )
    offsets = pa.array(np.r_[starts, len(cuts)].astype(np.int32))
    return pa.record_batch(
        [pa.array(cuts["id"][starts]), pa.ListArray.from_arrays(offsets, values)],
        schema=pa.schema([("id", pa.uint64()), *FindRepeatedText.writes]),
    )


_SPAN = pa.struct([("start", pa.uint32()), ("end", pa.uint32()), ("unit", pa.string()), ("of", pa.uint64())])


@dataclasses.dataclass(eq=False)
class FindRepeatedText(CorpusStage):
    """Find pieces of text that occurred before in the corpus: parts in, verdicts on the documents that hold any out.

    The first copies, by document id and place, stay, or those of the longest document. Each later one is a span in
    `repeated_text_spans`: first byte, end byte (UTF-8), unit, and the id of the document with the first copy. Pieces of
    different units are found side by side and may overlap. A piece of which the normalization leaves nothing is no copy
    of any. Pieces are compared by 64-bit hashes: among 10^9 different ones less than one is expected to be taken for
    another.

    As in CCNet (lines), C4 (three sentences), Baichuan 2 (sentences, paragraphs), Lee et al. 2022 (50 tokens) and
    Skywork (several copies of common blocks stay).

    The text is read twice. First each part tells the hashes of its pieces, 16 bytes for each that is new in it, and
    learns which of them are frequent; then it sends on the places of the pieces that have these, 29 bytes each. Of
    windows, of which there are as many as tokens, the first step looks at anchors alone (see `least_places`), one in
    13 tokens for windows of 50: equal windows have equal anchors, so that none is missed. No worker holds more than a
    part's own pieces or one partition; in `datapipe run` the places wait in files, not in memory.

    Attributes:
        keep_copies: how many copies stay, for each unit that is looked at: `line`, `paragraph`, `sentence`, `span`
            (sentences in a row), `window` (tokens in a row).
        keep: whose copies stay: "first", by id; "longest": the longest documents', of equally long ones by id, so that
            what stands in a longer text goes, however the input is ordered.
        keep_first: whether these stay where there are more; CCNet's code cuts all copies of such a line.
        normalization: what counts as the same line, paragraph or sentence: `whitespace`, `text` or `ccnet`, see
            `datapipe.text.hashes.NORMALIZATIONS`; windows compare tokens (`datapipe.text.shingles`).
        min_characters: lines, paragraphs, sentences and spans of fewer characters, normalized, are left alone.
        span_sentences: sentences a span.
        window_tokens: tokens a window.
        parts_per_group: only copies within so many parts in a row count, as in CCNet; 0: all of the corpus.
        partitions: how many groups each shuffle makes; changes no result, only the memory a group takes.
    """

    keep_copies: Annotated[dict[Unit, Count], MinLen(1)] = dataclasses.field(default_factory=lambda: {"span": 1})
    keep: Literal["first", "longest"] = "first"
    keep_first: bool = True
    # Pieces carry the white space that ends them, so it cannot count.
    normalization: Literal["whitespace", "text", "ccnet"] = "ccnet"
    min_characters: Count = 1
    span_sentences: Count = 3
    window_tokens: Count = 50
    parts_per_group: Annotated[int, Ge(0)] = 0
    partitions: Count = 64
    scratch: str | None = dataclasses.field(default=None, init=False)

    name: ClassVar[str] = "repeated_text"
    writes: ClassVar[pa.Schema] = pa.schema([("repeated_text_spans", pa.list_(_SPAN))])

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns nothing
        """The stage with its scratch files in `folder`, without what a run that broke off may have left there."""
        scratch = files.join(folder, "scratch")
        files.remove(scratch)
        return self.ready(scratch=scratch)

    def leftovers(self, folder: str) -> tuple[str, ...]:
        """The places of pieces."""
        return (files.join(folder, "scratch"),)

    @property
    def _piece(self) -> np.dtype:
        return SIZED_PIECE if self.keep == "longest" else PIECE

    def _pieces(self, part: Part) -> Pieces:
        group = part.number // self.parts_per_group if self.parts_per_group else 0
        return Pieces(
            tuple(self.keep_copies),
            self.normalization,
            self.min_characters,
            self.span_sentences,
            self.window_tokens,
            salt=golden_multiple(group),
        )

    def _key_counts(self, part: Part) -> Iterator[np.ndarray]:
        pieces = self._pieces(part)
        keys = [pieces.keys(batch) for batch in part.read(self.requires())]
        if not keys:
            return
        distinct, counts = np.unique(np.concatenate(keys), return_counts=True)
        records = np.empty(len(distinct), KEY_COUNT)
        records["key"], records["part"], records["count"] = distinct, part.number, counts
        yield records

    def _frequent(self, records: np.ndarray) -> Iterator[tuple[int, bytes]]:
        found = frequent(records, self.keep_copies)
        return partition(found["key"].astype(KEY), found["part"].astype(np.int64))

    def _find(self, group: tuple[int, Iterable[bytes]], parts: dict[int, Part]) -> Iterator[np.ndarray]:
        keys = np.sort(np.frombuffer(b"".join(group[1]), np.uint64))
        part = parts[group[0]]
        pieces = self._pieces(part)
        for batch in part.read(self.requires()):
            yield from pieces.find(batch, keys, self._piece)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        keys = (
            parts
            | "Spread" >> SpreadPieces()
            | "Sight" >> beam.FlatMap(self._key_counts).with_output_types(np.ndarray)
            | "Count" >> GroupRecords(KEY_COUNT, "key", self.partitions)
            | "Frequent" >> beam.FlatMap(self._frequent).with_output_types(tuple[int, bytes])
        )
        numbered = parts | "Number" >> beam.Map(lambda part: (part.number, part)).with_output_types(tuple[int, Part])
        cuts = (
            keys
            | "By part" >> beam.GroupByKey()
            | "Find" >> beam.FlatMap(self._find, beam.pvalue.AsDict(numbered)).with_output_types(np.ndarray)
            | "By key" >> GroupRecords(self._piece, "group", self.partitions, self.scratch)
            | "Repeated" >> beam.Map(repeated, self.keep_copies, self.keep_first).with_output_types(np.ndarray)
        )
        return (
            cuts
            | "By document" >> GroupRecords(CUT, "id", self.partitions)
            | "Spans" >> beam.Map(spans).with_output_types(pa.RecordBatch)
        )
