"""Dialogues go into columns and come back as they were."""

import pyarrow as pa

from datapipe.text.dialogues import Message, calls, message_columns, read_dialogues, spoken_text

CALL = '[{"name": "add", "arguments": {"of": [1, 2]}}]'
DIALOGUE = [
    Message("user", "Add 1 and 2."),
    Message("assistant", "", reasoning="Easy.", tool_calls=CALL, weight=0.5, other='{"name": "bot"}'),
    Message("tool", "3"),
]


def test_columns_hold_all_of_a_dialogue() -> None:
    messages = message_columns([DIALOGUE, [], DIALOGUE[:1]])
    tools = pa.array(["[]", None, None], pa.string())
    assert [each.messages for each in read_dialogues(messages, tools)] == [DIALOGUE, [], DIALOGUE[:1]]
    assert read_dialogues(messages, tools)[0].tools == "[]"
    assert [each.messages for each in read_dialogues(messages.slice(1), tools.slice(1))] == [[], DIALOGUE[:1]]
    assert read_dialogues(pa.nulls(1, messages.type), pa.nulls(1, pa.string()))[0].messages == []
    assert message_columns([]).type == messages.type


def test_what_is_said_has_no_mark_up() -> None:
    assert spoken_text(DIALOGUE) == f"Add 1 and 2.\n\nEasy.\n\n{CALL}\n\n3"


def test_calls_of_either_form() -> None:
    assert calls("") == []
    assert calls('[{"function": {"name": "f", "arguments": "{}"}}, {"name": "g"}]') == [("f", "{}"), ("g", {})]
