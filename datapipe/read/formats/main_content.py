"""Which blocks of a page are its content: an article, a post, a thread; not the menus, teasers and notices around it.

Nothing here knows a language. What decides is how much text an element holds, how much of it are links, and what the
page's authors call it. The parts are well known:

- names of classes and ids that tell content from boilerplate: Readability (Arc90, later Mozilla), Trafilatura
  (Barbaresi 2021). Here they are words, not substrings: `comments` are comments and `commentary` is not;
- link density of lists, tables and paragraphs: Boilerpipe (Kohlschütter et al. 2010), jusText (Pomikálek 2011);
- the content as the stretch that holds most text and fewest links: body text extraction (Finn et al. 2001), here among
  the elements of the tree.

Each part is one pass over elements or blocks; what an element holds is the difference of two sums.
"""

import bisect
import functools
import operator
import re
from collections.abc import Container, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from datapipe.read.formats.page_blocks import HEADINGS, Block, Element, attributes_of, hides

# What a word in a class or an id says of its element.
_BOILERPLATE = 1  # navigation, sharing, advertisements, teasers of other pages
_NOTICE = 2  # on cookies and consent: may be longer than the article
_DETAIL = 4  # date, category, credits: short, or it is something else
_COMMENTS = 8  # of readers: content where there is no other, as in a forum
_EMBEDDED = 16  # a post that the article shows: whatever else its class says
_SUBJECT = 32  # followed by _MATTER, the content: `article-body`, `post_content`, `storyText`
_MATTER = 64
_BOTH = 128  # both in one word
_HIDDEN = 256  # no word says so, but an attribute
_REASONS = _BOILERPLATE | _NOTICE | _DETAIL | _COMMENTS | _HIDDEN

_WORDS = {
    _BOILERPLATE: """ad adbox ads adslot adunit alert banner banners bio crumbs dropdown feedback follow hotnews
        masthead menu modal nav offcanvas overlay pager paging popular print rating ratings related share
        shared shares sitemap skip stars subnav survey syndication taglist tags toolbar tooltip topnews vote votes
        widget""",
    _DETAIL: """avatar cat categories category cats copyright credit credits date dateline info legend meta metadata
        postmeta posted profile pubdate published source submitted time timestamp views writer""",
    _COMMENTS: "discussion discussions reactions replies reply respond",
    _EMBEDDED: "embed tweet twitter",
    _SUBJECT: """art article articulo artikel blog detail entry field markdown news post product recipe rich single
        story text topic wiki""",
    _MATTER: "body chunks content contents contenido copy description html inhalt inner main text texto",
}
# Within a word, since names run together: `mostread`, `cookiebanner`, `wpdiscuzcomment`.
_STEMS = {
    _BOILERPLATE: """addthis addtoany advert author breadcrumb byline caption criteo disclaimer donat footer login
        mailchimp mostpopular mostread navbar navigation newsletter outbrain pagination popup promo recommend related
        sharedaddy sharethis sharing sidebar signup social sponsor subscri taboola trending""",
    _NOTICE: "consent cookie gdpr onetrust",
    _COMMENTS: """binhluan coment comment diskus diskuz disqus giscus koment komment livefyre openweb otzyv pinglun
        reactie spotim viafoura yorum""",
    _BOTH: """articlebody articlecontent articletext bodycopy bodytext entrycontent fulltext newsbody newscontent
        newstext postbody postcontent postentry richtext storybody storycontent storytext wysiwyg""",
}
_NOT_STEMS = frozenset(("commentary", "promoted", "recommended"))
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NAMING_ATTRIBUTES = frozenset(("class", "id", "data-testid", "data-component"))
MAX_WORDS_OF_ID = 4  # longer ones are made of a heading's text
MAX_WORD, MAX_ATTRIBUTES = 40, 400  # characters: names come first, and scripts hang long data on elements

_BOILERPLATE_ELEMENTS = frozenset(("aside", "dialog", "figcaption", "footer", "menu", "nav"))
_BOILERPLATE_ROLES = frozenset(("alert", "alertdialog", "banner", "complementary", "contentinfo", "dialog", "menu"))
_BOILERPLATE_ROLES |= {"menubar", "navigation", "search", "tablist", "toolbar"}

