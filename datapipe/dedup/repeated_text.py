"""Pieces of text that occur again and again over the corpus: lines, paragraphs, sentences, spans of them, windows.

Boilerplate, quotations and templates live in documents that are no duplicates of each other as wholes, which
`exact_duplicates.py` and `near_duplicates.py` leave alone. Here the repeated spans are found and named; what is to be
done about them is the next stage's business, `cut_repeated_text.py`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import apache_beam as beam
import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, MinLen

from datapipe.checks import Count
from datapipe.flow.shuffle import GroupRecords, group_starts, ordered_groups, partition
from datapipe.stage import CorpusStage
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part
from datapipe.text.bit_mixing import GOLDEN, golden_multiple
from datapipe.text.characters import decode, text_buffers
from datapipe.text.hashes import hash_spans, normalization_table
from datapipe.text.shingles import most_tokens, roll, token_hashes, token_table

LINE, PARAGRAPH, SENTENCE, SPAN, WINDOW = range(5)
Unit = Literal["line", "paragraph", "sentence", "span", "window"]
UNITS: dict[str, int] = {
    "line": LINE,
    "paragraph": PARAGRAPH,  # up to the next empty line
    "sentence": SENTENCE,  # up to 。！？ or . ! ? before white space, or a line's end
    "span": SPAN,  # sentences in a row
    "window": WINDOW,  # tokens in a row
}

# The unit is the upper 3 bits of a hash or key, so that pieces of two units never meet.
_HASH_BITS = np.uint64(61)
# Pieces that are equal have equal keys: their hash, or for windows that of their anchor.
KEY = np.dtype([("key", "<u8")])
_GROUP_BITS = np.uint64(0xFFFFFFFF)  # the lower ones: the upper bits of an anchor, the least of several, are uneven
# Windows that follow one another mostly share an anchor; grouped by it, they are still together when they are cut.
PIECE = np.dtype([("unit", "u1"), ("id", "<u8"), ("start", "<u4"), ("end", "<u4"), ("hash", "<u8"), ("group", "<u4")])
KEY_COUNT = np.dtype([*KEY.descr, ("part", "<u4"), ("count", "<u4")])
CUT = np.dtype([("id", "<u8"), ("unit", "u1"), ("start", "<u4"), ("end", "<u4"), ("of", "<u8")])


@numba.njit(cache=True, nogil=True, inline="always")
def _closes(code_point: int) -> bool:
    """Whether a character belongs to the end of a sentence when it follows one: its like, quotes and brackets."""
    if code_point < 0x80:
        return code_point in (0x21, 0x22, 0x27, 0x29, 0x2E, 0x3F, 0x5D)  # ! " ' ) . ? ]
    return code_point in (0x2019, 0x201D, 0x3002, 0x300B, 0x300D, 0x300F, 0x3011, 0xFF01, 0xFF09, 0xFF1F)


@numba.njit(cache=True, nogil=True)
def split(
    data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], unit: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cut documents into pieces that together are the whole of them: what ends a piece and white space after it is its.

    Args:
        data: UTF-8 bytes.
        bounds: document i is `data[bounds[i]:bounds[i + 1]]`, shape (n + 1,).
        unit: `LINE`, `PARAGRAPH` or `SENTENCE`.

    Returns:
        The document, first byte and end of each piece, each of shape (pieces,).

    >>> text = "One. Two!\\n三。四".encode()
    >>> _, starts, ends = split(np.frombuffer(text, np.uint8), np.array([0, len(text)]), SENTENCE)
    >>> [text[start:end].decode() for start, end in zip(starts, ends)]
    ['One. ', 'Two!\\n', '三。', '四']
    """
    most = bounds[-1] - bounds[0]
    documents, starts, ends = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    pieces = 0
    for document in range(len(bounds) - 1):
        start, end = bounds[document], bounds[document + 1]
        at = start
        while at < end:
            code_point, at = decode(data, at)
            ended = code_point == 10
            if unit == SENTENCE and not ended:
                wide = code_point in (0x3002, 0xFF01, 0xFF1F)  # 。！？
                if wide or code_point in (0x2E, 0x21, 0x3F):  # . ! ?
                    while at < end:
                        follower, after = decode(data, at)
                        if not _closes(follower):
                            break
                        wide |= follower in (0x3002, 0xFF01, 0xFF1F)
                        at = after
                    ended = wide or at == end or data[at] == 32 or data[at] == 10 or data[at] == 9
            if not ended and at < end:
                continue
            empty_lines = 0
            while unit != LINE and at < end and (data[at] == 32 or 9 <= data[at] <= 13):
                empty_lines += data[at] == 10
                at += 1
            if unit == PARAGRAPH and at < end and not empty_lines:
                continue
            documents[pieces], starts[pieces], ends[pieces] = document, start, at
            pieces += 1
            start = at
    return documents[:pieces].copy(), starts[:pieces].copy(), ends[:pieces].copy()


