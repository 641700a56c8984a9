"""GLM's blank infilling: text with blanks, which a model sees whole, and what stood in them, which it learns to write.

Part A is the text, each blank a mask token; part B is what the blanks hid, in shuffled order, each between a start and
an end. Loss is on part B alone; part A sees all of itself, part B sees A and what came before it in B. Du et al. 2022
(GLM), Zeng et al. 2023 (GLM-130B); where the papers are silent, as in their code. `glm_samples.py` makes rows of it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.mix.chat_tokens import NO_LOSS

Ints = npt.NDArray[np.int64]
Draw = Callable[[int], npt.NDArray[np.float64]]  # that many numbers in [0, 1), others each time

MAX_SPAN = 39  # the Poisson distribution of span lengths is restricted to 1..39
_TRIES = 64  # placements drawn before a text of several documents is cut to one


class Tokens(NamedTuple):
    """The ids of GLM's control tokens: what stands for a blank, and what begins and ends what is written."""

    mask: int
    start: int  # <sop>
    end: int  # <eop>


class Sample(NamedTuple):
    """One text with blanks, as a model reads it.

    Attributes:
        inputs: ids, part A and then B, shape (n,).
        labels: the id to come where there is loss, NO_LOSS in part A, shape (n,).
        positions: in part A running, in B those of the blanks, shape (n,).
        block_positions: 0 in part A, in B from 1 on in each span, shape (n,).
        context: the length of part A.
    """

    inputs: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    block_positions: npt.NDArray[np.int32]
    context: int


def span_lengths(tokens: int, share: float, mean: float, draw: Draw) -> Ints:
    """Lengths of blanks, drawn from a Poisson distribution restricted to 1..39 until they hide a share of the tokens.

    The last one may go beyond it.

    >>> span_lengths(100, 0.15, 3.0, lambda count: np.full(count, 0.5)).tolist()
    [3, 3, 3, 3, 3]
    """
    needed = max(1, int(share * tokens))
    cumulative = truncated_poisson(mean)
    # No more than `needed` are ever needed, since each is at least 1.
    lengths = np.searchsorted(cumulative, draw(needed), "right") + 1
    lengths = np.minimum(lengths, MAX_SPAN)
    return lengths[: int(np.searchsorted(np.cumsum(lengths), needed)) + 1]


def truncated_poisson(mean: float) -> npt.NDArray[np.float64]:
    """The cumulative probabilities of the lengths 1..39."""
    number = np.arange(1, MAX_SPAN + 1)
    logarithms = number * np.log(mean) - np.cumsum(np.log(number))
    probabilities = np.exp(logarithms - logarithms.max())
    return np.asarray(np.cumsum(probabilities / probabilities.sum()))


def place_spans(tokens: int, lengths: Ints, draw: Draw) -> Ints:
    """Where spans of given lengths begin, in order, so that no two touch.

    With `blank` tokens outside of n spans, n numbers of 0..blank - n + 1 are drawn and sorted; each is moved by the
    spans before it, and by one token for each.

    Args:
        tokens: of the text.
        lengths: of the spans.

    >>> place_spans(10, np.array([2, 3]), lambda count: np.array([0.9, 0.0])).tolist()
    [0, 7]
    """
    count = len(lengths)
    room = tokens - int(lengths.sum()) - count + 1
    if room < 0:
        raise ValueError(f"{count} spans of {int(lengths.sum())} tokens do not fit into {tokens} apart from each other")
    order = np.sort((draw(count) * (room + 1)).astype(np.int64))
    return order + np.concatenate([[0], np.cumsum(lengths[:-1])]) + np.arange(count)


def token_spans(ends: Ints, share: float, mean: float, draw: Draw) -> tuple[Ints, Ints] | None:
    """Blanks in a text of one or more documents, none across the end of one; none where no placement was found.

    Args:
        ends: where each document ends, its end-of-text token counted, shape (documents,); that is never hidden.

    Returns:
        Beginnings and lengths, in the order of the text.
    """
    tokens = int(ends[-1])
    lengths = span_lengths(tokens, share, mean, draw)
    if int(lengths.sum()) + len(lengths) - 1 > tokens:
        return None
    for _ in range(_TRIES):
        begins = place_spans(tokens, lengths, draw)
        # A span may neither hold nor cross the last token of a document.
        if (np.searchsorted(ends - 1, begins, "left") == np.searchsorted(ends - 1, begins + lengths, "left")).all():
            return begins, lengths
    return None