# How sure its name makes that an element is the content, and how many times its text that counts for.
_UNNAMED, _WHOLE, _NAMED, _DECLARED = range(4)
_WEIGHTS = (1.0, 1.3, 2.0, 2.0)
_WHOLE_NAMES = frozenset(("article", "content", "entry", "main", "post", "story", "text"))
_ARTICLE, _ENCODED = _DECLARATIONS = "articleBody", "content:encoded"  # of schema.org and of RSS
_SECTION_HEADINGS = HEADINGS - {"h1"}
_CONTAINERS = frozenset(
    ("article", "body", "center", "details", "div", "fieldset", "figure", "form", "main", "section")
)
_LAYOUT = frozenset(("article", "center", "div", "h1", "h2", "h3", "ol", "p", "section", "table", "ul"))
_TEXT_ELEMENTS = HEADINGS | {"blockquote", "dd", "dt", "li", "p", "pre", "td", "th"}
_GROUPS = frozenset(("aside", "div", "dl", "figure", "section", "table"))
_LISTS = frozenset(("ol", "ul"))

# All lengths are characters; in Chinese, Japanese and Korean one says as much as two and a half of other scripts.
IDEOGRAPH_WIDTH = 2.5
MAX_BOILERPLATE_SHARE = 0.35  # of the page's text: what holds more is no boilerplate, whatever its name
MAX_WORD_SHARE = 0.75  # of all elements of one name together: they are the content, as slides that are hidden but one,
ENOUGH = 1000  # if that leaves less
MAX_DETAIL = 150
MIN_CONTENT = 100  # with less left, what was taken for boilerplate is the content
MIN_WITHOUT_COMMENTS = 200  # and the comments are
LINKS = 0.7  # of a block: it is nothing else
LINK_COST = 2.0  # characters of text that a character of such a link outweighs
BLOCK_COST = 5.0  # and what a block outweighs that is no paragraph, list item or cell
MIN_CONTENT_SHARE = 0.25  # of the text that is no boilerplate
INNER_SHARE, INNER_PARAGRAPHS_SHARE = 0.7, 0.9  # of the content: an element within it that holds so much of it is it
PARAGRAPH = 80  # that has no links to speak of
LEAD = 60  # between the title and the content
MAX_PARAGRAPH_LINKS = 0.2
MAX_LINK_DENSITY, MAX_LIST_LINK_DENSITY = 0.5, 0.8

_IDEOGRAPHS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


class _Name(NamedTuple):
    """What the name and attributes of an element say of it.

    Attributes:
        reasons: words why it may be no content, each with its signs.
        certainty: how sure they are that it is the content.
    """

    reasons: tuple[tuple[str, int], ...]
    certainty: int


@functools.lru_cache(1 << 16)
def _signs(word: str) -> int:
    signs = 0
    for sign, words in _WORDS.items():
        if word in words.split():
            signs |= sign
    for sign, stems in _STEMS.items():
        if word not in _NOT_STEMS and any(stem in word for stem in stems.split()):
            signs |= sign
    return signs


@functools.lru_cache(1 << 14)
def _name(element: str, attributes: str) -> _Name:
    reasons = [(element, _BOILERPLATE)] if element in _BOILERPLATE_ELEMENTS else []
    certainty = _WHOLE if element in ("article", "main") else _UNNAMED
    for attribute, value in attributes_of(attributes) if attributes else ():
        if hides(attribute, value):
            reasons.append((f"hidden by {attribute}", _HIDDEN))
        if attribute in _NAMING_ATTRIBUTES:
            signs_of = [] if attribute == "id" and value.count("-") >= MAX_WORDS_OF_ID else _signs_of_words(value)
            before = 0
            for _, signs in signs_of:
                if (before & _SUBJECT and signs & _MATTER) or signs & _BOTH:
                    certainty = max(certainty, _NAMED)
                before = signs
            embedded = any(signs & _EMBEDDED for _, signs in signs_of)
            reasons += [
                (word, signs)
                for word, signs in signs_of
                if signs & _REASONS and not (embedded and signs & _BOILERPLATE)
            ]
            if value in _WHOLE_NAMES:
                certainty = max(certainty, _WHOLE)
        elif attribute == "role":
            if value in _BOILERPLATE_ROLES:
                reasons.append((value, _BOILERPLATE))
            elif value in ("article", "main"):
                certainty = max(certainty, _WHOLE)
        elif value in _DECLARATIONS:
            certainty = _DECLARED
    return _Name(tuple(reasons), certainty)


def _signs_of_words(names: str) -> list[tuple[str, int]]:
    """The words of the names in an attribute, in lower case, and what each says; nothing between two names."""
    words = []
    for name in names.split():
        if not name.startswith("js-"):  # what a script does with it
            words += [(lower := word[:MAX_WORD].lower(), _signs(lower)) for word in _WORD.findall(name)]
            words.append(("", 0))
    return words