@dataclasses.dataclass(frozen=True)
class Pieces:
    """What counts as a piece, and as the same one.

    Attributes:
        units: names of `UNITS`.
        normalization: for all units but windows, see `datapipe.text.hashes`.
        min_characters: pieces of fewer, counted as the normalization does, are left out; windows are not.
        span_sentences: sentences a span.
        window_tokens: tokens a window.
        salt: pieces hashed with another one never meet.
    """

    units: tuple[str, ...]
    normalization: str
    min_characters: int
    span_sentences: int
    window_tokens: int
    salt: np.uint64

    @property
    def anchor_tokens(self) -> int:
        """Tokens of an anchor: half a window, so that about every 13th token of text begins one for windows of 50."""
        return (self.window_tokens + 1) // 2

    def keys(self, batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
        """The keys of all pieces of a batch, in no order: at least as many equal ones as there are equal pieces."""
        data, bounds = text_buffers(batch.column("text"))
        found = []
        for unit in self.units:
            if unit == "window":
                tokens, token_bounds = token_hashes(data, bounds, token_table(), np.empty((0, 2), np.int64))
                grams, places = self._anchors(tokens, token_bounds)
                hashes = grams[places[group_starts(places)]]
            else:
                hashes = self._split(unit, data, bounds)[0]
            found.append(self._tagged(unit, hashes))
        return np.concatenate(found)

    def find(self, batch: pa.RecordBatch, keys: npt.NDArray[np.uint64]) -> Iterator[np.ndarray]:
        """A `PIECE` record for each piece of each document that has one of some keys; an array for each unit.

        Args:
            batch: with `id` and `text`.
            keys: ascending.
        """
        data, bounds = text_buffers(batch.column("text"))
        ids = batch.column("id").to_numpy()
        for unit in self.units:
            if unit == "window":
                hashes, documents, starts, ends, tagged = self._windows(data, bounds, keys)
            else:
                hashes, documents, starts, ends = self._split(unit, data, bounds)
                tagged = self._tagged(unit, hashes)
                known = _among(tagged, keys)
                hashes, documents, starts, ends, tagged = (
                    column[known] for column in (hashes, documents, starts, ends, tagged)
                )
            records = np.empty(len(hashes), PIECE)
            records["unit"] = UNITS[unit]
            records["id"] = ids[documents]
            records["start"], records["end"] = starts - bounds[documents], ends - bounds[documents]
            records["hash"] = self._tagged(unit, hashes)
            records["group"] = tagged & _GROUP_BITS
            yield records

    def _tagged(self, unit: str, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        return (hashes ^ self.salt) >> np.uint64(3) | np.uint64(UNITS[unit]) << _HASH_BITS

    def _split(self, unit: str, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> tuple[npt.NDArray, ...]:
        documents, starts, ends = split(data, bounds, SENTENCE if unit == "span" else UNITS[unit])
        pairs, counts = hash_spans(data, starts, ends, normalization_table(self.normalization))
        known = counts > 0
        hashes, counts, documents, starts, ends = (
            column[known] for column in (pairs[:, 0], counts, documents, starts, ends)
        )
        if unit == "span":
            hashes, counts, documents, starts, ends = _spans(
                hashes, counts, documents, starts, ends, self.span_sentences
            )
        long = counts >= self.min_characters
        return hashes[long], documents[long], starts[long], ends[long]

    def _anchors(
        self, tokens: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """The hashes of all runs of `anchor_tokens` tokens, and for each window the place of its anchor in them."""
        grams, gram_bounds = roll(tokens.copy(), bounds, self.anchor_tokens)
        return grams, least_places(grams, gram_bounds, self.window_tokens - self.anchor_tokens + 1)

    def _windows(
        self, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray, ...]:
        places = np.empty((most_tokens(bounds), 2), np.int64)
        tokens, token_bounds = token_hashes(data, bounds, token_table(), places)
        grams, anchors = self._anchors(tokens, token_bounds)
        starts = group_starts(anchors)
        sizes = np.diff(starts, append=len(anchors))
        tagged = self._tagged("window", grams[anchors[starts]])
        known = _among(tagged, keys)
        chosen = np.repeat(known, sizes)
        windows = np.maximum(np.diff(token_bounds) - self.window_tokens + 1, 0)
        documents = np.repeat(np.arange(len(windows)), windows)[chosen]
        # The first token of each window, and the place of its hash: a document of fewer tokens has one hash, no window.
        first = np.flatnonzero(chosen) + (token_bounds[:-1] - np.cumsum(windows) + windows)[documents]
        hashes, hash_bounds = roll(tokens, token_bounds, self.window_tokens)
        hashes = hashes[first + (hash_bounds - token_bounds)[documents]]
        ends = places[first + self.window_tokens - 1, 1]
        return hashes, documents, places[first, 0], ends, np.repeat(tagged[known], sizes[known])


@numba.njit(cache=True, nogil=True)
def least_places(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
    """The place of the least of each `width` successive hashes of a document, of equal ones that of the last.

    So two equal runs have their least hash at the same distance, and runs that follow one another mostly share it:
    about 2 / (width + 1) of all places are the least of some run. This is winnowing (Schleimer et al. 2003).

    Args:
        hashes: those of document i are `hashes[bounds[i]:bounds[i + 1]]`.
        bounds: shape (n + 1,).
        width: at least 1.

    Returns:
        Shape (runs,), ascending; a document of fewer hashes has no run.

    >>> least_places(np.array([5, 3, 4, 3, 9], np.uint64), np.array([0, 5]), 3).tolist()
    [1, 3, 3]
    """
    places = np.empty(len(hashes), np.int64)
    filled = 0
    for document in range(len(bounds) - 1):
        first, end = bounds[document], bounds[document + 1]
        least = first - 1
        for last in range(first + width - 1, end):
            if least <= last - width:
                least = last - width + 1
                for place in range(least + 1, last):
                    if hashes[place] <= hashes[least]:
                        least = place
            if hashes[last] <= hashes[least]:
                least = last
            places[filled] = least
            filled += 1
    return places[:filled]


def _spans(
    hashes: npt.NDArray[np.uint64],
    counts: npt.NDArray[np.int64],
    documents: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    size: int,
) -> tuple[npt.NDArray, ...]:
    """Runs of `size` sentences within a document, one from each sentence on."""
    runs = max(0, len(hashes) - size + 1)
    joined, total = np.zeros(runs, np.uint64), np.zeros(runs, np.int64)
    for place in range(size):
        joined = joined * GOLDEN + hashes[place : place + runs]
        joined ^= joined >> np.uint64(32)
        total += counts[place : place + runs]
    inside = documents[:runs] == documents[size - 1 :]
    return joined[inside], total[inside], documents[:runs][inside], starts[:runs][inside], ends[size - 1 :][inside]


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


def _among(values: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which values are one of `keys`, which are sorted."""
    order = np.argsort(values)  # a search for sorted values stays in the cache
    ordered = values[order]
    places = np.searchsorted(keys, ordered)
    known = places < len(keys)
    known[known] = keys[places[known]] == ordered[known]
    among = np.empty(len(values), bool)
    among[order] = known
    return among


def _keep(hashes: npt.NDArray[np.uint64], keep_copies: Mapping[Unit, int]) -> npt.NDArray[np.int64]:
    """How many copies stay of the piece of each hash."""
    keep_of = np.zeros(len(UNITS), np.int64)
    for unit, keep in keep_copies.items():
        keep_of[UNITS[unit]] = keep
    return keep_of[hashes >> _HASH_BITS]


def repeated(records: np.ndarray, keep_copies: Mapping[Unit, int]) -> np.ndarray:
    """The `CUT`s that cover each copy of a piece past the first ones, sorted by unit, id, start.

    A copy that overlaps the last one kept stays: else text of one repeated character would lose even that.

    Args:
        records: `PIECE` records sorted by unit, id, start.
        keep_copies: how many copies of a piece stay, by unit.
    """
    order, starts = ordered_groups(np.ascontiguousarray(records["hash"]))
    sizes = np.diff(starts, append=len(records))
    keep = np.repeat(_keep(records["hash"][order[starts]], keep_copies), sizes)
    starts = np.repeat(starts, sizes)
    rank = np.arange(len(records)) - starts
    later = rank >= keep
    last_kept = records[order[(starts + keep - 1)[later]]]
    copies, firsts = order[later], order[starts[later]]
    going = (records["id"][copies] != last_kept["id"]) | (records["start"][copies] >= last_kept["end"])
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

    The first copies, by document id and place, stay. Each later one is a span in `repeated_text_spans`: first byte, end
    byte (UTF-8), unit, and the id of the document with the first copy. Pieces of different units are found side by side
    and may overlap. A piece of which the normalization leaves nothing is no copy of any. Pieces are compared by 64-bit
    hashes: among 10^9 different ones less than one is expected to be taken for another.

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
        normalization: what counts as the same line, paragraph or sentence: `whitespace`, `text` or `ccnet`, see
            `datapipe.text.hashes.NORMALIZATIONS`; windows compare tokens (`datapipe.text.shingles`).
        min_characters: lines, paragraphs, sentences and spans of fewer characters, normalized, are left alone.
        span_sentences: sentences a span.
        window_tokens: tokens a window.
        parts_per_group: only copies within so many parts in a row count, as in CCNet; 0: all of the corpus.
        partitions: how many groups each shuffle makes; changes no result, only the memory a group takes.
    """

    keep_copies: Annotated[dict[Unit, Count], MinLen(1)] = dataclasses.field(default_factory=lambda: {"span": 1})
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

    def _find(self, group: tuple[int, dict[str, Iterable]]) -> Iterator[np.ndarray]:
        keys = np.sort(np.frombuffer(b"".join(group[1]["keys"]), np.uint64))
        if len(keys):
            (part,) = group[1]["part"]
            pieces = self._pieces(part)
            for batch in part.read(self.requires()):
                yield from pieces.find(batch, keys)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        parts = parts | "Spread" >> beam.Reshuffle()
        keys = (
            parts
            | "Sight" >> beam.FlatMap(self._key_counts).with_output_types(np.ndarray)
            | "Count" >> GroupRecords(KEY_COUNT, "key", self.partitions)
            | "Frequent" >> beam.FlatMap(self._frequent).with_output_types(tuple[int, bytes])
        )
        numbered = parts | "Number" >> beam.Map(lambda part: (part.number, part)).with_output_types(tuple[int, Part])
        cuts = (
            {"part": numbered, "keys": keys}
            | "By part" >> beam.CoGroupByKey()
            | "Find" >> beam.FlatMap(self._find).with_output_types(np.ndarray)
            | "By key" >> GroupRecords(PIECE, "group", self.partitions, self.scratch)
            | "Repeated" >> beam.Map(repeated, self.keep_copies).with_output_types(np.ndarray)
        )
        if self.scratch is not None:
            all_done = cuts | "Done" >> beam.combiners.Count.Globally()
            _ = (
                parts.pipeline
                | "Once" >> beam.Create([self.scratch])
                | "Clear" >> beam.Map(_remove, beam.pvalue.AsSingleton(all_done)).with_output_types(type(None))
            )
        return (
            cuts
            | "By document" >> GroupRecords(CUT, "id", self.partitions)
            | "Spans" >> beam.Map(spans).with_output_types(pa.RecordBatch)
        )


def _remove(folder: str, _: int) -> None:
    files.remove(folder)
