"""The chat forms of the named systems: a dialogue as pieces, and which of them bear loss.

A piece is a control token or text. Text never becomes a control token, whatever it spells: it is encoded apart, with
control tokens off. A run of neighbouring text pieces is encoded as one, as transformers encodes a rendered template; a
token that holds characters of two pieces bears loss if one of them does.

A form is data: `tokenizer_training.chat_template` makes a transformers template of it, which gives the same text.
"""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.text.chat_names import FormName, LossName
from datapipe.text.dialogues import Dialogue, Message, calls

Place = Literal["open", "header", "content", "close", "tail"]  # of a piece in its turn

# How Qwen 2.5 and 3 write tools in ChatML, after Hermes; forms that know no tools of their own take it over.
QWEN_TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function "
    "signatures within <tools></tools> XML tags:\n<tools>"
)
QWEN_TOOLS_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
# ChatGLM3's system message where tools are given (PROMPT.md of its repository).
CHATGLM3_TOOLS = "Answer the following questions as best as you can. You have access to the following tools:"


class Part(NamedTuple):
    """What a form writes in a turn: a control token, or text, in which `{content}` and `{round}` stand for the turn's.

    `{metadata}` is the name of the tool that a turn calls, in ChatGLM3's form.
    """

    place: Place
    text: str
    control: bool = False


CONTENT = Part("content", "{content}")


