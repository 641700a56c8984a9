"""Code of many languages is code and prose is not; the kernel does what its description says, line by line."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datapipe.text.characters import DIGIT, HAN, LETTER, UPPER, class_table, text_buffers
from datapipe.text.source_code import (
    _DIRECTIVES,
    _KEYWORDS,
    FEWEST_LINES,
    keyword_table,
    measure_code,
    named_as,
    without_formulas,
)

SOURCE_CODE = {
    "python": """
import os


def size(path: str) -> int:
    \"\"\"Bytes of a file.\"\"\"
    if not path:
        raise ValueError(path)
    return os.stat(path).st_size
""",
    "c": """
#include <stdio.h>

int main(void) {
    int i;
    for (i = 0; i < 3; i++) {
        printf("%d", i);
    }
    return 0;
}
""",
    "javascript": """
const fs = require('fs');

function read(name) {
  return fs.readFileSync(name, 'utf8');
}

module.exports = { read };
""",
    "java": """
package a.b;

public class Counter {
    private int count = 0;

    public void add() {
        count++;
    }
}
""",
    "go": """
package main

import "fmt"

func main() {
\tfor i := 0; i < 3; i++ {
\t\tfmt.Println(i)
\t}
}
""",
    "shell": """
#!/bin/sh
set -e
for f in *.txt; do
  if [ -f "$f" ]; then
    echo "$f" >> list
  fi
done
""",
    "html": """
<html>
<head><title>Page</title></head>
<body class="wide">
<div id="menu"></div>
<script src="a.js"></script>
</body>
</html>
""",
    "css": """
body {
  margin: 0;
  color: #333;
}
.menu > li {
  display: none;
}
""",
    "json": """
{
  "name": "a",
  "version": "1.0",
  "files": [
    "lib",
    "bin"
  ]
}
""",
    "sql": """
SELECT name, count(*) AS n
FROM users
WHERE id = 3;
INSERT INTO users (id, name) VALUES (1, 'a');
DELETE FROM users WHERE id = 2;
""",
    "rust": """
use std::fs;

