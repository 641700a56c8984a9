"""Instruction records: every common shape becomes the same dialogue, nothing is lost, and what is none says why."""

import json
from typing import Any

import pytest

from datapipe.read.dialogues import Parsed, Unreadable, parse_dialogue
from datapipe.text.dialogues import Message

EXCHANGE = [Message("user", "Add 1 and 2."), Message("assistant", "3")]
TURNS = [{"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3"}]
SHAREGPT = [{"from": "human", "value": "Add 1 and 2."}, {"from": "gpt", "value": "3"}]


def messages_of(record: dict[str, Any], **names: list[str]) -> list[Message]:
    parsed = parse_dialogue(record, names)
    assert isinstance(parsed, Parsed), parsed
    return parsed.messages


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": "Add 1 and 2.", "input": "", "output": "3"},
        {"instruction": "Add 1 and 2.", "input": "<noinput>", "output": "3"},
        {"instruction": "Add 1 and 2.", "response": "3", "context": None},
        {"instruction": "Add 1 and 2.", "instances": [{"input": "", "output": "3"}]},
        {"prompt": "Add 1 and 2.", "response": "3"},
        {"prompt": "Add 1 and 2.", "completion": "3", "label": True},
        {"prompt": TURNS[:1], "completion": TURNS[1:]},
        {"query": "Add 1 and 2.", "response": "3"},
        {"question": "Add 1 and 2.", "answer": "3"},
        {"inputs": "Add 1 and 2.", "targets": "3"},
        {"kind": "Maths", "input": "Add 1 and 2.", "target": "3"},
        {"input": "Add 1 and 2.", "output": "3"},
        {"messages": TURNS},
        {"messages": json.dumps(TURNS)},
        {"messages": {"role": ["user", "assistant"], "content": ["Add 1 and 2.", "3"]}},
        {"messages": [{"role": "User ", "content": [{"type": "text", "text": "Add 1 and 2."}]}, TURNS[1]]},
        {"messages": [{**turn, "from": None, "value": None, "weight": None} for turn in TURNS]},
        {"messages": [], "conversations": SHAREGPT},
        {"messages": [], "instruction": "Add 1 and 2.", "output": "3"},
        {"conversations": [{"role": None, "content": None, **turn} for turn in SHAREGPT]},
        {"items": SHAREGPT},
        {"conversation": [{"human": "Add 1 and 2.", "assistant": "3"}]},
        {"chat": {"turn_1": {"Human": "<|Human|>: Add 1 and 2.<eoh>\n", "MOSS": "<|MOSS|>: 3<eom>\n"}}},
    ],
    ids=lambda record: "-".join(record),
)
def test_shapes(record: dict[str, Any]) -> None:
    assert messages_of(record) == EXCHANGE


def contents(record: dict[str, Any], **names: list[str]) -> list[str]:
    return [message.content for message in messages_of(record, **names)]


def test_what_stands_beside_question_and_answer_is_part_of_it() -> None:
    both = {"instruction": "Q", "input": "in", "context": "ctx", "output": "o"}
    assert contents(both) == ["Q\nin\nctx", "o"]
    assert contents({"question": "Q", "context": "ctx", "answer": "o"}) == ["Q\nctx", "o"]
    assert contents({"query": "Q", "input": "in", "response": "o"}) == ["Q\nin", "o"]
    assert contents({"system_prompt": "S", "question": "Q", "response": "o"}) == ["S", "Q", "o"]
    assert contents({"meta_instruction": "S", "chat": {"turn_1": {"Human": "Q", "MOSS": "o"}}}) == ["S", "Q", "o"]
    several = [{"input": "1 2", "output": "3"}, {"input": "2 2", "output": "4"}]
    assert contents({"instruction": "Add:", "instances": several}) == ["Add:\n1 2", "3", "Add:\n2 2", "4"]


@pytest.mark.parametrize("history", [[["q1", "a1"]], '[["q1", "a1"]]', [{"prompt": "q1", "response": "a1"}]])
def test_history_comes_first(history: Any) -> None:
    assert contents({"instruction": "q2", "output": "a2", "history": history}) == ["q1", "a1", "q2", "a2"]


def test_a_second_pair_stays_beside_the_first() -> None:
    parsed = parse_dialogue({"instruction": "q1", "output": "a1", "question": "q2", "answer": "a2"})
    assert isinstance(parsed, Parsed)
    assert parsed.fields == {"instruction", "output"}
    parsed = parse_dialogue({"prompt": "p", "response": "r", "input": "i", "output": "o"})
    assert isinstance(parsed, Parsed)
    assert parsed.fields == {"prompt", "response"}
    parsed = parse_dialogue({"prompt": "p", "messages": TURNS, "history": []})
    assert isinstance(parsed, Parsed)
    assert parsed.fields == {"messages"}


def test_fields_of_other_names() -> None:
    assert contents({"问题": "q", "答案": "a"}, instruction=["问题"], output=["答案"]) == ["q", "a"]
    assert contents({"question": "q", "response": "a", "sp": "S"}, instruction=["question"], output=["response"],
                    system=["sp"]) == ["S", "q", "a"]  # fmt: skip
    spoken = [{"who": "user", "said": "q"}, {"who": "assistant", "said": "a"}]
    assert contents({"turns": spoken}, messages=["turns"], role=["who"], content=["said"]) == ["q", "a"]


