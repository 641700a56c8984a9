"""Lines, paragraphs and sentences of documents: where they begin and end, so that together they are the whole."""

import numpy as np
import numpy.typing as npt

from datapipe.kernels import inlined, kernel
from datapipe.text.characters import decode

LINE, PARAGRAPH, SENTENCE = range(3)


@inlined
def _closes(code_point: int) -> bool:
    """Whether a character belongs to the end of a sentence when it follows one: its like, quotes and brackets."""
    if code_point < 0x80:
        return code_point in (0x21, 0x22, 0x27, 0x29, 0x2E, 0x3F, 0x5D)  # ! " ' ) . ? ]
    return code_point in (0x2019, 0x201D, 0x3002, 0x300B, 0x300D, 0x300F, 0x3011, 0xFF01, 0xFF09, 0xFF1F)


@kernel
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
