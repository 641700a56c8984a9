"""An HTML page as blocks of text: what stands in a paragraph, heading, list item or table cell, and in which elements.

Resiliparse parses a page as browsers do; its own extraction is not used, since it takes every text node of a single
character of three bytes (我, –, €) for an icon, and runs ruby and the word it explains together. The tree is read in
its serialised form, where every element has its end tag and no attribute's value holds `<` or `>`: splitting that takes
a tenth of the time of asking the tree for each node.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator

from resiliparse.parse.html import HTMLTree

from datapipe.read.formats.source import Damage

MAX_DEPTH = 512  # where browsers stop, too

HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_PARAGRAPHS = HEADINGS | {"p"}  # a blank line around them
_LISTS = frozenset(("ol", "ul"))
_CELLS = frozenset(("td", "th"))
# Elements that begin on a line of their own; all others stand within a line.
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure
    footer form frameset h1 h2 h3 h4 h5 h6 header hgroup html legend li main menu nav ol p pre section summary table
    tbody td tfoot th thead tr ul""".split()  # noqa: SIM905 - a list of 44 short words
)
_BLOCK_ENDS = frozenset("/" + name for name in _BLOCKS)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
_RAW = frozenset("script style xmp iframe noembed noframes plaintext".split())  # noqa: SIM905 - nothing in them is a tag
# Read by machines only, typed by readers, or said twice (the reading of a ruby): none of it is the page's text.
_SKIPPED = _RAW.union(
    """audio button canvas datalist head label noscript object rp rt rtc select svg template textarea title
    video""".split()  # noqa: SIM905
)

_AROUND_FORMULA = re.compile(r"[^>]*>\s*")
_TEX = re.compile(r'<annotation encoding="application/x-tex"[^>]*>([^<]*)<')
_HIDING_CLASSES = frozenset(("d-none", "hidden", "hide", "invisible", "is-hidden", "screen-reader-text", "sr-only"))
_HIDING_CLASSES |= {"display-none", "visually-hidden", "visuallyhidden"}
_HIDING_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_MAY_HIDE = ("hid", "none", "NONE", "invisible", "sr-only", "screen-reader")  # one of them is in whatever hides

_BLANKS = re.compile(r"[ \t\n\r\f]+")
_ATTRIBUTE = re.compile(r'([a-z][^\s=]*)="([^"]*)"')


@dataclasses.dataclass(slots=True)
class Element:
    """An element that begins on a line of its own.

    Attributes:
        name: lower case.
        attributes: as serialised.
        parent: index of the element that it stands in; -1 of the outermost.
        first: index of its first block of text.
        stop: one past its last block.
        end: one past the index of the last element within it.
    """

    name: str
    attributes: str
    parent: int
    first: int
    stop: int = 0
    end: int = 0


@dataclasses.dataclass(slots=True)
class Block:
    """Text without a line break in it, but for <pre>.

    Attributes:
        text: with white space as displayed.
        element: index of the innermost element that it stands in; -1 of none.
        linked: how many of its characters are links.
        breaks: line breaks before it: 1, or 2 for a blank line; 0 between the cells of a table.
        cells: how many cells have ended before it in the same row of a table.
        depth: of lists that it stands in.
        marker: the bullet or number of the list item that begins with it.
    """

    text: str
    element: int
    linked: int
    breaks: int
    cells: int
    depth: int
    marker: str


def attributes_of(serialised: str) -> list[tuple[str, str]]:
    """Names and values, entities as they are."""
    return _ATTRIBUTE.findall(serialised)


def hides(name: str, value: str) -> bool:
    """Whether an attribute hides its element, from all readers or from those who see."""
    if name == "class":
        return not _HIDING_CLASSES.isdisjoint(value.split())
    if name == "style":
        return _HIDING_STYLE.search(value) is not None
    return name == "hidden" or (name == "aria-hidden" and value == "true")


