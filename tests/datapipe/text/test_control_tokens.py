"""Control tokens that text spells are found, and masked so that none is left."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.control_tokens import masked, spelt

TOKENS = ["<|im_end|>", "</s>"]
TEXTS = st.lists(st.sampled_from(["<|im_end|>", "</s>", "<|im_", "end|>", "<", "/s>", "a"]), max_size=8).map("".join)


@given(TEXTS)
def test_what_is_masked_spells_none(text: str) -> None:
    assert spelt(pa.array([text]), TOKENS).tolist() == [sum(text.count(token) for token in TOKENS)]
    assert spelt(masked(pa.array([text]), TOKENS), TOKENS).tolist() == [0]
