"""Source code, told from prose by the shape of its lines, whatever the programming language.

Few corpora say which records are code, and a classifier of languages takes code for one of them. Code that a text about
code quotes stays prose: blocks fenced by ```, and what Markdown marks.
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper, inlined, kernel
from datapipe.text.characters import DIGIT, HAN, LETTER, SPACE, decode
from datapipe.text.scripts import HAN_WEIGHT

_KEYWORDS = (
    "abstract and assert async await begin bool break case catch char chmod class const continue def default defer del "
    "delete do done double echo elif else elsif end enum esac except export extends extern fi finally float fn for "
    "foreach from func function global go goto if impl implements import include inline int interface let long match "
    "mod mut namespace new nil null package pass private protected pub public raise require return select self short "
    "static string struct sudo super switch then this throw trait try type typedef unless unsigned until use using val "
    "var virtual void while with yield"
)
_EMPTY_WORD = 7  # the hash of a word without letters

# What an ASCII character that is no letter or digit says about its line.
_SYMBOL = 1  # code is full of it
_ASSIGNS = 2  # as do "->" and "::"
_CALLS = 4  # right after a name
_BEGINS_CODE = 8  # as the first character of a line
_ENDS_CODE = 16  # as the last
_MAY_END_CODE = 32  # as the last, with another sign
_MARKDOWN = 64  # as the first: a list, a quotation, a table, a command in backticks
_QUOTE = 128
_CHARACTERS = {
    _ASSIGNS: "={$",
    _CALLS: "([",
    _BEGINS_CODE: "})]@</\"$'{",
    _ENDS_CODE: ";{}[(",
    _MAY_END_CODE: ",)]\"'",
    _MARKDOWN: "->`|",
    _QUOTE: "\"'",
}
_NO_SYMBOLS = "_,-.?`"  # as frequent in prose

_TAB, _LINE_FEED, _BLANK = ord("\t"), ord("\n"), ord(" ")
_HASH, _STAR, _SLASH, _MINUS, _GREATER = ord("#"), ord("*"), ord("/"), ord("-"), ord(">")
_QUOTATION_MARK, _BACKTICK, _UNDERSCORE, _COLON, _COMMA = ord('"'), ord("`"), ord("_"), ord(":"), ord(",")
_OPENING_PARENTHESIS, _CLOSING_BRACKET = ord("("), ord("]")

_TAB_COLUMNS, _INDENTED_COLUMNS = 4, 4
_SYMBOL_SHARE = 10  # code has a symbol in so many characters
_SIGNS_OF_CODE = 2


def _table() -> npt.NDArray[np.uint8]:
    table = np.zeros(128, np.uint8)
    table[[i for i in range(128) if not (chr(i).isalnum() or chr(i).isspace() or chr(i) in _NO_SYMBOLS)]] = _SYMBOL
    for meaning, characters in _CHARACTERS.items():
        table[[ord(character) for character in characters]] |= meaning
    return table


_MEANINGS = _table()


class _Line(NamedTuple):
    """What a line shows; of its characters, white space does not count.

    Attributes:
        indent: columns before the first character.
        first, second, last: those characters, 0 = none.
        symbols: how many characters are symbols.
        others: how many are not, Han characters thrice.
        word: the hash of the word that it begins with, see `keyword_hashes`.
        one_word: whether it is nothing but that, and a character at most.
        called: whether it has a name directly followed by `(` or `[`.
        assigned: whether it has `=`, `{`, `$`, `->` or `::`.
        linked: whether it has the middle of a Markdown link, `](`.
        backticks: how many it begins with.
        quotation_marks: how many `"` stand beside another.
    """

    indent: int
    first: int
    second: int
    last: int
    symbols: int
    others: int
    word: int
    one_word: bool
    called: bool
    assigned: bool
    linked: bool
    backticks: int
    quotation_marks: int


@functools.cache
def keyword_hashes() -> npt.NDArray[np.int64]:
    """Sorted hashes of the words that begin a line of code, as `measure_code` computes them."""
    hashes = [
        functools.reduce(lambda value, byte: (value * 31 + byte) & 0xFFFFFFFF, word.encode(), _EMPTY_WORD)
        for word in _KEYWORDS.split()
    ]
    return np.sort(np.array(hashes))


@inlined
def _meaning(code_point: int) -> int:
    return _MEANINGS[code_point] if code_point < 128 else 0


@inlined  # a call for each line would cost a tenth of the speed
def _read_line(data: npt.NDArray[np.uint8], at: int, end: int, classes: npt.NDArray[np.uint8]) -> tuple[_Line, int]:
    """What the line at byte `at` shows, and where the next one begins."""
    indent, first, second, last, previous = 0, 0, 0, 0, 0
    symbols, others, backticks, quotation_marks = 0, 0, 0, 0
    called, assigned, linked = False, False, False
    word, in_first_word, one_word = _EMPTY_WORD, True, True
    while at < end:
        code_point, at = decode(data, at)
        if code_point == _LINE_FEED:
            break
        flags = classes[code_point]
        if flags & SPACE:
            if first == 0:
                indent += _TAB_COLUMNS if code_point == _TAB else 1
            else:
                in_first_word = False
            previous = _BLANK
            continue
        one_word &= in_first_word
        if first == 0:
            first = code_point
        elif second == 0:
            second = code_point
        if flags & (LETTER | DIGIT) or code_point == _UNDERSCORE:
            others += HAN_WEIGHT if flags & HAN and flags & LETTER else 1
            if in_first_word:
                word = (word * 31 + code_point) & 0xFFFFFFFF
        else:
            in_first_word = False
            meaning = _meaning(code_point)
            backticks += code_point == _BACKTICK and symbols + others == backticks
            quotation_marks += code_point == _QUOTATION_MARK and (
                previous == _QUOTATION_MARK or (at < end and data[at] == _QUOTATION_MARK)
            )
            if meaning & _CALLS:
                called |= previous < 128 and classes[previous] & (LETTER | DIGIT) > 0
                linked |= code_point == _OPENING_PARENTHESIS and previous == _CLOSING_BRACKET
            assigned |= (
                meaning & _ASSIGNS > 0
                or (code_point == _COLON and previous == _COLON)
                or (code_point == _GREATER and previous == _MINUS)
            )
            is_symbol = meaning & _SYMBOL
            symbols += is_symbol
            others += 1 - is_symbol
        last = previous = code_point
    line = _Line(
        indent, first, second, last, symbols, others, word, one_word, called, assigned, linked, backticks,
        quotation_marks,
    )  # fmt: skip
    return line, at


@helper
def _is_comment(line: _Line) -> bool:
    """Whether it begins with `*`, `//`, `/*` or `#`, unless it also assigns: `#menu {` is a selector."""
    return (
        (line.first == _HASH and not line.assigned)
        or line.first == _STAR
        or (line.first == _SLASH and (line.second == _SLASH or line.second == _STAR))
    )


@helper
def _is_code(line: _Line, keywords: npt.NDArray[np.int64]) -> bool:
    """Whether it bears enough signs of code; see `measure_code`."""
    index = np.searchsorted(keywords, line.word)
    keyword = bool(index < len(keywords) and keywords[index] == line.word)
    begin, end = _meaning(line.first), _meaning(line.last)
    # A line that begins with a quote and ends with one, or with a comma, may as well be dialogue.
    quotation = begin & _QUOTE > 0 and (end & _QUOTE > 0 or line.last == _COMMA)
    signs = 0
    if end & _ENDS_CODE > 0 or (line.last == _COLON and (keyword or line.called)) or (keyword and line.one_word):
        signs += 2
    elif end & _MAY_END_CODE > 0:
        signs += 1
    signs += begin & _BEGINS_CODE > 0 and not quotation
    signs += keyword
    signs += line.called
    signs += line.assigned
    signs += line.symbols * _SYMBOL_SHARE >= line.symbols + line.others
    signs += line.indent >= _INDENTED_COLUMNS
    return signs >= _SIGNS_OF_CODE


@kernel
def measure_code(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    keywords: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """How much of a text looks like source code, and how much like prose, line by line; blocks fenced by ``` are prose.

    A line is code if it bears two of these signs: it begins with a keyword; it begins with a character of
    `_BEGINS_CODE`; it ends with one of `_MAY_END_CODE`; it has a name directly followed by `(` or `[`; it has `=`, `{`,
    `$`, `->` or `::`; at least a tenth of it are symbols; it is indented by four columns or a tab. An end that prose
    hardly has counts as two: one of `_ENDS_CODE`, `:` after a keyword or call, or nothing after a keyword. Comments,
    text between triple quotes and lines of symbols alone are neither. A line of Markdown (link, list, quotation, table,
    command in backticks) is prose.

    Args:
        data, bounds: see `text_buffers`.
        classes: see `class_table`.
        keywords: see `keyword_hashes`.

    Returns:
        For each text, shape (texts,): the characters of its code, and those of its prose, without white space and
        symbols, Han characters thrice, since they say as much as three letters; its lines of code.
    """
    code = np.zeros(len(bounds) - 1, np.int32)
    prose = np.zeros(len(bounds) - 1, np.int32)
    code_lines = np.zeros(len(bounds) - 1, np.int32)
    for text in range(len(bounds) - 1):
        at, end = bounds[text], bounds[text + 1]
        fenced, quoted = False, False
        while at < end:
            line, at = _read_line(data, at, end, classes)
            if line.backticks >= 3:
                fenced = not fenced
            elif line.quotation_marks >= 3:
                quoted ^= line.quotation_marks < 6  # six: what was opened is closed on the same line
            elif line.others == 0 or quoted or (_is_comment(line) and not fenced):
                continue
            elif fenced or line.linked or _meaning(line.first) & _MARKDOWN or not _is_code(line, keywords):
                prose[text] += line.others
            else:
                code[text] += line.others
                code_lines[text] += 1
    return code, prose, code_lines
