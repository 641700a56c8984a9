"""Instruction records of the common shapes as dialogues; nothing of a record is lost unsaid.

A field either becomes part of the dialogue, or stays a column of the user's, or makes the record a reject whose reason
says so. What cannot be told from the record is never guessed: two speakers in a row, a context that is no text, answers
that the record itself calls unwanted.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from datapipe.text.dialogues import Message

# The names by which the public sets call the four speakers (OpenAI, ShareGPT, LLaMA-Factory, MOSS, Hermes).
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "moss": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
    "observation": "tool",
    "tool_response": "tool",
    "function_response": "tool",
}
# What may stand before a message; "system" also stands for the beginning.
_FOLLOWS = {
    "system": (),
    "user": ("system", "assistant"),
    "assistant": ("user", "tool"),
    "tool": ("assistant", "tool"),
}
_CALL_ROLES = ("function_call", "tool_call")  # their content is a call of a tool

# A dialogue by name: OpenAI and TRL, ShareGPT and its first form, Firefly, and what else people call it.
_DIALOGUES = ("messages", "conversations", "conversation", "items", "dialog", "dialogue")
# Question and answer by name: Alpaca and BELLE, Dolly, self-instruct, prompt sets, TRL, question answering, OpenOrca,
# FLAN and P3, Firefly. A pair that stands together in such a set comes before all others.
_PAIRS: tuple[tuple[str, str], ...] = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("query", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("problem", "solution"),
    ("inputs", "targets"),
    ("input", "output"),
    ("input", "target"),
)
_PROMPTS = ("instruction", "prompt", "query", "question", "problem", "inputs", "input")
_ANSWERS = ("output", "response", "completion", "answer", "solution", "targets", "target")
_PAIRS += tuple((prompt, answer) for prompt in _PROMPTS for answer in _ANSWERS if (prompt, answer) not in _PAIRS)
_CONTEXTS = ("input", "context")  # what follows a prompt on a new line
_SYSTEMS = ("system", "system_prompt", "meta_instruction")
_TOOLS = ("tools", "functions")

# Of a message. What stands for "role" and "content" may also be named by the user.
_ROLE_NAMES = ("role", "from")
_CONTENT_NAMES = ("content", "value", "text")
_REASONING = ("reasoning_content", "reasoning", "thinking")
# Axolotl's, LLaMA-Factory's, ms-swift's and OpenAI's names for "learn this message".
_WEIGHTS = ("weight", "train", "trainable", "training", "loss")

# Two answers by number or letter, of which one is the better one: WebGPT, SafeRLHF, SHP.
_RANKED = re.compile(r"(?:response|answer|completion|output|ref|human_ref)_([01ab])", re.IGNORECASE)
_MOSS_MARKS = re.compile(r"\A<\|[\w ]+\|>:\s*|<eo[a-z]>\s*\Z")
_MOSS_TURN = re.compile(r"turn_(\d+)")
NOTHING = ("<noinput>", "nan")  # how self-instruct and pandas write that there is no input


class Parsed(NamedTuple):
    """What a record says.

    Attributes:
        messages: the dialogue.
        tools: the tools that it may call, as a JSON list, or "".
        shape: how the record names its dialogue, such as "messages" or "instruction, output".
        fields: the fields that have become part of it.
    """

    messages: list[Message]
    tools: str
    shape: str
    fields: frozenset[str]


class Unreadable(NamedTuple):
    """Why a record holds no dialogue to learn.

    Attributes:
        reason: a snake_case name; see `parse_dialogue`.
        shape: as in `Parsed`; "none" where there is none.
    """

    reason: str
    shape: str


class _Fault(Exception):  # noqa: N818 - a finding about a record, turned into an `Unreadable`
    """A record, or a part of it, that is no dialogue."""


def parse_dialogue(record: Mapping[str, Any], names: Mapping[str, Sequence[str]] | None = None) -> Parsed | Unreadable:
    """The dialogue that a record holds, or why it holds none that can be learnt.

    Shapes: a list of messages (`messages`, `conversations`, `items`, ..., also as JSON or as a struct of lists) with
    role or from and content or value, or of pairs (`human`, `assistant`); MOSS's `chat`; `instruction` with `instances`
    (self-instruct), each a turn of its own; and pairs such as `instruction`, `output` (Alpaca, BELLE) or `question`,
    `response` (OpenOrca), with `input` and `context` on a new line after the question, `history` (earlier pairs, also
    as JSON), and `system`. A prompt or completion may be a list of messages itself (TRL).

    Args:
        record: its fields; a string that is text in no encoding is bytes.
        names: of our names, the user's, such as `{"instruction": ["question"]}`; "role" and "content" are of messages.

    Returns:
        The dialogue: at most one message of the system, first; then turns, the first the user's, the last the
        assistant's; results of tools follow an answer. Or a reason:

        - `no_instruction_shape`: nothing of the above;
        - `preference_data`: answers to compare, or one called unwanted (`label` or `kto_tag` false);
        - `unknown_role`, `roles_out_of_order`, `two_systems`, `bad_history`;
        - `image_in_content` and so on, `content_not_text`, `context_not_text`, `system_not_text`, `answer_not_text`,
          `bad_tools`, `bad_weight`: what is there is no text, or not what it should be;
        - `empty_prompt`, `empty_answer`, `ends_without_answer`, `nothing_to_learn` (all weights are 0).

    >>> parsed = parse_dialogue({"instruction": "Add.", "input": "1 2", "output": "3", "id": 7})
    >>> [(m.role, m.content) for m in parsed.messages], sorted(parsed.fields)
    ([('user', 'Add.\\n1 2'), ('assistant', '3')], ['input', 'instruction', 'output'])
    >>> parse_dialogue({"text": "A story."})
    Unreadable(reason='no_instruction_shape', shape='none')
    """
    found = _Record(record, names or {})
    try:
        messages = found.messages()
    except _Fault as error:
        return Unreadable(str(error), found.shape)
    reason = fault(messages)
    if reason:
        return Unreadable(reason, found.shape)
    return Parsed(messages, found.tools, found.shape, frozenset(found.used))


class _Record:
    """A record, and which of its fields have been used."""

    def __init__(self, record: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> None:
        self._record = record
        self._names = names
        self.used: set[str] = set()
        self.shape = "none"
        self.tools = ""

    def _theirs(self, name: str) -> str:
        """The record's name for a field of ours."""
        return next((theirs for theirs in self._names.get(name, ()) if not _is_empty(self._record.get(theirs))), name)

    def _get(self, name: str) -> Any:
        return self._record.get(self._theirs(name))

    def _take(self, name: str) -> Any:
        self.used.add(self._theirs(name))
        return self._get(name)

    def messages(self) -> list[Message]:
        for name in _DIALOGUES:
            value = _from_json(self._get(name))
            if _is_empty(value):
                continue
            listed = _rows(value)
            if listed is not None:
                self.shape = name
                self._refuse_preferences()
                self._take(name)
                return self._with_system(self._dialogue(listed))
        if isinstance(self._get("chat"), Mapping) and any(_MOSS_TURN.fullmatch(key) for key in self._get("chat")):
            self.shape = "chat"
            return self._with_system(_moss(self._take("chat")))
        self._refuse_preferences()
        return self._with_system(self._exchanges())

    def _refuse_preferences(self) -> None:
        """Refuse answers to choose from, and one that the record calls unwanted."""
        words = {name: set(re.split(r"[\W_]+", name.lower())) for name, value in self._record.items() if _says(value)}
        rejected = [name for name, said in words.items() if "rejected" in said]
        ranked = {match[1].lower(): name for name in words if (match := _RANKED.fullmatch(name))}
        if rejected or {"0", "1"} <= ranked.keys() or {"a", "b"} <= ranked.keys():
            if self.shape == "none":
                self.shape = ", ".join(sorted(rejected or ranked.values()))
            raise _Fault("preference_data")
        for name in ("label", "kto_tag"):
            if _is_false(self._record.get(name)):
                raise _Fault("preference_data")

    def _with_system(self, messages: list[Message]) -> list[Message]:
        """The messages after the system message that stands beside them."""
        said = {}
        for name in _SYSTEMS:
            value = self._get(name)
            if _is_empty(value):
                continue
            if not isinstance(value, str):
                raise _Fault("system_not_text")
            said[name] = self._take(name)
        for name in _TOOLS:
            if not _is_empty(self._get(name)) and not self.tools:
                self.tools = _tools(self._get(name))
                self.used.add(self._theirs(name))
        if messages and messages[0].role == "system" and not messages[0].content.strip():
            messages = messages[1:]  # says nothing: as if it were not there
        if not said:
            return messages
        if len(set(said.values())) > 1 or (messages and messages[0].role == "system"):
            raise _Fault("two_systems")
        return [Message("system", next(iter(said.values()))), *messages]

    def _dialogue(self, turns: Sequence[Any]) -> list[Message]:
        messages: list[Message] = []
        for turn in turns:
            if not isinstance(turn, Mapping):
                raise _Fault("no_instruction_shape")
            pair = _spoken_pair(turn)
            messages += pair if pair else [self._message(turn)]
        return _with_calls_joined(messages)

    def _message(self, turn: Mapping[str, Any]) -> Message:
        said = {name: value for name, value in turn.items() if value is not None}
        role = _pop(said, (*self._names.get("role", ()), *_ROLE_NAMES))
        if not isinstance(role, str):
            raise _Fault("no_instruction_shape")
        role = role.strip().lower()
        if role not in _ROLES:
            raise _Fault("unknown_role")
        content = _text(_pop(said, (*self._names.get("content", ()), *_CONTENT_NAMES)))
        tool_calls = ""
        if role in _CALL_ROLES:
            tool_calls, content = _calls(content), ""
        for name in ("tool_calls", "function_call"):
            value = _from_json(said.get(name))
            if not _is_empty(value):
                if tool_calls:
                    raise _Fault("bad_tools")
                tool_calls = _calls(value)
            said.pop(name, None)
        reasoning = _text(_pop(said, _REASONING))
        weight = 1.0
        for name in [name for name in _WEIGHTS if name in said]:
            weight *= _weight(said.pop(name))
        other = json.dumps(said, ensure_ascii=False, default=str) if said else ""
        return Message(_ROLES[role], content, reasoning, tool_calls, weight, other)

    def _exchanges(self) -> list[Message]:
        """Messages of a record that names its question and its answer, after earlier pairs in `history`."""
        instances = _from_json(self._get("instances"))
        if isinstance(instances, list) and instances and all(isinstance(each, Mapping) for each in instances):
            self.shape = "instruction, instances"
            self._take("instances")
            shared = {"instruction": self._take("instruction")}
            return [m for each in instances for m in self._pair({**shared, **each}, each.keys())]
        return [*self._history(), *self._pair(self._record, ())]

    def _pair(self, record: Mapping[str, Any], instance: Iterable[str]) -> list[Message]:
        """The question and the answer of a record, or of an instance, with these fields, in it."""
        own = _Record(record, self._names)
        for prompt_name, answer_name in _PAIRS:
            prompt, answer = (_from_json_list(own._get(name)) for name in (prompt_name, answer_name))
            if prompt is None or answer is None or own._theirs(prompt_name) == own._theirs(answer_name):
                continue
            pair = (own._theirs(prompt_name), own._theirs(answer_name))
            self.shape = self.shape if instance else ", ".join(pair)
            # Of a second pair none can tell how it belongs to the first: all of it stays columns.
            second = any(
                not _is_empty(own._get(p)) and not _is_empty(own._get(a))
                for p, a in _PAIRS
                if own._theirs(p) not in pair and own._theirs(a) not in pair and p != a
            )
            contexts = [name for name in _CONTEXTS if own._theirs(name) not in pair and not second]
            said = [own._get(name) for name in contexts if not _is_nothing(own._get(name))]
            own.used |= {*pair, *(own._theirs(name) for name in contexts)}
            self.used |= own.used & set(record) - set(instance)
            return self._question(prompt, said) + self._answers(answer)
        raise _Fault("no_instruction_shape")

    def _question(self, prompt: Any, contexts: Sequence[Any]) -> list[Message]:
        if isinstance(prompt, list):
            if contexts:
                raise _Fault("context_not_text")
            return self._dialogue(prompt)
        if not all(isinstance(text, str) for text in contexts):
            raise _Fault("context_not_text")
        if not isinstance(prompt, str):
            raise _Fault("content_not_text")
        return [Message("user", "\n".join([prompt, *contexts]))]

    def _answers(self, answer: Any) -> list[Message]:
        if isinstance(answer, list) and answer and all(isinstance(turn, Mapping) for turn in answer):
            return self._dialogue(answer)
        if not isinstance(answer, str):
            raise _Fault("answer_not_text")
        return [Message("assistant", answer)]

    def _history(self) -> list[Message]:
        history = self._get("history")
        if _is_empty(history):
            return []
        history = _from_json(history)
        self._take("history")
        if not isinstance(history, list):
            raise _Fault("bad_history")
        messages: list[Message] = []
        for turn in history:
            if isinstance(turn, Mapping):
                messages += _spoken_pair(turn) or [self._message(turn)]
            elif isinstance(turn, (list, tuple)) and [type(text) for text in turn] == [str, str]:
                messages += [Message("user", turn[0]), Message("assistant", turn[1])]
            else:
                raise _Fault("bad_history")
        return messages


