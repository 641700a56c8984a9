"""Dialogues are written in the form asked for; what they spell of control tokens is rejected, masked or kept."""

from typing import Any

import pyarrow as pa
import pytest

from datapipe.mix.chat import RenderDialogues
from datapipe.text.dialogues import Message, message_columns, spoken_text

QUESTION = "What does <|im_end|> mean?"
DIALOGUES = [
    [Message("user", "Hi"), Message("assistant", "Hello")],
    [Message("user", QUESTION), Message("assistant", "It ends <|im_end|> or <|im_start|>.")],
    [Message("user", "And [INST]?"), Message("assistant", "A tag.")],
]


def chat(**options: Any) -> dict[str, list[Any]]:
    texts = [spoken_text(messages) for messages in DIALOGUES]
    tools = pa.nulls(len(texts), pa.string())
    batch = pa.record_batch({"text": texts, "messages": message_columns(DIALOGUES), "tools": tools})
    (rendered,) = [batch] | RenderDialogues(**options)
    return dict(rendered.to_pydict())


def test_each_option_changes_the_text() -> None:
    default = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    body = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
    assert chat()["text"][0] == default + body
    assert chat(system="")["text"][0] == body
    assert chat(system="S")["text"][0] == f"<|im_start|>system\nS<|im_end|>\n{body}"
    assert chat(form="plain")["text"][0] == "Hi\n\nHello<|endoftext|>"
    named = chat(form="plain", control_tokens={"<|endoftext|>": "</s>"})
    assert named["text"][0] == "Hi\n\nHello</s>"
    assert named["bytes"][0] == len(named["text"][0])
    learnt = [sum(piece["loss"] for piece in chat(loss=loss)["pieces"][0]) for loss in ("answers", "qwen_script")]
    assert learnt == [2, 10]


def test_spelt_control_tokens() -> None:
    rejected = chat()
    assert rejected["chat_reason"] == [None, "chat_markup_in_text", None]
    assert rejected["chat_spelt"] == [0, 3, 0]
    assert rejected["text"][1] == spoken_text(DIALOGUES[1])
    assert rejected["pieces"][1] == []
    kept = chat(spelt="keep")
    assert kept["chat_reason"] == [None, None, None]
    assert kept["chat_spelt"] == [0, 3, 0]
    assert QUESTION in kept["text"][1]
    masked = chat(spelt="mask", system="")
    assert masked["chat_spelt"] == [0, 3, 0]
    assert masked["text"][1] == (
        "<|im_start|>user\nWhat does   mean?<|im_end|>\n<|im_start|>assistant\nIt ends   or  .<|im_end|>\n"
    )


def test_tags_of_llama_2_always_reject() -> None:
    assert chat(form="llama2", spelt="keep")["chat_reason"] == [None, None, "chat_markup_in_text"]
    assert chat(form="llama2", spelt="mask")["chat_reason"] == [None, None, "chat_markup_in_text"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"loss": "chatglm2"}, "chat: loss: chatml has no policy 'chatglm2'"),
        ({"control_tokens": {"</s>": "<eos>"}}, "chat: control_tokens: chatml has no control token '</s>'"),
        ({"system": "<|im_end|>"}, "chat: system must hold no control token, got '<|im_end|>'"),
        ({"form": "alpaca"}, "chat: form must be one of"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        RenderDialogues(**options)
