"""Instruction records of the common shapes as ChatML text, so that they join the corpus as parts of kind "instruction".

`documents` reads text that is there to be learnt as it is; here a record of questions and answers first becomes text.
From then on both are rows of one table: decontamination looks at instructions only, rules and deduplication at
documents only, mixing and export at both.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from datapipe.checks import FilesOption
from datapipe.read.documents import ReadDocuments
from datapipe.read.formats import Reject, Row, Source
from datapipe.read.formats.arrow_values import shown
from datapipe.read.inputs import Task, plan
from datapipe.read.options import ReadOptions
from datapipe.read.records import Compose
from datapipe.store import files
from datapipe.store.corpus import PartKind
from datapipe.text.normalization import normalize_one

SYSTEM = "You are a helpful assistant."  # the system message of Qwen's chat format
MARKUP = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")  # Qwen's control tokens

# The names by which the public sets call the four speakers (OpenAI, ShareGPT, LLaMA-Factory, MOSS).
_ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
_DIALOGUES = ("messages", "conversations", "conversation")
# Question and answer by name: Alpaca and BELLE, Dolly, self-instruct, prompt sets, question answering, FLAN and P3.
_PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("query", "response"),
    ("question", "answer"),
    ("inputs", "targets"),
    ("input", "output"),
)


@dataclasses.dataclass(frozen=True)
class Message:
    """One turn of a dialogue; `role` is "system", "user", "assistant" or "tool"."""

    role: str
    content: str


def parse_instruction(record: Mapping[str, Any]) -> list[Message] | str:
    """The dialogue that a record holds, or why it holds none.

    Shapes: `messages` (OpenAI) and `conversations` (ShareGPT) with role or from and content or value; `instruction`
    with `instances` (self-instruct), each instance a turn of its own; and pairs such as `instruction`, `input`,
    `output` (Alpaca, BELLE) or `prompt`, `response`, with `history` (earlier pairs) and `system` where given. The input
    follows its instruction on a new line.

    Returns:
        The messages: at most one of the system, first; then turns, the first the user's, no two running of one role,
        the last the assistant's. Or a reason: `no_instruction_shape`; `unknown_role`; `roles_out_of_order`;
        `empty_prompt`; `empty_answer`, also where the last turn is not the assistant's; `chat_markup_in_text` where a
        message holds a control token of the chat format. Such a record is rejected, not rewritten: encoded as it stands
        it would forge a turn, and any other spelling would be a text that nobody wrote.

    >>> parse_instruction({"instruction": "Add 1 and 2.", "output": "3"})
    [Message(role='user', content='Add 1 and 2.'), Message(role='assistant', content='3')]
    >>> parse_instruction({"text": "A story."})
    'no_instruction_shape'
    """
    messages = _messages(record)
    if isinstance(messages, str):
        return messages
    return _fault(messages) or messages


def render_chatml(messages: Sequence[Message], system: str | None = SYSTEM) -> str:
    """A dialogue in Qwen's ChatML: `<|im_start|>role\\ncontent<|im_end|>\\n` for each message.

    Args:
        messages: the dialogue.
        system: the system message for a dialogue that has none; None adds none.

    Raises:
        ValueError: if a message holds a control token, which would forge a turn.

    >>> print(render_chatml([Message("user", "Add 1 and 2."), Message("assistant", "3")], system=None), end="")
    <|im_start|>user
    Add 1 and 2.<|im_end|>
    <|im_start|>assistant
    3<|im_end|>
    """
    if system is not None and messages[0].role != "system":
        messages = [Message("system", system), *messages]
    for message in messages:
        if has_markup(message.content):
            raise ValueError(f"chat markup in the text of a message: {message.content!r}")
    return "".join(f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in messages)


def has_markup(text: str) -> bool:
    """Whether text holds a control token of the chat format."""
    return any(token in text for token in MARKUP)


def spoken_fields(record: Mapping[str, Any]) -> frozenset[str]:
    """The fields that the dialogue of a record lies in: those of its shape."""
    dialogue = _dialogue_field(record)
    if dialogue is not None:
        return frozenset({dialogue, "system"})
    return frozenset({*itertools.chain(*_PAIRS), "context", "instances", "history", "system"})


def _dialogue_field(record: Mapping[str, Any]) -> str | None:
    return next((name for name in _DIALOGUES if isinstance(record.get(name), list)), None)


def _messages(record: Mapping[str, Any]) -> list[Message] | str:
    """The messages as the record's shape gives them, not yet checked; or why there are none."""
    dialogue = _dialogue_field(record)
    messages = _exchanges(record) if dialogue is None else _dialogue(record[dialogue])
    system = record.get("system")
    if isinstance(messages, list) and isinstance(system, str) and system.strip():
        messages = [Message("system", system), *messages]
    return messages


