"""Source code, told from prose by the shape of its lines, whatever the programming language.

Few corpora say which records are code, and a classifier of languages takes code for one of them. No single sign will
do: a clause of a contract ends in `;`, a poem is indented, a list of quoted words ends its lines in `,`, and an
apostrophe is a letter in Tahitian. So a line is code by two signs that have nothing to do with each other, of which one
is structure that no prose has: a call, an assignment, a block, a key, a tag, a directive. What a text about code
quotes, in a fence or a block of lines, is no prose either: `measure_code` gives the text without it, for a classifier
of languages.
"""

import functools
import re
import string
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datapipe.kernels import inlined, kernel
from datapipe.text.characters import DIGIT, HAN, LETTER, SPACE, UPPER, copy_bytes, decode
from datapipe.text.scripts import HAN_WEIGHT

# Words that begin a line of code; most are words of prose too, so that one alone says little.
_KEYWORDS = (
    "abstract alias alter and assert async auto await begin bool boolean break byte case catch cd char chmod chown "
    "class const constexpr continue cp create declare def default defer del delete die do done double drop echo "
    "elif else elsif end enum esac eval except exec exit export extends extern fi final finally float fn for "
    "foreach from func function global go goto grep if impl implements import include inline insert int interface "
    "internal join let local long match mkdir mod mut mv my namespace new nil null our override package pass print "
    "printf private proc protected pub public raise register require return rm select self set shift short sizeof "
    "static string struct sub sudo super switch template then this throw trait try type typedef typename union "
    "unless unset unsigned until update use using val var virtual void volatile when while with yield ALTER AND "
    "BEGIN COMMENT COMMIT CREATE DELETE DO DROP EXECUTE FROM GRANT GROUP HAVING INSERT INTO JOIN LEFT LIMIT ON OR "
    "ORDER REVOKE SELECT SET TABLE UNION UPDATE VALUES WHERE WITH"
)
# After a `#` at once: what C's preprocessor is told.
_DIRECTIVES = "define elif else endif error if ifdef ifndef import include line pragma undef warning"
_EMPTY_WORD = 7  # the hash of a word without letters


def _hash(word: str) -> int:
    return functools.reduce(lambda value, byte: (value * 31 + byte) & 0xFFFFFFFF, word.encode(), _EMPTY_WORD)


_POD_END = _hash("=cut")

# Signs that a line may bear. Structure is what prose does not have.
_CALL = 1  # a name directly followed by `(` or `[`, but for `word(s)`, `f(x)` and `page[12]`
_ASSIGNMENT = 2  # `=`, `::`, `->`, `&&`, `||`, or `$` before a name
_BLOCK = 4  # ends in an opening bracket or `}`, or begins with a closing one
_SNAKE = 8  # a name with `_` in it
_KEY = 16  # begins with a name in lower case and `:`, as in YAML and CSS
_MARKED = 32  # by itself enough: a tag, a directive, a quoted key, a brace at the end, a keyword alone on its line
_STRUCTURE = _CALL | _ASSIGNMENT | _BLOCK | _SNAKE | _KEY | _MARKED
_KEYWORD = 64
_STATEMENT = 128  # ends in `;`
_INDENT = 256
_SYMBOLS = 512  # a tenth of it are symbols
_COLON = 1024  # ends in `:`
_QUOTED = 2048  # an item in quotes, and `,`
_PREFIX = 4096  # begins with `@`, `.` or `$` and a name
_CALLS = 8192  # calls twice
_TWO_SIGNS = _MARKED

_SYMBOL_CHARACTERS = "{}[]<>=$#@|\\^~&*+/_"

_TAB, _LINE_FEED, _RETURN, _BLANK = (ord(c) for c in "\t\n\r ")
_HASH, _STAR, _SLASH, _MINUS, _GREATER, _LESS = (ord(c) for c in "#*/-><")
_QUOTATION_MARK, _APOSTROPHE, _BACKTICK, _TILDE, _UNDERSCORE = (ord(c) for c in "\"'`~_")
_COLON_SIGN, _SEMICOLON, _COMMA, _DOT, _AT, _EQUALS, _DOLLAR, _PIPE, _AND = (ord(c) for c in ":;,.@=$|&")
_ROUND, _ROUND_END, _SQUARE, _SQUARE_END, _BRACE, _BRACE_END = (ord(c) for c in "()[]{}")
_BACKSLASH, _EXCLAMATION, _QUESTION = (ord(c) for c in "\\!?")

