"""The share of a text that its commonest n-grams take, and that its repeated ones take, as each system counts it.

`repetition.py` counts n-grams; `measures.py` says whose definitions there are.
"""

from typing import Any

from datapipe.kernels import helper
from datapipe.text.measures import DATAPIPE, DATATROVE, DCLM, DOLMA, FEWEST_MENTIONS
from datapipe.text.repetition import (
    Memory,
    all_copies,
    all_positions,
    count_ngrams,
    covered_by_copies,
    hash_tokens,
    later_copies,
    narrow,
    top_ngram,
)
from datapipe.text.spans import Text


@helper
def measure_ngrams(
    t: Text, m: Memory, positions: int, tokens: int, length: int, space: int, definition: int, shares: Any
) -> int:
    """Write the shares of the commonest 2-, 3- and 4-gram and of repeated 5- to 10-grams, shape (9,).

    Args:
        t: the text, of `length` code points.
        m: the hashes of its tokens, and where at least those 2-grams begin that repeat.
        positions: how many these are.
        tokens: how many tokens there are.
        length: of the text.
        space: the length of what stands between tokens.
        definition: by whose definition.
        shares: where they are written.

    Returns:
        The number of 10-grams at issue in `m` for longer ones.
    """
    for n in range(2, 11):
        # datatrove joins the tokens of repeated n-grams without spaces: a longer one may repeat where a shorter does
        # not.
        separated = definition != DATATROVE or n < 5
        if n == 5 and not separated:
            hash_tokens(t.points, t.starts, t.ends, tokens, separated, m)
        if not separated:
            positions = all_positions(m, tokens)
        if tokens < n:
            break
        positions = count_ngrams(m, positions, tokens, n, separated)
        if n < 5:
            seen, characters = top_ngram(m, positions, n, definition == DCLM)
            if (seen == 1 and definition == DCLM) or (seen < FEWEST_MENTIONS and definition == DATAPIPE):
                characters = 0
            elif definition in (DATAPIPE, DATATROVE):
                characters += space * (n - 1)
            characters *= seen
            total = length if definition in (DATAPIPE, DATATROVE) else m.before[tokens]
        elif definition == DOLMA:
            characters = all_copies(m, positions, n)
            total = 0
            for i in range(tokens - n + 1):
                total += m.before[i + n] - m.before[i]
        elif definition == DCLM:
            characters, total = covered_by_copies(m, positions, n), m.before[tokens]
        else:
            characters, total = later_copies(m, positions, n), length
        shares[n - 2] = characters / total
        positions = narrow(m, positions)
    return positions