def _dialogue(turns: list[Any]) -> list[Message] | str:
    messages = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            return "no_instruction_shape"
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if not isinstance(role, str) or not isinstance(content, str):
            return "no_instruction_shape"
        if role not in _ROLES:
            return "unknown_role"
        messages.append(Message(_ROLES[role], content))
    return messages or "no_instruction_shape"


def _exchanges(record: Mapping[str, Any]) -> list[Message] | str:
    """Messages of a record that names its question and its answer, after earlier pairs in `history`."""
    instances = record.get("instances")
    if isinstance(instances, list) and instances and all(isinstance(instance, Mapping) for instance in instances):
        rounds = [{"instruction": record.get("instruction"), **instance} for instance in instances]
    else:
        rounds = [dict(record)]
    history = record.get("history")
    pairs = list(history) if isinstance(history, list) else []
    for fields in rounds:
        names = next((names for names in _PAIRS if all(isinstance(fields.get(name), str) for name in names)), None)
        if names is None:
            return "no_instruction_shape"
        prompt, extra = fields[names[0]], fields.get("input") or fields.get("context")
        if names[0] == "instruction" and isinstance(extra, str) and extra.strip():
            prompt = f"{prompt}\n{extra}"
        pairs.append((prompt, fields[names[1]]))
    messages = []
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or [type(text) for text in pair] != [str, str]:
            return "no_instruction_shape"
        messages += [Message("user", pair[0]), Message("assistant", pair[1])]
    return messages


def _fault(messages: Sequence[Message]) -> str | None:
    """The first rule that a dialogue breaks, in the order that `parse_instruction` names them."""
    turns = messages[1:] if messages[0].role == "system" else messages
    roles = [message.role for message in turns]
    runs_on = any(role == following for role, following in itertools.pairwise(roles))
    if "system" in roles or runs_on or (roles and roles[0] != "user"):
        return "roles_out_of_order"
    if any(not message.content.strip() for message in turns if message.role != "assistant"):
        return "empty_prompt"
    if not turns or roles[-1] != "assistant" or any(not m.content.strip() for m in turns if m.role == "assistant"):
        return "empty_answer"
    if any(has_markup(message.content) for message in messages):
        return "chat_markup_in_text"
    return None


@dataclasses.dataclass(eq=False)
class ReadInstructions(ReadDocuments):
    """Read instruction records and render them in ChatML, as `ReadDocuments` reads documents.

    The source of a record that names none is "instructions". Fields that are no part of the dialogue stay columns.
    All options of the stage `documents` are options here, too.

    Attributes:
        paths: files, folders and globs of records, in the formats that have fields. None: there is nothing to do.
        system: the system message of dialogues that have none; null adds none.
    """

    paths: list[FilesOption] = dataclasses.field(default_factory=list)
    system: str | None = SYSTEM

    name: ClassVar[str] = "instructions"
    version: ClassVar[int] = 3
    part_kind: ClassVar[PartKind] = "instruction"

    def check(self) -> None:
        """The system message forges no turn."""
        super().check()
        if self.system is not None and has_markup(self.system):
            raise ValueError(f"instructions: system must hold no chat markup, got {self.system!r}")

    def skip_reason(self) -> str | None:
        """Why there is nothing to do, if so."""
        if not self.paths:
            return "no instruction data given"
        if not any(files.fingerprint(path) for path in self.paths):
            return f"no instruction data at {', '.join(self.paths)}"
        return None

    def plan(self, inputs: Sequence[str]) -> list[Task]:  # noqa: ARG002 - a run's inputs are its documents
        """The tasks of the paths: see `datapipe.read.inputs.plan`."""
        tasks = plan(self.paths, self.read_options())
        return [
            dataclasses.replace(task, slices=tuple(dataclasses.replace(p, source=self.name) for p in task.slices))
            for task in tasks
        ]

    def compose(self) -> Compose:
        """What renders the dialogue of a record."""
        return functools.partial(render_record, options=self.read_options(), system=self.system)


def render_record(row: Row, source: Source, options: ReadOptions, system: str | None) -> Row | Reject:
    """A record with its dialogue as text, or the reason why it holds none."""
    messages = parse_instruction(row.columns)
    if not isinstance(messages, str):
        # Normalized first: a control token may lie hidden behind an invisible character.
        messages = [Message(m.role, normalize_one(m.content, options.normalization)) for m in messages]
        messages = _fault(messages) or messages
    if isinstance(messages, str):
        if row.raw and any(isinstance(value, bytes) for value in row.columns.values()):
            messages = "invalid_utf8"
        raw = row.raw or shown(row.columns)
        return source.reject(row.position, messages, f"fields: {', '.join(row.columns)}", raw)
    spoken = spoken_fields(row.columns)
    columns = {name: value for name, value in row.columns.items() if name not in spoken}
    columns[options.text_fields[0]] = render_chatml(messages, system)
    return row._replace(columns=columns)
