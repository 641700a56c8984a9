"""Every form and policy against goldens: what stands between « and » bears loss."""

import json

import pytest

from datapipe.text.chat_forms import (
    CHATGLM3_TOOLS,
    FORMS,
    QWEN_TOOLS_HEAD,
    QWEN_TOOLS_TAIL,
    cut_pieces,
    render,
    turns_of,
)
from datapipe.text.chat_names import FormName, LossName
from datapipe.text.dialogues import Dialogue, Message

ASKED = Message("user", "q1")
THREE = [
    Message("system", "S"),
    ASKED,
    Message("assistant", "a1"),
    Message("user", "q2"),
    Message("assistant", "a2"),
    Message("user", "q3"),
    Message("assistant", "a3"),
]
TOOLS = '[{"name": "w"}]'
CALL = '[{"function": {"name": "w", "arguments": {"city": "Bern", "now": true, "n": null}}}]'
CALLING = [ASKED, Message("assistant", "", tool_calls=CALL), Message("tool", "3"), Message("assistant", "a1")]


def shown(messages: list[Message], form: FormName, loss: LossName, system: str = "", tools: str = "") -> str:
    """A dialogue in a form, with marks around what bears loss, and labels that are other tokens in brackets."""
    pieces = cut_pieces([turns_of(Dialogue(messages, tools), FORMS[form], system)], FORMS[form], loss)
    marked = "".join(
        (f"«{text}»" if learnt else text) + (f"[{label}]" if label else "")
        for text, learnt, label in zip(pieces.texts, pieces.loss, pieces.labels, strict=True)
    )
    return marked.replace("»«", "")


GOLDENS: list[tuple[FormName, LossName, int, str]] = [
    (
        "chatml",
        "answers",
        5,
        (
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\n«a1<|im_end|>»\n"
            "<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\n«a2<|im_end|>»\n"
        ),
    ),
    (
        "chatml",
        "qwen_paper",
        3,
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n«<|im_start|>assistant\na1<|im_end|>\n»",
    ),
    (
        "chatml",
        "qwen_script",
        3,
        (
            "«<|im_start|>»system\nS«<|im_end|>\n<|im_start|>»user\nq1«<|im_end|>\n<|im_start|>»assistant\n"
            "«a1<|im_end|>\n»"
        ),
    ),
    (
        "llama2",
        "answers",
        5,
        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nq1 [/INST]« a1 </s>»<s>[INST] q2 [/INST]« a2 </s>»",
    ),
    (
        "chatglm2",
        "chatglm2",
        5,
        "[gMASK]<sop>S\n\n[Round 1]\n\n问：q1\n\n答：a1\n\n[Round 2]\n\n问：q2\n\n答：«a2</s>»",
    ),
    (
        "chatglm2",
        "chatglm2",
        7,
        (
            "[gMASK]<sop>S\n\n[Round 1]\n\n问：q1\n\n答：a1\n\n[Round 2]\n\n问：q2\n\n答：a2\n\n"
            "[Round 3]\n\n问：q3\n\n答：«a3</s>»"
        ),
    ),
    (
        "chatglm2",
        "answers",
        5,
        "[gMASK]<sop>S\n\n[Round 1]\n\n问：q1\n\n答：«a1»\n\n[Round 2]\n\n问：q2\n\n答：«a2</s>»",
    ),
    (
        "chatglm3",
        "chatglm3",
        5,
        "[gMASK]<sop><|system|>\nS<|user|>\nq1<|assistant|>«\na1<|user|>»\nq2<|assistant|>«\na2</s>»",
    ),
    (
        "baichuan2",
        "baichuan2",
        5,
        "S«<reserved_106>»[</s>]q1<reserved_107>«a1<reserved_106>»[</s>]q2<reserved_107>«a2</s>»",
    ),
    ("baichuan2", "answers", 3, "S<reserved_106>q1<reserved_107>«a1</s>»"),
    (
        "skywork",
        "answers",
        5,
        "</s><s>[USER]S\n\nq1[SEP][BOT]«a1</s>»<s>[USER]q2[SEP][BOT]«a2</s>»",
    ),
    ("plain", "answers", 5, "S\n\nq1\n\n«a1»\n\nq2\n\n«a2<|endoftext|>»"),
]