@dataclasses.dataclass(frozen=True)
class Form:
    """A chat form.

    Attributes:
        system, user, assistant, tool: what is written of such a message. An empty `system` goes into the first user's
            message instead, as `system_in_user`. Without `tool`, results of tools are a user's message, as Qwen's.
        before: what comes before the first message.
        after: what comes after the last, as parts of its turn.
        between: what comes between an answer and the next question.
        system_in_user: see `system`.
        strip: whether contents lose white space at their ends.
        tags: text that has a meaning in this form although it is no control token: content must not hold it.
        eos: the control token that ends a text.
        default_system: the system message of dialogues that have none; "" adds none.
        losses: the policies that make sense of it, its own system's first.
    """

    user: tuple[Part, ...]
    assistant: tuple[Part, ...]
    system: tuple[Part, ...] = ()
    tool: tuple[Part, ...] = ()
    before: tuple[Part, ...] = ()
    after: tuple[Part, ...] = ()
    between: str = ""
    system_in_user: str = ""
    strip: bool = False
    tags: tuple[str, ...] = ()
    eos: str = "</s>"
    default_system: str = ""
    losses: tuple[LossName, ...] = ("answers",)

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The control tokens that it writes, each once."""
        parts = (*self.before, *self.system, *self.user, *self.assistant, *self.tool, *self.after)
        return tuple(dict.fromkeys(part.text for part in parts if part.control))

    @property
    def reserved(self) -> tuple[str, ...]:
        """All that has a meaning of its own in a rendered text: control tokens and tags."""
        return (*self.control_tokens, *self.tags)

    def renamed(self, names: Mapping[str, str]) -> "Form":
        """The form with other control tokens, by the names that it gives them."""

        def rename(parts: tuple[Part, ...]) -> tuple[Part, ...]:
            return tuple(
                part._replace(text=names.get(part.text, part.text)) if part.control else part for part in parts
            )

        groups = ("before", "system", "user", "assistant", "tool", "after")
        changed: dict[str, Any] = {group: rename(getattr(self, group)) for group in groups}
        return dataclasses.replace(self, **changed, eos=names.get(self.eos, self.eos))


def _chatml(role: str) -> tuple[Part, ...]:
    return (
        Part("open", "<|im_start|>", control=True),
        Part("header", f"{role}\n"),
        CONTENT,
        Part("close", "<|im_end|>", control=True),
        Part("tail", "\n"),
    )


def _chatglm3(role: str) -> tuple[Part, ...]:
    return (Part("open", f"<|{role}|>", control=True), Part("header", "{metadata}\n"), CONTENT)


# `sop` as GLM-4 spells it: ChatGLM's own spelling is a part of words such as "sophisticated".
_GLM_PREFIX = (Part("open", "[gMASK]", control=True), Part("open", "<sop>", control=True))
_END = Part("close", "</s>", control=True)

FORMS: dict[FormName, Form] = {
    # Qwen: its technical report and finetune.py.
    "chatml": Form(
        system=_chatml("system"),
        user=_chatml("user"),
        assistant=_chatml("assistant"),
        eos="<|im_end|>",
        default_system="You are a helpful assistant.",
        losses=("answers", "qwen_paper", "qwen_script"),
    ),
    # `chat_completion` of Llama 2's generation.py: each turn between BOS and EOS.
    "llama2": Form(
        user=(Part("open", "<s>", control=True), Part("header", "[INST] "), CONTENT, Part("tail", " [/INST]")),
        assistant=(Part("content", " {content} "), _END),
        system_in_user="<<SYS>>\n{system}\n<</SYS>>\n\n",
        strip=True,
        tags=("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    ),
    # `build_prompt` of modeling_chatglm.py. It knows no system message: here that comes first.
    "chatglm2": Form(
        before=_GLM_PREFIX,
        system=(CONTENT, Part("tail", "\n\n")),
        user=(Part("header", "[Round {round}]\n\n问："), CONTENT, Part("tail", "\n\n答：")),
        assistant=(CONTENT,),
        between="\n\n",
        after=(_END,),
        losses=("chatglm2", "answers"),
    ),
    # `build_single_message` of tokenization_chatglm.py, and finetune_hf.py.
    "chatglm3": Form(
        before=_GLM_PREFIX,
        system=_chatglm3("system"),
        user=_chatglm3("user"),
        assistant=_chatglm3("assistant"),
        tool=_chatglm3("observation"),
        after=(_END,),
        losses=("chatglm3", "answers"),
    ),
    # fine-tune.py of Baichuan 2.
    "baichuan2": Form(
        system=(CONTENT,),
        user=(Part("open", "<reserved_106>", control=True), CONTENT),
        assistant=(Part("open", "<reserved_107>", control=True), CONTENT),
        after=(_END,),
        losses=("baichuan2", "answers"),
    ),
    # Skywork's chat models. It knows no system message: here that begins the first question.
    "skywork": Form(
        before=(Part("open", "</s>", control=True),),
        user=(
            Part("open", "<s>", control=True),
            Part("open", "[USER]", control=True),
            CONTENT,
            Part("tail", "[SEP]", control=True),
            Part("tail", "[BOT]", control=True),
        ),
        assistant=(CONTENT, _END),
        system_in_user="{system}\n\n",
    ),
    # For pretraining on instructions as text, without any sign of who speaks.
    "plain": Form(
        system=(CONTENT, Part("tail", "\n\n")),
        user=(CONTENT, Part("tail", "\n\n")),
        assistant=(CONTENT,),
        between="\n\n",
        after=(Part("close", "<|endoftext|>", control=True),),
        eos="<|endoftext|>",
    ),
}


class Turn(NamedTuple):
    """What a form writes for one message: its role, its text, and whether it is learnt."""

    role: str
    content: str
    trained: bool
    metadata: str = ""


def turns_of(dialogue: Dialogue, form: Form, system: str) -> list[Turn]:
    """The turns of a dialogue as a form writes them: tools and reasoning as text, the system message where it goes.

    Args:
        dialogue: checked by `datapipe.read.dialogues`.
        form: which may have turns for tools (ChatGLM3), or not (as Qwen: results are a user's).
        system: the system message of a dialogue that has none.
    """
    messages = dialogue.messages
    if messages and messages[0].role == "system":
        system, messages = messages[0].content, messages[1:]
    system = _ends(system, form)
    if dialogue.tools:
        system = _system_with_tools(system, dialogue.tools, chatglm3=bool(form.tool))
    turns: list[Turn] = []
    for message in messages:
        trained = message.weight > 0
        if message.role == "assistant":
            said = _answer(message, chatglm3=bool(form.tool))
            turns += [Turn("assistant", _ends(content, form), trained, metadata) for metadata, content in said]
            continue
        content, role = message.content, message.role
        if role == "tool" and not form.tool:
            content, role = f"<tool_response>\n{content}\n</tool_response>", "user"
        if role == "user" and turns and turns[-1].role == "user":
            turns[-1] = turns[-1]._replace(content=f"{turns[-1].content}\n{_ends(content, form)}")
        else:
            turns.append(Turn(role, _ends(content, form), trained))
    if system and form.system:
        return [Turn("system", system, False), *turns]
    if system and turns:
        said_first = form.system_in_user.replace("{system}", system)
        turns[0] = turns[0]._replace(content=said_first + turns[0].content)
    return turns


def _ends(content: str, form: Form) -> str:
    return content.strip() if form.strip else content


def _system_with_tools(system: str, tools: str, *, chatglm3: bool) -> str:
    found = json.loads(tools)
    found = found if isinstance(found, list) else [found]
    if chatglm3:
        return f"{system or CHATGLM3_TOOLS}\n{json.dumps(found, indent=4, ensure_ascii=False)}"
    lines = "".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in found)
    return ("\n\n" if system else "").join([system, QWEN_TOOLS_HEAD + lines + QWEN_TOOLS_TAIL])


def _answer(message: Message, *, chatglm3: bool) -> list[tuple[str, str]]:
    """The turns of an answer, each its metadata and its text; ChatGLM3 gives each call of a tool a turn of its own."""
    found = calls(message.tool_calls)
    content = message.content
    if found and not chatglm3:
        called = (
            f'<tool_call>\n{{"name": "{name}", "arguments": {_arguments(arguments)}}}\n</tool_call>'
            for name, arguments in found
        )
        content = "\n".join([*([content] if content else []), *called])
    if message.reasoning:
        content = f"<think>\n{message.reasoning}\n</think>\n\n{content}"  # as Qwen 3
    if not chatglm3 or not found:
        return [("", content)]
    called = (f"```python\n{_python_call(arguments)}\n```" for _, arguments in found)
    return [*([("", content)] if content else []), *zip((name for name, _ in found), called, strict=True)]


def _arguments(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _python_call(arguments: Any) -> str:
    """A call as ChatGLM3 writes it, `tool_call(city="Bern")`; arguments that are no object stand as they are."""
    if not isinstance(arguments, dict):
        return f"tool_call({arguments})"
    words = {True: "True", False: "False", None: "None"}
    said = (
        f"{name}={words[value] if value is None or isinstance(value, bool) else json.dumps(value, ensure_ascii=False)}"
        for name, value in arguments.items()
    )
    return f"tool_call({', '.join(said)})"


def bears_loss(policy: LossName, place: Place, turn: Turn, *, last: bool, follows_trained: bool) -> bool:
    """Whether a piece is learnt.

    - "answers": answers and what ends them. Llama 2, Skywork.
    - "qwen_paper": all of the assistant's turns; the report masks "system and user inputs".
    - "qwen_script": answers, and `<|im_start|>`, `<|im_end|>` and the line break after it of every turn, as Qwen's
      finetune.py, which masks names of roles.
    - "baichuan2": answers and the final end; the token before a question has the end of text for its label.
    - "chatglm2": the last answer and what ends it.
    - "chatglm3": all but system and user, shifted by one token: the token that opens an answer has the loss of the
      turn before it.

    Args:
        policy: one of these.
        place: of the piece in its turn.
        turn: whose piece it is.
        last: whether that is the last turn.
        follows_trained: whether the turn before it is one that bears loss.
    """
    answer = turn.role == "assistant" and turn.trained
    if policy == "qwen_paper":
        return answer
    if policy == "qwen_script":
        return place in ("open", "close", "tail") or (answer and place == "content")
    if policy == "chatglm3":
        return follows_trained if place == "open" else turn.trained and turn.role in ("assistant", "tool")
    if policy == "baichuan2" and turn.role == "user" and place == "open":
        return True
    return answer and place in ("content", "close") and (last or policy != "chatglm2")


class Pieces(NamedTuple):
    """Pieces of some rows, one after another; row i has those from `starts[i]` up to `starts[i + 1]`."""

    texts: list[str]
    control: list[bool]
    loss: list[bool]
    labels: list[str | None]
    starts: list[int]


class _Written(NamedTuple):
    """What a form writes for a turn of one kind: templates of text, which of them vary, and what their pieces are."""

    texts: list[str]
    varying: list[int]
    control: list[bool]
    loss: list[bool]
    labels: list[str | None]


def _written(form: Form, policy: LossName, turn: Turn, *, last: bool, follows_trained: bool) -> _Written:
    """What `form` writes for a turn; of the turn itself the role counts, and whether it is learnt. See `bears_loss`."""
    found = _Written([], [], [], [], [])
    parts = getattr(form, turn.role) + (form.after if last else ())
    if form.between and turn.role == "assistant" and not last:
        parts = (*parts, Part("tail", form.between, False))
    for place, text, control in parts:
        loss = bears_loss(policy, place, turn, last=last, follows_trained=follows_trained)
        relabelled = policy == "baichuan2" and loss and control and turn.role == "user"
        if not control and "{" in text:
            found.varying.append(len(found.texts))
        found.texts.append(text)
        found.control.append(control)
        found.loss.append(loss)
        found.labels.append(form.eos if relabelled else None)
    return found


def cut_pieces(rows: Sequence[Sequence[Turn]], form: Form, policy: LossName) -> Pieces:
    """The pieces of dialogues.

    Args:
        rows: the turns of each, by `turns_of`; a row without turns has no pieces.
        form: what is written.
        policy: what bears loss.
    """
    out = Pieces([], [], [], [], [0])
    kinds: dict[tuple[str, bool, bool, bool], _Written] = {}
    before = [part.text for part in form.before]
    for turns in rows:
        if turns:
            _extend(out, before, [True] * len(before), [False] * len(before), [None] * len(before))
        follows_trained, rounds = False, 0
        for number, turn in enumerate(turns, 1):
            last = number == len(turns)
            kind = (turn.role, turn.trained, last, follows_trained)
            written = kinds.get(kind)
            if written is None:
                written = kinds[kind] = _written(form, policy, turn, last=last, follows_trained=follows_trained)
            rounds += turn.role == "user"
            texts = written.texts.copy()
            for at in written.varying:
                texts[at] = (
                    turn.content
                    if texts[at] == "{content}"
                    else texts[at]
                    .replace("{round}", str(rounds))
                    .replace("{metadata}", turn.metadata)
                    .replace("{content}", turn.content)
                )
            if all(texts):
                _extend(out, texts, written.control, written.loss, written.labels)
            else:
                there = [bool(text) for text in texts]
                _extend(
                    out,
                    list(itertools.compress(texts, there)),
                    list(itertools.compress(written.control, there)),
                    list(itertools.compress(written.loss, there)),
                    list(itertools.compress(written.labels, there)),
                )
            follows_trained = turn.trained and turn.role in ("assistant", "tool")
        out.starts.append(len(out.texts))
    return out


def _extend(out: Pieces, texts: list[str], control: list[bool], loss: list[bool], labels: Sequence[str | None]) -> None:
    out.texts.extend(texts)
    out.control.extend(control)
    out.loss.extend(loss)
    out.labels.extend(labels)


PIECES = pa.list_(
    pa.struct(
        [
            ("start", pa.int32()),
            ("stop", pa.int32()),
            ("control", pa.bool_()),
            ("loss", pa.bool_()),
            ("label", pa.string()),
        ]
    )
)


def render(pieces: Pieces) -> tuple[pa.Array, pa.Array]:
    """The text of each row, and its pieces as byte ranges of that text: two arrays, of strings and of `PIECES`."""
    flat = pa.array(pieces.texts, pa.large_string())
    lengths = pc.binary_length(flat).to_numpy().astype(np.int64) if len(flat) else np.zeros(0, np.int64)
    ends = np.cumsum(lengths)
    starts = np.array(pieces.starts)
    row_bytes = np.concatenate([[0], ends])[starts]
    data = flat.buffers()[2] or pa.py_buffer(b"")
    texts = pa.LargeStringArray.from_buffers(len(starts) - 1, pa.py_buffer(row_bytes), data).cast(pa.string())
    base = np.repeat(row_bytes[:-1], np.diff(starts))
    arrays = [
        pa.array((ends - lengths - base).astype(np.int32)),
        pa.array((ends - base).astype(np.int32)),
        pa.array(pieces.control, pa.bool_()),
        pa.array(pieces.loss, pa.bool_()),
        pa.array(pieces.labels, pa.string()),
    ]
    structs = pa.StructArray.from_arrays(arrays, fields=list(PIECES.value_type))
    return texts, pa.ListArray.from_arrays(pa.array(starts, pa.int32()), structs, type=PIECES)
