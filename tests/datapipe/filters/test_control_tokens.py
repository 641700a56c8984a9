"""What documents spell of control tokens is counted, and handled as asked."""

from typing import Any

import pyarrow as pa
import pytest

from datapipe.filters.control_tokens import CheckControlTokens

TEXTS = ["Each turn ends with <|im_end|>, and <|im_end|> again.", "中文", "~~old~~ </s>"]


def checked(**options: Any) -> dict[str, list[Any]]:
    (batch,) = [pa.record_batch({"text": TEXTS})] | CheckControlTokens(**options)
    return dict(batch.to_pydict())


def test_each_action() -> None:
    removed = checked()
    assert removed["control_tokens_reason"] == ["control_token_in_text", None, None]
    assert removed["control_tokens_spelt"] == [2, 0, 0]
    assert removed["text"] == TEXTS
    masked = checked(action="mask")
    assert masked["control_tokens_reason"] == [None, None, None]
    assert masked["control_tokens_spelt"] == [2, 0, 0]
    assert masked["text"] == ["Each turn ends with  , and   again.", *TEXTS[1:]]
    assert masked["bytes"] == [len(text.encode()) for text in masked["text"]]
    kept = checked(action="keep", tokens=["</s>"])
    assert (kept["text"], kept["control_tokens_spelt"]) == (TEXTS, [0, 0, 1])
    assert kept["control_tokens_reason"] == [None, None, None]


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ValueError, match="control_tokens: tokens"):
        CheckControlTokens(tokens=[""])
