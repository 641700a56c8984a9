"""Instruction records: every common shape becomes the same dialogue, and what is none says why."""

import json
import pathlib
from typing import Any

import pyarrow.parquet as pq
import pytest

from datapipe.read.instructions import MARKUP, Message, ReadInstructions, parse_instruction, render_chatml
from datapipe.read.parts import write_parts
from tests.helpers import write_lines

EXCHANGE = [Message("user", "Add 1 and 2."), Message("assistant", "3")]


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": "Add 1 and 2.", "input": "", "output": "3"},
        {"instruction": "Add 1 and 2.", "response": "3", "context": ""},
        {"instruction": "Add 1 and 2.", "instances": [{"input": "", "output": "3"}], "is_classification": False},
        {"prompt": "Add 1 and 2.", "response": "3"},
        {"prompt": "Add 1 and 2.", "completion": "3"},
        {"query": "Add 1 and 2.", "response": "3"},
        {"question": "Add 1 and 2.", "answer": "3"},
        {"inputs": "Add 1 and 2.", "targets": "3"},
        {"input": "Add 1 and 2.", "output": "3"},
        {"messages": [{"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3"}]},
        {"conversations": [{"from": "human", "value": "Add 1 and 2."}, {"from": "gpt", "value": "3"}]},
    ],
    ids=lambda record: "-".join(record),
)
def test_shapes(record: dict[str, Any]) -> None:
    assert parse_instruction(record) == EXCHANGE


def test_input_follows_its_instruction() -> None:
    messages = parse_instruction({"instruction": "Add:", "input": "1 2", "output": "3"})
    assert messages == [Message("user", "Add:\n1 2"), Message("assistant", "3")]


def test_each_instance_is_a_turn_of_its_own() -> None:
    instances = [{"input": "1 2", "output": "3"}, {"input": "2 2", "output": "4"}]
    messages = parse_instruction({"instruction": "Add:", "instances": instances})
    assert isinstance(messages, list)
    assert [message.content for message in messages] == ["Add:\n1 2", "3", "Add:\n2 2", "4"]


def test_history_and_system_come_first() -> None:
    record = {"instruction": "And 2 and 2?", "output": "4", "history": [["Add 1 and 2.", "3"]], "system": "Be exact."}
    messages = [*EXCHANGE, Message("user", "And 2 and 2?"), Message("assistant", "4")]
    assert parse_instruction(record) == [Message("system", "Be exact."), *messages]


def test_tool_turns() -> None:
    turns = [("human", "Add."), ("function_call", "add(1, 2)"), ("observation", "3"), ("gpt", "It is 3.")]
    messages = parse_instruction({"conversations": [{"from": role, "value": text} for role, text in turns]})
    assert isinstance(messages, list)
    assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant"]


def turns(*roles: str, content: str = "x") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role in roles]}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "A story."}, "no_instruction_shape"),
        ({"instruction": "Add."}, "no_instruction_shape"),
        ({"instruction": "Add.", "output": 3}, "no_instruction_shape"),
        ({"instruction": "Add.", "output": "3", "history": [["one"]]}, "no_instruction_shape"),
        ({"messages": []}, "no_instruction_shape"),
        ({"messages": ["hello"]}, "no_instruction_shape"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "no_instruction_shape"),
        (turns("user", "robot"), "unknown_role"),
        (turns("assistant", "user", "assistant"), "roles_out_of_order"),
        (turns("user", "user", "assistant"), "roles_out_of_order"),
        (turns("user", "assistant", "system", "assistant"), "roles_out_of_order"),
        (turns("user", "assistant", content=" "), "empty_prompt"),
        ({"instruction": " \n", "output": "3"}, "empty_prompt"),
        ({"instruction": "Add.", "output": ""}, "empty_answer"),
        (turns("user"), "empty_answer"),
        (turns("system"), "empty_answer"),
        (turns("user", "assistant", "user"), "empty_answer"),
        (turns("user", "assistant", content=MARKUP[0]), "chat_markup_in_text"),
        ({"prompt": "Say <|im_end|>", "response": "No."}, "chat_markup_in_text"),
    ],
)
def test_reasons(record: dict[str, Any], reason: str) -> None:
    assert parse_instruction(record) == reason


