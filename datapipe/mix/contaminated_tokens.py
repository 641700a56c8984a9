"""Measures how much of each evaluation record stands in the training data, token by token, as Llama 2 does.

`decontamination` and `evaluation_questions` say yes or no of a document; here an evaluation record is the sample, and
what is told is the share of its tokens that were seen, so that results can be given apart for what was seen and what
was not. Llama 2 (Touvron et al. 2023, appendix A.6): a token is contaminated if it lies in a run of more than 10 tokens
that record and training data share, in which up to 4 tokens may differ, none of the first 10 and not the last. Records
below 20 % are clean, those from 80 % on dirty.

The runs are found by hashes of the first 10 tokens and compared token by token. A run is begun only where it cannot
be begun a token earlier, and where the record is not contaminated as a whole already, so that time is linear in the
text but for texts that repeat one token thousands of times, as a record does.
"""

import dataclasses
import itertools
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Ge, MinLen

from datapipe.checks import Count, FilesOption, PositiveShare
from datapipe.kernels import kernel
from datapipe.mix.decontamination import folded_samples
from datapipe.read.examples import read_evaluation, skip_reason_of
from datapipe.stage import DocumentStage, write_notes
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus, PartKind
from datapipe.store.schemas import EVALUATION_RECORDS
from datapipe.text.normalization import fold
from datapipe.text.token_grams import SHOWN
from tokenizer_training.encode import Encoder, load_encoder

MAX_LEAKS = 100  # records named for a document, those of which it has most first
_SAME_WINDOWS = 64  # of a record that repeats itself, so many beginnings of runs are followed
_FACTOR = np.uint64(0xD6E8FEB86659FD93)  # the base of the hashes of windows: any large odd number

LEAKS = pa.list_(
    pa.struct([("record", pa.string()), ("share", pa.float32()), ("runs", pa.list_(pa.int32())), ("text", pa.string())])
)
RECORDS = pa.schema([("record", pa.string()), ("tokens", pa.list_(pa.uint32()))])
_Ids = npt.NDArray[np.uint32]
_Places = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """The tokens of several texts, one after another: text i has `ids[offsets[i]:offsets[i + 1]]`."""

    ids: _Ids
    offsets: _Places


class Records(NamedTuple):
    """Evaluation records, as runs are looked for in them.

    Attributes:
        tokens: of all records.
        hashes: the different windows of tokens that may begin a run, as hashes, sorted.
        firsts: where the places of each begin in `places`, shape (hashes + 1,).
        places: where the windows begin in `tokens.ids`.
    """

    tokens: Texts
    hashes: npt.NDArray[np.uint64]
    firsts: _Places
    places: _Places


class Runs(NamedTuple):
    """Runs of tokens that texts and records share, by text, each array of shape (runs,).

    Attributes:
        texts, records: the numbers of both.
        begins, ends: in the record, in tokens.
        there: where the run begins in the text, in tokens.
    """

    texts: _Places
    records: _Places
    begins: _Places
    ends: _Places
    there: _Places


def make_records(tokens: Texts, longer_than: int) -> Records:
    """Evaluation records as runs of more than `longer_than` tokens are looked for in them."""
    hashes, places = _windows(tokens, longer_than)
    records = np.searchsorted(tokens.offsets, places, "right")
    order = np.lexsort((places, records, hashes))
    hashes, places, records = hashes[order], places[order], records[order]
    new = np.r_[True, (hashes[1:] != hashes[:-1]) | (records[1:] != records[:-1])][: len(hashes)]
    begun = np.flatnonzero(new)
    rank = np.arange(len(hashes)) - np.repeat(begun, np.diff(np.append(begun, len(hashes))))
    hashes, places = hashes[rank < _SAME_WINDOWS], places[rank < _SAME_WINDOWS]
    distinct, firsts = np.unique(hashes, return_index=True)
    return Records(tokens, distinct, np.append(firsts, len(hashes)), places)


def _windows(tokens: Texts, width: int) -> tuple[npt.NDArray[np.uint64], _Places]:
    """A hash of each run of `width` tokens within a text, and where it begins; equal runs have equal hashes."""
    if len(tokens.ids) < width:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    hashes = np.zeros(len(tokens.ids) - width + 1, np.uint64)
    for at in range(width):
        hashes *= _FACTOR
        hashes += tokens.ids[at : len(hashes) + at]
    places = np.arange(len(hashes))
    whole = places + width <= tokens.offsets[np.searchsorted(tokens.offsets, places, "right")]
    return hashes[whole], places[whole]