def read_blocks(tree: HTMLTree, hidden: bool, noscript: bool = False) -> tuple[list[Element], list[Block]]:
    """Elements in document order, and the blocks of text in them.

    Args:
        tree: the page.
        hidden: whether to read what hidden elements within a line hold. (Of others, who chooses among blocks decides.)
        noscript: whether to read what browsers show where scripts do not run.

    Raises:
        Damage: `html_bomb`, for a page of more than MAX_DEPTH levels of elements.
    """
    page = _Page()
    runs, linked = page.runs, page.linked
    links = 0  # that are open
    skipped = _SKIPPED - {"noscript"} if noscript else _SKIPPED
    html = _formulas_as_tex(tree.body.html) if tree.body else ""
    for name, attributes, text in _tags(html, skipped, hidden):
        if name in _BLOCKS:
            if runs:
                page.end_block()
            page.open(name, attributes)
        elif name in _BLOCK_ENDS:
            if runs:
                page.end_block()
            page.close(name[1:])
        elif name == "a":
            links += 1
        elif name == "/a":
            links -= 1
        elif name == "br" or name == "hr":
            page.break_line(name)
        if text and (runs or not text.isspace()) and not (len(text) == 1 and _is_icon(text, links > 0)):
            runs.append(text)
            if links > 0:
                linked.append(text)
    page.end_block()
    return page.elements, page.blocks


def _formulas_as_tex(html: str) -> str:
    """A page with each formula that MathML writes twice, drawn and as TeX, as the TeX alone: drawn, a/b reads "ab".

    Wikipedia hides both and shows an image instead: its TeX is shown.
    """
    pieces = html.split("<math")
    for at, piece in enumerate(pieces[1:], 1):
        formula, end, after = piece.partition("</math>")
        tex = _TEX.search(formula)
        if not tex or not end:
            pieces[at] = "<math" + piece
            continue
        pieces[at] = tex[1] + after
        head, span, tail = pieces[at - 1].rpartition("<span ")
        if span and _AROUND_FORMULA.fullmatch(tail):
            pieces[at - 1] = head + "<span>" + tail.partition(">")[2]
    return "".join(pieces)


def _tags(html: str, skipped: frozenset[str], hidden: bool) -> Iterator[tuple[str, str, str]]:
    """Name (an end tag's with its slash), attributes and the text that follows, of each tag that is not passed over."""
    within, depth = "", 0  # the element that is passed over, and how many of its name are open
    begun = ""  # of a tag whose name, or that of an attribute, holds "<": what stands before it
    for piece in html.split("<"):
        tag, ended, text = piece.partition(">")
        if not ended and (begun or tag[:3] != "!--") and within != "!--" and within not in _RAW:
            begun = begun or tag
            continue
        if begun:
            tag, begun = f"{begun}<", ""
        if not within and tag[:1] == "/":
            yield tag, "", text
            continue
        name, _, attributes = tag.partition(" ")
        if within:
            if within == "!--":
                if "-->" not in piece:
                    continue
                text = piece.partition("-->")[2]
            else:
                depth += (name == within and within not in _RAW) - (name == "/" + within)
                if depth:
                    continue
            within = ""
            yield "", "", text
        elif name[:3] == "!--":
            if "-->" in piece:
                yield "", "", piece.partition("-->")[2]
            else:
                within = "!--"
        elif name in skipped or (attributes and not hidden and name not in _BLOCKS and _is_hidden(name, attributes)):
            within, depth = name, 1
        else:
            yield name, attributes, text


def _is_icon(character: str, linked: bool) -> bool:
    """Whether a character that stands alone in its element is the glyph of an icon, or marks a heading as an anchor."""
    return "\ue000" <= character <= "\uf8ff" or (linked and character == "¶")


def _is_hidden(name: str, attributes: str) -> bool:
    if name in _VOID:
        return False
    for mark in _MAY_HIDE:
        if mark in attributes:
            return any(hides(attribute, value) for attribute, value in attributes_of(attributes))
    return False