def sentence_spans(starts: Ints, tokens: int, share: float, draw: Draw) -> tuple[Ints, Ints] | None:
    """Whole sentences, drawn until they hold a share of the tokens; none where that would leave nothing to read.

    Args:
        starts: where sentences begin, from 0 on, shape (sentences,).
        tokens: of the text.
    """
    lengths = np.diff(starts, append=tokens)
    order = np.argsort(draw(len(starts)), kind="stable")
    taken = int(np.searchsorted(np.cumsum(lengths[order]), max(1, int(share * tokens)))) + 1
    chosen = np.sort(order[:taken])
    if lengths[chosen].sum() >= tokens:
        return None
    return starts[chosen], lengths[chosen]


def generation_length(tokens: int, min_share: float, draw: Draw) -> int:
    """How much of the end of a text is hidden: even over int(min_share x tokens) to tokens - 2."""
    low, high = int(min_share * tokens), tokens - 2
    if not 0 < low <= high:
        raise ValueError(f"a text of {tokens} tokens has no end of {min_share} to write")
    return low + int(draw(1)[0] * (high - low + 1))


def infill(text: npt.NDArray[np.int32], begins: Ints, lengths: Ints, tokens: Tokens, order: Sequence[int]) -> Sample:
    """Parts A and B of a text.

    Args:
        text: ids, shape (tokens,).
        begins, lengths: of the blanks, in the order of the text.
        tokens: the control tokens.
        order: that of the blanks in part B.

    >>> sample = infill(np.int32([10, 11, 12, 13, 14]), np.array([1]), np.array([2]), Tokens(1, 2, 3), [0])
    >>> sample.inputs.tolist(), sample.labels.tolist()
    ([10, 1, 13, 14, 2, 11, 12], [-100, -100, -100, -100, 11, 12, 3])
    >>> sample.positions.tolist(), sample.block_positions.tolist()
    ([0, 1, 2, 3, 1, 1, 1], [0, 0, 0, 0, 1, 2, 3])
    """
    hidden = np.zeros(len(text), bool)
    marked = text.copy()
    for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
        hidden[begin + 1 : begin + length] = True
        marked[begin] = tokens.mask
    context = marked[~hidden]
    place = np.cumsum(~hidden) - 1  # of each token in part A; of a hidden one, that of its blank
    parts = [text[begins[span] : begins[span] + lengths[span]] for span in order]
    inputs = np.concatenate([context, *(np.concatenate([[tokens.start], part]) for part in parts)])
    written = [np.concatenate([part, [tokens.end]]) for part in parts]
    labels = np.concatenate([np.full(len(context), NO_LOSS), *written])
    sizes = lengths[np.asarray(order, np.int64)] + 1
    blocks = [np.arange(1, size + 1) for size in sizes.tolist()]
    return Sample(
        inputs.astype(np.int32),
        labels.astype(np.int32),
        np.concatenate([np.arange(len(context)), np.repeat(place[begins[np.asarray(order, np.int64)]], sizes)]).astype(
            np.int32
        ),
        np.concatenate([np.zeros(len(context), np.int64), *blocks]).astype(np.int32),
        len(context),
    )


def generate(text: npt.NDArray[np.int32], length: int, tokens: Tokens) -> Sample:
    """A text whose last tokens are to be written: `A [gMASK] [sop] B`.

    >>> sample = generate(np.int32([10, 11, 12]), 1, Tokens(1, 2, 3))
    >>> sample.inputs.tolist(), sample.labels.tolist(), sample.positions.tolist()
    ([10, 11, 1, 2, 12], [-100, -100, -100, 12, 3], [0, 1, 2, 2, 2])
    """
    begin = len(text) - length
    return infill(text, np.array([begin]), np.array([length]), tokens, [0])


def answer(question: npt.NDArray[np.int32], target: npt.NDArray[np.int32], tokens: Tokens, room: int) -> Sample | None:
    """An instruction sample, `text [MASK] [sop] target [eop]`, cut to fit: the text first, from its beginning.

    Args:
        question: the ids of the text.
        target: those of the answer.
        tokens: the control tokens.
        room: tokens that there are for it; none where the answer alone takes more.
    """
    left = room - len(target) - 2  # [MASK] and [sop]; [eop] is only predicted
    if left < 0 or not len(target):
        return None
    kept = question[max(0, len(question) - left) :]
    return generate(np.concatenate([kept, target]).astype(np.int32), len(target), tokens)


def attention_mask(length: int, sub_rows: Sequence[tuple[int, int, int]]) -> npt.NDArray[np.bool_]:
    """Which positions (columns) each position (row) of a row sees, shape (length, length); padding sees nothing.

    Args:
        length: of the row.
        sub_rows: of each sample in it, where it begins, where its part A ends, and where it ends.

    >>> attention_mask(4, [(0, 2, 3)]).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    """
    mask = np.zeros((length, length), bool)
    for begin, context, end in sub_rows:
        size = end - begin
        sees = np.tril(np.ones((size, size), bool))
        sees[:, : context - begin] = True
        mask[begin:end, begin:end] = sees
    return mask