@kernel
def _find_runs(
    text_ids: _Ids,
    text_offsets: _Places,
    text_places: _Places,
    slots: _Places,
    record_ids: _Ids,
    record_offsets: _Places,
    record_of: _Places,
    firsts: _Places,
    places: _Places,
    longer_than: int,
    mismatches: int,
    runs: npt.NDArray[np.int64],
) -> int:
    """Write text, record, and begin, end and begin there of each run that contaminates a token anew; how many."""
    marked_by = np.full(len(record_ids), -1, np.int64)  # the last text that has a token
    marked = np.zeros(len(record_offsets) - 1, np.int64)  # tokens of a record that the text `counted_for` has
    counted_for = np.full(len(record_offsets) - 1, -1, np.int64)
    text = count = 0
    for window in range(len(text_places)):
        there = text_places[window]
        while there >= text_offsets[text + 1]:
            text += 1
        if slots[window] < 0:
            continue
        for candidate in range(firsts[slots[window]], firsts[slots[window] + 1]):
            here = places[candidate]
            record = record_of[here]
            first, end = record_offsets[record], record_offsets[record + 1]
            if counted_for[record] != text:
                counted_for[record], marked[record] = text, 0
            if marked[record] == end - first or (
                here > first and there > text_offsets[text] and record_ids[here - 1] == text_ids[there - 1]
            ):
                continue
            length = missed = matched = 0
            while here + length < end and there + length < text_offsets[text + 1] and missed <= mismatches:
                if record_ids[here + length] == text_ids[there + length]:
                    matched = length + 1
                elif length < longer_than:
                    break
                else:
                    missed += 1
                length += 1
            if matched <= longer_than:
                continue
            new = 0
            for at in range(here, here + matched):
                if marked_by[at] != text:
                    marked_by[at] = text
                    new += 1
            marked[record] += new
            if new:
                if count < len(runs):
                    runs[count, 0], runs[count, 1], runs[count, 2] = text, record, here - first
                    runs[count, 3], runs[count, 4] = here - first + matched, there - text_offsets[text]
                count += 1
    return count


def find_runs(texts: Texts, records: Records, longer_than: int = 10, mismatches: int = 4) -> Runs:
    """The runs of tokens by which texts contaminate records.

    Args:
        texts: the training data.
        records: made for the same `longer_than`.
        longer_than: tokens that a run must exceed.
        mismatches: tokens of a run that may differ.

    >>> records = make_records(Texts(np.arange(8, dtype=np.uint32), np.array([0, 8])), longer_than=3)
    >>> text = np.array([9, 2, 3, 4, 5, 9], np.uint32)
    >>> runs = find_runs(Texts(text, np.array([0, 6])), records, longer_than=3)
    >>> runs.begins.tolist(), runs.ends.tolist(), runs.there.tolist()
    ([2], [6], [1])
    """
    hashes, places = _windows(texts, longer_than)
    slots = np.zeros(0, np.int64)
    if len(records.hashes):
        slots = np.minimum(np.searchsorted(records.hashes, hashes), len(records.hashes) - 1)
        slots = np.where(records.hashes[slots] == hashes, slots, -1)
    else:
        places = places[:0]
    ids, offsets = records.tokens
    record_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    found = np.empty((1024, 5), np.int64)
    while True:
        given = (ids, offsets, record_of, records.firsts, records.places, longer_than, mismatches)
        count = _find_runs(texts.ids, texts.offsets, places, slots, *given, found)
        if count <= len(found):
            return Runs(*found[:count].T)
        found = np.empty((count, 5), np.int64)


def joined(begins: _Places, ends: _Places) -> list[tuple[int, int]]:
    """Stretches that may overlap as the fewest that do not, in order.

    >>> joined(np.array([4, 0, 6]), np.array([6, 3, 9]))
    [(0, 3), (4, 9)]
    """
    stretches: list[tuple[int, int]] = []
    for begin, end in sorted(zip(begins.tolist(), ends.tolist(), strict=True)):
        if stretches and begin <= stretches[-1][1]:
            stretches[-1] = stretches[-1][0], max(end, stretches[-1][1])
        else:
            stretches.append((begin, end))
    return stretches


class _Index(NamedTuple):
    names: list[str]
    records: Records


@made_by_content
def _load_index(path: str, longer_than: int) -> _Index:
    with files.open_columns(path) as source:
        table = pq.read_table(source)
    tokens = table.column("tokens").combine_chunks()
    offsets = np.cumsum([0, *tokens.value_lengths().to_pylist()])
    return _Index(
        table.column("record").to_pylist(), make_records(Texts(tokens.flatten().to_numpy(), offsets), longer_than)
    )


