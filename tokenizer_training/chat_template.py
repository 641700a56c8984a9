"""Chat templates for transformers: a form of `datapipe.text.chat_forms` as Jinja, the same text from the same data.

`{% generation %}` stands around what bears loss, so that `return_assistant_tokens_mask` says so. What a template cannot
say: control tokens that content spells (it gives one text, in which they are such), the weight of a message, and a
label that is another token (Baichuan 2's piece of that kind is unmarked).
"""

import itertools
from collections.abc import Iterable

from datapipe.text.chat_forms import CHATGLM3_TOOLS, QWEN_TOOLS_HEAD, QWEN_TOOLS_TAIL, Form, Part, Turn, bears_loss
from datapipe.text.chat_names import LossName

_FOLLOWS = "said.follows"  # the template's variable for: the turn before bears loss


def chat_template(form: Form, policy: LossName, system: str) -> str:
    """A template for `apply_chat_template`.

    It takes `messages` with `content`, `reasoning_content` and `tool_calls`, and `tools`.

    Args:
        form: what is written.
        policy: what bears loss.
        system: the system message of dialogues that have none; "" adds none.
    """
    return _Template(form, policy).source(system)


def _quoted(text: str) -> str:
    """A text as a literal of Jinja, which reads Python's escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def _said(expression: str) -> str:
    return f"{{{{- {expression} -}}}}"


def _set(name: str, expression: str) -> str:
    return f"{{%- set {name} = {expression} -%}}"


def _if(test: str, then: str, otherwise: str = "") -> str:
    return f"{{%- if {test} -%}}{then}" + (f"{{%- else -%}}{otherwise}" if otherwise else "") + "{%- endif -%}"


def _for(name: str, values: str, body: str) -> str:
    return f"{{%- for {name} in {values} -%}}{body}{{%- endfor -%}}"


def _expression(text: str, content: str) -> str:
    """The text of a part as an expression of Jinja."""
    names = {"{content}": content, "{round}": "said.round|string", "{metadata}": "metadata"}
    terms: list[str] = []
    while text:
        at, name = min(((text.index(name), name) for name in names if name in text), default=(len(text), ""))
        terms += [_quoted(text[:at])] if at else []
        terms += [names[name]] if name else []
        text = text[at + len(name) :]
    return " ~ ".join(terms)


def _unmarked(source: str) -> str:
    return source.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")


class _Template:
    """The parts of a template, which all know its form and policy."""

    def __init__(self, form: Form, policy: LossName) -> None:
        self._form = form
        self._policy = policy
        self._trim = "|trim" if form.strip else ""

    def source(self, system: str) -> str:
        form = self._form
        first = "messages and messages[0].role == 'system'"
        own = _set("system", "messages[0].content") + _set("turns", "messages[1:]")
        lines = [
            _if(first, own, _set("system", _quoted(system)) + _set("turns", "messages")),
            _set("system", f"system{self._trim}") if self._trim else "",
            self._tools(),
            _set("said", "namespace(round=0, system='', follows=false)"),
            *(_said(_quoted(part.text)) for part in form.before),
            self._system(),
            "{%- for message in turns -%}",
            self._user(),
            self._answer(),
            "{%- endfor -%}",
            self._prompt(),
        ]
        return "\n".join(line for line in lines if line)

    def _turn(
        self,
        parts: Iterable[Part],
        role: str,
        content: str = "content",
        metadata: str = "''",
        last: bool = False,
    ) -> str:
        """Some parts of a turn, with marks around those that bear loss: around neighbours at once.

        For transformers takes a mark's end for that of the first token of its last character, which may have several.
        """
        written = ""
        for test, group in itertools.groupby(parts, lambda part: self._loss_test(part, role, last)):
            said = [_said(_expression(part.text, content).replace("metadata", metadata)) for part in group]
            plain = "".join(said)
            marked = f"{{%- generation -%}}{plain}{{%- endgeneration -%}}"
            written += plain if test == "never" else marked if test == "always" else _if(test, marked, plain)
        return written

    def _loss_test(self, part: Part, role: str, last: bool) -> str:
        """When a part bears loss: "always", "never", or a test of Jinja."""
        turn = Turn(role, "", trained=role not in ("system", "user"))
        if self._policy == "baichuan2" and role == "user":
            return "never"  # the label is another token

        alone, following = (
            bears_loss(self._policy, part.place, turn, last=last, follows_trained=follows) for follows in (False, True)
        )
        if alone != following:
            return _FOLLOWS
        return "always" if alone else "never"

    def _tools(self) -> str:
        if self._form.tool:
            said = f"(system or {_quoted(CHATGLM3_TOOLS)}) + '\\n' + tools|tojson(indent=4)"
            return _if("tools", _set("system", said))
        head, tail = _quoted(QWEN_TOOLS_HEAD), _quoted(QWEN_TOOLS_TAIL)
        each = _set("found.text", "found.text + '\\n' + tool|tojson")
        said = f"(system + '\\n\\n' if system else '') + {head} + found.text + {tail}"
        listed = _set("found", "namespace(text='')") + _for("tool", "tools", each)
        return _if("tools", listed + _set("system", said))

    def _system(self) -> str:
        if self._form.system:
            written = self._turn(self._form.system, "system", "system")
            head, mark, tail = written.partition("{%- endgeneration -%}")
            return _if("system", written if self._form.before else _unmarked(head + mark) + tail)
        before, _, behind = self._form.system_in_user.partition("{system}")
        return _if("system", _set("said.system", f"{_quoted(before)} + system + {_quoted(behind)}"))

    def _user(self) -> str:
        """The branch of a user's message and, where they are a user's, of results of tools."""
        form = self._form
        middle = next(number for number, part in enumerate(form.user) if part.place == "content")
        opening = self._turn(form.user[:middle], "user")
        if not form.before and "generation" in opening:
            # The first token of all, which nothing predicts: a mark that ends there transformers takes for endless.
            opening = _if("loop.first and not system", _unmarked(opening), opening)
        opened = _set("said.round", "said.round + 1") + opening
        opened += "" if form.system else _if("loop.first", _said("said.system"))
        closed = self._turn(form.user[middle + 1 :], "user")
        content = _said(f"message.content{self._trim}")
        if form.tool:
            return (
                f"{{%- if message.role == 'user' -%}}{opened}{content}{closed}{_set(_FOLLOWS, 'false')}"
                f"{{%- elif message.role == 'tool' -%}}{self._turn(form.tool, 'tool', 'message.content')}"
                f"{_set(_FOLLOWS, 'true')}"
            )
        again = "message.role == 'tool' and loop.previtem.role == 'tool'"
        result = _said("'<tool_response>\\n' + message.content + '\\n</tool_response>'")
        ends = "message.role == 'user' or loop.last or loop.nextitem.role != 'tool'"
        return (
            "{%- if message.role in ['user', 'tool'] -%}"
            + _if(again, _said("'\\n'"), opened)
            + _if("message.role == 'tool'", result, content)
            + _if(ends, closed)
        )

    def _answer(self) -> str:
        """The branch of an answer."""
        form = self._form
        named = _set("call", "call.function or call") + _set("given", "call.arguments or {}")
        reasoned = _if(
            "message.reasoning_content",
            _set("answer.text", "'<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' + answer.text"),
        )
        text = _set("answer", "namespace(text=message.content or '')")
        if form.tool:
            last = "loop.last and not message.tool_calls"
            turn = self._ended("answer.text", last) + _set(_FOLLOWS, "true")
            called = _for("call", "message.tool_calls", named + self._python_call())
            called += _if("loop.last", self._turn(form.after, "assistant", last=True))
            body = text + reasoned + _if("answer.text or not message.tool_calls", turn)
            body += _if("message.tool_calls", called)
        else:
            given = "(given if given is string else given|tojson)"
            each = named + _set(
                "answer.text",
                "answer.text + ('\\n' if answer.text else '') + '<tool_call>\\n{\"name\": \"' + call.name"
                f" + '\", \"arguments\": ' + {given} + '}}\\n</tool_call>'",
            )
            body = text + _if("message.tool_calls", _for("call", "message.tool_calls", each)) + reasoned
            body += _set("content", f"answer.text{self._trim}") + self._ended("content", "loop.last")
        return "{%- elif message.role == 'assistant' -%}" + body + "{%- endif -%}"

    def _ended(self, content: str, last: str) -> str:
        """An answer, and what ends it if it is the last: a test of Jinja."""
        form = self._form
        final = self._turn((*form.assistant, *form.after), "assistant", content, last=True)
        between = (Part("tail", form.between),) if form.between else ()
        other = self._turn((*form.assistant, *between), "assistant", content)
        return final if final == other else _if(last, final, other)

    def _python_call(self) -> str:
        """A turn of ChatGLM3 that calls a tool."""
        word = "'None' if value is none else 'True' if value is true else 'False' if value is false else value|tojson"
        each = _set("word", word) + _set("made.text", "made.text + (', ' if made.text else '') + name + '=' + word")
        return (
            _set("made", "namespace(text='')")
            + _if("given is mapping", _for("name, value", "given.items()", each), _set("made.text", "given|string"))
            + _set("made.text", "'```python\\ntool_call(' + made.text + ')\\n```'")
            + self._turn(self._form.assistant, "assistant", "made.text", "call.name")
            + _set(_FOLLOWS, "true")
        )

    def _prompt(self) -> str:
        """What asks for an answer."""
        opening = itertools.takewhile(lambda part: part.place != "content", self._form.assistant)
        asked = "".join(_said(_expression(part.text, "").replace("metadata", "''")) for part in opening)
        return _if("add_generation_prompt", asked) if asked else ""
