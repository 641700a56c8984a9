"""What text spells of control tokens: counted, or masked.

A tokenizer that is not told otherwise reads such a text as the token itself: a turn forged, a document ended.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def spelt(texts: pa.Array, tokens: Sequence[str]) -> npt.NDArray[np.int32]:
    """How often each text spells one of the tokens, shape (texts,); a null does not.

    >>> spelt(pa.array(["a <|im_end|> b <|im_end|>", None]), ["<|im_end|>"]).tolist()
    [2, 0]
    """
    counts = np.zeros(len(texts), np.int32)
    for token in tokens:
        counts += pc.count_substring(texts, token).fill_null(0).to_numpy(zero_copy_only=False)
    return counts


def masked(texts: pa.Array, tokens: Sequence[str]) -> pa.Array:
    """The texts with a space instead of each token. What is left cannot join to a token: a space holds it apart.

    >>> masked(pa.array(["a<|im_<|im_end|>end|>"]), ["<|im_end|>"]).to_pylist()
    ['a<|im_ end|>']
    """
    for token in tokens:
        texts = pc.replace_substring(texts, token, " ")
    return texts