_TAB_COLUMNS, _INDENTED_COLUMNS = 4, 2
_LONG_LINE = 150  # letters: a paragraph, unless it has
_LONG_SYMBOLS = 20  # a symbol in so many characters, as minified code has
_SYMBOL_SHARE = 10  # code has a symbol in so many characters
_SIGNS_OF_CODE = 2  # and one more if the line looks like prose:
_WORDS_OF_PROSE = 5  # so many words in a row, or most letters are beyond ASCII
_CERTAIN_SHARE = 10  # a text with one letter of prose in so many of code is code through and through
FEWEST_LINES = 3  # a line or two of symbols may be a formula, a smiley or a price list
_DECIDED_SHARE = 4  # one line in so many must be code by itself, not by its neighbours


def _symbols() -> npt.NDArray[np.bool_]:
    table = np.zeros(128, np.bool_)
    table[[ord(character) for character in _SYMBOL_CHARACTERS]] = True
    return table


_IS_SYMBOL = _symbols()


# What skimming a line adds up of each byte: a character that is no symbol, a digit, a quotation mark; or not alone.
_CHARACTER, _DIGIT, _QUOTATION = 1, 1 << 20, 1 << 40
_STOP, _LOOK = -1, -2  # such a line must be read; whether it must, the bytes beside this one say
_SKIMMED_AT_MOST = _DIGIT - 1  # bytes of a line
_FEWEST_QUOTATION_MARKS = 3  # side by side


def _skimmed() -> npt.NDArray[np.int64]:
    table = np.full(256, _STOP, np.int64)
    for characters, step in (
        (string.ascii_letters + ",.!?'%-);`", _CHARACTER),
        (string.digits, _CHARACTER + _DIGIT),
        ('"', _CHARACTER + _QUOTATION),
        ("\t\r #+/@^~", 0),
        ("([]:", _LOOK),
    ):
        table[[ord(character) for character in characters]] = step
    return table


_SKIMMED = _skimmed()


# Names of files that hold source code, in languages and formats that nobody reads for their prose. Formats in which
# people keep records (JSON, CSV) are none of them: the name of such a file says nothing about its documents.
_CODE_EXTENSIONS = (
    "asm awk bash bat c cc cfg clj cmake cmd conf cpp cs css csx cu cxx d dart el ex erl f f90 fish fs fsx gd go "
    "gradle groovy h hh hpp hs hxx inc ini ipp java jl js json5 jsx kt kts less lisp lua m mjs cjs mk ml mm mts nim "
    "nix pas php pl pm pp proto ps1 psm1 pxd py pyi pyx r rake rb rkt rs s sass scala scm scss sh sol sql sv svelte "
    "swift tcl tf toml ts tsx v vb vhd vim vue wgsl xs y yaml yml zig zsh"
)
_CODE_NAMES = "cmakelists.txt dockerfile gemfile gnumakefile jenkinsfile makefile rakefile vagrantfile"
_PROSE_EXTENSIONS = "adoc asciidoc docx epub htm html markdown md mdx org pdf rst tex textile xhtml"
_COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")


@functools.lru_cache(1 << 16)
def named_as(name: str | None) -> str:
    """What the name of a file says that it holds: "code", "prose", or "" where it does not tell.

    >>> named_as("src/main.rs"), named_as("docs/guide.md"), named_as("part-00000.jsonl.gz")
    ('code', 'prose', '')
    """
    base = "" if name is None or "://" in name else name.rpartition("/")[2].lower()
    base = next((base.removesuffix(c) for c in _COMPRESSIONS if base.endswith(c)), base)
    _, dot, extension = base.rpartition(".")
    if base in _CODE_NAMES.split() or (dot and extension in _CODE_EXTENSIONS.split()):
        return "code"
    return "prose" if dot and extension in _PROSE_EXTENSIONS.split() else ""