fn main() {
    let text = fs::read_to_string("a").unwrap();
    println!("{}", text);
}
""",
}


def measured(*texts: str, named: bool = False) -> list[tuple[int, int, int, str]]:
    """Characters of code and of prose, lines for code, and the text without code."""
    names = np.full(len(texts), named)
    *columns, data, bounds = measure_code(
        *text_buffers(pa.array(texts, pa.string())), class_table(), keyword_table(), names
    )
    kept = [data[i:j].tobytes().decode() for i, j in itertools.pairwise(bounds.tolist())]
    return list(zip(*(column.tolist() for column in columns), kept, strict=True))


def size_of(bare: str) -> int:
    """Characters without symbols, Han characters thrice."""
    flags = [class_table()[ord(character)] for character in bare]
    return sum(3 if f & HAN and f & LETTER else 1 for c, f in zip(bare, flags, strict=True) if c not in SYMBOLS)


SYMBOLS = "{}[]<>=$#@|\\^~&*+/_"
NAME = "[A-Za-z0-9_]"
KEY = r"(?:-[-_./\s]*|[-_./]*)(?=(?:[_./-]*[A-Za-z0-9]){2})[a-z][A-Za-z0-9_./-]*:(?=[\x00-\x20]|$)"


def kind_of(line: str) -> tuple[str, int]:
    """Whether a line is code or prose, by itself or by its neighbours ("?"), and how many signs of code it bears."""
    bare, stripped = "".join(line.split()), line.strip()
    word = regex.match(r"[#=]?[\p{L}\p{N}_]*", stripped)[0]
    keyword = word in _KEYWORDS.split() or (word[:1] == "#" and word[1:] in _DIRECTIVES.split())
    local = regex.sub(r":/\S*", ":", line)  # without addresses
    calls = len(regex.findall(rf"(?<={NAME})(?:\((?!{NAME}\))|\[(?![0-9]|{NAME}\]))", local))
    assigned = "=" in local or regex.search(rf"::|->|&&|\|\||\$\{{|(?<!{NAME})\$[A-Za-z]", line)
    key = regex.match(KEY, stripped)
    structure = [
        calls > 0,
        assigned,
        bare[-1] in "([" or bare[0] in "})]{",
        regex.search(rf"{NAME}_[A-Za-z0-9]", local),
        key,
    ]
    statement = bare.endswith(";")
    marked = (
        bare[-1] in "{}"
        or (keyword and (len(stripped) <= len(word) + 1 or bare[0] == "#"))
        or (statement and keyword and bare[0] <= "Z" and regex.search("[a-z]", bare))
        or regex.match(r"<[A-Za-z0-9_/!?].*>$", bare)
        or any(bare[0] == quote and f"{quote}:" in line for quote in "\"'")
    )
    symbols = sum(character in SYMBOLS for character in bare)
    columns = sum(4 if character == "\t" else 1 for character in line[: len(line) - len(line.lstrip())])
    quoted = bare[0] in "\"'" and bare.endswith(",")
    others = [
        keyword,
        statement,
        bare.endswith(":"),
        columns >= 2,
        symbols * 10 >= symbols + size_of(bare),
        quoted,
        regex.match(rf"[@.$]{NAME}", bare),
        calls > 1,
    ]
    signs = sum(map(bool, structure)) + 2 * bool(marked) + sum(map(bool, others))
    tex = regex.search(r"\\[A-Za-z0-9][a-z]+\{", line)
    if "](" in line or tex or bare[0] in ">`|":
        return "prose", signs
    if size_of(bare) > 150 and symbols * 20 < symbols + size_of(bare):
        return "prose", signs
    item = regex.match(r"[-*][^\S\n]", line.lstrip()) and not (key or marked)
    letters = [c for c in bare if class_table()[ord(c)] & (LETTER | DIGIT) and ord(c) >= 128]
    plain = [all(class_table()[ord(c)] & (LETTER | UPPER) == LETTER for c in word) for word in line.split()]
    words = max((len(list(run)) for is_plain, run in itertools.groupby(plain) if is_plain), default=0)
    needed = 2 + (words >= 5 or size_of("".join(letters)) * 2 > size_of(bare))
    if (any(structure) or marked) and signs >= needed and not item:
        return "code", signs
    return "?" if item or any(structure) or marked or keyword or statement or quoted else "prose", signs


def reference(text: str, *, named: bool = False, quotes: bool = True) -> tuple[int, int, int, str]:
    """The same, by regular expressions."""
    code = prose = lines = decided = pending = pending_lines = comments = most = opened = opened_kept = 0
    kept: list[tuple[str, int]] = []
    state, inside = "?", ""
    named |= text.startswith("#!/")
    source = text.split("\n")
    at = 0
    while at < len(source) or inside:
        if at == len(source):
            if inside == "pod" and code:
                break
            at, kept, inside, quotes = opened, kept[:opened_kept], "", False
            continue
        line = source[at] + ("\n" if at < len(source) - 1 else "")
        bare, size, keep, was = "".join(line.split()), size_of("".join(line.split())), True, inside
        quotation_marks = sum(map(len, regex.findall('""+', line)))
        comment = bare.startswith(("//", "/*", "--")) or (
            bare.startswith("#")
            and not (bare[1:2] == "[" or bare.endswith("{"))
            and regex.match(r"#?[\p{L}\p{N}_]*", line.strip())[0][1:] not in _DIRECTIVES.split()
        )
        if quotes and bare.startswith(("```", "~~~")) and inside in ("fence", ""):
            inside, keep = "" if inside else "fence", False
        elif inside == "fence":
            keep = False
        elif quotes and quotation_marks >= 3 and inside in ("docstring", ""):
            if quotation_marks < 6:
                inside = "" if inside else "docstring"
        elif quotes and regex.match("=[a-z]", bare) and inside in ("pod", ""):
            inside = "" if regex.match(r"=cut(?![\p{L}\p{N}_])", line.strip()) else "pod"
        elif inside:
            if inside == "comment" and "*/" in bare:
                inside = ""
        elif quotes and bare.startswith("/*") and "*/" not in line:
            inside, comments = "comment", comments + 2
        elif size and comment:
            comments += bare.startswith("/")
        elif size:
            kind, signs = kind_of(line)
            if kind == "code":
                decided, most = decided + 1, max(most, signs)
            elif kind == "?":
                kind = "code" if named else state
            if kind == "?":
                pending, pending_lines = pending + size, pending_lines + 1
            elif kind == "code":
                code, lines, state = code + size + pending, lines + 1 + pending_lines, kind
                pending = pending_lines = 0
                keep = lines <= 3
            elif sum(class_table()[ord(c)] & DIGIT > 0 for c in bare) * 2 <= size:
                prose, state = prose + size + pending, kind
                pending = pending_lines = 0
        if inside and not was:
            opened, opened_kept = at, len(kept)
        if keep:
            kept.append((line, size))
        at += 1
    if comments >= 2 and prose == 0:
        code, lines, decided = code + pending, lines + pending_lines, decided + pending_lines
    else:
        prose += pending
    if (decided + comments) * 4 < lines and not named:
        prose, code, lines = prose + code, 0, 0
    elif lines and prose * 10 <= code:
        lines += comments + 1 + (most > 2)
    rest = "".join(line for line, _ in kept) if any(size for _, size in kept) else text
    return code, prose, lines, rest


PIECES = [
    *"ab_09 ()[]{}<>=;:#*/\\\"'`|@$&%!?,.-+\t\n\r\u3000é\u0301中の²…\u200b",
    *[
        "=cut",
        "=head",
        "/*",
        "*/",
        "~~~",
        "#define ",
        "SELECT ",
        "name:",
        "a_b",
        "f(",
        "http://",
        "$x",
        "- ",
        "'a',",
        "\\begin{",
    ],
    *[
        "a b ",
        "of the ",
        "* ",
        "if",
        "else:",
        "return",
        "end",
        "x = 1",
        "    ",
        "```",
        '"""',
        "](",
        "->",
        "::",
        "//",
        "/*",
        "\n",
        "\n",
        "\n",
    ],
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), max_size=4))
@settings(max_examples=500)
@example(["if x:\n\treturn", "else :\nelse:", "#menu {\n# note", "\"Yes,\"\n'no'", "- item;\n[a](b);\n`x`;", "-\n"])
def test_equals_regular_expressions(texts: list[str]) -> None:
    assert measured("x", *texts)[1:] == [reference(text) for text in texts]
    assert measured(*texts, named=True) == [reference(text, named=True) for text in texts]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("(ii) $gH = Hg$ for all $g$;", "(ii)  for all ;"),
        ("$a$, $b$ and $$c$$", ",  and $$c$$"),
        ("it costs $5 and $6", "it costs $5 and $6"),
        ('cp "$A" "$B"; echo $A$B ${a}${b} $(A)/$(B) $@ $<', 'cp "$A" "$B"; echo $A$B ${a}${b} $(A)/$(B) $@ $<'),
        ("my $x = $h{$k}; $y = $z;", "my $x = $h{$k}; $y = $z;"),
        ("s/^a$/b$/ df$x$y", "s/^a$/b$/ df$x$y"),
        ("one $x\ny$ two", "one $x\ny$ two"),
    ],
)
def test_formulas_are_left_out_and_variables_are_not(line: str, left: str) -> None:
    assert without_formulas(pa.array([line, None])).to_pylist() == [left, None]