def fault(messages: Sequence[Message]) -> str | None:
    """The first rule of `parse_dialogue` on the order of messages, and on what must be in them, that these break."""
    turns = messages[1:] if messages and messages[0].role == "system" else messages
    if not messages:
        return "no_instruction_shape"
    before = "system"
    for message in turns:
        if before not in _FOLLOWS[message.role]:
            return "roles_out_of_order"
        before = message.role
    if any(not message.content.strip() for message in turns if message.role == "user"):
        return "empty_prompt"
    answers = [message for message in turns if message.role == "assistant"]
    if any(not (message.content.strip() or message.tool_calls) for message in answers):
        return "empty_answer"
    if before != "assistant":
        return "ends_without_answer"
    if not any(message.weight > 0 for message in answers):
        return "nothing_to_learn"
    return None


def _with_calls_joined(messages: Sequence[Message]) -> list[Message]:
    """The messages, in which a call of a tool right after an answer is a part of it (ShareGPT's `function_call`)."""
    joined: list[Message] = []
    for message in messages:
        last = joined[-1] if joined else None
        calls_only = message.role == "assistant" and message.tool_calls and not message.content
        if last and calls_only and last.role == "assistant" and last.weight == message.weight and not message.reasoning:
            every = json.loads(last.tool_calls or "[]") + json.loads(message.tool_calls)
            other = {**json.loads(last.other or "{}"), **json.loads(message.other or "{}")}
            joined[-1] = last._replace(
                tool_calls=json.dumps(every, ensure_ascii=False),
                other=json.dumps(other, ensure_ascii=False) if other else "",
            )
        else:
            joined.append(message)
    return joined