def test_calls_of_tools_and_their_results() -> None:
    call = {"id": "c1", "function": {"name": "add", "arguments": '{"of": [1, 2]}'}}
    turns = [
        {"role": "user", "content": "Add."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        {"role": "tool", "content": "4"},
        {"role": "assistant", "content": "It is 3.", "reasoning_content": "Easy."},
    ]
    parsed = parse_dialogue({"messages": turns, "tools": '[{"name": "add"}]'})
    assert isinstance(parsed, Parsed)
    assert [message.role for message in parsed.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert json.loads(parsed.messages[1].tool_calls) == [call]
    assert json.loads(parsed.messages[2].other) == {"tool_call_id": "c1"}
    assert parsed.messages[4].reasoning == "Easy."
    assert json.loads(parsed.tools) == [{"name": "add"}]
    # ShareGPT's form of the same: the call is a turn of its own, after what the assistant says.
    said = [("human", "Add."), ("gpt", "So:"), ("function_call", '{"name": "add"}'), ("observation", "3"), ("gpt", "3")]
    messages = messages_of({"conversations": [{"from": role, "value": text} for role, text in said]})
    assert [(m.role, m.content, m.tool_calls) for m in messages[1:3]] == [
        ("assistant", "So:", '[{"name": "add"}]'),
        ("tool", "3", ""),
    ]


def test_thoughts_and_commands_of_moss() -> None:
    turn = {
        "Human": "<|Human|>: Who won?<eoh>\n",
        "Inner Thoughts": "<|Inner Thoughts|>: I look it up.<eot>\n",
        "Commands": '<|Commands|>: Search("who won")<eoc>\n',
        "Tool Responses": "<|Results|>: They did.<eor>\n",
        "MOSS": "<|MOSS|>: They.<eom>\n",
    }
    messages = messages_of({"chat": {"turn_1": turn, "turn_2": {"Human": "Ok", "Commands": "None", "MOSS": "Yes"}}})
    assert [(m.role, m.content, m.reasoning) for m in messages] == [
        ("user", "Who won?", ""),
        ("assistant", 'Search("who won")', "I look it up."),
        ("tool", "They did.", ""),
        ("assistant", "They.", ""),
        ("user", "Ok", ""),
        ("assistant", "Yes", ""),
    ]


@pytest.mark.parametrize("said", [{"weight": 0}, {"train": False}, {"loss": "false"}, {"weight": 0.0, "train": None}])
def test_answers_that_are_not_to_be_learnt(said: dict[str, Any]) -> None:
    turns = [TURNS[0], {**TURNS[1], **said}]
    assert parse_dialogue({"messages": turns}) == Unreadable("nothing_to_learn", "messages")
    messages = messages_of({"messages": [*turns, *TURNS]})
    assert [message.weight for message in messages] == [1, 0, 1, 1]


def turns(*roles: str, content: Any = "x") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role in roles]}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "A story."}, "no_instruction_shape"),
        ({"instruction": "Add."}, "no_instruction_shape"),
        ({"messages": []}, "no_instruction_shape"),
        ({"messages": ["hello"]}, "no_instruction_shape"),
        ({"instruction": "Add.", "output": 3}, "answer_not_text"),
        ({"question": "2+2?", "choices": ["3", "4"], "answer": 1}, "answer_not_text"),
        ({"instruction": "Add.", "output": ["3", "4"]}, "answer_not_text"),
        ({"question": "Add.", "context": {"of": 1}, "answer": "3"}, "context_not_text"),
        ({"instruction": "Add.", "output": "3", "history": [["one"]]}, "bad_history"),
        ({"instruction": "Add.", "output": "3", "history": "earlier"}, "bad_history"),
        ({"messages": TURNS, "system": ["a"]}, "system_not_text"),
        ({"messages": [{"role": "system", "content": "a"}, *TURNS], "system": "b"}, "two_systems"),
        (turns("user", "assistant", content=[{"type": "image_url", "image_url": {}}]), "image_in_content"),
        (turns("user", "assistant", content=[{"type": "input_audio"}]), "audio_in_content"),
        (turns("user", "assistant", content=7), "content_not_text"),
        ({"messages": [TURNS[0], {**TURNS[1], "tool_calls": [{"id": 1}]}]}, "bad_tools"),
        ({"messages": [TURNS[0], {**TURNS[1], "weight": "much"}]}, "bad_weight"),
        (turns("user", "robot"), "unknown_role"),
        (turns("assistant", "user", "assistant"), "roles_out_of_order"),
        (turns("user", "user", "assistant"), "roles_out_of_order"),
        (turns("user", "assistant", "assistant"), "roles_out_of_order"),
        (turns("user", "tool", "assistant"), "roles_out_of_order"),
        (turns("tool", "assistant"), "roles_out_of_order"),
        (turns("user", "assistant", "system", "assistant"), "roles_out_of_order"),
        (turns("user", "assistant", content=" "), "empty_prompt"),
        ({"instruction": "Add.", "output": ""}, "empty_answer"),
        (turns("user"), "ends_without_answer"),
        (turns("system"), "ends_without_answer"),
        (turns("user", "assistant", "user"), "ends_without_answer"),
        ({"prompt": "p", "chosen": "good", "rejected": "bad"}, "preference_data"),
        ({"messages": TURNS, "rejected_response": "bad"}, "preference_data"),
        ({"conversations": SHAREGPT[:1], "chosen": SHAREGPT[1], "rejected": SHAREGPT[1]}, "preference_data"),
        ({"prompt": "p", "response_0": "a", "response_1": "b", "better_response_id": 1}, "preference_data"),
        ({"messages": TURNS, "label": False}, "preference_data"),
        ({"messages": TURNS, "kto_tag": "false"}, "preference_data"),
    ],
)
def test_reasons(record: dict[str, Any], reason: str) -> None:
    parsed = parse_dialogue(record)
    assert isinstance(parsed, Unreadable)
    assert parsed.reason == reason


def test_a_system_message_that_says_nothing_is_none() -> None:
    assert messages_of({"messages": [{"role": "system", "content": " "}, *TURNS]}) == EXCHANGE
