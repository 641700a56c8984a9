"""Exported chat templates: the text, the ids and the mask that the pieces have, by transformers itself."""

import functools
import json
import pathlib
import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from datapipe.mix.chat_tokens import NO_LOSS, encode_pieces, load_piece_encoder
from datapipe.text.chat_forms import FORMS, cut_pieces, render, turns_of
from datapipe.text.chat_names import FormName, LossName
from datapipe.text.dialogues import Dialogue, Message
from tests.tokenizer_training.samples import trained, with_special_tokens
from tokenizer_training.algorithms import AlgorithmName
from tokenizer_training.chat_template import chat_template
from tokenizer_training.export import export_transformers

TOOLS = [{"type": "function", "function": {"name": "w", "description": "天气", "parameters": {"n": True}}}]
CALL: dict[str, Any] = {"name": "w", "arguments": {"city": 'Bern\'s "old" 城', "days": 1, "now": True, "n": None}}
WORDS = ["the cat", "中文", " ", "\n", "\t", "👩‍👩‍👧", "：", "é", "'", "\\n", "{{ 1 }}", "1", "<0x0A>"]
CONTENTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map("".join)
SYSTEM = "It's a \\ {% system %}\nmessage."


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(CONTENTS)})
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(CONTENTS)})
        if draw(st.booleans()):
            said = draw(st.sampled_from(["", "So:"]))
            calls: list[dict[str, Any]] = draw(
                st.sampled_from([[CALL], [{"function": CALL}, {"name": "v", "arguments": "{}"}]])
            )
            messages.append({"role": "assistant", "content": said, "tool_calls": calls})
            messages += [{"role": "tool", "content": draw(CONTENTS) + "a"} for _ in calls]
        # Of a last character of several tokens transformers marks the first alone.
        answer = {"role": "assistant", "content": draw(CONTENTS) + "a"}
        messages.append(answer | ({"reasoning_content": draw(CONTENTS)} if draw(st.booleans()) else {}))
    return messages


def dialogue(messages: list[dict[str, Any]], tools: bool) -> Dialogue:
    found = [
        Message(
            message["role"],
            message["content"],
            message.get("reasoning_content", ""),
            json.dumps(message["tool_calls"], ensure_ascii=False) if "tool_calls" in message else "",
        )
        for message in messages
    ]
    return Dialogue(found, json.dumps(TOOLS, ensure_ascii=False) if tools else "")


@functools.cache
def exported(algorithm: AlgorithmName, form: FormName) -> tuple[Any, str]:
    """A tokenizer of transformers with the control tokens of a form, and the path of ours."""
    folder = pathlib.Path(tempfile.mkdtemp())
    tokenizer = with_special_tokens(trained(algorithm), FORMS[form].control_tokens)
    export_transformers(tokenizer, str(folder), "{{ messages }}")
    return AutoTokenizer.from_pretrained(str(folder)), str(folder / "tokenizer.json")


@pytest.mark.parametrize("algorithm", ["byte_level", "byte_fallback"])
@pytest.mark.parametrize(("form", "loss"), [(name, loss) for name, form in FORMS.items() for loss in form.losses])
@settings(max_examples=5)
@given(conversations(), st.booleans(), st.sampled_from(["", SYSTEM]))
def test_text_ids_and_mask_are_those_of_the_pieces(
    algorithm: AlgorithmName, form: FormName, loss: LossName, messages: list[dict[str, Any]], tools: bool, system: str
) -> None:
    theirs, path = exported(algorithm, form)
    template = chat_template(FORMS[form], loss, system)
    pieces = cut_pieces([turns_of(dialogue(messages, tools), FORMS[form], system)], FORMS[form], loss)
    texts, ranges = render(pieces)
    arguments: dict[str, Any] = {"tools": TOOLS if tools else None, "chat_template": template}
    assert theirs.apply_chat_template(messages, tokenize=False, **arguments) == texts[0].as_py()
    found = theirs.apply_chat_template(messages, return_assistant_tokens_mask=True, return_dict=True, **arguments)
    ours = encode_pieces(texts, ranges, load_piece_encoder(path))
    assert found["input_ids"] == ours.ids.tolist()
    same = [label == number for label, number in zip(ours.labels.tolist(), ours.ids.tolist(), strict=True)]
    assert [bool(each) for each in found["assistant_masks"]][1:] == same[1:]  # nothing predicts the first token
    assert all(label != NO_LOSS for label, number in zip(ours.labels, ours.ids, strict=True) if label == number)


@pytest.mark.parametrize("form", FORMS)
def test_a_prompt_is_the_beginning_of_its_answer(form: FormName) -> None:
    theirs, _ = exported("byte_level", form)
    template = chat_template(FORMS[form], FORMS[form].losses[0], "")
    said = [{"role": "user", "content": "q"}]
    prompt = theirs.apply_chat_template(said, tokenize=False, chat_template=template, add_generation_prompt=True)
    whole = theirs.apply_chat_template(
        [*said, {"role": "assistant", "content": "answer"}], tokenize=False, chat_template=template
    )
    assert whole.startswith(prompt)
    assert whole.removeprefix(prompt).lstrip().startswith("answer")