def _moss(chat: Mapping[str, Any]) -> list[Message]:
    """The messages of MOSS's `chat`: turns by number, each a question, thoughts, commands, their results, an answer."""
    messages: list[Message] = []
    for key in sorted((key for key in chat if _MOSS_TURN.fullmatch(key)), key=lambda key: int(key.split("_")[1])):
        turn = chat[key]
        if not isinstance(turn, Mapping):
            raise _Fault("no_instruction_shape")
        said = {}
        for name, value in turn.items():
            text = _MOSS_MARKS.sub("", _text(value))
            said[name.lower()] = "" if text == "None" else text
        thoughts = said.pop("inner thoughts", "")
        command, result = said.pop("commands", ""), said.pop("tool responses", "")
        question, answer = said.pop("human", ""), said.pop("moss", "")
        if any(said.values()):
            raise _Fault("no_instruction_shape")
        messages.append(Message("user", question))
        if command or result:
            messages += [Message("assistant", command, thoughts), Message("tool", result)]
            thoughts = ""
        messages.append(Message("assistant", answer, thoughts))
    return messages


def _spoken_pair(turn: Mapping[str, Any]) -> list[Message]:
    """Both messages of a turn that names its speakers, such as Firefly's `human` and `assistant`; else nothing."""
    said = {name: value for name, value in turn.items() if value is not None}
    roles = {_ROLES.get(name.lower()): value for name, value in said.items()}
    if len(said) == 2 and roles.keys() == {"user", "assistant"}:
        return [Message("user", _text(roles["user"])), Message("assistant", _text(roles["assistant"]))]
    for prompt, answer in _PAIRS:
        if said.keys() == {prompt, answer}:
            return [Message("user", _text(said[prompt])), Message("assistant", _text(said[answer]))]
    return []


