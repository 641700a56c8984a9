"""Encodes the pieces of dialogues: ids and labels, in which no text is ever a control token.

Control tokens are looked up, text is encoded with control tokens off. A run of neighbouring text pieces is encoded as
one, as transformers encodes a rendered template; a token of it bears loss if one of its characters does, which is also
how transformers makes a mask of `{% generation %}`.
"""

import dataclasses
import json
from collections.abc import Iterable
from typing import Annotated, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import MinLen

from datapipe.checks import FilesOption
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus, PartKind
from tokenizer_training.encode import Encoder, load_encoder
from tokenizer_training.formats import token_bytes

NO_LOSS = -100  # the label that losses ignore, in PyTorch and transformers


class PieceEncoder(NamedTuple):
    """A tokenizer as the pieces need it.

    Attributes:
        encoder: that encodes text as text, whatever it spells.
        control: the id of each special token.
        token_bytes: how many bytes of text each id stands for, shape (ids,); -1 of special tokens.
        prefixed: whether the tokenizer puts a space before each text.
    """

    encoder: Encoder
    control: dict[str, int]
    token_bytes: npt.NDArray[np.int64]
    prefixed: bool


@made_by_content
def load_piece_encoder(path: str) -> PieceEncoder:
    """The encoder of a `tokenizer.json` file, once a process."""
    encoder = load_encoder(path)
    with files.open_input(path) as source:
        content = json.loads(bytes(source.read()))
    added = content["added_tokens"]
    control = {token["content"]: token["id"] for token in added if token["special"]}
    spelt = token_bytes(content)
    spelt |= {token["id"]: token["content"].encode() for token in added if not token["special"]}
    lengths = np.full(max([*spelt, *control.values()]) + 1, -1, np.int64)
    lengths[list(spelt)] = [len(token) for token in spelt.values()]
    return PieceEncoder(encoder, control, lengths, '"Prepend"' in json.dumps(content["normalizer"]))


class EncodedRows(NamedTuple):
    """The tokens of rows, one after another; row i has those from `offsets[i]` up to `offsets[i + 1]`.

    Attributes:
        ids: shape (tokens,).
        labels: `ids` where a token bears loss, else NO_LOSS; shape (tokens,).
        offsets: shape (rows + 1,).
    """

    ids: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]


def encode_pieces(texts: pa.Array, pieces: pa.Array, tokenizer: PieceEncoder) -> EncodedRows:
    """The tokens of rendered dialogues; a row whose pieces are null has none.

    Args:
        texts: strings, shape (rows,).
        pieces: of each text, of `datapipe.text.chat_forms.PIECES`, shape (rows,).
        tokenizer: what encodes.

    Raises:
        ValueError: if a control token of the pieces is no special token of the tokenizer.
    """
    texts = texts.fill_null("").cast(pa.large_string())
    lengths = pieces.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    starts, stops, control, loss, labels = pieces.flatten().flatten()
    bases = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, texts.offset * 8)
    rows = np.repeat(np.arange(len(texts)), lengths)
    begins = bases[rows] + starts.to_numpy()
    ends = bases[rows] + stops.to_numpy()
    is_control = control.to_numpy(zero_copy_only=False)
    bears_loss = loss.to_numpy(zero_copy_only=False)
    data = (texts.buffers()[2] or pa.py_buffer(b"")).to_pybytes()

    # What is encoded at once: a control token, or a run of text pieces of one row.
    opens = np.ones(len(rows) + 1, bool)
    opens[1:-1] = is_control[1:] | is_control[:-1] | (rows[1:] != rows[:-1])
    firsts = np.flatnonzero(opens)
    unit_control = is_control[firsts[:-1]]
    unit_begins, unit_ends = begins[firsts[:-1]], ends[firsts[1:] - 1]
    said = [data[begin:end].decode() for begin, end in zip(unit_begins.tolist(), unit_ends.tolist(), strict=True)]
    runs = [text for text, is_token in zip(said, unit_control.tolist(), strict=True) if not is_token]
    encoded, run_offsets = tokenizer.encoder.encode_flat(runs)
    lengths_in_bytes = tokenizer.token_bytes[encoded]
    if len(encoded) and lengths_in_bytes.min() < 0:
        raise ValueError("chat_tokens: the tokenizer reads some text as a special token")

    sizes = np.ones(len(said), np.int64)
    sizes[~unit_control] = np.diff(run_offsets)
    unit_offsets = np.concatenate([[0], np.cumsum(sizes)])
    in_run = ~np.repeat(unit_control, sizes)
    out = np.empty(len(in_run), np.int32)
    out[in_run] = encoded
    tokens = (text for text, is_token in zip(said, unit_control.tolist(), strict=True) if is_token)
    out[~in_run] = _control_ids(tokens, tokenizer)

    learnt = np.zeros(len(out), bool)
    learnt[~in_run] = bears_loss[is_control]
    text_loss = np.flatnonzero(bears_loss & ~is_control)
    run_of = (np.cumsum(~unit_control) - 1)[np.searchsorted(firsts, text_loss, side="right") - 1]
    run_spans = np.stack([unit_begins, unit_ends])[:, ~unit_control]
    spans = np.stack([begins, ends])[:, text_loss] - run_spans[0, run_of]
    learnt[in_run] = _run_loss(
        runs, run_spans[1] - run_spans[0], lengths_in_bytes, run_offsets, run_of, spans, tokenizer
    )
    targets = np.where(learnt, out, np.int32(NO_LOSS))
    if labels.null_count < len(labels):
        named = labels.is_valid().to_numpy(zero_copy_only=False)[is_control]
        targets[np.flatnonzero(~in_run)[named]] = _control_ids(labels.drop_null().to_pylist(), tokenizer)
    first_units = np.searchsorted(firsts, np.concatenate([[0], np.cumsum(lengths)]))
    return EncodedRows(out, targets, unit_offsets[first_units])


