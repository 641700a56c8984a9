"""Removes instruction samples that share an n-gram with an evaluation set, so that a test stays a test.

The measure is GPT-3's, as Qwen uses it: one overlap of 13 tokens removes the whole sample, and pretraining text is left
alone unless `parts` says otherwise. Near deduplication compares whole documents; here one sentence is enough.

Both sides are folded alike before that, see `normalization.fold`; what a token is stands in `token_grams`. Two other
measures are stages of their own: `evaluation_questions` asks for a question together with its answer, as pretraining
text needs it, and `contaminated_tokens` says how much of each evaluation record was seen.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from annotated_types import Ge, Le

from datapipe.checks import Count, FilesOption
from datapipe.read.examples import read_evaluation, skip_reason_of
from datapipe.stage import DocumentStage, Parts, write_notes
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus, PartKind
from datapipe.text.normalization import fold
from datapipe.text.token_grams import ngrams
from tokenizer_training.algorithms import CHATML

INDEX = pa.schema([("hash", pa.uint64()), ("tokens", pa.uint8()), ("evaluation", pa.string())])
LEAKS = pa.list_(pa.struct([("record", pa.string()), ("text", pa.string())]))


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
    """What each text has in common with evaluation records, shape (documents,): a list of the type `LEAKS`, or null.

    Args:
        texts: strings, shape (documents,).
        index: the n-grams that `evaluation_index` returns.

    Returns:
        For each text the records, each once, with the first passage that both have, as the text has it: longer n-grams
        first, else as they stand in the text.

    >>> question = "If a train leaves at noon and runs for three hours?"
    >>> index, _ = evaluation_index(pa.array([question]), ["math.jsonl#0"], n=8, shortest=8)
    >>> find_overlaps(pa.array([question.upper(), "When does the train leave?"]), index).to_pylist()
    [[{'record': 'math.jsonl#0', 'text': 'IF A TRAIN LEAVES AT NOON AND RUNS FOR THREE HOURS'}], None]
    """
    known = index.column("hash").to_numpy()
    leaks: list[dict[str, str]] = [{} for _ in range(len(texts))]
    for n in np.unique(index.column("tokens").to_numpy())[::-1]:
        grams = ngrams(texts, int(n))
        rows = np.minimum(np.searchsorted(known, grams.hashes), len(known) - 1)
        hits = np.flatnonzero(known[rows] == grams.hashes)
        names = index.column("evaluation").take(pa.array(rows[hits])).to_pylist()
        documents = grams.documents[hits].tolist()
        owners = list(zip(documents, names, strict=True))
        begins = [
            at for at in range(len(hits)) if at == 0 or hits[at] > hits[at - 1] + 1 or owners[at] != owners[at - 1]
        ]
        for begin, end in itertools.pairwise([*begins, len(hits)]):
            if names[begin] not in leaks[documents[begin]]:
                leaks[documents[begin]][names[begin]] = grams.text(hits[begin], hits[end - 1])
    lists = [[{"record": record, "text": text} for record, text in found.items()] or None for found in leaks]
    return pa.array(lists, LEAKS)


def folded_samples(texts: pa.Array) -> pa.Array:
    """Texts as evaluation sets are looked for in them: without the marks of dialogues, and folded."""
    for mark in CHATML:  # one that ends a message would run into its last word
        texts = pc.replace_substring(texts, mark, " ")
    return fold(texts)


@made_by_content
def _load_index(path: str) -> pa.Table:
    with files.open_columns(path) as source:
        return pq.read_table(source)


@dataclasses.dataclass(eq=False)
class Decontaminate(DocumentStage):
    """Mark instruction samples that overlap an evaluation set.

    Attributes:
        evaluation: files, folders and globs of evaluation records. None: there is nothing to do.
        fields: the fields of a record that count; empty: every string in it, at any depth, but for the answers to
            choose from (`choices`, `endings`, `A` and the like): one of those alone is no question.
        ngram: tokens of the overlap that removes a sample: 13 in GPT-3 (appendix C) and Qwen.
        shortest: an evaluation record without a text of `ngram` tokens is looked for by a text as a whole, if that has
            so many tokens and is more than half of the record: 8 is the shortest overlap that GPT-3 counts.
        parts: the kinds of parts that are looked at: "instruction", "document".
    """

    evaluation: list[FilesOption] = dataclasses.field(default_factory=list)
    fields: list[str] = dataclasses.field(default_factory=list)
    ngram: Annotated[int, Ge(1), Le(255)] = 13
    shortest: Count = 8
    parts: Parts = dataclasses.field(default_factory=lambda: ["instruction"])
    index: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "decontamination"
    version: ClassVar[int] = 9
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            ("decontamination_reason", pa.string()),
            ("decontamination_match", pa.string()),
            ("decontamination_leaks", LEAKS),
        ]
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
        return skip_reason_of(self.evaluation)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns from files alone
        """Write the n-grams of the evaluation sets into the folder and return the transform that looks for them."""
        texts, records = [], []
        for record, text in read_evaluation(self.evaluation, self.fields, options=False):
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
        leaks = find_overlaps(folded_samples(batch.column("text")), _load_index(self.index))
        removed = pc.if_else(leaks.is_valid(), "evaluation_overlap", pa.scalar(None, pa.string()))
        firsts = [None if found is None else f"{found[0]['record']}: {found[0]['text']}" for found in leaks.to_pylist()]
        return pa.record_batch([removed, pa.array(firsts, pa.string()), leaks], schema=self.writes)