def test_chatml() -> None:
    assert render_chatml(EXCHANGE) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nAdd 1 and 2.<|im_end|>\n"
        "<|im_start|>assistant\n3<|im_end|>\n"
    )
    assert render_chatml(EXCHANGE, system=None).startswith("<|im_start|>user\n")
    own = render_chatml([Message("system", "Be exact."), *EXCHANGE])
    assert own.startswith("<|im_start|>system\nBe exact.<|im_end|>\n<|im_start|>user\n")


@pytest.mark.parametrize("token", MARKUP)
def test_forged_turns_are_not_rendered(token: str) -> None:
    with pytest.raises(ValueError, match="chat markup"):
        render_chatml([Message("user", f"a{token}b"), Message("assistant", "c")])


RECORDS = [
    {"id": "a", "instruction": "Add 1 and 2.", "output": "3", "origin": "alpaca", "level": 1},
    {
        "id": "b",
        "messages": [{"role": "user", "content": "Add 1 and 2."}, {"role": "assistant", "content": "3"}],
        "prompt": "sums",
    },
    {"id": "c", "text": "A story."},
    {"id": "d", "prompt": "Say <|im_\u200bstart|>", "response": "No."},
    {"id": "e", "prompt": "Cafe\u0301?\r\n", "response": "Yes."},
]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "in"
    folder.mkdir()
    write_lines(folder / "one.jsonl", RECORDS[:3])
    write_lines(folder / "two.jsonl", RECORDS[3:])
    return folder


def read(stage: ReadInstructions, tmp_path: pathlib.Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows and rejects of a stage."""
    (tmp_path / "rejects").mkdir(exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {"instruction": [], "reject": []}
    for task in stage.plan(["not an instruction"]):
        for written in write_parts(task, stage.read_options(), str(tmp_path), "instruction", stage.compose()).files:
            rows[written.kind] += pq.read_table(written.path).to_pylist()
    return rows["instruction"], rows["reject"]


def test_records_become_parts_of_kind_instruction(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows, rejects = read(ReadInstructions(paths=[str(folder)]), tmp_path)
    assert [row["input_id"] for row in rows] == ["a", "b", "e"]
    assert {row["source"] for row in rows} == {"instructions"}
    assert [row["text"] for row in rows[:2]] == [render_chatml(EXCHANGE)] * 2
    assert rows[2]["text"] == render_chatml([Message("user", "Caf\u00e9?\n"), Message("assistant", "Yes.")])
    assert [row["prompt"] for row in rows] == [None, "sums", None]
    assert rows[0].keys() == {"text", "source", "path", "position", "bytes", "input_id", "origin", "level", "prompt"}
    assert [(row["file"], row["reason"], row["detail"]) for row in rejects] == [
        ("one.jsonl", "no_instruction_shape", "fields: id, text"),
        # Without its zero-width space it would open a turn.
        ("two.jsonl", "chat_markup_in_text", "fields: id, prompt, response"),
    ]
    assert json.loads(rejects[1]["raw"]) == RECORDS[3]


def test_options_change_what_is_read(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows, _ = read(ReadInstructions(paths=[str(folder / "one.jsonl")], system=None), tmp_path)
    assert rows[0]["text"] == render_chatml(EXCHANGE, system=None)
    named = ReadInstructions(paths=[str(folder / "*.jsonl")], fields={"text": "text", "source": "origin"})
    rows, _ = read(named, tmp_path)
    assert [row["source"] for row in rows] == ["alpaca", "instructions", "instructions"]


def test_without_instructions_it_says_so(folder: pathlib.Path) -> None:
    assert ReadInstructions().skip_reason() == "no instruction data given"
    assert ReadInstructions(paths=[f"{folder}/none"]).skip_reason() == f"no instruction data at {folder}/none"
    assert ReadInstructions(paths=[f"{folder}/none", str(folder)]).skip_reason() is None


def test_a_system_message_with_markup_is_refused() -> None:
    with pytest.raises(ValueError, match="instructions: system must hold no chat markup"):
        ReadInstructions(system="<|im_end|>")


def test_all_real_records_are_read(shared_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows, rejects = read(ReadInstructions(paths=[str(shared_data / "instructions")]), tmp_path)
    assert len(rows) == 2349
    assert rejects == []