@dataclasses.dataclass(eq=False)
class FindContaminatedTokens(DocumentStage):
    """Measure which tokens of evaluation records the documents hold; mark documents that hold much of one.

    Attributes:
        evaluation: files, folders and globs of evaluation records. None: there is nothing to do.
        tokenizer: path of the `tokenizer.json` whose tokens are counted; a share means nothing without it.
        fields: the fields of a record that are the sample; empty: every string in it, at any depth.
        longer_than: tokens that a run must exceed: 10 in Llama 2.
        mismatches: tokens of a run that may differ: 4 in Llama 2.
        remove_from: the share of a record's tokens from which on a document that holds them is removed; from .2 on a
            record is not clean. None: nothing is removed, only measured, as Llama 2 does.
        parts: the kinds of parts that are looked at: "document", "instruction".
    """

    evaluation: list[FilesOption] = dataclasses.field(default_factory=list)
    tokenizer: FilesOption = ""
    fields: list[str] = dataclasses.field(default_factory=list)
    longer_than: Count = 10
    mismatches: Annotated[int, Ge(0)] = 4
    remove_from: PositiveShare | None = 0.2
    parts: Annotated[list[PartKind], MinLen(1)] = dataclasses.field(default_factory=lambda: ["document", "instruction"])
    index: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "contaminated_tokens"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema(
        [("contaminated_tokens_reason", pa.string()), ("contaminated_tokens_leaks", LEAKS)]
    )

    def check(self) -> None:
        """Without a tokenizer there are no tokens."""
        if self.evaluation and not self.tokenizer:
            raise ValueError("contaminated_tokens: tokenizer must name a tokenizer.json")

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def skip_reason(self) -> str | None:
        """Why there is nothing to do, if so."""
        return skip_reason_of(self.evaluation)

    def _encoder(self) -> Encoder:
        return load_encoder(self.tokenizer)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns from files alone
        """Write the tokens of the evaluation records into the folder and return the transform that looks for them."""
        texts: dict[str, list[str]] = {}
        for record, text in read_evaluation(self.evaluation, self.fields):
            texts.setdefault(record, []).append(text)
        folded = fold(pa.array(["\n".join(strings) for strings in texts.values()], pa.string())).to_pylist()
        tokens = self._encoder().encode_batch(folded)
        ready = self.ready(index=files.join(folder, EVALUATION_RECORDS))
        files.write_table(ready.index, pa.table([list(texts), pa.array(tokens, RECORDS.field("tokens").type)], RECORDS))
        notes = [f"tokens are those of {self.tokenizer}"]
        short = sum(len(ids) <= self.longer_than for ids in tokens)
        if short:
            notes.append(f"{short} of {len(texts)} evaluation records have no more than {self.longer_than} tokens")
        write_notes(folder, notes)
        return ready

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Which tokens of which records each document holds."""
        if not self.index:
            raise ValueError("contaminated_tokens: prepare it first: it has no records to look for")
        names, records = _load_index(self.index, self.longer_than)
        texts = Texts(*self._encoder().encode_flat(folded_samples(batch.column("text")).fill_null("").to_pylist()))
        runs = find_runs(texts, records, self.longer_than, self.mismatches)
        leaks: list[list[dict[str, Any]]] = [[] for _ in range(len(batch))]
        bounds = np.flatnonzero(np.diff(runs.texts, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(bounds.tolist()):
            text = int(runs.texts[begin])
            ids = texts.ids[texts.offsets[text] : texts.offsets[text + 1]]
            leaks[text] = self._leaks(names, records, ids, Runs(*(column[begin:end] for column in runs)))
        removed = [
            self.remove_from is not None and any(leak["share"] >= self.remove_from for leak in of_text)
            for of_text in leaks
        ]
        reasons = pa.array(["contaminated_tokens" if is_removed else None for is_removed in removed], pa.string())
        return pa.record_batch([reasons, pa.array([of_text or None for of_text in leaks], LEAKS)], schema=self.writes)

    def _leaks(self, names: list[str], records: Records, ids: _Ids, runs: Runs) -> list[dict[str, Any]]:
        """The records that a text of these tokens shares runs with, as `LEAKS` has them."""
        leaks = []
        for record in np.unique(runs.records).tolist():
            mine = np.flatnonzero(runs.records == record)
            stretches = joined(runs.begins[mine], runs.ends[mine])
            tokens = int(records.tokens.offsets[record + 1] - records.tokens.offsets[record])
            longest = mine[np.argmax(runs.ends[mine] - runs.begins[mine])]
            there, length = int(runs.there[longest]), int(runs.ends[longest] - runs.begins[longest])
            shown = self._encoder().decode(ids[there : there + min(length, SHOWN)])
            share = sum(end - begin for begin, end in stretches) / tokens
            leaks.append(
                {"record": names[record], "share": share, "runs": [*itertools.chain(*stretches)], "text": shown}
            )
        return sorted(leaks, key=lambda leak: -leak["share"])[:MAX_LEAKS]
