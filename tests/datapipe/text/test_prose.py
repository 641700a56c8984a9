"""The oracle is plain Python: lines, and regular expressions."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.text.prose import prose


def is_marked_up(line: str) -> bool:
    if re.fullmatch(r"#{1,6}[ \t].*|#+|\|.*\||!\[.*[)\]]", line):
        return True
    for opening, closing in ("<>", "{}"):
        if line.startswith(opening) and line.endswith(closing):
            depth = 0
            outside = ""
            for character in line:
                depth += (character == opening) - (character == closing)
                if not depth and character not in f"{closing} \t":
                    outside += character
            if not outside:
                return True
    return bool(line) and all(ord(character) < 0x80 and not character.isalnum() for character in line)


def goes_on(before: str, line: str) -> bool:
    """Whether a line goes on with the sentence of the one before, which was kept and is not empty."""
    ended = re.search(r"[.!?。！？।؟۔]?$", before.removesuffix(" "))
    if re.search(r"[ \t\r]$", before.removesuffix(" ")) or (ended and ended[0]):
        return False
    after_blank, before_blank = before.endswith(" "), line.startswith(" ")
    line = line.removeprefix(" ")
    if not line.strip(" \t\r") or line[0] in " \t\r" or re.match(r"[-*+•‣◦●○■□·]([\x00-\x20]|$)", line):
        return False
    closes = re.match(r"[、。，：；！？）」』》،।)]|[.,;:!?\]]([\x00-\x20]|$)", line)
    return after_blank or before_blank or before.removesuffix(" ")[-1] in "([{" or closes is not None


def reference(text: str) -> str:
    lines = text.split("\n")
    bare = [line.strip(" \t\r") for line in lines]
    at = 0
    if bare[0] == "---" and "---" in bare[1:100]:
        at = bare.index("---", 1) + 1
    kept: list[str] = []
    before = ""  # the line right before, if it was kept
    while at < len(lines):
        fence = re.match("(`{3,}|~{3,})", bare[at])
        if fence:
            closing = re.compile(re.escape(fence[0][0]) + f"{{{len(fence[0])},}}")
            ends = [end for end in range(at + 1, len(lines)) if closing.fullmatch(bare[end])]
            if ends:
                at, before = ends[0] + 1, ""
                continue
        joined = bool(before) and goes_on(before, lines[at])
        if joined:
            kept[-1] = kept[-1].removesuffix("\n")
        before = ""
        if joined or not is_marked_up(bare[at]):
            before = lines[at] if bare[at] else ""
            kept.append(re.sub(r"\]\([^\s()]*\)", "]", lines[at]) + ("\n" if at < len(lines) - 1 else ""))
        at += 1
    return "".join(kept)


PIECES = [
    "```",
    "~~~",
    "````",
    "---",
    "|",
    "#",
    " ",
    "\n",
    "\n",
    "\n",
    "a",
    "中",
    "<",
    ">",
    "{",
    "}",
    "![",
    "](x)",
    "](",
    ")",
    "]",
    "=",
    "\t",
    ".",
    "。",
    "(",
    "•",
    "- ",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_equals_plain_python(text: str) -> None:
    assert prose(pa.array([text]))[0].as_py() == reference(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Text.\n\n```python\nx = 1\n```\nMore.", "Text.\n\nMore."),
        ("Text.\n  ~~~~\n  ls\n  ~~~\n  ~~~~\nMore.", "Text.\nMore."),
        ("```sh\nnever closed\nText.", "```sh\nnever closed\nText."),
        ("---\ntitle: A\n---\nText.", "Text."),
        ("Text.\n---\nnot metadata\n---\n", "Text.\nnot metadata\n"),
        ("# Heading\n#hashtag and text\n####### seven", "#hashtag and text\n####### seven"),
        ("| a | b |\n|:--|--:|\n| 1 | 2 |\na | b", "a | b"),
        ('<Tab title="a">\n</Tab> </Tabs>\nIf a < b and b > c, so.', "If a < b and b > c, so."),
        ('{{< copyable "sql" >}}\n{x} is text', "{x} is text"),
        ("![A picture](a.png)\nSee ![A picture](a.png).", "See ![A picture]."),
        ("Fixed ([#1](https://x.org/1), [#2](y)) f[0](a b) f[0](g(x)).", "Fixed ([#1], [#2]) f[0](a b) f[0](g(x))."),
        ("Heading\n=======\n* * *\n中文。", "Heading\n中文。"),
        ("Choose \nFile - Open\n.\nThen go.", "Choose File - Open.\nThen go."),
        ("Sid (\nUnstable\n) is one,\n and so is \nsid\n.", "Sid (Unstable) is one, and so is sid."),
        ("点击 \n打开\n。然后", "点击 打开。然后"),
        ("It ends. \nA line\n.NET is one\n  indented", "It ends. \nA line\n.NET is one\n  indented"),
        ("- one \n- two \n\n and", "- one \n- two \n\n and"),
    ],
)
def test_leaves_out_what_is_no_prose(text: str, left: str) -> None:
    assert prose(pa.array([text]))[0].as_py() == left


def test_null_and_slices() -> None:
    texts = pa.array(["x", "# a\nb", None, "```\n```\nc"])
    assert prose(texts.slice(1)).to_pylist() == ["b", "", "c"]
    assert prose(texts.slice(0, 0)).to_pylist() == []
