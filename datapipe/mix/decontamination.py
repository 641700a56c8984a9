"""Removes instruction samples that share an n-gram with an evaluation set, so that a test stays a test.

The measure is GPT-3's, as Qwen uses it: one overlap of 13 tokens removes the whole sample, and pretraining text is left
alone unless `parts` says otherwise. Near deduplication compares whole documents; here one sentence is enough.

Both sides are folded alike before that, see `normalization.fold`. A token is what GPT-3 calls a word: lower case,
punctuation, symbols and control characters removed without trace ("don't" is "dont"), split at white space; each Han
or kana character is a token of its own, and each letter of the other scripts without spaces a quarter of one: Thai,
Khmer or Burmese words have about four, and 13 letters are no more than a phrase.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from annotated_types import Ge, Le, MinLen

from datapipe.checks import Count, FilesOption
from datapipe.kernels import kernel
from datapipe.read.examples import read_evaluation
from datapipe.read.instructions import MARKUP
from datapipe.stage import DocumentStage, write_notes
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus, PartKind
from datapipe.text.bit_mixing import splitmix64
from datapipe.text.characters import (
    CONTROL,
    HAN,
    PUNCTUATION,
    SPACE,
    UNSPACED_RANGES,
    class_table,
    decode,
    lower_table,
    text_buffers,
)
from datapipe.text.normalization import fold

INDEX = pa.schema([("hash", pa.uint64()), ("tokens", pa.uint8()), ("evaluation", pa.string())])

_REMOVED, _SPACE, _IN_WORD, _HAN, _LETTER = range(5)  # what a code point is to tokens
_TIBETAN = (0x0F00, 0x0FFF)  # the mark between its syllables is punctuation: without it they would run together
_QUARTERS = 4  # in a token: so many letters of a script without spaces are taken for a word
_FACTOR = np.uint64(0xD6E8FEB86659FD93)  # the base of both rolling hashes: any large odd number


@functools.cache
def _token_table() -> npt.NDArray[np.uint8]:
    """What each code point is to tokens, shape (0x110000,)."""
    classes = class_table()
    table = np.full(len(classes), _IN_WORD, np.uint8)
    for first, last in (*UNSPACED_RANGES, _TIBETAN):
        table[first : last + 1] = _LETTER
    table[(classes & (PUNCTUATION | CONTROL)) > 0] = _REMOVED
    table[(classes & HAN) > 0] = _HAN
    table[(classes & SPACE) > 0] = _SPACE
    table.flags.writeable = False
    return table


@functools.cache
def _letter_table() -> npt.NDArray[np.int32]:
    """`lower_table` with one i: Turkish capitals have two, and without the language none says which it stands for."""
    table = lower_table().copy()
    table[[ord("İ"), ord("ı")]] = ord("i")
    table.flags.writeable = False
    return table


@kernel
def _ngrams(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    n: int,
    kinds: npt.NDArray[np.uint8],
    lower: npt.NDArray[np.int32],
) -> tuple[
    npt.NDArray[np.uint64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
]:
    # Two tokens side by side take at least two bytes: a space lies between them, or one is a character of three.
    size = (offsets[-1] - offsets[0]) // 2 + len(offsets)
    hashes = np.empty(size, np.uint64)
    documents = np.empty(size, np.int64)
    begins = np.empty(size, np.int64)
    ends = np.empty(size, np.int64)
    sizes = np.zeros(len(offsets) - 1, np.int64)
    # The tokens from `first` up to `tokens`, the fewest last ones that make n, in a ring: token t lies in t % its size.
    whole = n * _QUARTERS
    ring = np.zeros(whole + 1, np.uint64)
    ring_begins = np.zeros(whole + 1, np.int64)
    ring_quarters = np.zeros(whole + 1, np.int64)
    powers = np.ones(whole + 1, np.uint64)
    for exponent in range(whole):
        powers[exponent + 1] = powers[exponent] * _FACTOR
    grams = 0
    for document in range(len(offsets) - 1):
        at, stop = offsets[document], offsets[document + 1]
        rolling = np.uint64(0)
        first = tokens = held = 0
        newest = oldest = 0
        while at < stop:
            word = np.uint64(0)
            begin = end = at
            quarters = _QUARTERS
            while at < stop:
                code_point, after = decode(data, at)
                kind = kinds[code_point]
                is_whole = kind >= _HAN
                if kind == _SPACE or (is_whole and word != 0):
                    break
                if kind != _REMOVED:
                    if word == 0:
                        begin = at
                    word = (word + np.uint64(lower[code_point]) + np.uint64(1)) * _FACTOR
                    end = after
                at = after
                if is_whole:
                    if kind == _LETTER:
                        quarters = 1
                    break
            if word != 0:
                word = splitmix64(word)
                rolling = rolling * _FACTOR + word
                ring[newest], ring_begins[newest], ring_quarters[newest] = word, begin, quarters
                newest = newest + 1 if newest < whole else 0
                tokens += 1
                held += quarters
                sizes[document] += quarters
                while held - ring_quarters[oldest] >= whole:
                    held -= ring_quarters[oldest]
                    first += 1
                    rolling -= ring[oldest] * powers[tokens - first]
                    oldest = oldest + 1 if oldest < whole else 0
                if held >= whole:
                    hashes[grams] = splitmix64(rolling + np.uint64(n))
                    documents[grams] = document
                    begins[grams] = ring_begins[oldest]
                    ends[grams] = end
                    grams += 1
            elif at < stop:
                at = decode(data, at)[1]
    return hashes[:grams], documents[:grams], begins[:grams], ends[:grams], sizes


def ngrams(texts: pa.Array | pa.ChunkedArray, n: int) -> "Grams":
    """Every run of n tokens in each text, hashed, in order: for each last token the shortest run that comes to n.

    Args:
        texts: strings, shape (documents,); nulls have no tokens.
        n: tokens in a run.
    """
    data, offsets = text_buffers(texts)
    return Grams(data, *_ngrams(data, offsets, n, _token_table(), _letter_table()))


@dataclasses.dataclass(frozen=True)
class Grams:
    """The n-grams of some texts.

    Attributes:
        data: the bytes of the texts.
        hashes: 64 bits a gram, shape (grams,).
        documents: the row of the text that it stands in, ascending, shape (grams,).
        begins: its first byte in `data`, shape (grams,).
        ends: the byte after its last, shape (grams,).
        sizes: how long each text is, in quarters of a token, shape (texts,).
    """

    data: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint64]
    documents: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    def text(self, gram: int) -> str:
        """A gram as it was written."""
        return self.data[self.begins[gram] : self.ends[gram]].tobytes().decode()


def evaluation_index(texts: pa.Array, records: Sequence[str], n: int, shortest: int) -> tuple[pa.Table, int]:
    """The n-grams by which evaluation records are known.

    A record is known by every n-gram of each of its texts. One that has no text of n tokens is known by a text as a
    whole, if that has at least `shortest` tokens and is more than half of the record: a still shorter one would match
    by chance, and an answer option is not the question. Without such a text it is not looked for.

    Args:
        texts: the strings of the records, shape (texts,); what a record says twice counts once.
        records: the name of the record that each text belongs to, shape (texts,).
        n: tokens of an n-gram.
        shortest: tokens of the shortest text that is looked for.

    Returns:
        The n-grams sorted by hash, with the schema `INDEX`; how many records are not looked for.
    """
    distinct = dict.fromkeys(zip(records, texts.to_pylist(), strict=True))
    texts = pa.array([text for _, text in distinct], pa.string())
    names = list(dict.fromkeys(records))
    numbers = {name: number for number, name in enumerate(names)}
    record = np.array([numbers[name] for name, _ in distinct], np.int64)
    sizes = ngrams(texts, n).sizes
    is_most = 2 * sizes > np.bincount(record, sizes, len(names))[record]
    unknown = np.ones(len(names), bool)
    found = [(np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.int64))]
    for length in range(n, shortest - 1, -1):
        rows = np.flatnonzero(unknown[record] & (is_most | (length == n)))
        grams = ngrams(texts.take(pa.array(rows)), length)
        owner = record[rows[grams.documents]]
        unknown[owner] = False
        found.append((grams.hashes, np.full(len(owner), length, np.uint8), owner))
    hashes, tokens, owners = (np.concatenate(column) for column in zip(*found, strict=True))
    hashes, first = np.unique(hashes, return_index=True)  # of equal ones the first: the earliest record
    evaluation = pa.array(names, pa.string()).take(pa.array(owners[first]))
    return pa.table([hashes, tokens[first], evaluation], schema=INDEX), int(unknown.sum())


def find_overlaps(texts: pa.Array | pa.ChunkedArray, index: pa.Table) -> pa.Array:
    """Where each text first overlaps an evaluation record, shape (documents,).

    Args:
        texts: strings, shape (documents,).
        index: the n-grams that `evaluation_index` returns.

    Returns:
        `record: the words that both have, as the text has them`, or null where there are none.

    >>> question = "If a train leaves at noon and runs for three hours, when does it arrive?"
    >>> index, _ = evaluation_index(pa.array([question]), ["math.jsonl#0"], n=13, shortest=8)
    >>> find_overlaps(pa.array([question.upper(), "When does the train leave?"]), index).to_pylist()
    ['math.jsonl#0: IF A TRAIN LEAVES AT NOON AND RUNS FOR THREE HOURS, WHEN DOES', None]
    """
    known = index.column("hash").to_numpy()
    matches: list[str | None] = [None] * len(texts)
    for n in np.unique(index.column("tokens").to_numpy())[::-1]:
        grams = ngrams(texts, int(n))
        rows = np.minimum(np.searchsorted(known, grams.hashes), len(known) - 1)
        hits = np.flatnonzero(known[rows] == grams.hashes)
        documents, first = np.unique(grams.documents[hits], return_index=True)
        for document, gram in zip(documents, hits[first], strict=True):
            if matches[document] is None:
                matches[document] = f"{index.column('evaluation')[int(rows[gram])]}: {grams.text(gram)}"
    return pa.array(matches, pa.string())


@kernel
def _mark_runs(
    sample: npt.NDArray[np.int64],
    training: npt.NDArray[np.int64],
    firsts: npt.NDArray[np.int64],
    lasts: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    longer_than: int,
    skips: int,
) -> npt.NDArray[np.bool_]:
    marked = np.zeros(len(sample), np.bool_)
    for start in range(len(firsts)):
        for candidate in range(firsts[start], lasts[start]):
            there = order[candidate]
            length, mismatches, matched = 0, 0, 0
            while start + length < len(sample) and there + length < len(training) and mismatches <= skips:
                if sample[start + length] == training[there + length]:
                    matched = length + 1
                elif length < longer_than:
                    break
                else:
                    mismatches += 1
                length += 1
            if matched > longer_than:
                marked[start : start + matched] = True
    return marked


def contaminated_tokens(
    sample: npt.NDArray[np.int64], training: npt.NDArray[np.int64], longer_than: int = 10, skips: int = 4
) -> npt.NDArray[np.bool_]:
    """Which tokens of an evaluation sample are contaminated, as Llama 2 measures it.

    A token is, if it lies in a run of more than `longer_than` tokens that sample and training text share, position by
    position. A run may hold up to `skips` tokens that differ, though none among its first `longer_than` and not its
    last. Llama 2 calls a sample clean below 20 % of such tokens and dirty above 80 %.

    Args:
        sample: token ids, shape (tokens,).
        training: token ids of the training text, shape (training tokens,).
        longer_than: tokens that a run must exceed.
        skips: tokens of a run that may differ.

    Returns:
        One flag a token, shape (tokens,).

    >>> sample, training = np.arange(8), np.array([9, 2, 3, 4, 5, 9])
    >>> contaminated_tokens(sample, training, longer_than=3).tolist()
    [False, False, True, True, True, True, False, False]
    """
    if min(len(sample), len(training)) <= longer_than:
        return np.zeros(len(sample), bool)
    ours, theirs = (_window_hashes(tokens, longer_than) for tokens in (sample, training))
    order = np.argsort(theirs, kind="stable")
    firsts, lasts = (np.searchsorted(theirs[order], ours, side) for side in ("left", "right"))
    return _mark_runs(sample, training, firsts, lasts, order, longer_than, skips)


def _window_hashes(tokens: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint64]:
    """A hash of each run of `width` tokens; equal runs only need equal hashes, since the kernel compares tokens."""
    windows = np.lib.stride_tricks.sliding_window_view(tokens.astype(np.uint64), width)
    powers = np.cumprod(np.full(width, _FACTOR, np.uint64), dtype=np.uint64)
    return windows @ powers


@made_by_content
def _load_index(path: str) -> pa.Table:
    with files.open_input(path) as source:
        return pq.read_table(source)


@dataclasses.dataclass(eq=False)
class Decontaminate(DocumentStage):
    """Mark instruction samples that overlap an evaluation set.

    Attributes:
        evaluation: files, folders and globs of evaluation records. None: there is nothing to do.
        fields: the fields of a record that count; empty: every string in it, at any depth.
        ngram: tokens of the overlap that removes a sample: 13 in GPT-3 (appendix C) and Qwen.
        shortest: an evaluation record without a text of `ngram` tokens is looked for by a text as a whole, if that has
            so many tokens and is more than half of the record: 8 is the shortest overlap that GPT-3 counts.
        parts: the kinds of parts that are looked at: "instruction", "document".
    """

    evaluation: list[FilesOption] = dataclasses.field(default_factory=list)
    fields: list[str] = dataclasses.field(default_factory=list)
    ngram: Annotated[int, Ge(1), Le(255)] = 13
    shortest: Count = 8
    parts: Annotated[list[PartKind], MinLen(1)] = dataclasses.field(default_factory=lambda: ["instruction"])
    index: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "decontamination"
    version: ClassVar[int] = 7
    writes: ClassVar[pa.Schema] = pa.schema(
        [("decontamination_reason", pa.string()), ("decontamination_match", pa.string())]
    )

    def check(self) -> None:
        """A short record is looked for by no more than an n-gram."""
        if not 1 <= self.shortest <= self.ngram:
            raise ValueError(f"decontamination: shortest must be from 1 to ngram ({self.ngram}), got {self.shortest!r}")

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def skip_reason(self) -> str | None:
        """Why there is nothing to do, if so."""
        if not self.evaluation:
            return "no evaluation set given"
        if not any(files.find(path) for path in self.evaluation):
            return f"no evaluation set at {', '.join(self.evaluation)}"
        return None

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns from files alone
        """Write the n-grams of the evaluation sets into the folder and return the transform that looks for them."""
        texts, records = [], []
        for record, text in read_evaluation(self.evaluation, self.fields):
            texts.append(text)
            records.append(record)
        ready = self.ready(index=files.join(folder, "ngrams.parquet"))
        index, missed = evaluation_index(fold(pa.array(texts, pa.string())), records, self.ngram, self.shortest)
        files.write_table(ready.index, index)
        if missed:
            note = f"{missed} of {len(set(records))} evaluation records are too short to look for"
            advice = "" if self.fields else "; more are found if fields names the question alone"
            write_notes(folder, [note + advice])
        return ready

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self.index:
            raise ValueError("decontamination: prepare it first: it has no n-grams to look for")
        texts = batch.column("text")
        # The marks that end a message would run into its last word.
        for mark in MARKUP:
            texts = pc.replace_substring(texts, mark, " ")
        matches = find_overlaps(fold(texts), _load_index(self.index))
        removed = pc.if_else(matches.is_valid(), "evaluation_overlap", pa.scalar(None, pa.string()))
        return pa.record_batch([removed, matches], schema=self.writes)