def _text(value: Any) -> str:
    """A message's text: a string, or a list of parts that are text alone."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        parts = value.get("parts")
        value = parts if isinstance(parts, list) else [value]
    if not isinstance(value, list):
        raise _Fault("content_not_text")
    texts = []
    for part in value:
        if isinstance(part, Mapping):
            said = {name: each for name, each in part.items() if each is not None}
            kind = str(said.get("type", "text" if "text" in said else "unknown"))
            medium = next((word for word in ("image", "audio", "video", "file") if word in kind.lower()), "")
            if medium:
                raise _Fault(f"{medium}_in_content")
            part = said.get("text")
        if not isinstance(part, str):
            raise _Fault("content_not_text")
        texts.append(part)
    return "".join(texts)


def _tools(value: Any) -> str:
    """Tools as a JSON list."""
    value = _from_json(value)
    value = value if isinstance(value, list) else [value]
    if not all(isinstance(tool, Mapping) for tool in value):
        raise _Fault("bad_tools")
    return json.dumps(value, ensure_ascii=False, default=str)


def _calls(value: Any) -> str:
    """Calls of tools as a JSON list, each with a name."""
    value = _from_json(value)
    value = [_without_nulls(call) for call in (value if isinstance(value, list) else [value])]
    for call in value:
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise _Fault("bad_tools")
    return json.dumps(value, ensure_ascii=False, default=str)


def _without_nulls(value: Any) -> Any:
    """A value as it was before it lay in a table, where every struct has the fields of all."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _weight(value: Any) -> float:
    if isinstance(value, bool | int | float) and value >= 0:
        return float(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    raise _Fault("bad_weight")


def _from_json(value: Any) -> Any:
    """What a string spells in JSON, if that is a list or an object; else the value."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _from_json_list(value: Any) -> Any:
    """A string, or a list of messages, also where it is written as JSON; of others, the value."""
    read = _from_json(value)
    return read if isinstance(read, list) and read and all(_is_message(turn) for turn in read) else value


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and any(name in value for name in _ROLE_NAMES)


def _rows(value: Any) -> list[Any] | None:
    """A list of messages, also of a struct of lists; None if it is neither."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        columns = {name: column for name, column in value.items() if isinstance(column, list)}
        if any(name in columns for name in _ROLE_NAMES) and len({len(column) for column in columns.values()}) == 1:
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return None


def _pop(said: dict[str, Any], names: Iterable[str]) -> Any:
    """The first of some fields that is there."""
    return next((said.pop(name) for name in names if name in said), None)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def _is_nothing(value: Any) -> bool:
    """Whether an input or context says that there is none."""
    return _is_empty(value) or (isinstance(value, str) and value.strip().lower() in NOTHING) or value != value


def _says(value: Any) -> bool:
    """Whether a field holds text, or what consists of it: no score and no flag."""
    return not _is_empty(value) and not isinstance(value, bool | int | float)


def _is_false(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")