_KEYWORD_PLACES = 1 << 10


@functools.cache
def keyword_table() -> npt.NDArray[np.int64]:
    """Hashes of the words that begin a line of code, as `measure_code` computes them; of directives with `#`.

    Each lies at the place of its low bits or the next free one after it; -1 is free.
    """
    table = np.full(_KEYWORD_PLACES, -1, np.int64)
    for word in (*_KEYWORDS.split(), *(f"#{directive}" for directive in _DIRECTIVES.split())):
        place = _hash(word) % _KEYWORD_PLACES
        while table[place] >= 0:
            place = (place + 1) % _KEYWORD_PLACES
        table[place] = _hash(word)
    return table


@inlined
def _is_keyword(table: npt.NDArray[np.int64], word: int) -> bool:
    """Whether a hash is in a table of them."""
    place = word % _KEYWORD_PLACES
    while table[place] >= 0 and table[place] != word:
        place = (place + 1) % _KEYWORD_PLACES
    return table[place] == word


# A formula of TeX within a line, as Pandoc has it: no space within beside either `$`; and no variable stands there.
_FORMULA = re.compile(r"(?<![A-Za-z0-9_])\$[^\0- ${(][^$\n]*(?<![\0- ])\$(?![A-Za-z0-9_${(])")


def without_formulas(texts: pa.Array) -> pa.Array:
    """Texts without what is written in TeX between two `$` of a line: to a reader of signs, mathematics is code.

    >>> without_formulas(pa.array(["Let $H \\subset G$ be a group;", "echo $HOME/$USER", None])).to_pylist()
    ['Let  be a group;', 'echo $HOME/$USER', None]
    """
    mask = pc.match_substring_regex(texts, r"\$[^$\n]+\$").fill_null(False)
    changed = [_FORMULA.sub("", text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(changed, texts.type)) if changed else texts


class _Line(NamedTuple):
    """What a line shows; of its characters, white space does not count.

    Attributes:
        first, second, last: characters, 0 = none.
        symbols: how many characters are symbols.
        others: how many are not, Han characters thrice.
        word: the hash of the word that it begins with, see `keyword_table`; with the `#` or `=` before it.
        digits: how many are digits.
        one_word: whether it is nothing but that, and a character at most.
        signs: those that its characters show as they are read.
        linked: whether it has the middle of a Markdown link, `](`.
        tex: whether it has a command of TeX with an argument.
        fence: how many backticks or tildes it begins with.
        quotation_marks: how many `"` stand beside another.
        ended: whether it has `*/`.
        lower: whether it has an ASCII letter in lower case.
        foreign: how many of the others are letters beyond ASCII, Han characters thrice.
        words: the longest run of words in lower case with nothing but blanks between them.
        item: whether it begins with `-` or `*` and a blank.
    """

    indent: int
    first: int
    second: int
    last: int
    symbols: int
    others: int
    digits: int
    word: int
    one_word: bool
    signs: int
    linked: bool
    tex: bool
    fence: int
    quotation_marks: int
    ended: bool
    lower: bool
    foreign: int
    words: int
    item: bool


@inlined
def _is_name(byte: int) -> bool:
    """Whether an ASCII name can hold it."""
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == _UNDERSCORE


@inlined  # a call for each line would cost a tenth of the speed
def _read_line(data: npt.NDArray[np.uint8], at: int, end: int, classes: npt.NDArray[np.uint8]) -> tuple[_Line, int]:
    """What the line at byte `at` shows, and where the next one begins."""
    indent, first, second, last, previous, before = 0, 0, 0, 0, 0, 0
    symbols, others, fence, quotation_marks, signs, calls, letters = 0, 0, 0, 0, 0, 0, 0
    digits, foreign, run, words = 0, 0, 0, 0
    linked, tex, ended, address, lower, key, item, plain = False, False, False, False, False, True, False, False
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
                key &= first == _MINUS and letters == 0  # `- name: value`
            item |= second == 0 and first in (_MINUS, _STAR)
            run = run + 1 if plain else 0
            words = max(words, run)
            address, plain = False, False
            before, previous = previous, _BLANK
            continue
        one_word &= in_first_word
        if first == 0:
            first = code_point
        elif second == 0:
            second = code_point
        if flags & (LETTER | DIGIT):
            weight = HAN_WEIGHT if flags & HAN and flags & LETTER else 1
            others += weight
            foreign += weight if code_point >= 128 else 0
            plain = flags & (LETTER | UPPER) == LETTER and (plain or previous in (0, _BLANK))
            digits += flags & LETTER == 0
            if in_first_word:
                word = (word * 31 + code_point) & 0xFFFFFFFF
            if previous == _DOLLAR and code_point < 128 and flags & LETTER and (before == 0 or not _is_name(before)):
                signs |= _ASSIGNMENT
            elif previous == _UNDERSCORE and code_point < 128 and _is_name(before) and not address:
                signs |= _SNAKE
            elif previous == _BACKSLASH and code_point < 128:
                stop = at
                while stop < end and 97 <= data[stop] <= 122:
                    stop += 1
                tex |= stop > at and stop < end and data[stop] == _BRACE
            if letters == 0:
                key &= 97 <= code_point <= 122
            key &= code_point < 128
            lower |= 97 <= code_point <= 122
            letters += 1
            # The small letters of ASCII that follow say nothing new: most of a text, in half the time.
            begin = at
            while at < end and 97 <= data[at] <= 122:
                if in_first_word:
                    word = (word * 31 + data[at]) & 0xFFFFFFFF
                at += 1
            if at > begin:
                if second == 0:
                    second = int(data[begin])
                others += at - begin
                letters += at - begin
                lower = True
                previous = int(data[at - 2])
                code_point = np.int64(data[at - 1])
        else:
            following = data[at] if at < end else _LINE_FEED
            plain = False
            named = _is_name(previous)
            in_first_word &= code_point == _UNDERSCORE or (second == 0 and (code_point in (_HASH, _EQUALS)))
            if in_first_word:
                word = (word * 31 + code_point) & 0xFFFFFFFF
            is_symbol = code_point < 128 and _IS_SYMBOL[code_point]
            symbols += is_symbol
            others += not is_symbol
            if code_point in (_BACKTICK, _TILDE):
                fence += code_point == first and symbols + others == fence + 1
            elif code_point == _QUOTATION_MARK:
                quotation_marks += previous == _QUOTATION_MARK or following == _QUOTATION_MARK
            elif code_point in (_ROUND, _SQUARE):
                linked |= code_point == _ROUND and previous == _SQUARE_END
                if named and not address:
                    closing = _ROUND_END if code_point == _ROUND else _SQUARE_END
                    short = _is_name(following) and at + 1 < end and data[at + 1] == closing  # word(s)
                    numbered = code_point == _SQUARE and 48 <= following <= 57
                    calls += not short and not numbered
            elif code_point == _EQUALS:
                if not address:
                    signs |= _ASSIGNMENT
            elif code_point == _GREATER:
                if previous == _MINUS:
                    signs |= _ASSIGNMENT
            elif code_point == _COLON_SIGN:
                if previous == _COLON_SIGN:
                    signs |= _ASSIGNMENT
                elif first in (_QUOTATION_MARK, _APOSTROPHE) and previous == first:
                    signs |= _MARKED
                elif key and letters > 1 and (following <= _BLANK):
                    signs |= _KEY
                address |= following == _SLASH
            elif code_point in (_PIPE, _AND):
                if previous == code_point:
                    signs |= _ASSIGNMENT
            elif code_point == _BRACE:
                if previous == _DOLLAR:
                    signs |= _ASSIGNMENT
            elif code_point == _SLASH:
                ended |= previous == _STAR
            key &= code_point in (_UNDERSCORE, _MINUS, _DOT, _SLASH)
        last = code_point
        before, previous = previous, code_point
    signs |= (_CALL if calls else 0) | (_CALLS if calls > 1 else 0)
    line = _Line(
        indent, first, second, last, symbols, others, digits, word, one_word, signs, linked, tex, fence,
        quotation_marks, ended, lower, foreign, max(words, run + plain), item,
    )  # fmt: skip
    return line, at


@inlined
def _says_nothing(data: npt.NDArray[np.uint8], at: int, begin: int, end: int, is_key: bool) -> bool:
    """Whether a bracket is no call or link, and a colon no key or operator, by what stands beside it.

    Args:
        data, at: the byte in question.
        begin, end: of the line and of the text.
        is_key: whether the line may begin with a key.
    """
    before = data[at - 1] if at > begin else _LINE_FEED
    following = data[at + 1] if at + 1 < end else _LINE_FEED
    if data[at] == _COLON_SIGN:
        return not is_key and before != _COLON_SIGN and following != _COLON_SIGN
    return following != _ROUND if data[at] == _SQUARE_END else not _is_name(before)


@inlined
def _skim_line(
    data: npt.NDArray[np.uint8],
    begin: int,
    end: int,
    classes: npt.NDArray[np.uint8],
    keywords: npt.NDArray[np.int64],
) -> tuple[bool, int, int, int]:
    """Whether the line at byte `begin` has no structure and nothing else that matters, as most lines of prose.

    If so, also what `_Line` calls `others` and `digits`, and where the next line begins: all that is asked of it, in a
    third of the time that it takes to read.
    """
    at, stop = begin, min(end, begin + _SKIMMED_AT_MOST)
    sums, first, word, in_first_word, is_key = 0, 0, _EMPTY_WORD, True, False
    while at < stop:
        code_point, following = np.int64(data[at]), at + 1
        step = _SKIMMED[code_point]
        if code_point >= 128:
            code_point, following = decode(data, at)
            flags = classes[code_point]
            if not flags & SPACE:  # of ASCII alone are blanks looked for at the end
                step = HAN_WEIGHT if flags & HAN and flags & LETTER else _CHARACTER
                step += _DIGIT if flags & (LETTER | DIGIT) == DIGIT else 0
        elif step == _LOOK and _says_nothing(data, at, begin, end, is_key):
            step = 0 if _IS_SYMBOL[code_point] else _CHARACTER
        if step < 0:
            break
        if in_first_word:
            flags = classes[code_point]
            is_part = flags & (LETTER | DIGIT) > 0
            if flags & SPACE:
                in_first_word, is_key = first == 0, False
            elif is_part:
                word = int((word * 31 + code_point) & 0xFFFFFFFF)
            else:
                in_first_word = False
            if first == 0 and not flags & SPACE:
                if not is_part and code_point < 128 and code_point not in (_COMMA, _DOT, _EXCLAMATION, _QUESTION):
                    break
                first = int(code_point)
                is_key = 97 <= first <= 122 or first == _DOT
        sums += step
        at = following
    if (at < end and data[at] != _LINE_FEED) or sums >= _FEWEST_QUOTATION_MARKS * _QUOTATION:
        return False, 0, 0, at
    last = at - 1
    while last > begin and (data[last] == _BLANK or data[last] == _RETURN or data[last] == _TAB):
        last -= 1
    if last >= begin and (data[last] == _SEMICOLON or data[last] == _ROUND or data[last] == _SQUARE):
        return False, 0, 0, at
    if _is_keyword(keywords, word):
        return False, 0, 0, at
    return True, sums & (_DIGIT - 1), (sums & (_QUOTATION - 1)) // _DIGIT, min(end, at + 1)


@inlined
def _is_comment(line: _Line, directive: bool) -> bool:
    """Whether it begins with `//`, `/*`, `--` or `#`, unless that is a directive or a selector: `#menu {`."""
    return (
        (line.first == _HASH and not directive and line.last != _BRACE and line.second != _SQUARE)
        or (line.first == _SLASH and line.second in (_SLASH, _STAR))
        or (line.first == _MINUS and line.second == _MINUS)
    )


@inlined
def _signs_of(line: _Line, keyword: bool) -> int:
    """All signs of a line: what its characters show, and what its words, its ends and its indentation do."""
    signs = line.signs
    if line.last in (_BRACE, _BRACE_END) or (keyword and (line.one_word or line.first == _HASH)):
        signs |= _MARKED
    if line.last in (_ROUND, _SQUARE):
        signs |= _BLOCK
    elif line.last == _SEMICOLON:
        signs |= _STATEMENT | (_MARKED if keyword and line.lower and line.first <= 90 else 0)  # of SQL
    elif line.last == _COLON_SIGN:
        signs |= _COLON
    if line.first in (_BRACE, _BRACE_END, _ROUND_END, _SQUARE_END):
        signs |= _BLOCK
    elif line.first == _LESS:
        if line.last == _GREATER and (
            line.second == _SLASH or line.second == _EXCLAMATION or line.second == _QUESTION or _is_name(line.second)
        ):
            signs |= _MARKED
    elif line.first in (_AT, _DOT, _DOLLAR):
        signs |= _PREFIX if _is_name(line.second) else 0
    elif line.first in (_QUOTATION_MARK, _APOSTROPHE) and line.last == _COMMA:
        signs |= _QUOTED
    signs |= _KEYWORD if keyword else 0
    signs |= _INDENT if line.indent >= _INDENTED_COLUMNS else 0
    signs |= _SYMBOLS if line.symbols * _SYMBOL_SHARE >= line.symbols + line.others else 0
    return signs


@inlined
def _count(signs: int) -> int:
    """How many signs there are; one of `_TWO_SIGNS` counts twice."""
    number = 2 if signs & _TWO_SIGNS else 0
    signs &= ~_TWO_SIGNS
    while signs:
        number += signs & 1
        signs >>= 1
    return number


_PROSE, _CODE, _UNDECIDED = 0, 1, 2
_FENCE, _DOCSTRING, _COMMENT, _POD = 1, 2, 3, 4  # what the lines that follow stand in


@inlined
def _kind(line: _Line, signs: int) -> int:
    """Whether a line is code or prose by itself; undecided, its neighbours tell."""
    if line.linked or line.tex or line.first in (_GREATER, _BACKTICK, _PIPE):
        return _PROSE
    if line.others > _LONG_LINE and line.symbols * _LONG_SYMBOLS < line.symbols + line.others:
        return _PROSE
    item = line.item and not signs & (_KEY | _MARKED)
    like_prose = line.words >= _WORDS_OF_PROSE or line.foreign * 2 > line.others
    if signs & _STRUCTURE and not item and _count(signs) >= _SIGNS_OF_CODE + like_prose:
        return _CODE
    return _UNDECIDED if item or signs & (_STRUCTURE | _KEYWORD | _STATEMENT | _QUOTED) else _PROSE


@kernel
def measure_code(
    data: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    keywords: npt.NDArray[np.int64],
    named: npt.NDArray[np.bool_],
) -> tuple[
    npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.int64]
]:
    """How much of a text is source code, and how much prose, line by line; and the text without what is code.

    A line is code if it bears two signs, one of them structure. Structure is: a call, `name(` or `name[`; an assignment
    or operator, `=`, `::`, `->`, `&&`, `||`, `$name`; an opening bracket at the end or a closing one at the beginning;
    a name with `_` in it; a key, `name:`, in lower case. A tag, a directive, a quoted key, a brace at the end, a
    keyword alone on its line and a statement of SQL are two at once. The other signs are: a keyword or `@name` at the
    beginning, `;` or `:` at the end, an indentation of two columns, a quoted item, a tenth of symbols.

    Five words in lower case in a row, or mostly letters beyond ASCII, ask for a third. A line with a sign too few to
    tell, such as `return x;`, or of a list, is what the line before it is that tells, or the first that does; in a file
    of code, by its name or a first line with `#!/`, it is code. Fenced blocks, comments, text between triple quotes,
    POD and lines of numbers or symbols alone are neither. What begins and never ends is no quotation. A line of
    Markdown (link, quotation, table, command in backticks) or of TeX is prose, and so is a long line without many
    symbols.

    Args:
        data, bounds: see `text_buffers`.
        classes: see `class_table`.
        keywords: see `keyword_table`.
        named: whether the text's file bears the name of source code, see `named_as`; shape (texts,).

    Returns:
        For each text, shape (texts,): the characters of its code, and those of its prose, without white space and
        symbols, Han characters thrice, since they say as much as three letters; the lines that speak for code, in a
        text with hardly any prose also its comments. All texts without fenced blocks and, past the first few, without
        lines of code, as UTF-8; their bounds, shape (texts + 1,). A text that is nothing else stays whole.
    """
    texts = len(bounds) - 1
    code = np.zeros(texts, np.int32)
    prose = np.zeros(texts, np.int32)
    lines_for_code = np.zeros(texts, np.int32)
    out = np.empty(bounds[-1] - bounds[0], np.uint8)
    out_bounds = np.zeros(texts + 1, np.int64)
    to = 0
    for text in range(texts):
        at, end = bounds[text], bounds[text + 1]
        script = end - at > 2 and data[at] == _HASH and data[at + 1] == _EXCLAMATION and data[at + 2] == _SLASH
        default = _CODE if named[text] or script else _UNDECIDED
        state, inside, quotes = _UNDECIDED, 0, True
        lines, decided, pending, pending_lines, comments, most, kept = 0, 0, 0, 0, 0, 0, 0
        opened, opened_to = at, to
        while at < end or inside:
            if at >= end:
                if inside == _POD and code[text] > 0:
                    break
                at, to, quotes, inside = opened, opened_to, False, 0
                continue
            begin = at
            plain, others, digits, following = _skim_line(data, at, end, classes, keywords)
            if plain:
                at = following
                if not inside and others > 0 and digits * 2 <= others:
                    prose[text] += others + pending
                    pending, pending_lines, state = 0, 0, _PROSE
                if inside != _FENCE:
                    to = copy_bytes(data, begin, at, out, to)
                    kept += others
                continue
            line, at = _read_line(data, at, end, classes)
            keyword = _is_keyword(keywords, line.word)
            keep, was = True, inside
            if quotes and line.fence >= 3 and (inside == _FENCE or inside == 0):
                inside = _FENCE - inside
                keep = False
            elif inside == _FENCE:
                keep = False
            elif quotes and line.quotation_marks >= 3 and (inside == _DOCSTRING or inside == 0):
                if line.quotation_marks < 6:  # six: what was opened is closed on the same line
                    inside = _DOCSTRING - inside
            elif quotes and line.first == _EQUALS and 97 <= line.second <= 122 and (inside == _POD or inside == 0):
                inside = 0 if line.word == _POD_END else _POD
            elif inside:
                if inside == _COMMENT and line.ended:
                    inside = 0
            elif quotes and line.first == _SLASH and line.second == _STAR and not line.ended:
                inside = _COMMENT
                comments += 2
            elif line.others > 0 and _is_comment(line, keyword):
                comments += line.first == _SLASH
            elif line.others > 0:
                signs = _signs_of(line, keyword)
                kind = _kind(line, signs)
                if kind == _CODE:
                    decided += 1
                    most = max(most, _count(signs))
                elif kind == _UNDECIDED:
                    kind = default if default == _CODE else state
                if kind == _UNDECIDED:
                    pending += line.others
                    pending_lines += 1
                elif kind == _CODE:
                    code[text] += line.others + pending
                    lines += 1 + pending_lines
                    pending, pending_lines, state = 0, 0, kind
                    keep = lines <= FEWEST_LINES
                elif line.digits * 2 <= line.others:
                    prose[text] += line.others + pending
                    pending, pending_lines, state = 0, 0, kind
            if inside and not was:
                opened, opened_to = begin, to
            if keep:
                to = copy_bytes(data, begin, at, out, to)
                kept += line.others
        if comments >= 2 and prose[text] == 0:
            code[text] += pending
            lines += pending_lines
            decided += pending_lines
        else:
            prose[text] += pending
        if (decided + comments) * _DECIDED_SHARE < lines and default != _CODE:
            prose[text] += code[text]
            code[text], lines = 0, 0
        elif lines and prose[text] * _CERTAIN_SHARE <= code[text]:
            lines += comments + 1 + (most > _SIGNS_OF_CODE)
        if kept == 0:
            to = out_bounds[text]
            to = copy_bytes(data, bounds[text], end, out, to)
        lines_for_code[text] = lines
        out_bounds[text + 1] = to
    return code, prose, lines_for_code, out[:to], out_bounds
