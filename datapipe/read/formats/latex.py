"""LaTeX to text as LLaMA's arXiv has it: from the first section on, without bibliography and comments, macros inlined.

LLaMA (Touvron et al. 2023, 2.1, after Lewkowycz et al. 2022): "we removed everything before the first section, as well
as the bibliography. We also removed the comments from the .tex files, and inline-expanded definitions and macros
written by users to increase consistency across papers." So here, and mark-up goes, too: headings are lines, accents are
letters, formulas stay as LaTeX with the user's macros inlined, code stays as it is, figures, tables, citations,
footnotes and labels go. Title and abstract come along as columns.

TeX expands macros while it reads; no regular expression can follow `\\def` with arguments, nested, redefined. Here it
is read the same way: a stack of texts, of which a macro's replacement is the topmost.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from datapipe.read.formats import latex_commands as commands
from datapipe.read.formats.source import Damage

MAX_EXPANSIONS = 200_000  # of macros and files; a paper of 3,000 macros a page has a tenth
MAX_STACK = 300  # texts within texts, where TeX has 5,000: a macro that calls itself reaches it
MAX_NESTED = 60  # arguments that are rendered within arguments
MAX_SCANNED = 20_000_000  # characters in which ends are looked for: of what has none, again and again
MAX_FILES_DEEP = 16  # of \input within \input; LaTeX has 15
MAX_ARGUMENT = 1 << 20  # characters
MAX_ARGUMENTS = 9

_TOKEN = re.compile(
    r"\\(?:[a-zA-Z@]+\*?[ \t]*(?:\n[ \t]*(?!\s))?|.|\n|\Z)|%[^\n]*(?:\n[ \t]*|\Z)|\n\s*\n\s*|\n[ \t]*"
    r"|[{}$&~^_#]|[^\\%{}$&~^_#\n]+",
    re.DOTALL,
)
_NAME = re.compile(r"\\(?:[a-zA-Z@]+\*?[ \t]*|.)", re.DOTALL)
_WORD_AT_END = re.compile(r"\\[a-zA-Z]+\Z")
_CONDITION = re.compile(r"%[^\n]*|\\(if[a-zA-Z@]*|else|fi)(?![a-zA-Z@])")
_COMPARISON = re.compile(
    r"[^\n<>=\\{}]{0,40}(?:\\[a-zA-Z@]+)?\s*(?:[<>=]\s*-?(?:\\[a-zA-Z@]+|[\d.]+[a-z]*)|(?<=\w))(?:\\relax)?[ \t]?"
)
_DEFINED = re.compile(r"\\([a-zA-Z@]+|.)\s*([^{}]{0,200}?)(?=\{)", re.DOTALL)
_DIMENSION = re.compile(r"\s*=?\s*-?[\d.]*\s*(?:pt|cm|mm|in|em|ex|pc|bp|sp|\\\w+)?(?:\s*(?:plus|minus)\s*-?[\d.]+\w+)*")
_FILE_NAME = re.compile(r"\s*([^\s{}\\]*)")
_DIMENSIONS = frozenset(
    ("vskip", "hskip", "kern", "penalty", "parindent", "parskip", "textwidth", "textheight", "hsize")
)
_INPUTS = ("input", "include", "subfile", "InputIfFileExists", "import", "subimport")
_BLANKS = re.compile(r"(?:[ \t]+|%[^\n]*(?:\n[ \t]*|\Z)|\n[ \t]*(?!\s*\n))*")
_ALL_BLANKS = re.compile(r"(?:\s+|%[^\n]*(?:\n|\Z))*")
_GROUP_MARKS = re.compile(r"\\.|[{}]|(?<!\\)%[^\n]*", re.DOTALL)
_OPTION_MARKS = re.compile(r"\\.|[{}\]]", re.DOTALL)
_UNIT = re.compile(r"\\([a-zA-Z]+)|([^\\{}\s]+)")
_PARAMETER = re.compile(r"#(#|[1-9])")

_NO_SPACE_AFTER = frozenset(".,;:!?'/)]}~-\\%")  # of \xspace, and what cannot follow it

# Around what is kept as it is, code and formulas that are displayed; before an item of a list, for each level. They are
# taken out of sources.
_BEGIN, _END, _INDENT = "\x02", "\x03", "\x01"
_CONTROLS = dict.fromkeys((*range(9), *range(14, 32), 127))
_KEPT_AS_IT_IS = re.compile(f"{_BEGIN}([^{_END}]*){_END}")
_HOLLOW = re.compile(r"[ \t]*(?:\([\s,;:~]*\)|\[[\s,;:~]*\])")
_BEFORE_STOP = re.compile(r"[ \t]+([,.;:!?)\]])")
_SPACES = re.compile(r"[ \t]{2,}")
_LINES = re.compile(r"\n(?:[ \t]*\n)+")


class _Macro(NamedTuple):
    """A macro of the user's.

    Attributes:
        arguments: how many.
        optional: what the first one is where it is left out; None: none may be.
        body: what it stands for.
        pattern: what stands before, between and after the arguments of a `\\def`.
    """

    arguments: int
    optional: str | None
    body: str
    pattern: str = ""


class Paper(NamedTuple):
    """What a LaTeX source holds."""

    text: str
    title: str
    abstract: str


def read_latex_source(source: str, read_file: Callable[[str], str | None], max_characters: int) -> Paper:
    """The paper of a main file.

    Args:
        source: the main file; one without `\\begin{document}` is part of a document, all of it text.
        read_file: what \\input takes in, by its name; None if it is missing.
        max_characters: of the text.

    Raises:
        Damage: `macro_bomb` where macros or files expand without end; `too_large`.
    """
    reader = _Reader(read_file, max_characters)
    source = source.translate(_CONTROLS)
    reader.push(source)
    whole = re.search(r"^[^%\n]*\\begin\s*\{document\}", source, re.MULTILINE) is not None
    reader.run(within_document=not whole)
    body = reader.text(reader.first_section if whole and reader.first_section is not None else 0)
    return Paper(body, " ".join(reader.title.split()), reader.abstract)


class _Reader:
    """TeX's stack of texts that are being read, the macros so far, and the text that came of it."""

    def __init__(self, read_file: Callable[[str], str | None], max_characters: int) -> None:
        self._read_file = read_file
        self._max = max_characters
        # Of each text that is being read: itself, where in it, and the file that it is, or "".
        self._texts: list[str] = []
        self._at: list[int] = []
        self._names: list[str] = []
        self._nested = self._scanned = 0
        self._macros: dict[str, _Macro] = {}
        self._environments: dict[str, tuple[_Macro, str]] = {}
        self._theorems: dict[str, str] = {}
        self._switches: dict[str, bool] = {}
        self._expansions = 0
        self._out: list[str] = []
        self._size = 0
        self._lists: list[int] = []  # items so far of each open list; negative where it has no numbers
        self.first_section: int | None = None  # index in what came out
        self.title = self.abstract = ""
        self._in_document = False
        self._ended = False

    # What is read.

    def push(self, text: str, name: str = "") -> None:
        self._expansions += 1
        if self._expansions > MAX_EXPANSIONS or len(self._texts) >= MAX_STACK:
            raise Damage("macro_bomb", f"macros expand more than {MAX_EXPANSIONS} times, or {MAX_STACK} deep")
        while self._texts and self._at[-1] >= len(self._texts[-1]):
            self._pop()  # a macro at the end of another, as in recursion of the tail
        self._texts.append(text)
        self._at.append(0)
        self._names.append(name)

    def _pop(self) -> None:
        self._texts.pop()
        self._at.pop()
        self._names.pop()

    def _next(self) -> str:
        while self._texts:
            match = _TOKEN.match(self._texts[-1], self._at[-1])
            if match:
                self._at[-1] = match.end()
                return match[0]
            self._pop()
        return ""

    def _peek(self) -> str:
        """The next character."""
        for text, at in zip(reversed(self._texts), reversed(self._at), strict=True):
            if at < len(text):
                return text[at]
        return ""

    def _skip_blanks(self) -> None:
        while self._texts:
            match = _BLANKS.match(self._texts[-1], self._at[-1])
            self._at[-1] = match.end() if match else self._at[-1]
            if self._at[-1] < len(self._texts[-1]) or len(self._texts) == 1:
                return
            self._pop()

    def _argument(self) -> str:
        """The next argument, as it is written: a group without its braces, a command or a character."""
        self._skip_blanks()
        if not self._texts:
            return ""
        text, at = self._texts[-1], self._at[-1]
        if at < len(text) and text[at] == "{":
            return self._group(text, at)
        match = _NAME.match(text, at)
        self._at[-1] = match.end() if match else min(at + 1, len(text))
        return text[at : self._at[-1]]

    def _group(self, text: str, at: int) -> str:
        depth = 0
        for mark in _GROUP_MARKS.finditer(text, at, at + MAX_ARGUMENT):
            if mark[0] == "{":
                depth += 1
            elif mark[0] == "}":
                depth -= 1
                if depth == 0:
                    self._scan(mark.end() - at)
                    self._at[-1] = mark.end()
                    return text[at + 1 : mark.start()]
        # Without its end: to the end of the paragraph, as \par within most arguments is an error.
        end = text.find("\n\n", at)
        self._scan(min(len(text) - at, MAX_ARGUMENT))
        self._at[-1] = end if end >= 0 else len(text)
        return text[at + 1 : self._at[-1]]

    def _address(self) -> str:
        """An argument in which `%` begins no comment."""
        self._skip_blanks()
        if self._peek() != "{" or not self._texts:
            return self._argument()
        self._at[-1] += 1
        return self._raw_until("}")

    def _raw_group(self) -> str:
        """A group in which all but braces, in pairs, are characters; to the end of its line, if it has no end."""
        if not self._texts:
            return ""
        text, at = self._texts[-1], self._at[-1]
        line_end = text.find("\n", at)
        line_end = line_end if line_end >= 0 else len(text)
        depth, stop = 0, at
        while stop < line_end:
            depth += {"{": 1, "}": -1}.get(text[stop], 0)
            stop += 1
            if depth == 0:
                break
        self._at[-1] = stop
        return text[at + 1 : stop - (depth == 0)]

    def _option(self) -> str | None:
        """What stands in brackets, if anything does."""
        self._skip_blanks()
        if not self._texts:
            return None
        text, at = self._texts[-1], self._at[-1]
        if at >= len(text) or text[at] != "[":
            return None
        depth = 0
        for mark in _OPTION_MARKS.finditer(text, at, at + MAX_ARGUMENT):
            if mark[0] == "]" and depth == 0:
                self._at[-1] = mark.end()
                return text[at + 1 : mark.start()]
            depth += {"{": 1, "}": -1}.get(mark[0], 0)
            if depth < 0:
                break
        return None

    def _scan(self, characters: int) -> None:
        self._scanned += characters
        if self._scanned > MAX_SCANNED:
            raise Damage("macro_bomb", "ends are looked for again and again")

    def _raw_until(self, end: str) -> str:
        """The text up to a mark, as it is; the mark is passed over."""
        if not self._texts:
            return ""
        text, at = self._texts[-1], self._at[-1]
        # What ends with one character does so within its paragraph.
        paragraph = text.find("\n\n", at) if len(end) == 1 else -1
        stop = text.find(end, at, paragraph if paragraph >= 0 else len(text))
        self._scan((stop if stop >= 0 else len(text) if paragraph < 0 else paragraph) - at)
        if stop < 0:
            stop = paragraph if len(end) == 1 else len(text)
            stop = len(text) if stop < 0 else stop
            end = ""
        self._at[-1] = stop + len(end)
        return text[at:stop]

    # What comes of it.

    def _put(self, text: str) -> None:
        self._size += len(text)
        if self._size > self._max:
            raise Damage("too_large", f"more than {self._max} characters of text")
        self._out.append(text)

    def text(self, start: int = 0) -> str:
        """What has come so far, from an index on."""
        return _tidied("".join(self._out[start:]))

    def rendered(self, source: str) -> str:
        """The text of an argument."""
        if self._nested >= MAX_NESTED:
            raise Damage("macro_bomb", f"arguments are nested {MAX_NESTED} deep")
        before, lists, stack, ended = len(self._out), self._lists, (self._texts, self._at, self._names), self._ended
        self._lists, self._texts, self._at, self._names = [], [], [], []
        self._nested += 1
        self.push(source)
        self._read()
        self._nested -= 1
        (self._texts, self._at, self._names), self._ended = stack, ended
        text = self.text(before)
        self._size -= sum(map(len, self._out[before:]))
        del self._out[before:]
        self._lists = lists
        return text

    def run(self, *, within_document: bool) -> None:
        self._in_document = within_document
        self._read()

    def _read(self) -> None:
        while not self._ended and (token := self._next()):
            first = token[0]
            if first == "\\":
                name = token[1:].rstrip() if len(token) > 2 or token[1:].isalpha() else token[1:]
                self._command(name)
            elif first == "%":
                if self._peek() == "\n":
                    self._put("\n\n")
            elif first == "\n":
                self._put("\n\n" if token.count("\n") > 1 else " ")
            elif first in "{}^_":
                if first in "^_":
                    self._put(first)
            elif first == "$":
                double = self._peek() == "$"
                if double:
                    self._next()
                self._formula("$$" if double else "$")
            elif first == "~" or first == "&":
                self._put(" ")
            elif first == "#":
                self._put("#")
            else:
                self._put(_quoted(token))

    def _command(self, name: str) -> None:
        macro = self._macros.get(name)
        if macro is None and name.endswith("*") and len(name) > 1 and name[:-1] in self._macros:
            macro = self._macros[name[:-1]]
        if macro is not None:
            self._expand(macro)
            return
        bare = name.rstrip("*") if len(name) > 1 else name
        if bare in _DEFINITIONS:
            _DEFINITIONS[bare](self)
        elif bare == "begin":
            self._begin(self._argument().strip())
        elif bare == "end":
            self._end(self._argument().strip())
        elif bare in commands.SECTIONS:
            self._option()
            self._heading(self._argument())
        elif bare in commands.ENDS_OF_PLAIN:
            self._ended = True
        elif bare in commands.DELIMITED and self._peek() != "{" and self._ends_with(f"\\end{bare}"):
            self._delimited_part(bare)
        elif bare == "beginsection":  # plain TeX's heading: a paragraph
            self._heading(self._raw_until("\n\n"))
        elif bare in commands.RUN_IN:
            self._option()
            self._put(f"\n\n{' '.join(self.rendered(self._argument()).split())} ")
        elif name in ("(", "["):
            self._formula("\\)" if name == "(" else "\\]")
        elif bare in commands.CHARACTERS:
            if bare == "\\" and self._option() is None and self._peek() == "*":
                self._next()
            self._put(commands.CHARACTERS[bare])
            if bare.isalpha() and len(bare) > 1 and self._peek() == "{":
                self._next()
        elif name in commands.ACCENTS:
            self._accent(commands.ACCENTS[name])
        elif bare == "xspace":
            following = self._peek()
            if following and following not in _NO_SPACE_AFTER and not following.isspace():
                self._put(" ")
        elif bare in _INPUTS:
            self._input(bare)
        elif bare == "item":
            self._item()
        elif bare in ("verb", "lstinline", "mintinline"):
            self._verb(bare)
        elif bare in ("url", "path", "nolinkurl"):
            self._put(self._address().replace("\\", ""))
        elif bare == "title" or bare == "icmltitle":
            self._option()
            self.title = self.title or self.rendered(self._argument())
        elif bare == "abstract":
            self.abstract = self.rendered(self._argument())
        elif bare == "ensuremath":
            self.push(f"${self._argument()}$")
        elif bare in commands.GONE or bare.lower().startswith(("cite", "bib")):
            for _ in range(commands.GONE.get(bare, 1)):
                self._option()
                self._option()
                self._argument()
        elif bare in commands.QUANTITIES:
            option = self._option()
            *numbers, unit = [self._argument() for _ in range(commands.QUANTITIES[bare])]
            if bare == "unit" and option and "=" not in option:
                numbers = [option]  # the package units has the number there
            self._put(" ".join(filter(None, [" to ".join(map(self.rendered, numbers)), self._unit(unit)])))
        elif bare in commands.LATER:
            while self._option() is not None:
                pass
            for _ in range(commands.LATER[bare]):
                self._address() if bare == "href" else self._argument()
                self._option()
        elif bare.startswith("if") and bare not in ("iff",):
            self._condition(bare)
        elif bare == "else":
            self._skip_branch(stop_at_else=False)
        elif (
            bare.endswith(("true", "false"))
            and f"if{bare.removesuffix('true').removesuffix('false')}" in self._switches
        ):
            self._switches[f"if{bare.removesuffix('true').removesuffix('false')}"] = bare.endswith("true")
        elif bare == "endinput" and self._texts:
            self._at[-1] = len(self._texts[-1])
        elif bare in _DIMENSIONS or (len(name) > 1 and self._peek() == "="):
            self._dimension()
        elif len(name) > 1 and self._peek() == "[":
            # Of a command that is not known, arguments are text, and options before them none.
            depth, at = len(self._texts), self._at[-1]
            self._option()
            if self._peek() != "{" and depth == len(self._texts):
                self._at[-1] = at

    def _unit(self, source: str) -> str:
        """A unit of siunitx, `\\kilo\\metre\\per\\second`, in words; one that is spelt as it is."""
        if "\\" not in source:
            return source.replace(".", " ").replace("~", " ").strip()
        shown = ""
        for name, spelt in _UNIT.findall(source):
            shown += name if name in commands.PREFIXES else f"{name or spelt} "
        return shown.strip()

    def _heading(self, source: str) -> None:
        heading = " ".join(self.rendered(source).split())
        if self._in_document and self.first_section is None:
            self.first_section = len(self._out)
        self._put(f"\n\n{heading}\n\n")

    def _ends_with(self, end: str) -> bool:
        return bool(self._texts) and self._texts[-1].find(end, self._at[-1]) >= 0

    def _delimited_part(self, name: str) -> None:
        """What AMS-TeX has between `\\head` and `\\endhead` and their like."""
        source = self._raw_until(f"\\end{name}")
        kind = commands.DELIMITED[name]
        if kind == "heading":
            self._heading(source)
        elif kind == "title":
            self.title = self.title or self.rendered(source)
        elif kind == "abstract":
            self.abstract = self.rendered(source)

    def _dimension(self) -> None:
        if self._texts:
            match = _DIMENSION.match(self._texts[-1], self._at[-1])
            self._at[-1] = match.end() if match else self._at[-1]

    def _accent(self, mark: str) -> None:
        letter = self.rendered(self._argument()).strip()
        if letter:
            self._put(unicodedata.normalize("NFC", letter[0] + mark) + letter[1:])

    def _expand(self, macro: _Macro) -> None:
        arguments: list[str] = []
        if macro.pattern:
            arguments = self._delimited(macro.pattern)
        else:
            if macro.optional is not None:
                given = self._option()
                arguments.append(macro.optional if given is None else given)
            while len(arguments) < macro.arguments:
                arguments.append(self._argument())
        body = macro.body
        if "#" in body:
            body = _PARAMETER.sub(
                lambda match: (
                    "#" if match[1] == "#" else arguments[int(match[1]) - 1] if int(match[1]) <= len(arguments) else ""
                ),
                body,
            )
            if len(body) > self._max:
                raise Damage("macro_bomb", f"a macro of more than {self._max} characters")
        self.push(body)

    def _delimited(self, pattern: str) -> list[str]:
        """The arguments of a `\\def` whose parameters have text between them."""
        arguments: list[str] = []
        parts = re.split(r"#[1-9]", pattern)
        if parts[0].strip():
            self._raw_until(parts[0].strip())
        for delimiter in map(str.strip, parts[1:]):
            arguments.append(self._raw_until(delimiter) if delimiter else self._argument())  # noqa: PERF401 - in order
        return arguments

    def _input(self, command: str) -> None:
        folder = self._argument().strip() if command in ("import", "subimport") else ""
        name = self._argument().strip() if self._peek() == "{" else self._raw_word()
        if command == "InputIfFileExists":
            self._argument()
            self._argument()
        name = (folder.rstrip("/") + "/" if folder else "") + name.strip('"')
        depth = sum(1 for file in self._names if file)
        if name in self._names or depth >= MAX_FILES_DEEP:
            return
        text = self._read_file(name)
        if text is not None:
            self.push(text.translate(_CONTROLS) + "\n", name)

    def _raw_word(self) -> str:
        if not self._texts:
            return ""
        match = _FILE_NAME.match(self._texts[-1], self._at[-1])
        self._at[-1] = match.end() if match else self._at[-1]
        return match[1] if match else ""

    def _item(self) -> None:
        label = self._option()
        if self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
        indent = _INDENT * len(self._lists)
        if label is not None and label.strip():
            self._put(f"\n{indent}{self.rendered(label)} ")
        elif self._lists and self._lists[-1] >= 0:
            self._put(f"\n{indent}{self._lists[-1]}. ")
        else:
            self._put(f"\n{indent}• ")

    def _verb(self, command: str) -> None:
        self._option()
        if command == "mintinline":
            self._argument()
        mark = self._peek()
        if mark == "{":
            self._put(self._raw_group())
        elif mark and self._texts:
            self._at[-1] += 1
            self._put(self._raw_until(mark))

    def _condition(self, name: str) -> None:
        if name == "ifthenelse":
            self._argument()
            kept = self._argument()
            self._argument()
            self.push(kept)
            return
        holds = self._switches.get(name, name not in ("iffalse", "if", "ifpdf"))
        if name == "if":
            holds = self._next().strip() not in ("0", "01", "0 1")
        elif name in ("ifx", "ifcat"):
            self._argument()
            self._argument()
        elif name in ("ifnum", "ifdim", "ifodd", "ifcase"):
            self._compared()
        elif name == "ifdefined":
            self._argument()
        if not holds:
            self._skip_branch(stop_at_else=True)

    def _compared(self) -> None:
        """Pass over the numbers of a condition; without any, its line."""
        if self._texts:
            text, at = self._texts[-1], self._at[-1]
            found, end = _COMPARISON.match(text, at), text.find("\n", at)
            self._at[-1] = found.end() if found else end if end >= 0 else len(text)

    def _skip_branch(self, *, stop_at_else: bool) -> None:
        if not self._texts:
            return
        depth = 0
        text = self._texts[-1]
        for mark in _CONDITION.finditer(text, self._at[-1]):
            if mark[1] is None or mark[1] in ("iff",):
                continue
            if mark[1].startswith("if"):
                depth += 1
            elif mark[1] == "fi":
                depth -= 1
            if depth < 0 or (depth == 0 and mark[1] == "else" and stop_at_else):
                self._scan(mark.end() - self._at[-1])
                self._at[-1] = mark.end()
                return
        self._scan(len(text) - self._at[-1])  # without its end, it was no condition

    # Environments and formulas.

    def _begin(self, name: str) -> None:
        bare = name.rstrip("*")
        user = self._environments.get(name)
        if user:
            self._expand(user[0])
        elif bare == "document":
            self._in_document = True
            self._size -= sum(map(len, self._out))
            self._out.clear()
        elif bare == "abstract":
            self.abstract = self._rendered_environment(name)
        elif bare in commands.VERBATIM:
            if self._peek() == "[":
                self._option()
            if bare == "minted":
                self._argument()
            code = self._raw_until(f"\\end{{{name}}}").rstrip().strip("\n")
            self._put(f"\n\n{_BEGIN}{code}{_END}\n\n")
        elif bare in commands.FORMULAS:
            self._formula(name)
        elif bare in commands.DROPPED or bare.startswith(("tabular", "longtable")):
            self._skip_environment(name)
        elif bare in commands.LISTS:
            self._option()
            for _ in range(commands.ENVIRONMENT_ARGUMENTS.get(bare, 0)):
                self._argument()
            self._lists.append(0 if "enum" in bare else -1)
            self._put("\n")
        elif bare in self._theorems:
            note = self._option()
            self._put(f"\n\n{self._theorems[bare]}{f' ({self.rendered(note)})' if note else ''}. ")
        elif bare == "proof":
            note = self._option()
            self._put(f"\n\n{self.rendered(note) if note else 'Proof'}. ")
        else:
            self._option()
            for _ in range(commands.ENVIRONMENT_ARGUMENTS.get(bare, 0)):
                self._argument()
            self._put("\n")

    def _end(self, name: str) -> None:
        bare = name.rstrip("*")
        user = self._environments.get(name)
        if user:
            self.push(user[1])
        elif bare == "document":
            self._ended = True
        elif bare in commands.LISTS and self._lists:
            self._lists.pop()
            self._put("\n")
        else:
            self._put("\n")

    def _environment_source(self, name: str) -> str:
        """What stands up to the end of an environment, others of its name within it."""
        if not self._texts:
            return ""
        text, at = self._texts[-1], self._at[-1]
        depth = 1
        for mark in re.compile(rf"(?<!\\)%[^\n]*|\\(begin|end)\s*\{{{re.escape(name)}\}}").finditer(text, at):
            depth += {"begin": 1, "end": -1}.get(mark[1] or "", 0)
            if depth == 0:
                self._scan(mark.end() - at)
                self._at[-1] = mark.end()
                return text[at : mark.start()]
        self._scan(len(text) - at)
        return ""  # without its end

    def _skip_environment(self, name: str) -> None:
        self._environment_source(name)

    def _rendered_environment(self, name: str) -> str:
        return self.rendered(self._environment_source(name))

    def _formula(self, kind: str) -> None:
        """A formula as LaTeX, with the user's macros inlined."""
        closing = {"$": "$", "$$": "$$", "\\)": "\\)", "\\]": "\\]"}.get(kind)
        parts: list[str] = []
        depth = size = 0
        while token := self._next():
            if token[0] == "%":
                continue
            if token[0] == "\\":
                name = token[1:].rstrip() or token[1:]
                if closing in ("\\)", "\\]") and token[:2] == closing:
                    break
                macro = self._macros.get(name)
                if macro is not None:
                    # Apart from the letters before, as TeX has them.
                    self._expand(macro)
                    continue
                if name in ("label", "nonumber", "notag", "tag", "qedhere"):
                    if name in ("label", "tag"):
                        self._argument()
                    continue
                if name == "ensuremath":
                    self.push(self._argument())
                    continue
                if name == "xspace":
                    continue
                if name == "end":
                    ended = self._argument()
                    if closing is None and ended.strip() == kind:
                        break
                    if closing is not None and ended.strip() == "document":
                        self._ended = True
                        break
                    token = f"\\end{{{ended}}}"
                elif name in ("section", "section*") and self._in_document:
                    self.push(token)
                    break
            elif token == "$":
                if closing == "$" and depth <= 0:
                    break
                if closing == "$$" and self._peek() == "$":
                    self._next()
                    break
            elif token[0] == "\n":
                if token.count("\n") > 1 and closing == "$":
                    break  # no formula within a line goes over paragraphs
                token = " " if closing in ("$", "\\)") else "\n"
            depth += (token == "{") - (token == "}")
            if token[0].isalpha() and parts and _WORD_AT_END.search(parts[-1]):
                parts.append(" ")
            parts.append(token)
            size += len(token)
            if size > self._max:
                raise Damage("too_large", f"a formula of more than {self._max} characters")
        formula = "".join(parts).strip()
        if not formula:
            return
        if closing in ("$", "\\)"):
            self._put(f"${' '.join(formula.split())}$")
        elif closing is not None:
            self._put(f"\n{_BEGIN}\\[\n{formula}\n\\]{_END}\n")
        elif kind == "math":
            self._put(f"${formula}$")
        else:
            self._put(f"\n{_BEGIN}\\begin{{{kind}}}\n{formula}\n\\end{{{kind}}}{_END}\n")

    # Definitions.

    def _new_command(self) -> None:
        name = self._argument().strip().removeprefix("\\").strip()
        count = self._option()
        optional = self._option() if count is not None else None
        body = self._argument()
        number = int(count) if count and count.strip().isdecimal() and int(count) <= MAX_ARGUMENTS else 0
        self._define(name, _Macro(number, optional, body))

    def _define(self, name: str, macro: _Macro) -> None:
        # What would be itself is no macro: it would have no end. Nor are commands that are read here.
        if name and name not in _KEPT and macro.body.strip() != f"\\{name}":
            self._macros[name] = macro

    def _provide_command(self) -> None:
        name = self._argument().strip().removeprefix("\\").strip()
        count = self._option()
        optional = self._option() if count is not None else None
        body = self._argument()
        if name not in self._macros:
            number = int(count) if count and count.strip().isdecimal() and int(count) <= MAX_ARGUMENTS else 0
            self._define(name, _Macro(number, optional, body))

    def _document_command(self) -> None:
        name, kinds, body = self._argument().strip().removeprefix("\\").strip(), self._argument(), self._argument()
        letters = re.findall(r"[msortdODR](?:\{[^{}]*\})?", kinds)
        optional = letters[0][2:-1] if letters and letters[0][0] in "oO" else None
        self._define(name, _Macro(len([letter for letter in letters if letter[0] != "s"]), optional, body))

    def _def(self) -> None:
        self._skip_blanks()
        if not self._texts:
            return
        text, at = self._texts[-1], self._at[-1]
        match = _DEFINED.match(text, at)
        if not match:
            self._argument()
            return
        self._at[-1] = match.end()
        body = self._argument()
        pattern = match[2]
        plain = re.fullmatch(r"(?:\s*#[1-9])*\s*", pattern) is not None
        self._define(match[1], _Macro(len(re.findall(r"#[1-9]", pattern)), None, body, "" if plain else pattern))

    def _let(self) -> None:
        name = self._argument().strip().removeprefix("\\").strip()
        self._skip_blanks()
        if self._peek() == "=":
            self._at[-1] += 1
        value = self._argument().strip()
        macro = self._macros.get(value.removeprefix("\\"))
        self._define(name, macro or _Macro(0, None, value + " " if value.startswith("\\") else value))

    def _new_environment(self) -> None:
        name = self._argument().strip()
        count = self._option()
        optional = self._option() if count is not None else None
        begin, end = self._argument(), self._argument()
        number = int(count) if count and count.strip().isdecimal() and int(count) <= MAX_ARGUMENTS else 0
        read_here = commands.DROPPED | commands.VERBATIM | commands.FORMULAS | commands.LISTS | {"abstract", "document"}
        if name.rstrip("*") not in read_here and f"{{{name}}}" not in begin:
            self._environments[name] = (_Macro(number, optional, begin), end)

    def _operator(self) -> None:
        name, body = self._argument().strip().removeprefix("\\"), self._argument()
        self._define(name, _Macro(0, None, f"\\operatorname{{{body}}}"))

    def _theorem(self) -> None:
        name = self._argument().strip()
        self._option()
        self._theorems[name.rstrip("*")] = " ".join(self.rendered(self._argument()).split())
        self._option()

    def _new_if(self) -> None:
        self._switches[self._argument().strip().removeprefix("\\")] = False