@pytest.mark.parametrize(("form", "loss", "messages", "golden"), GOLDENS)
def test_goldens(form: FormName, loss: LossName, messages: int, golden: str) -> None:
    assert shown(THREE[:messages], form, loss) == golden


def test_the_system_message_of_dialogues_that_have_none() -> None:
    assert shown([ASKED, Message("assistant", "a1")], "skywork", "answers", "S").startswith("</s><s>[USER]S\n\nq1")
    assert shown([ASKED, Message("assistant", "a1")], "chatml", "answers").startswith("<|im_start|>user")


def test_an_answer_of_no_weight_bears_no_loss() -> None:
    unlearnt = [message._replace(weight=0.0) if message.content == "a1" else message for message in THREE[:5]]
    assert shown(unlearnt, "skywork", "answers") == "</s><s>[USER]S\n\nq1[SEP][BOT]a1</s><s>[USER]q2[SEP][BOT]«a2</s>»"
    assert "<|assistant|>\na1<|user|>\nq2<|assistant|>«\na2</s>»" in shown(unlearnt, "chatglm3", "chatglm3")


def test_tools_as_qwen_writes_them() -> None:
    called = '{"name": "w", "arguments": {"city": "Bern", "now": true, "n": null}}'
    assert shown(CALLING, "chatml", "answers", "S", TOOLS) == (
        f'<|im_start|>system\nS\n\n{QWEN_TOOLS_HEAD}\n{{"name": "w"}}{QWEN_TOOLS_TAIL}<|im_end|>\n'
        f"<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\n«<tool_call>\n{called}\n</tool_call><|im_end|>»\n"
        "<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n<|im_start|>assistant\n«a1<|im_end|>»\n"
    )
    twice = [*CALLING[:3], Message("tool", "4"), Message("assistant", "a1", reasoning="why")]
    rendered = shown(twice, "llama2", "answers")
    assert "<tool_response>\n3\n</tool_response>\n<tool_response>\n4\n</tool_response> [/INST]" in rendered
    assert "« <think>\nwhy\n</think>\n\na1 </s>»" in rendered


def test_tools_as_chatglm3_writes_them() -> None:
    listed = json.dumps([{"name": "w"}], indent=4)
    said = [ASKED, CALLING[1]._replace(content="So:"), *CALLING[2:]]
    assert shown(said, "chatglm3", "chatglm3", "", TOOLS) == (
        f"[gMASK]<sop><|system|>\n{CHATGLM3_TOOLS}\n{listed}<|user|>\nq1<|assistant|>«\nSo:<|assistant|>w\n"
        '```python\ntool_call(city="Bern", now=True, n=None)\n```<|observation|>\n3<|assistant|>\na1</s>»'
    )


def test_pieces_are_the_bytes_of_the_text() -> None:
    form = FORMS["chatglm2"]
    rows = [turns_of(Dialogue(THREE[1:3]), form, "中文"), [], turns_of(Dialogue(THREE), form, "")]
    pieces = cut_pieces(rows, form, "chatglm2")
    texts, ranges = render(pieces)
    assert texts.to_pylist()[1] == ""
    cut = [
        text.encode()[piece["start"] : piece["stop"]].decode()
        for text, found in zip(texts.to_pylist(), ranges.to_pylist(), strict=True)
        for piece in found
    ]
    assert cut == pieces.texts
    assert "".join(cut) == "".join(texts.to_pylist())
    flags = [piece["control"] for row in ranges.to_pylist() for piece in row]
    assert [text for text, control in zip(cut, flags, strict=True) if control] == ["[gMASK]", "<sop>", "</s>"] * 2


def test_control_tokens_take_other_names() -> None:
    form = FORMS["skywork"].renamed({"</s>": "<|endoftext|>"})
    assert form.control_tokens == ("<|endoftext|>", "<s>", "[USER]", "[SEP]", "[BOT]")
    assert form.eos == "<|endoftext|>"
