"""Books of Project Gutenberg without what it writes around them: licence, donations, who typed them.

A licence of 19 KB in each of 70,000 books would be what a model knows best. Marks have changed since 1991, and many
files lack one of them (https://www.gutenberg.org/policy/license.html has today's):

- since 2003 `*** START OF THE PROJECT GUTENBERG EBOOK TITLE ***` and the same with END, at times THIS for THE, ETEXT
  for EBOOK, no blank after the stars, or over two lines;
- before, the "small print", whose end is `*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*`, and at
  the end of the book "End of The Project Gutenberg Etext of …" or "End of Project Gutenberg's …";
- before that, some paragraphs, with no mark at all.
"""

import re
from typing import NamedTuple

MAX_HEAD = 60_000  # characters in which the marks before a book are looked for; the longest small print has 25,000
MAX_CLOSING = 2_000  # characters between the closing line of a book and the mark of its end
MAX_LINE = 500
MAX_RAGGED = 4  # characters by which a full line of a Chinese book is shorter than most
MAX_CREDITS = 4  # paragraphs

_NAME = re.compile(r"project\s+gutenberg", re.IGNORECASE)
_STARTS = re.compile(
    r"""^[ \t]*\*{1,3}[ ]?START[ ]OF[ ](?:THE|THIS)[ ](?:COPYRIGHTED[ ])?PROJECT[ ]GUTENBERG[^\n*]*
        (?:(?:\n[^\n*]+){0,3}\*{3}[^\n]*|\*[^\n]*)?$
    |^[^\n]{0,8}\*[ ]?END[ *]*(?:OF[ ])?THE[ ]SMALL[ ]PRINT[^\n]*$
    |^[ \t]*To[ ]contact[ ]Project[ ]Gutenberg[ ]of[ ]Australia[ ]go[ ]to[^\n]*$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_ENDS = re.compile(
    r"""^[ \t]*\*{1,3}[ ]?(?:END[ ]OF[ ](?:THE|THIS)[ ](?:COPYRIGHTED[ ])?PROJECT[ ]GUTENBERG|START:[ ]FULL[ ]LICENSE)
    |^[ \t]*\*{3}[ ]?START\**[ ]?THE[ ]SMALL[ ]PRINT
    |^[ \t]*This[ ]site[ ]is[ ]full[ ]of[ ]FREE[ ]ebooks[ ]-[ ]Project[ ]Gutenberg[ ]Australia""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# The small print may come last as well, and END there is no beginning of a book.
_LAST = re.compile(
    r"^[ \t]*\*{1,3}[ ]?END[ ]OF[ ](?:THE|THIS)[ ](?:COPYRIGHTED[ ])?PROJECT[ ]GUTENBERG", re.IGNORECASE | re.MULTILINE
)
_CLOSING = re.compile(
    r"""^[ \t*\[(_]{0,8}(?:(?:the[ ])?end[ ]of[ ](?:the[ ]|this[ ])?project[ ]gutenberg
            (?:['’]s\b|[ ]?\(?tm\)?|[ ]e-?text|[ ]e-?book|[ ]edition|[ ]file|[^\n\w]*$)
        |fin[ ]de[ ](?:ce[ ])?project[ ]gutenberg|ende[ ]dieses?[ ]proje[ck]t[ ]gutenberg)""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_FIELD = re.compile(
    r"^(Title|Author|Language|Release Date|Posting Date):[ \t]*([^\n]*(?:\n(?![A-Z][\w ]*:|\*)[^\n]+)*)", re.MULTILINE
)
# The first line of a head without fields, and the closing line.
_NAMED = re.compile(
    r"project gutenberg(?:'s)?(?: e-?text| e-?book)?(?: of|,)? (?P<title>\S[^\n]*?),? by (?P<author>[^\n*]+?)[ \t*]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ENCODING = re.compile(rb"^Cha[rt]acter set encoding:[ \t]*([\w. -]+?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
# Who made the file, right after the mark.
_CREDITS = re.compile(
    r"""\s*\[?(?:(?:this[ ])?(?:project[ ]gutenberg[ ])?(?:e-?text|e-?book|html|file)\b[^\n]{0,40}
        \b(?:was[ ])?(?:prepared|produced|created|scanned|transcribed|typed)\b
        |(?:produced|prepared|transcribed|scanned|typed|entered)[ ](?:by|from)\b
        |note:[ ]project[ ]gutenberg|transcriber's[ ]note:?[ ]*\Z)""",
    re.VERBOSE | re.IGNORECASE,
)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")
# Of a head without marks: each of its paragraphs speaks of these.
_NOTICE = re.compile(r"project gutenberg|e-?text|e-?book|plain vanilla|donation|public domain|\bftp\b|@", re.IGNORECASE)
_HAN_END = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff01-\uff65\u2014\u2018-\u201d\u2026]\Z")
_LINE_GAPS = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)*")


class Book(NamedTuple):
    """A book and what its head says of it."""

    text: str
    columns: dict[str, str]


def declared_encoding(raw: bytes) -> str:
    """The encoding that the head of a file of Project Gutenberg names; "" if it is none, or names none."""
    head = raw[:MAX_HEAD]
    found = _ENCODING.search(head) if b"Gutenberg" in head else None
    return found[1].decode().strip().lower().replace(" ", "-") if found else ""


def book_of(text: str) -> Book | None:
    """The book in a text with the marks of Project Gutenberg, or None if there are none.

    >>> book_of("Title: Emma\\n\\n*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***\\n\\nEmma Woodhouse")
    Book(text='Emma Woodhouse', columns={'title': 'Emma'})
    """
    if not _NAME.search(text):
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    over = min((mark.start() for last in (_LAST, _CLOSING) if (mark := last.search(text))), default=len(text))
    start = max((mark.end() for mark in _STARTS.finditer(text, 0, min(over, MAX_HEAD))), default=0)
    ends = [mark.start() for mark in _ENDS.finditer(text, start)]
    closings = [mark.start() for mark in _CLOSING.finditer(text, start)]
    end = ends[0] if ends else len(text)
    end = next((at for at in closings if at < end and (not ends or end - at < MAX_CLOSING)), end)
    if not (start or ends or closings):
        return None
    head, body = text[:start], text[start:end]
    if start:
        body = _without_credits(body)
    elif _NAME.search(text[:500]):
        body = _without_unmarked_head(body)
        head = text[: text.find(body[:200])]
    columns: dict[str, str] = {}
    named = _NAMED.search(head) or _NAMED.search(text, end, end + MAX_LINE)
    if named and not _FIELD.search(head):
        columns = {name: " ".join(value.split()) for name, value in named.groupdict().items() if value}
    for name, value in _FIELD.findall(head):
        if value.strip():
            columns.setdefault(name.lower().replace(" ", "_"), " ".join(value.split()))
    return Book(_unwrapped(body.strip()), columns)


def _without_credits(body: str) -> str:
    for _ in range(MAX_CREDITS):
        paragraph, *rest = _PARAGRAPHS.split(body.lstrip(), maxsplit=1)
        if not rest or not _CREDITS.match(paragraph):
            break
        body = rest[0]
    return body


def _without_unmarked_head(body: str) -> str:
    while True:
        paragraph, *rest = _PARAGRAPHS.split(body.lstrip(), maxsplit=1)
        if not rest or not _NOTICE.search(paragraph):
            return body
        body = rest[0]


def _unwrapped(text: str) -> str:
    """A Chinese book that has an empty line after every line, and two after a paragraph, with whole paragraphs."""
    lines = [line for line in text.split("\n") if line.strip()]
    gaps = [gap.count("\n") - 1 for gap in _LINE_GAPS.findall(text)]
    spaced = len(gaps) > 0.95 * (len(lines) - 1) and 1 in gaps and any(gap > 1 for gap in gaps)
    if not spaced or sum(1 for line in lines if _HAN_END.search(line.rstrip())) < 0.5 * len(lines):
        return text
    width = sorted(len(line.strip()) for line in lines)[len(lines) * 9 // 10] - MAX_RAGGED
    paragraphs = [""]
    full = False  # the line before goes on in the next one
    for gap, line in zip(["", *_LINE_GAPS.findall(text)], lines, strict=False):
        if full and gap.count("\n") == 2:
            paragraphs[-1] += line.strip()
        else:
            paragraphs.append(line.strip())
        full = len(line.strip()) >= width
    return "\n\n".join(filter(None, paragraphs))