def _control_ids(tokens: Iterable[str], tokenizer: PieceEncoder) -> npt.NDArray[np.int32]:
    try:
        return np.fromiter(map(tokenizer.control.__getitem__, tokens), np.int32)
    except KeyError as error:
        known = ", ".join(tokenizer.control) or "none"
        raise ValueError(
            f"chat_tokens: the tokenizer has no special token {error.args[0]!r}, which the chat form writes; "
            f"it has {known}"
        ) from None


def _run_loss(
    runs: list[str],
    run_bytes: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    run_of: npt.NDArray[np.int64],
    spans: npt.NDArray[np.int64],
    tokenizer: PieceEncoder,
) -> npt.NDArray[np.bool_]:
    """For each token of the runs, whether it has a byte of a piece that bears loss, shape (tokens,).

    Args:
        runs: their texts.
        run_bytes: how long each is.
        lengths, offsets: of their tokens, the bytes of text; run i has `lengths[offsets[i]:offsets[i + 1]]`.
        run_of: the run of each piece that bears loss.
        spans: where in it that begins and ends, shape (2, pieces).
        tokenizer: which says itself where its tokens come from, where it changes its text.
    """
    ends = np.cumsum(lengths)
    before = np.concatenate([[0], ends])[offsets]  # bytes of tokens before each run, and after all
    surplus = np.diff(before) - run_bytes
    shift = np.where(surplus == 1, 1, 0) if tokenizer.prefixed else np.zeros(len(runs), np.int64)
    place = (before[:-1] + shift)[run_of]
    # To what a run begins with belongs the space that the tokenizer puts before it, which may be a token of its own.
    first = np.searchsorted(ends, place + spans[0] - np.where(spans[0] == 0, shift[run_of], 0), side="right")
    stop = np.searchsorted(ends - lengths, place + spans[1], side="left")
    first = np.clip(first, offsets[run_of], offsets[run_of + 1])
    stop = np.clip(stop, first, offsets[run_of + 1])
    for piece in np.flatnonzero((surplus != shift)[run_of]).tolist():
        run = int(run_of[piece])
        encoding = tokenizer.encoder.tokenizer.encode(runs[run], add_special_tokens=False)
        places = np.concatenate([[0], np.cumsum([len(character.encode()) for character in runs[run]])])
        begin, end = places[np.array(encoding.offsets).reshape(-1, 2).T]
        held = np.flatnonzero((begin < spans[1, piece]) & (np.maximum(end, begin + 1) > spans[0, piece]))
        first[piece], stop[piece] = (held[[0, -1]] + [0, 1] if len(held) else np.zeros(2, int)) + offsets[run]
    changes = np.zeros(len(lengths) + 1, np.int32)
    np.add.at(changes, first, 1)
    np.add.at(changes, stop, -1)
    return np.cumsum(changes[:-1]) > 0


@dataclasses.dataclass(eq=False)
class EncodeDialogues(DocumentStage):
    """Writes each dialogue's token ids and labels, by its pieces.

    `labels` is the id where a token bears loss, -100 elsewhere, and what the form says where it trains on another token
    (Baichuan 2).

    Attributes:
        tokenizer: path of the `tokenizer.json`, which must have the form's control tokens as special tokens.
    """

    tokenizer: Annotated[FilesOption, MinLen(1)]

    name: ClassVar[str] = "chat_tokens"
    writes: ClassVar[pa.Schema] = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])
    offsets_into_text: ClassVar[tuple[str, ...]] = ("pieces",)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Instruction data."""
        return ("instruction",)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "pieces")

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns nothing
        """Load the tokenizer, which the threads of a local run share."""
        load_piece_encoder(self.tokenizer)
        return self

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The ids and labels of each dialogue."""
        rows = encode_pieces(batch.column("text"), batch.column("pieces"), load_piece_encoder(self.tokenizer))
        offsets = pa.array(rows.offsets, pa.int32())
        columns = [pa.ListArray.from_arrays(offsets, pa.array(flat)) for flat in (rows.ids, rows.labels)]
        return pa.RecordBatch.from_arrays(columns, schema=self.writes)
