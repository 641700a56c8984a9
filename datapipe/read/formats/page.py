"""Reader of web pages: the bytes of an HTML page to its text, all of it or its main content."""

import re
from collections import Counter
from collections.abc import Iterator

from resiliparse.parse.html import HTMLTree

from datapipe.read.formats.encodings import decode_page
from datapipe.read.formats.main_content import choose
from datapipe.read.formats.page_blocks import read_blocks, render
from datapipe.read.formats.source import Damage, Reject, Row, Source
from datapipe.read.formats.text import read_whole

# The parser takes 10 microseconds and a kilobyte for every tag, and time quadratic in depth (20,000 levels: 1 s), in
# the attributes of a tag (20,000: 1 s) and in the options of a menu (10,000: 2 s).
MAX_TAGS = 1_000_000
MAX_COUNTED_DEPTH = 20_000  # by tags alone, scripts included
MAX_ATTRIBUTE_PAIRS = 400_000_000  # the squares of the attributes of each tag, summed up
MAX_OPTIONS = 10_000
# A formatting element that is left open is opened again in every block that follows (HTML standard, 13.2.4.3): 6,000
# tags of 106 KB made 25 million elements, 3.3 GB. Of those that are the same in all attributes it opens three.
MAX_REOPENED = 1_000_000
MAX_SAME = 3

_FORMATTING = "b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u"  # without `a`, of which one at most is open
_FORMATTING_TAG = re.compile(rf"<(?:{_FORMATTING})(?![a-zA-Z0-9-])", re.IGNORECASE)
_ANY_TAG = re.compile(rf"<(/?)(?:((?:a|{_FORMATTING})(?![a-zA-Z0-9-]))([^>]*)|[a-zA-Z])", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_LONG_TAG = re.compile(r"<[a-zA-Z][^>]{512,}")
# Elements that have no end tag, or may go without: none lies right in another of its kind.
_UNCLOSED = frozenset(
    """area base body br col colgroup dd dt embed head hr html img input li link meta option p param source tbody td
    tfoot th thead tr track wbr""".split()  # noqa: SIM905 - a list of 30 short words
)


def read_html(source: Source) -> Iterator[Row | Reject]:
    """One record a file: its text, main content or all of it by `source.main_content`."""
    for record in read_whole(source):
        if isinstance(record, Reject):
            yield record
            continue
        try:
            yield Row(0, {"text": page_text(source, record[1])}, record[1])
        except Damage as error:
            yield source.reject(0, error.reason, error.detail, record[1])


def page_text(source: Source, page: bytes, charset: str = "") -> str:
    """The text of an HTML page.

    Args:
        source: where it comes from, and whether to take its main content only.
        page: its bytes.
        charset: the encoding that an HTTP header declares.

    Raises:
        Damage: `undecodable`, or `html_bomb` for a page made to exhaust the parser.
    """
    try:
        html = decode_page(page, charset)
    except UnicodeError as error:
        raise Damage("undecodable", str(error)) from None
    return html_text(html, main_content=source.main_content)


def html_text(html: str, *, main_content: bool) -> str:
    """The text of an HTML page or of a piece of one, main content or all of it.

    Raises:
        Damage: `html_bomb` for a page made to exhaust the parser.
    """
    _check(html)
    tree = HTMLTree.parse(html)
    elements, blocks = read_blocks(tree, hidden=not main_content)
    if not blocks:
        elements, blocks = read_blocks(tree, hidden=not main_content, noscript=True)
    return render(blocks, choose(elements, blocks) if main_content else [True] * len(blocks))


def _check(html: str) -> None:
    """Raise a Damage for a page that takes the parser seconds."""
    tags = html.count("<")
    if tags > MAX_TAGS:
        raise Damage("html_bomb", f"more than {MAX_TAGS} tags")
    if sum(len(tag.replace("/", " ").split()) ** 2 for tag in _LONG_TAG.findall(html)) > MAX_ATTRIBUTE_PAIRS:
        raise Damage("html_bomb", "countless attributes of tags")
    if tags * len(_FORMATTING_TAG.findall(html)) > MAX_REOPENED and _reopened(html) > MAX_REOPENED:
        raise Damage("html_bomb", f"elements left open, which blocks open again more than {MAX_REOPENED} times")
    if tags <= min(MAX_OPTIONS, MAX_COUNTED_DEPTH):
        return  # as nearly all pages
    options = depth = 0
    opened: Counter[str] = Counter()
    for closing, name in _TAG.findall(html):
        element = name.lower()
        options += element == "option"
        if element in _UNCLOSED:
            continue
        if not closing:
            opened[element] += 1
            depth += 1
            if depth > MAX_COUNTED_DEPTH:
                raise Damage("html_bomb", f"more than {MAX_COUNTED_DEPTH} tags without their ends")
        elif opened[element]:
            opened[element] -= 1
            depth -= 1
    if options > MAX_OPTIONS:
        raise Damage("html_bomb", f"{options} options in menus")


def _reopened(html: str) -> int:
    """How many elements the parser makes of formatting elements left open, at most, up to MAX_REOPENED and some."""
    found = active = 0
    same: Counter[tuple[str, str]] = Counter()
    opened: dict[str, list[tuple[str, str]]] = {}
    for closing, name, attributes in _ANY_TAG.findall(html):
        if not name:
            found += active
            if found > MAX_REOPENED:
                break
            continue
        element = name.lower()
        stack = opened.setdefault(element, [])
        if stack and (closing or element == "a"):
            key = stack.pop()
            same[key] -= 1
            active -= same[key] < MAX_SAME
        if not closing:
            found += active
            key = element, attributes
            stack.append(key)
            active += same[key] < MAX_SAME
            same[key] += 1
    return found