_DEFINITIONS: dict[str, Callable[[_Reader], None]] = {
    "DeclareDocumentCommand": _Reader._document_command,
    "DeclareMathOperator": _Reader._operator,
    "DeclareRobustCommand": _Reader._new_command,
    "NewDocumentCommand": _Reader._document_command,
    "RenewDocumentCommand": _Reader._document_command,
    "def": _Reader._def,
    "edef": _Reader._def,
    "gdef": _Reader._def,
    "let": _Reader._let,
    "newcommand": _Reader._new_command,
    "newenvironment": _Reader._new_environment,
    "newif": _Reader._new_if,
    "newrobustcmd": _Reader._new_command,
    "newtheorem": _Reader._theorem,
    "providecommand": _Reader._provide_command,
    "renewcommand": _Reader._new_command,
    "renewenvironment": _Reader._new_environment,
    "xdef": _Reader._def,
}
# Commands that are read here however a user defines them anew.
_KEPT = commands.SECTIONS | commands.RUN_IN
_KEPT |= {"begin", "end", "item", "par", "\\", "input", "title", "maketitle", "abstract", "xspace"}
_KEPT |= {"cite", "ref", "label", "footnote", "includegraphics", "caption", "bibliography", "bibitem"}


def _quoted(text: str) -> str:
    if "`" in text or "'" in text or "--" in text:
        for mark, character in (("``", "“"), ("''", "”"), ("---", "—"), ("--", "–")):
            text = text.replace(mark, character)
    return text


def _tidied(text: str) -> str:
    """Text without the traces of what went: brackets of nothing, blanks before commas, lines of nothing."""
    pieces = _KEPT_AS_IT_IS.split(text)
    for at in range(0, len(pieces), 2):
        piece = _BEFORE_STOP.sub(r"\1", _HOLLOW.sub("", pieces[at]))
        pieces[at] = "\n".join(line.strip(" \t") for line in _SPACES.sub(" ", piece).split("\n"))
    return _LINES.sub("\n\n", "".join(pieces).replace(_INDENT, "  ")).strip()
