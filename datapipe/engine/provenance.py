"""What a recipe says of each value: published, and where; or not public, and why this one stands in.

A recipe of a named system promises that nothing in it is made up in silence. It says so in comments, beside a value or
above it, which begin with `published`, `not public`, `yours` (paths) or `departs` (from what is published, and why).
`datapipe recipes` counts them, and the report of a run names what is not public.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

PUBLISHED, NOT_PUBLIC, YOURS, DEPARTS = KINDS = ("published", "not public", "yours", "departs")
_COMMENT = re.compile(r"(?:^|\s)#\s?(.*)$")


class Value(NamedTuple):
    """A value of a recipe, or a stage without any.

    Attributes:
        stage: the stage.
        option: its option; "" for the stage itself.
        value: as it is written.
        comment: what is said of it; "" if nothing.
    """

    stage: str
    option: str
    value: str
    comment: str

    @property
    def kind(self) -> str:
        """Which of `KINDS` the comment says; "" if none."""
        return next((kind for kind in KINDS if self.comment.startswith(kind)), "")


def values_of(text: str) -> list[Value]:
    """All values of a recipe, in order: each option of each stage, and each stage that has none.

    >>> found = values_of("stages:\\n  - documents  # published: all\\n  - chat:\\n      form: plain  # yours\\n")
    >>> [(value.stage, value.option, value.kind) for value in found]
    [('documents', '', 'published'), ('chat', 'form', 'yours')]
    """
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    fields = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    return [value for entry in _entries(fields.get("stages")) for value in _of_stage(entry, lines, text)]


def _entries(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """The nodes of stages, those in branches too."""
    for item in node.value if isinstance(node, yaml.SequenceNode) else []:
        if isinstance(item, yaml.MappingNode) and [key.value for key, _ in item.value] == ["branches"]:
            for branch in item.value[0][1].value:
                yield from _entries(branch)
        else:
            yield item


def _of_stage(node: yaml.Node, lines: list[str], text: str) -> Iterator[Value]:
    if isinstance(node, yaml.ScalarNode):
        yield Value(node.value, "", "", _comment(node, lines))
        return
    for stage, options in node.value:
        if not isinstance(options, yaml.MappingNode) or not options.value:
            yield Value(stage.value, "", "", _comment(stage, lines))
            continue
        for option, value in options.value:
            written = text[value.start_mark.index : value.end_mark.index].strip()
            yield Value(stage.value, option.value, " ".join(written.split()), _comment(option, lines))


def _comment(node: yaml.Node, lines: list[str]) -> str:
    """The comment on a node's line, else the lines of comment above it."""
    at = node.start_mark.line
    beside = _COMMENT.search(lines[at])
    if beside:
        return beside[1].strip()
    above: list[str] = []
    while at and lines[at - 1].lstrip().startswith("#"):
        at -= 1
        above.insert(0, lines[at].lstrip().lstrip("#").strip())
    return " ".join(above)
