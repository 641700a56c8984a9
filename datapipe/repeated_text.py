"""Pieces of text that occur again and again over the corpus: lines, paragraphs, sentences, spans of them, windows.

Boilerplate, quotations and templates live in documents that are no duplicates of each other as wholes, which
`exact_duplicates.py` and `near_duplicates.py` leave alone. Here the repeated spans are found and named; what is to be
done about them is the next stage's business, `cut_repeated_text.py`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import apache_beam as beam
import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datapipe.characters import decode, text_buffers
from datapipe.corpus import Part
from datapipe.shingles import most_tokens, roll, token_hashes, token_table
from datapipe.shuffle import GOLDEN, GroupRecords, group_starts
from datapipe.text_hashes import NORMALISATIONS, hash_spans, normalisation_table

LINE, PARAGRAPH, SENTENCE, SPAN, WINDOW = range(5)
UNITS = {
    "line": LINE,
    "paragraph": PARAGRAPH,  # up to the next empty line
    "sentence": SENTENCE,  # up to 。！？ or . ! ? before white space, or a line's end
    "span": SPAN,  # sentences in a row
    "window": WINDOW,  # tokens in a row
}

# The unit is the upper 3 bits of the hash, so that pieces of two units never meet.
PIECE = np.dtype([("hash", "<u8"), ("id", "<u8"), ("start", "<u4"), ("end", "<u4")])
_HASH_BITS = np.uint64(61)
HASH = np.dtype([("hash", "<u8")])
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


def pieces(
    batch: pa.RecordBatch,
    units: Mapping[str, int],
    table: npt.NDArray[np.int32],
    min_characters: int,
    span_sentences: int,
    window_tokens: int,
    salt: np.uint64,
) -> np.ndarray:
    """A `PIECE` record for each piece of each document, of every unit.

    Args:
        batch: with `id` and `text`.
        units: names of `UNITS`.
        table: the normalisation of all units but windows, see `datapipe.text_hashes`.
        min_characters: pieces of fewer, counted as the table does, are left out; windows are not.
        span_sentences: sentences a span.
        window_tokens: tokens a window.
        salt: pieces hashed with another one never meet.
    """
    data, bounds = text_buffers(batch.column("text"))
    ids = batch.column("id").to_numpy()
    found = []
    for unit in units:
        if unit == "window":
            hashes, documents, starts, ends = _windows(data, bounds, window_tokens)
        else:
            documents, starts, ends = split(data, bounds, SENTENCE if unit == "span" else UNITS[unit])
            pairs, counts = hash_spans(data, starts, ends, table)
            known = counts > 0
            hashes, documents, starts, ends = pairs[known, 0], documents[known], starts[known], ends[known]
            counts = counts[known]
            if unit == "span":
                hashes, counts, documents, starts, ends = _spans(
                    hashes, counts, documents, starts, ends, span_sentences
                )
            long = counts >= min_characters
            hashes, documents, starts, ends = hashes[long], documents[long], starts[long], ends[long]
        records = np.empty(len(hashes), PIECE)
        records["hash"] = (hashes ^ salt) >> np.uint64(3) | np.uint64(UNITS[unit]) << _HASH_BITS
        records["id"] = ids[documents]
        records["start"], records["end"] = starts - bounds[documents], ends - bounds[documents]
        found.append(records)
    return np.concatenate(found)


def _windows(data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], size: int) -> tuple[npt.NDArray, ...]:
    places = np.empty((most_tokens(bounds), 2), np.int64)
    hashes, token_bounds = token_hashes(data, bounds, token_table(), places)
    tokens = np.diff(token_bounds)
    hashes, window_bounds = roll(hashes, token_bounds, size)
    windows = np.diff(window_bounds)
    documents = np.repeat(np.arange(len(windows)), windows)
    first = np.arange(len(hashes)) - window_bounds[documents] + token_bounds[documents]
    whole = tokens[documents] >= size
    hashes, documents, first = hashes[whole], documents[whole], first[whole]
    return hashes, documents, places[first, 0], places[first + size - 1, 1]


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


def frequent(records: np.ndarray, keep_copies: Mapping[str, int]) -> npt.NDArray[np.uint64]:
    """The hashes, ascending, that more pieces have than may stay.

    Args:
        records: `HASH` records, sorted.
        keep_copies: how many copies of a piece stay, by unit.
    """
    starts = group_starts(records["hash"])
    hashes = records["hash"][starts]
    return hashes[np.diff(starts, append=len(records)) > _keep(hashes, keep_copies)]


def among(records: np.ndarray, hashes: npt.NDArray[np.uint64]) -> np.ndarray:
    """The `PIECE` records whose hash is one of `hashes`, which are sorted."""
    order = np.argsort(records["hash"])  # a search for sorted keys stays in the cache
    keys = records["hash"][order]
    places = np.searchsorted(hashes, keys)
    known = places < len(hashes)
    known[known] = hashes[places[known]] == keys[known]
    return records[order[known]]


def _keep(hashes: npt.NDArray[np.uint64], keep_copies: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """How many copies stay of the piece of each hash."""
    keep_of = np.zeros(len(UNITS), np.int64)
    for unit, keep in keep_copies.items():
        keep_of[UNITS[unit]] = keep
    return keep_of[hashes >> _HASH_BITS]


def repeated(records: np.ndarray, keep_copies: Mapping[str, int]) -> np.ndarray:
    """A `CUT` record for each copy of a piece past the first ones.

    A copy that overlaps the last one kept stays: else text of one repeated character would lose even that.

    Args:
        records: `PIECE` records sorted by hash, id, start.
        keep_copies: how many copies of a piece stay, by unit.
    """
    starts = group_starts(records["hash"])
    sizes = np.diff(starts, append=len(records))
    keep = _keep(records["hash"], keep_copies)
    rank = np.arange(len(records)) - np.repeat(starts, sizes)
    last_kept = records[np.repeat(starts, sizes) + np.minimum(rank, keep - 1)]
    overlaps = (records["id"] == last_kept["id"]) & (records["start"] < last_kept["end"])
    going = (rank >= keep) & ~overlaps
    cuts = np.empty(going.sum(), CUT)
    for field in ("id", "start", "end"):
        cuts[field] = records[field][going]
    cuts["unit"] = records["hash"][going] >> _HASH_BITS
    cuts["of"] = records["id"][np.repeat(starts, sizes)[going]]
    return cuts


def spans(cuts: np.ndarray) -> pa.RecordBatch:
    """One row for each document: its spans, overlapping ones of one unit as one.

    Args:
        cuts: `CUT` records sorted by id, unit, start, end.
    """
    first = np.ones(len(cuts), bool)
    same = (cuts["id"][1:] == cuts["id"][:-1]) & (cuts["unit"][1:] == cuts["unit"][:-1])
    first[1:] = ~(same & (cuts["start"][1:] < cuts["end"][:-1]))
    merged = cuts[first]
    # Pieces of one unit that start later end later, so the last of those merged ends last.
    merged["end"] = cuts["end"][np.flatnonzero(np.r_[first[1:], True])] if len(cuts) else merged["end"]
    starts = group_starts(merged["id"])
    units = pa.array(list(UNITS)).take(pa.array(merged["unit"]))
    values = pa.StructArray.from_arrays(
        [pa.array(merged["start"]), pa.array(merged["end"]), units, pa.array(merged["of"])], fields=list(_SPAN)
    )
    offsets = pa.array(np.r_[starts, len(merged)].astype(np.int32))
    return pa.record_batch(
        [pa.array(merged["id"][starts]), pa.ListArray.from_arrays(offsets, values)],
        schema=pa.schema([("id", pa.uint64()), *FindRepeatedText.writes]),
    )


_SPAN = pa.struct([("start", pa.uint32()), ("end", pa.uint32()), ("unit", pa.string()), ("of", pa.uint64())])


@dataclasses.dataclass(eq=False)
class FindRepeatedText(beam.PTransform):
    """Find pieces of text that occurred before in the corpus: parts in, verdicts on the documents that hold any out.

    The first copies, by document id and place, stay. Each later one is a span in `repeated_text_spans`: first byte, end
    byte (UTF-8), unit, and the id of the document with the first copy. Pieces of different units are found side by side
    and may overlap. A piece of which the normalisation leaves nothing is no copy of any. Pieces are compared by 64-bit
    hashes: among 10^9 different ones less than one is expected to be taken for another.

    As in CCNet (lines), C4 (three sentences), Baichuan 2 (sentences, paragraphs), Lee et al. 2022 (50 tokens) and
    Skywork (several copies of common blocks stay). The text is
    read twice. A window costs 8 bytes of shuffle for each token of the corpus, and 24 for each token repeated.

    Attributes:
        keep_copies: how many copies stay, for each unit that is looked at: `line`, `paragraph`, `sentence`, `span`
            (sentences in a row), `window` (tokens in a row).
        normalise: what counts as the same line, paragraph or sentence: `whitespace`, `text` or `ccnet`, see
            `datapipe.text_hashes.NORMALISATIONS`; windows compare tokens (`datapipe.shingles`).
        min_characters: lines, paragraphs, sentences and spans of fewer characters, normalised, are left alone.
        span_sentences: sentences a span.
        window_tokens: tokens a window.
        parts_per_group: only copies within so many parts in a row count, as in CCNet; 0: all of the corpus.
        partitions: how many groups each shuffle makes; changes no result, only the memory a group takes.
    """

    keep_copies: dict[str, int] = dataclasses.field(default_factory=lambda: {"span": 1})
    normalise: str = "ccnet"
    min_characters: int = 1
    span_sentences: int = 3
    window_tokens: int = 50
    parts_per_group: int = 0
    partitions: int = 64

    name: ClassVar[str] = "repeated_text"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[pa.Schema] = pa.schema([("repeated_text_spans", pa.list_(_SPAN))])

    def __post_init__(self) -> None:
        super().__init__()
        if not self.keep_copies:
            raise ValueError(f"repeated_text: keep_copies must name at least one of {list(UNITS)}, got {{}}")
        for unit, keep in self.keep_copies.items():
            if unit not in UNITS or keep < 1:
                raise ValueError(
                    f"repeated_text: keep_copies must give a number of at least 1 for some of {list(UNITS)}, "
                    f"got {unit!r}: {keep!r}"
                )
        # Pieces carry the white space that ends them, so it cannot count.
        normalisations = [name for name in NORMALISATIONS if name != "none"]
        if self.normalise not in normalisations:
            raise ValueError(f"repeated_text: normalise must be one of {normalisations}, got {self.normalise!r}")
        for field, least in (
            ("min_characters", 1),
            ("span_sentences", 1),
            ("window_tokens", 1),
            ("parts_per_group", 0),
            ("partitions", 1),
        ):
            if getattr(self, field) < least:
                raise ValueError(f"repeated_text: {field} must be at least {least}, got {getattr(self, field)!r}")

    def _pieces(self, part: Part) -> Iterator[np.ndarray]:
        group = np.full(1, part.number // self.parts_per_group if self.parts_per_group else 0, np.uint64)
        for batch in part.read(self.reads):
            yield pieces(
                batch,
                self.keep_copies,
                normalisation_table(self.normalise),
                self.min_characters,
                self.span_sentences,
                self.window_tokens,
                salt=(group * GOLDEN)[0],
            )

    def _hashes(self, part: Part) -> Iterator[np.ndarray]:
        for records in self._pieces(part):
            yield records["hash"].astype(HASH)

    def _frequent(self, records: np.ndarray) -> bytes:
        return frequent(records, self.keep_copies).tobytes()

    def _among(self, part: Part, blocks: Iterable[bytes]) -> Iterator[np.ndarray]:
        hashes = np.sort(np.frombuffer(b"".join(blocks), np.uint64))
        for records in self._pieces(part):
            yield among(records, hashes)

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[pa.RecordBatch]:
        # Few pieces are repeated. Those are found by their hashes alone, a third of the bytes, and split off again.
        parts = parts | "Spread" >> beam.Reshuffle()
        hashes = (
            parts
            | "Hash" >> beam.FlatMap(self._hashes).with_output_types(np.ndarray)
            | "Count" >> GroupRecords(HASH, "hash", self.partitions)
            | "Frequent" >> beam.Map(self._frequent).with_output_types(bytes)
        )
        return (
            parts
            | "Split" >> beam.FlatMap(self._among, beam.pvalue.AsIter(hashes)).with_output_types(np.ndarray)
            | "By hash" >> GroupRecords(PIECE, "hash", self.partitions)
            | "Repeated" >> beam.Map(repeated, self.keep_copies).with_output_types(np.ndarray)
            | "By document" >> GroupRecords(CUT, "id", self.partitions)
            | "Spans" >> beam.Map(spans).with_output_types(pa.RecordBatch)
        )
