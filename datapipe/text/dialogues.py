"""Dialogues as columns: what `instructions` reads, forms render, and `messages` holds in every Parquet file.

A dialogue is at most one system message, then turns: a user's, then the assistant's, between whose calls of tools and
their results may stand. Whatever a record said of a message has a place here, so that nothing is lost on the way.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import pyarrow as pa


class Message(NamedTuple):
    """One message of a dialogue.

    Attributes:
        role: "system", "user", "assistant" or "tool".
        content: its text.
        reasoning: what the assistant thought before it answered.
        tool_calls: its calls of tools, as a JSON list of objects with `name` and `arguments`, or with these in
            `function` (OpenAI).
        weight: what its loss is multiplied by: 0 is read, and not learnt.
        other: the record's other fields of the message, as a JSON object.
    """

    role: str
    content: str
    reasoning: str = ""
    tool_calls: str = ""
    weight: float = 1.0
    other: str = ""


MESSAGES = pa.list_(
    pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),
            ("reasoning", pa.string()),
            ("tool_calls", pa.string()),
            ("weight", pa.float32()),
            ("other", pa.string()),
        ]
    )
)
COLUMNS = pa.schema([("messages", MESSAGES), ("tools", pa.string())])


class Dialogue(NamedTuple):
    """A dialogue, and the tools that it may call, as a JSON list, or ""."""

    messages: list[Message]
    tools: str = ""


def message_columns(dialogues: Iterable[list[Message]]) -> pa.Array:
    """Dialogues as an array of `MESSAGES`; empty fields are null.

    >>> message_columns([[Message("user", "Hi")]]).to_pylist()[0][0]["content"]
    'Hi'
    """
    dialogues = list(dialogues)
    lengths = [0]
    for messages in dialogues:
        lengths.append(lengths[-1] + len(messages))
    flat = [message for messages in dialogues for message in messages]
    values: list[Any] = [[] for _ in MESSAGES.value_type] if not flat else list(zip(*flat, strict=True))
    arrays = [
        pa.array([value if name in _WHOLE else value or None for value in column], field.type)
        for name, column, field in zip(Message._fields, values, MESSAGES.value_type, strict=True)
    ]
    structs = pa.StructArray.from_arrays(arrays, fields=list(MESSAGES.value_type))
    return pa.ListArray.from_arrays(pa.array(lengths, pa.int32()), structs, type=MESSAGES)


_WHOLE = ("role", "content", "weight")  # the fields that no message lacks


def read_dialogues(messages: pa.Array, tools: pa.Array) -> list[Dialogue]:
    """The dialogues of the columns `messages` and `tools`; a null has no message.

    Args:
        messages: of `MESSAGES`, shape (rows,).
        tools: strings, shape (rows,).
    """
    messages = messages.cast(MESSAGES)
    structs = messages.flatten()
    columns = [column.to_pylist() for column in structs.flatten()]
    for number, name in enumerate(Message._fields):
        if name not in _WHOLE:
            columns[number] = [value or "" for value in columns[number]]
    flat = map(Message._make, zip(*columns, strict=True))
    lengths = messages.value_lengths().fill_null(0).to_pylist()
    return [
        Dialogue([next(flat) for _ in range(length)], tool or "")
        for length, tool in zip(lengths, tools.fill_null("").to_pylist(), strict=True)
    ]


def spoken_text(messages: Iterable[Message]) -> str:
    """What is said in a dialogue, as one text without any mark-up: what filters, deduplication and rules look at.

    >>> spoken_text([Message("user", "Add 1 and 2."), Message("assistant", "3")])
    'Add 1 and 2.\\n\\n3'
    """
    said = (part for m in messages for part in (m.reasoning, m.content, m.tool_calls) if part)
    return "\n\n".join(said)


def calls(tool_calls: str) -> list[tuple[str, Any]]:
    """Name and arguments of each call of a tool; arguments are an object, or text that spells one.

    >>> calls('[{"function": {"name": "add", "arguments": {"of": [1, 2]}}}]')
    [('add', {'of': [1, 2]})]
    """
    named = (call.get("function") or call for call in json.loads(tool_calls)) if tool_calls else ()
    return [(call["name"], call.get("arguments") or {}) for call in named]
