"""Code of many languages is code and prose is not; the kernel does what its description says, line by line."""

import pyarrow as pa
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datapipe.text.characters import HAN, LETTER, class_table, text_buffers
from datapipe.text.source_code import _KEYWORDS, keyword_hashes, measure_code

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


def measured(*texts: str) -> list[tuple[int, int, int]]:
    """Characters of code and of prose, and lines of code."""
    columns = measure_code(*text_buffers(pa.array(texts, pa.string())), class_table(), keyword_hashes())
    return list(zip(*(column.tolist() for column in columns), strict=True))


def reference(text: str) -> tuple[int, int, int]:
    """The same, by regular expressions."""
    code, prose, code_lines = 0, 0, 0
    fenced = quoted = False
    for line in text.split("\n"):
        bare = "".join(line.split())
        symbols = regex.findall(r"[\x00-\x7f--[A-Za-z0-9_,\-.?`]]", bare, regex.V1)
        size = sum(3 if class_table()[ord(c)] & HAN and class_table()[ord(c)] & LETTER else 1 for c in bare)
        size -= len(symbols)
        quotation_marks = sum(map(len, regex.findall('""+', line)))
        assigned = bool(regex.search(r"[={$]|->|::", line))
        comment = bare.startswith(("*", "//", "/*")) or (bare.startswith("#") and not assigned)
        if bare.startswith("```"):
            fenced = not fenced
        elif quotation_marks >= 3:
            quoted ^= quotation_marks < 6
        elif size == 0 or quoted or (comment and not fenced):
            continue
        elif fenced or "](" in line or bare.startswith(("-", ">", "`", "|")):
            prose += size
        else:
            word = regex.match(r"[\p{L}\p{N}_]*", line.strip())[0]
            keyword = word in _KEYWORDS.split()
            called = bool(regex.search(r"[A-Za-z0-9][(\[]", line))
            signs = keyword + called + assigned + (10 * len(symbols) >= len(symbols) + size)
            before = line[: len(line) - len(line.lstrip())]
            signs += sum(4 if character == "\t" else 1 for character in before) >= 4
            signs += bool(regex.match(r"""[})\]@</"$'{]""", bare)) and not regex.match(r"""["'](.*["',])?$""", bare)
            one_word = len(line.strip()) <= len(word) + 1
            opens = bare.endswith(":") and (keyword or called)
            if regex.search(r"[;{}\[(]$", bare) or opens or (keyword and one_word):
                signs += 2
            elif regex.search(r"""[,)\]"']$""", bare):
                signs += 1
            if signs >= 2:
                code, code_lines = code + size, code_lines + 1
            else:
                prose += size
    return code, prose, code_lines


PIECES = [
    *"ab_09 ()[]{}<>=;:#*/\\\"'`|@$&%!?,.-+\t\n\r\u3000é\u0301中の²…\u200b",
    *["if", "else:", "return", "end", "x = 1", "    ", "```", '"""', "](", "->", "::", "//", "/*", "\n", "\n", "\n"],
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), max_size=4))
@settings(deadline=None, max_examples=500)
@example(["if x:\n\treturn", "else :\nelse:", "#menu {\n# note", "\"Yes,\"\n'no'", "- item;\n[a](b);\n`x`;"])
def test_equals_regular_expressions(texts: list[str]) -> None:
    assert measured("x", *texts)[1:] == [reference(text) for text in texts]


@pytest.mark.parametrize("kind", SOURCE_CODE)
def test_source_code_is_code(kind: str) -> None:
    code, prose, lines = measured(SOURCE_CODE[kind])[0]
    assert code > prose
    assert lines >= 3


def test_code_in_a_fence_is_prose() -> None:
    code = SOURCE_CODE["python"]
    assert measured(f"```\n{code}```\n")[0][::2] == (0, 0)
    assert measured(f"```\n```\n{code}") == measured(code)


def test_dialogue_and_lists_are_prose() -> None:
    texts = [
        '"My dear Mr. Bennet," said his lady to him one day,',
        '"have you heard that Netherfield Park is let at last?"',
        "- See [here](there);",
        "[here](there);",
        "| a | b = c |",
    ]
    assert [code for code, _, _ in measured(*texts)] == [0] * len(texts)


def test_a_han_character_weighs_three_letters() -> None:
    assert measured("中文", "abc", "。！", "，。 1") == [(0, 6, 0), (0, 3, 0), (0, 2, 0), (0, 3, 0)]