@pytest.mark.parametrize("kind", SOURCE_CODE)
def test_source_code_is_code(kind: str) -> None:
    code, prose, lines, _ = measured(SOURCE_CODE[kind])[0]
    assert code > prose
    assert lines >= FEWEST_LINES


CLAUSES = """The tenant shall keep the garden(s) in good order;
    the fence, the gate and the shed;
    for the whole of the term;
and, if the owner(s) so ask in writing,
    a list of all repairs(1);
"""
PROSE = {
    "contract": CLAUSES * 3,
    "poem": "O moon above the bay,\n    your road is long;\nthe men have gone to sea,\n    and left their song;\n" * 3,
    "Greek questions": "Πού είναι το βιβλίο;\nΠοιος το έγραψε;\n    Γιατί δεν το διαβάζεις;\n" * 3,
    "apostrophes": "'Ua fa'aho'i te mau ta'ata i to ratou 'āi'a\n'e 'ua 'oa'oa ratou i te reira\n" * 4,
    "dialogue": '"No!"\n"Yes?"\n\'Go,\'\n"But..."\n' * 4,
    "capitals": "FROM ALL OF US;\nAND ALL OF YOU;\nWITH LOVE;\n" * 4,
    "formulas": "where x = 3 holds and the sum of f(x) is at most n\nand y = 4 is what we have to show for all n\n" * 3,
    "citations": "The first to see it was Smith[1][2] and later Jones[3],\n    then came the others[4];\n" * 4,
    "Chinese": "    第一条 使用GPU(图形处理器)的，应当登记；\n    第二条 使用API(接口)的，参照前条；\n" * 4,
    "recipe": "- 2 eggs\n- 100 g flour\n- a pinch of salt(fine);\n" * 4,
    "front matter": "---\ntitle: Supported by all\n---\n\n# Supported by all\n",
    "TeX": "Let $f_n(x) = \\frac{1}{n}$ be as in \\cite{a_b}.\n\\begin{theorem}\nFor all $n$, $f_n = 0$;\n" * 4,
}