class _Page:
    """Elements and blocks so far, and what was read since the last block ended."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.blocks: list[Block] = []
        self.runs: list[str] = []  # text of the block that has begun
        self.linked: list[str] = []  # those of the runs that are links
        self._open: list[int] = []  # indices of elements
        self._breaks = self._cells = self._preformatted = 0
        self._marker = ""
        self._begun = False  # a list item or a cell in which there is no text yet: nothing breaks the line
        self._lists: list[int] = []  # items so far of each open list; negative where it has no numbers
        self._cell_starts: list[int] = []  # the first block of each open cell; -1 if there is a table in the cell

    def open(self, name: str, attributes: str) -> None:
        if len(self._open) == MAX_DEPTH:
            raise Damage("html_bomb", f"more than {MAX_DEPTH} levels of elements")
        self.elements.append(Element(name, attributes, self._open[-1] if self._open else -1, len(self.blocks)))
        self._open.append(len(self.elements) - 1)
        if name in _CELLS:
            if self._cell_starts:
                self._cell_starts[-1] = -1
            self._cell_starts.append(len(self.blocks))
            self._begun = True
            return
        self._break(2 if name in _PARAGRAPHS else 1)
        if name == "li":
            self._marker = "•"
            if self._lists and self._lists[-1] >= 0:
                self._lists[-1] += 1
                self._marker = f"{self._lists[-1]}."
            self._begun = True
        elif name in _LISTS:
            self._lists.append(0 if name == "ol" else -1)
        elif name == "tr":
            self._cells = 0
        elif name == "pre":
            self._preformatted += 1

    def close(self, name: str) -> None:
        element = self.elements[self._open.pop()]
        element.stop, element.end = len(self.blocks), len(self.elements)
        if name in _CELLS:
            self._begun = False
            start = self._cell_starts.pop()
            if start >= 0 and len(self.blocks) - start <= 1:
                self._breaks = 0
                self._cells += 1
            return
        if name in ("li", "tr"):
            self._begun, self._marker, self._cells = False, "", 0
            self._breaks = 1
            return
        self._break(2 if name in _PARAGRAPHS else 1)
        if name in _LISTS:
            self._lists.pop()
        elif name == "pre":
            self._preformatted -= 1

    def break_line(self, name: str) -> None:
        if self._preformatted:
            self.runs.append("\n")
            return
        self.end_block()
        self._break(min(2, self._breaks + 1) if name == "br" else 1)

    def _break(self, lines: int) -> None:
        if not self._begun and lines > self._breaks:
            self._breaks = lines

    def end_block(self) -> None:
        text = self._displayed(self.runs)
        if text:
            linked = len(text)
            if len(self.linked) < len(self.runs):
                linked = min(linked, len(self._displayed(self.linked))) if self.linked else 0
            element = self._open[-1] if self._open else -1
            block = Block(text, element, linked, self._breaks, self._cells, len(self._lists), self._marker)
            self.blocks.append(block)
            self._breaks = self._cells = 0
            self._marker, self._begun = "", False
        self.runs.clear()
        self.linked.clear()

    def _displayed(self, runs: list[str]) -> str:
        text = "".join(runs)
        if self._preformatted:
            text = text.rstrip().strip("\n")
        elif text.isascii():
            text = " ".join(text.split())
        else:
            text = _BLANKS.sub(" ", text).strip(" ")
        if "&" in text:  # the serialiser writes no other entities
            for entity, character in (("&nbsp;", "\xa0"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
                text = text.replace(entity, character)
        return text


def render(blocks: list[Block], kept: Iterable[bool]) -> str:
    """The text of those blocks that are kept."""
    parts: list[str] = []
    breaks = 0
    for block, keep in zip(blocks, kept, strict=True):
        breaks = max(breaks, block.breaks)
        if not keep:
            continue
        if parts:
            parts.append("\n" * breaks or "\t\t" * block.cells or " ")
        breaks = 0
        text = block.text
        if block.depth:
            indent = "  " * block.depth
            if "\n" in text:
                text = text.replace("\n", f"\n{indent}  ")
            text = f"{indent}{block.marker} {text}" if block.marker else f"{indent}  {text}"
        parts.append(text)
    return "".join(parts)
