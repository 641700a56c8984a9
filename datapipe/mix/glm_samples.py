"""Rows of one length for GLM's three objectives: blanks in tokens, blanks of sentences, the end of a text.

What GLM-130B was trained on: 30 % of the rows hide spans (`[MASK]`), 70 % the end (`[gMASK]`); rows of blanks and of
instructions hold four samples of a quarter's length, which do not see each other. `packing.py` makes rows for the usual
objective, of the next token. `blank_infilling.py` makes a sample; here texts are cut for them, and rows written.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Ge, MinLen

from datapipe.checks import Count, FilesOption, Positive, PositiveShare, Seed, Share, check_known
from datapipe.flow.counters import count
from datapipe.flow.gather import Gather
from datapipe.flow.spread import Spread
from datapipe.mix.blank_infilling import (
    Draw,
    Ints,
    Sample,
    Tokens,
    answer,
    generate,
    generation_length,
    infill,
    sentence_spans,
    token_spans,
)
from datapipe.mix.chat_tokens import NO_LOSS, PieceEncoder, load_piece_encoder
from datapipe.mix.shards import COPIES, MANIFEST, row_ids, shuffle_copies
from datapipe.stage import Parts, ProductStage
from datapipe.store import files
from datapipe.store.corpus import Part, PartKind
from datapipe.text.bit_mixing import fractions, golden_multiple, uniform_draw
from datapipe.text.dialogues import read_dialogues, spoken_text
from datapipe.text.passages import SENTENCE, split

Objective = Literal["token", "sentence", "document"]
INSTRUCTION = "instruction"  # the objective of rows of instructions
CONTROL = {
    "token": "[MASK]",
    "sentence": "[sMASK]",
    "document": "[gMASK]",
    "start": "<sop>",
    "end": "<eop>",
    "end_of_text": "<eos>",
    "pad": "<pad>",
}
GROUP_ROWS = 256  # of a row group
SUB_ROW = pa.struct([("begin", pa.int32()), ("context", pa.int32()), ("end", pa.int32())])
_FEWEST = 8  # tokens that a text must have for any objective
_SPREAD = 6  # standard deviations of the number of blanks for which there is room in a row


class Draws:
    """Numbers in [0, 1) for one part, always the same for it and the seed."""

    def __init__(self, part: int, seed: int) -> None:
        self._key = golden_multiple(part)
        self._seed = seed
        self._next = 0

    def __call__(self, count: int) -> npt.NDArray[np.float64]:
        numbers = np.arange(self._next, self._next + count, dtype=np.uint64)
        self._next += count
        return uniform_draw(numbers ^ self._key, self._seed)


@dataclasses.dataclass(frozen=True)
class Stream:
    """The documents of a part one after another, each with an end-of-text token.

    Attributes:
        ids: shape (tokens,).
        ends: where each document ends, shape (documents,).
        sentences: where sentences begin, if that is asked for.
        names: of the documents, in this order.
    """

    ids: npt.NDArray[np.int32]
    ends: Ints
    sentences: Ints
    names: list[str]

    def ends_within(self, begin: int, end: int) -> Ints:
        """Where the documents of a stretch end in it; the last one at its end."""
        inner = self.ends[np.searchsorted(self.ends, begin, "right") : np.searchsorted(self.ends, end, "left")]
        return np.append(inner, end) - begin

    def sentences_within(self, begin: int, end: int) -> Ints:
        """Where the sentences of a stretch begin in it, the first at its beginning."""
        first, last = np.searchsorted(self.sentences, [begin + 1, end], "left")
        return np.concatenate([[begin], self.sentences[first:last]]) - begin

    def names_within(self, begin: int, end: int) -> list[str]:
        """The documents of a stretch."""
        first, last = np.searchsorted(self.ends, [begin, end - 1], "right")
        return self.names[first : last + 1]


@dataclasses.dataclass(frozen=True)
class Row:
    """A row: its samples, one after another, their documents, and how many tokens or dialogues of these they are."""

    objective: str
    samples: tuple[Sample, ...]
    names: tuple[str, ...]
    amount: int


@dataclasses.dataclass(eq=False)
class WriteGLMSamples(ProductStage):
    """Write documents and instruction data as rows for GLM's objectives.

    Parts in, a summary a file out: `train-00000.parquet` for part 0, with `input_ids`, `labels` (-100: no loss),
    `position_ids` and `block_position_ids` (where positions are "2d"), `sub_rows` (where each sample begins, its part A
    ends, and it ends: `datapipe.mix.blank_infilling.attention_mask` says what sees what), the `objective`, and the
    `ids` of the documents. What the mixture takes several times comes several times.

    Of a dialogue, what comes before the last answer is text, and the answer the target; a text that is too long loses
    its beginning, and an answer that is too long is left out and counted.

    Attributes:
        tokenizer: path of the `tokenizer.json`, which must have the control tokens as special tokens.
        objectives: shares of the rows of documents: "token" (`[MASK]`), "sentence" (`[sMASK]`), "document" (`[gMASK]`).
            GLM-130B .3, 0, .7; GLM-10B .5, .3, .2; the Chinese GLM .4, .3, .3.
        mask_share: of a text's tokens to hide in blanks of tokens or sentences.
        span_mean: of the Poisson distribution of the lengths of blanks of tokens, before it is restricted to 1..39.
        min_generation_share: of a text's tokens that "document" hides at least: .2 in GLM-130B, .25 in GLM-10B, .5 in
            the paper.
        length: tokens of a row.
        sub_rows: how many samples a row of "token", "sentence" and instructions has, each of so much of the length.
        positions: "2d": those of part B are where its blanks stand, with a second one within the blank (GLM); "1d":
            running on (GLM-130B).
        parts: what it writes: "document", "instruction".
        control_tokens: names of your own for the control tokens, by what they are for: "token", "sentence", "document",
            "start", "end", "end_of_text" (after each document), "pad".
        seed: of the shuffle and of all draws.
    """

    tokenizer: Annotated[FilesOption, MinLen(1)]
    objectives: Annotated[dict[Objective, Share], MinLen(1)] = dataclasses.field(
        default_factory=lambda: {"token": 0.3, "document": 0.7}
    )
    mask_share: PositiveShare = 0.15
    span_mean: Positive = 3.0
    min_generation_share: Share = 0.2
    length: Annotated[int, Ge(64)] = 2048
    sub_rows: Count = 4
    positions: Literal["1d", "2d"] = "1d"
    parts: Parts = dataclasses.field(default_factory=lambda: ["document", "instruction"])
    control_tokens: dict[str, str] = dataclasses.field(default_factory=dict)
    seed: Seed = 0
    folder: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "glm_samples"

    def check(self) -> None:
        """The shares are of one whole, rows are cut evenly, and control tokens are known."""
        if abs(sum(self.objectives.values()) - 1) > 1e-9:
            raise ValueError(f"glm_samples: objectives must be shares of one whole, got {self.objectives!r}")
        if self.length % self.sub_rows or self.length // self.sub_rows < 32:
            raise ValueError(
                f"glm_samples: sub_rows must divide length ({self.length}) into parts of 32 tokens or more, "
                f"got {self.sub_rows!r}"
            )
        for role in self.control_tokens:
            check_known("glm_samples: control_tokens: no control token is for", role, CONTROL)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """As `parts` says."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def optional(self) -> tuple[str, ...]:
        """Dialogues, and how often a document is written."""
        return ("messages", COPIES)

    @property
    def sub_length(self) -> int:
        """Tokens of a sub-row."""
        return self.length // self.sub_rows

    @property
    def text_length(self) -> int:
        """Tokens of text for a sub-row of blanks: each blank takes two more, and their number varies."""
        blanks = self.mask_share / self.span_mean  # a token
        size = self.sub_length
        while size + 2 * (blanks * size + _SPREAD * math.sqrt(blanks * size / self.span_mean)) > self.sub_length:
            size -= 1
        return size

    def _tokens(self, encoder: PieceEncoder) -> dict[str, int]:
        """The ids of the control tokens, by what they are for."""
        found = {}
        for role, name in (CONTROL | self.control_tokens).items():
            if role in ("sentence", "document") and role not in self.objectives:
                continue
            if name not in encoder.control:
                raise ValueError(
                    f"glm_samples: the tokenizer has no special token {name!r} ({role}); it has "
                    f"{', '.join(encoder.control) or 'none'}: see control_tokens"
                )
            found[role] = encoder.control[name]
        return found

    def _read(self, part: Part) -> tuple[pa.Table, npt.NDArray[np.uint64], Ints] | None:
        """The kept rows of a part, their ids, and in which order they come, as often as the mixture takes them."""
        columns = ["text"] if part.kind == "document" else ["text", "messages"]
        batches = list(part.read(columns, optional=["tools", COPIES]))
        if not batches:
            return None
        table = pa.Table.from_batches(batches).combine_chunks()
        ids = table.column("id").to_numpy()
        copies = np.ones(len(table), np.int32)
        if COPIES in table.column_names:
            copies = table.column(COPIES).fill_null(0).to_numpy()
        order, _ = shuffle_copies(ids, copies, np.zeros_like(copies), self.seed)
        return table, ids, order

    def _stream(
        self, table: pa.Table, ids: npt.NDArray[np.uint64], order: Ints, encoder: PieceEncoder, end_of_text: int
    ) -> Stream:
        """The documents of a part, one after another."""
        texts = table.column("text").take(pa.array(order)).fill_null("").to_pylist()
        flat, bounds = encoder.encoder.encode_flat(texts)
        lengths = np.diff(bounds)
        places = np.arange(len(flat)) + np.repeat(np.arange(len(texts)), lengths)
        stream = np.full(len(flat) + len(texts), end_of_text, np.int32)
        stream[places] = flat
        ends = np.cumsum(lengths + 1)
        starts = []
        if self.objectives.get("sentence"):
            for text, begin, end in zip(texts, (ends - lengths - 1).tolist(), ends.tolist(), strict=True):
                starts.append(begin + _sentence_starts(text, stream[begin : end - 1], encoder))
        sentences = np.concatenate(starts) if starts else np.zeros(0, np.int64)
        return Stream(stream, ends, sentences, row_ids(pa.array(ids[order])).to_pylist())

    def rows_of_documents(self, stream: Stream, part: int, tokens: dict[str, int]) -> Iterator[Row]:
        """The rows of a part's documents; what is left at the end and too short for any is left out."""
        draw = Draws(part, self.seed)
        start = float(draw(1)[0])
        names, bounds = list(self.objectives), np.cumsum(list(self.objectives.values()))
        at = 0
        for number in itertools.count():
            if len(stream.ids) - at < _FEWEST:
                return
            # Multiples of the golden ratio fall into all shares as evenly as can be, however few rows there are.
            place = (start + float(fractions(np.array([golden_multiple(number)]))[0])) % 1
            objective = names[min(int(np.searchsorted(bounds, place, "right")), len(names) - 1)]
            begin, left_out = at, 0
            if objective == "document":
                at = min(len(stream.ids), at + self.length - 2)
                text = stream.ids[begin:at]
                length = generation_length(len(text), max(self.min_generation_share, 1 / len(text)), draw)
                samples = [generate(text, length, Tokens(tokens["document"], tokens["start"], tokens["end"]))]
            else:
                samples = []
                while len(samples) < self.sub_rows and len(stream.ids) - at >= _FEWEST:
                    first, (at, sample) = at, self._blanks(stream, at, objective, tokens, draw)
                    samples += [sample] if sample else []
                    left_out += 0 if sample else at - first
            if samples:
                size = at - begin - left_out
                yield Row(objective, tuple(samples), tuple(stream.names_within(begin, at)), size)

    def _blanks(
        self, stream: Stream, begin: int, objective: str, tokens: dict[str, int], draw: Draw
    ) -> tuple[int, Sample | None]:
        """A sample with blanks from a place of the stream on, and where its text ends; none of what is too short."""
        ids = Tokens(tokens[objective], tokens["start"], tokens["end"])
        end = min(len(stream.ids), begin + self.text_length)
        while True:
            ends = stream.ends_within(begin, end)
            if objective == "token":
                found = token_spans(ends, self.mask_share, self.span_mean, draw)
            else:
                found = sentence_spans(stream.sentences_within(begin, end), end - begin, self.mask_share, draw)
            if found is None:
                if len(ends) == 1:
                    return end, None
                end = begin + int(ends[0])  # the first document alone
                continue
            begins, lengths = found
            excess = end - begin + 2 * len(lengths) - self.sub_length
            if excess <= 0:
                order = np.argsort(draw(len(lengths)), kind="stable").tolist()
                return end, infill(stream.ids[begin:end], begins, lengths, ids, order)
            end -= excess

    def _rows_of_instructions(
        self,
        table: pa.Table,
        ids: npt.NDArray[np.uint64],
        order: Ints,
        encoder: PieceEncoder,
        tokens: dict[str, int],
    ) -> Iterator[Row]:
        """The rows of a part's dialogues; one without an answer, or with one that is too long, is left out."""
        names = row_ids(pa.array(ids)).to_pylist()
        tools = table.column("tools") if "tools" in table.column_names else pa.nulls(len(table), pa.string())
        dialogues = read_dialogues(table.column("messages").combine_chunks(), tools)
        mask = Tokens(tokens["token"], tokens["start"], tokens["end"])
        waiting: list[tuple[Sample, str]] = []
        for place in order.tolist():
            messages = dialogues[place].messages
            last = max((at for at, message in enumerate(messages) if message.role == "assistant"), default=-1)
            if last < 0:
                continue
            question, target = spoken_text(messages[:last]), messages[last].content
            ids_of, bounds = encoder.encoder.encode_flat([question, target])
            flat = ids_of.astype(np.int32)
            sample = answer(flat[: bounds[1]], flat[bounds[1] :], mask, self.sub_length)
            waiting += [(sample, names[place])] if sample else []
            if len(waiting) == self.sub_rows:
                yield _row(waiting)
                waiting = []
        if waiting:
            yield _row(waiting)

    def table(self, rows: list[Row], pad: int) -> pa.Table:
        """Rows as a table."""
        shape = (len(rows), self.length)
        inputs, labels = np.full(shape, pad, np.int32), np.full(shape, NO_LOSS, np.int32)
        positions, blocks = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        subs: list[list[dict[str, int]]] = []
        for number, row in enumerate(rows):
            own = []
            for place, sample in enumerate(row.samples):
                begin = place * self.sub_length
                end = begin + len(sample.inputs)
                inputs[number, begin:end], labels[number, begin:end] = sample.inputs, sample.labels
                positions[number, begin:end] = sample.positions if self.positions == "2d" else np.arange(end - begin)
                blocks[number, begin:end] = sample.block_positions
                own.append({"begin": begin, "context": begin + sample.context, "end": end})
            subs.append(own)
        columns = {"input_ids": inputs, "labels": labels, "position_ids": positions}
        columns |= {"block_position_ids": blocks} if self.positions == "2d" else {}
        return pa.table(
            {
                name: pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), self.length)
                for name, values in columns.items()
            }
            | {
                "sub_rows": pa.array(subs, pa.list_(SUB_ROW)),
                "objective": pa.array([row.objective for row in rows], pa.string()),
                "ids": pa.array([list(row.names) for row in rows], pa.list_(pa.string())),
            }
        )

    def _write(self, part: Part) -> Iterator[dict[str, Any]]:
        """Write one part and return its entry in the manifest, if it has any row."""
        encoder = load_piece_encoder(self.tokenizer)
        tokens = self._tokens(encoder)
        read = self._read(part)
        if read is None:
            return
        if part.kind == "document":
            stream = self._stream(*read, encoder, tokens["end_of_text"])
            rows, there, unit = self.rows_of_documents(stream, part.number, tokens), len(stream.ids), "tokens"
        else:
            rows, there, unit = self._rows_of_instructions(*read, encoder, tokens), len(read[2]), "dialogues"
        first = next(rows, None)
        if first is None:
            return
        rows = itertools.chain([first], rows)
        name = f"train-{part.number:05d}.parquet"
        counts: dict[str, int] = {}
        used = 0
        schema = self.table([], 0).schema
        with (
            files.whole_file(files.join(self.folder, name)) as sink,
            pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=["objective"]) as writer,
        ):
            while group := list(itertools.islice(rows, GROUP_ROWS)):
                table = self.table(group, tokens["pad"])
                writer.write_table(table)
                count(self.name, bytes=table.nbytes)
                for row in group:
                    counts[row.objective] = counts.get(row.objective, 0) + 1
                    used += row.amount
        yield {
            "file": name,
            "rows": sum(counts.values()),
            "objectives": dict(sorted(counts.items())),
            unit: used,
            f"{unit}_left_out": there - used,
        }

    def _finish(self, summaries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        written = sorted(summaries, key=lambda summary: summary["file"])
        totals: dict[str, int] = {}
        for summary in written:
            for objective, number in summary["objectives"].items():
                totals[objective] = totals.get(objective, 0) + number
        manifest = {"rows": sum(totals.values()), "objectives": totals, "length": self.length, "files": written}
        files.write_json(files.join(self.folder, MANIFEST), manifest)
        return written

    def expand(self, parts: beam.PCollection[Part]) -> beam.PCollection[dict[str, Any]]:
        return (
            parts
            | "Spread" >> Spread()
            | "Infill" >> beam.FlatMap(self._write).with_output_types(dict[str, Any])
            | "Gather" >> Gather()
            | "Finish" >> beam.FlatMap(self._finish).with_output_types(dict[str, Any])
        )


def _row(waiting: list[tuple[Sample, str]]) -> Row:
    """A row of instructions."""
    return Row(INSTRUCTION, tuple(sample for sample, _ in waiting), tuple(name for _, name in waiting), len(waiting))


def _sentence_starts(text: str, ids: npt.NDArray[np.int32], encoder: PieceEncoder) -> Ints:
    """The tokens of a text with which its sentences begin."""
    data = np.frombuffer(text.encode(), np.uint8)
    _, begins, _ = split(data, np.array([0, len(data)]), SENTENCE)
    lengths = encoder.token_bytes[ids]
    return np.unique(np.searchsorted(np.cumsum(lengths) - lengths, begins, "left").astype(np.int64))