@pytest.mark.parametrize("kind", PROSE)
def test_prose_is_no_code(kind: str) -> None:
    """Each has lines that end in `;` or `,`, an indentation, or another single sign of code."""
    code, prose, _, text = measured(PROSE[kind])[0]
    assert code * 2 < prose
    assert code > 0 or text == PROSE[kind]


def test_a_line_without_signs_is_what_its_neighbours_are() -> None:
    undecided = "return to;\n"
    assert measured(undecided * 4)[0][:2] == (0, 36)
    assert measured(undecided * 3 + "x = f(a, b);\n")[0][:2] == (35, 0)
    assert measured("x = f(a, b);\n" + undecided * 3)[0][:2] == (35, 0)
    assert measured("He said no.\n" + undecided * 3 + "x = f(a, b);\n")[0][:2] == (8, 36)
    assert measured(undecided * 4 + "x = f(a, b);\n")[0][:2] == (0, 44)
    assert measured(undecided * 4, named=True)[0][1] == 0
    assert measured("#!/bin/sh\n" + undecided * 4)[0][1] == 0


def test_code_in_a_fence_is_neither_and_goes() -> None:
    code = SOURCE_CODE["python"]
    for fence in ("```", "~~~"):
        text = f"Do as follows.\n{fence}\n{code}{fence}\n"
        assert measured(text) == [(0, 12, 0, "Do as follows.\n")]
    assert measured(f"```\n```\n{code}")[0][:3] == measured(code)[0][:3]
    unclosed = f"Do as follows.\n```\n{'It is a fine day.' * 3}\n"
    assert measured(unclosed)[0][1] > 40
    assert measured(unclosed)[0][3] == unclosed
    assert measured(f"```\n{code}```\n")[0][3] == f"```\n{code}```\n"


def test_lines_of_code_go_but_for_the_first_few() -> None:
    text = "Do as follows.\n" + "    x = f(a, b)\n" * 5 + "That is all.\n"
    assert measured(text)[0][3] == "Do as follows.\n" + "    x = f(a, b)\n" * 3 + "That is all.\n"


def test_comments_and_documentation_are_neither() -> None:
    comments = "/* one\n   two */\n// three\n-- four\n# five\n"
    assert [measured(text)[0][:2] for text in (comments, '"""\nsix\n"""\n', "=head1 seven\n\n=cut\n")] == [(0, 0)] * 3


def test_one_line_of_code_is_enough_if_it_is_sure() -> None:
    assert measured("import os; print(os.getcwd())")[0][2] >= FEWEST_LINES
    assert measured("f(x) = ax + b")[0][2] < FEWEST_LINES


def test_names_of_files() -> None:
    assert [named_as(name) for name in ("a/Makefile", "a.H", "b.YML.gz", "c.pm", "CMakeLists.txt")] == ["code"] * 5
    assert [named_as(name) for name in ("a.rst", "b.html")] == ["prose"] * 2
    others = ("data.json", "notes.txt", "py", "https://example.pl", "", None, "a.py/part")
    assert [named_as(name) for name in others] == [""] * len(others)


def test_dialogue_and_lists_are_prose() -> None:
    texts = [
        '"My dear Mr. Bennet," said his lady to him one day,',
        '"have you heard that Netherfield Park is let at last?"',
        "- See [here](there);",
        "[here](there);",
        "| a | b = c |",
    ]
    assert [code for code, _, _, _ in measured(*texts)] == [0] * len(texts)


def test_a_han_character_weighs_three_letters() -> None:
    assert [sizes[:3] for sizes in measured("中文", "abc", "。！", "，。 1")] == [
        (0, 6, 0), (0, 3, 0), (0, 2, 0), (0, 3, 0),
    ]  # fmt: skip