def choose(elements: Sequence[Element], blocks: Sequence[Block]) -> list[bool]:
    """Whether each block belongs to the content."""
    page = _Page(elements, blocks)
    named = page.without_boilerplate()
    root = page.content(named)
    kept = page.within(root, named)
    page.remove_links(root, kept)
    page.remove_lone_headings(root, kept)
    return kept if any(kept) else named  # a page of nothing but links


class _Page:
    """The measures of a page.

    Attributes:
        lengths: characters of each block.
        linked: those of them that are links.
        unlinked: of all blocks before each, those that are not.
        width: characters of other scripts that one of the page's stands for.
        certainties: of each element that is no boilerplate, how sure its name makes that it is the content.
    """

    def __init__(self, elements: Sequence[Element], blocks: Sequence[Block]) -> None:
        self.elements, self.blocks = elements, blocks
        self.lengths = [len(block.text) for block in blocks]
        self.linked = [block.linked for block in blocks]
        self.unlinked = _sums(map(operator.sub, self.lengths, self.linked))
        text = "".join(block.text for block in blocks)
        ideographs = 0 if text.isascii() else sum(map(len, _IDEOGRAPHS.findall(text)))
        self.width = 1 + (IDEOGRAPH_WIDTH - 1) * ideographs / max(1, len(text))
        self.certainties = [_UNNAMED] * len(elements)
        self.with_layout = {element.parent for element in elements if element.name in _LAYOUT}
        # Titles and declared contents: what holds one is no boilerplate.
        self.anchors = [
            element.first
            for element in elements
            if element.stop > element.first
            and (element.name == "h1" or _ARTICLE in element.attributes or _ENCODED in element.attributes)
        ]

    def text(self, element: Element) -> float:
        """Characters in an element that are no links."""
        return self.unlinked[element.stop] - self.unlinked[element.first]

    def without_boilerplate(self) -> list[bool]:
        """Which blocks are in no element whose name says that it is boilerplate; what is said of most is wrong."""
        believed, doubted = _REASONS, set[str]()
        total = self.unlinked[-1]
        while True:
            kept, removed = self._believing(believed, doubted)
            most = (word for word, text in removed.items() if text > MAX_WORD_SHARE * total)
            wrong = {word for word in most if not _signs(word) & (_NOTICE | _COMMENTS)}
            texts = [
                length - linked for length, linked, keep in zip(self.lengths, self.linked, kept, strict=True) if keep
            ]
            left = sum(texts)
            paragraphs = sum(text for text in texts if text * self.width >= LEAD)
            if wrong and left * self.width < ENOUGH:
                doubted |= wrong
            elif 2 * left >= total:
                return kept
            elif believed & _COMMENTS and paragraphs * self.width < MIN_WITHOUT_COMMENTS:
                believed &= ~_COMMENTS
            elif believed and left * self.width < MIN_CONTENT:
                believed = _HIDDEN if believed != _HIDDEN else 0
            else:
                return kept

    def _believing(self, believed: int, doubted: Container[str]) -> tuple[list[bool], dict[str, float]]:
        """Blocks in no element that has a reason to be no content, and how much text each word removed."""
        kept = [True] * len(self.blocks)
        removed: dict[str, float] = {}
        total = self.unlinked[-1]
        at = 0
        while at < len(self.elements):
            element = self.elements[at]
            if element.first == element.stop:
                at = element.end
                continue
            name = _name(element.name, element.attributes[:MAX_ATTRIBUTES])
            self.certainties[at] = name.certainty
            at += 1
            if not name.reasons:
                continue
            text = self.text(element)
            small = text < MAX_BOILERPLATE_SHARE * total and not self._holds_anchor(element)
            sufficient = believed & (_HIDDEN | _NOTICE | _COMMENTS)
            if small:
                sufficient |= believed & _BOILERPLATE
                if text * self.width < MAX_DETAIL:
                    sufficient |= believed & _DETAIL
            words = {word for word, signs in name.reasons if signs & sufficient and word not in doubted}
            if words:
                for word in words:
                    removed[word] = removed.get(word, 0) + text
                kept[element.first : element.stop] = [False] * (element.stop - element.first)
                at = element.end
        return kept, removed

    def _holds_anchor(self, element: Element) -> bool:
        at = bisect.bisect_left(self.anchors, element.first)
        return at < len(self.anchors) and self.anchors[at] < element.stop

    def content(self, kept: Sequence[bool]) -> int:
        """Index of the element that holds most text of those blocks and fewest of their links; -1 for all."""
        texts = _sums(
            length - linked if keep else 0 for length, linked, keep in zip(self.lengths, self.linked, kept, strict=True)
        )
        root = self._heaviest(kept, LINK_COST)
        held = texts[self.elements[root].stop] - texts[self.elements[root].first] if root >= 0 else 0
        # A text as full of links as that of an encyclopaedia.
        return root if held >= MIN_CONTENT_SHARE * texts[-1] else self._heaviest(kept, link_cost=0)

    def _heaviest(self, kept: Sequence[bool], link_cost: float) -> int:
        worth = _sums(self._worth(block, link_cost) if keep else 0 for block, keep in enumerate(kept))
        root, most = -1, 0.0
        for at, element in enumerate(self.elements):
            if element.first < element.stop and self._may_hold_content(at):
                value = (worth[element.stop] - worth[element.first]) * _WEIGHTS[self.certainties[at]]
                if value >= most:
                    root, most = at, value
        if root < 0:
            return root
        # What wraps the content and little else.
        paragraphs = _sums(
            length if keep and self._is_paragraph(block, PARAGRAPH) else 0
            for block, (length, keep) in enumerate(zip(self.lengths, kept, strict=True))
        )
        outer = self.elements[root]
        least = INNER_SHARE * (worth[outer.stop] - worth[outer.first])
        least_paragraphs = INNER_PARAGRAPHS_SHARE * (paragraphs[outer.stop] - paragraphs[outer.first])
        for at in range(root + 1, outer.end):
            inner = self.elements[at]
            if at >= self.elements[root].end:
                break
            if (
                worth[inner.stop] - worth[inner.first] >= least
                and paragraphs[inner.stop] - paragraphs[inner.first] >= least_paragraphs
                and self._may_hold_content(at)
            ):
                root = at
        return root

    def _worth(self, block: int, link_cost: float) -> float:
        """What a block adds to the worth of the elements that it is in: its text, less what links are most of."""
        length, linked = self.lengths[block], self.linked[block]
        if linked > LINKS * length:
            return self.width * (length - linked - link_cost * linked) - BLOCK_COST
        return self.width * (length - linked) - (0 if self._element_name(block) in _TEXT_ELEMENTS else BLOCK_COST)

    def _element_name(self, block: int) -> str:
        at = self.blocks[block].element
        return self.elements[at].name if at >= 0 else ""

    def _is_paragraph(self, block: int, least: int) -> bool:
        length = self.lengths[block]
        return length * self.width >= least and self.linked[block] < MAX_PARAGRAPH_LINKS * length

    def _may_hold_content(self, at: int) -> bool:
        name = self.elements[at].name
        return name in _CONTAINERS or (name == "td" and at in self.with_layout)

    def within(self, root: int, named: Sequence[bool]) -> list[bool]:
        """Of those blocks, which are in the content; with a title beside it, and paragraphs between that and it."""
        if root < 0:
            return list(named)
        content = self.elements[root]
        kept = [content.first <= block < content.stop and keep for block, keep in enumerate(named)]
        for title in range(content.first - 1, -1, -1):
            if named[title] and self._element_name(title) == "h1":
                kept[title] = self.elements[self.blocks[title].element].parent == content.parent
                for block in range(title + 1, content.first):
                    kept[block] = named[block] and self._is_paragraph(block, LEAD)
                break
        return kept

    def remove_links(self, root: int, kept: list[bool]) -> None:
        """Remove the parts of the content that are mostly links."""
        lengths, linked = _sums(self.lengths), _sums(self.linked)
        stop = self.elements[root].end if root >= 0 else len(self.elements)
        for element in self.elements[root + 1 : stop]:
            length = lengths[element.stop] - lengths[element.first]
            if not length:
                continue
            if element.name in _GROUPS:
                most = MAX_LINK_DENSITY
            elif element.name in _LISTS or element.name == "p":
                most = MAX_LIST_LINK_DENSITY
            elif element.name in HEADINGS and element.parent != root:  # the title of a teaser; one in the content stays
                most = MAX_LINK_DENSITY
            else:
                continue
            if linked[element.stop] - linked[element.first] > most * length:
                kept[element.first : element.stop] = [False] * (element.stop - element.first)

    def remove_lone_headings(self, root: int, kept: list[bool]) -> None:
        """Remove short headings that nothing follows but what was removed, up to the next; long ones are text."""
        stop = self.elements[root].stop if root >= 0 else len(kept)
        following = stop  # the next block that is kept
        for block in range(stop - 1, -1, -1):
            if not kept[block]:
                continue
            heading = self._element_name(block) in _SECTION_HEADINGS and self.lengths[block] * self.width < LEAD
            parted = following - block > 1 and self._element_name(following) in HEADINGS if following < stop else True
            if heading and parted:
                kept[block] = False
            else:
                following = block


def _sums(numbers: Iterable[float]) -> list[float]:
    """Of all numbers before each, and of all of them."""
    return list(accumulate(numbers, initial=0))
