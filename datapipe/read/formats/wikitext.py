"""Wikitext to the text that readers see: no template, table, file, category, reference, gallery or tag is left.

mwparserfromhell parses wikitext, but what its `strip_code` leaves of 40 real pages has 358 `thumb|` and 407
`Category:`, and it is slow (`benchmarks/sources.py`). Here mark-up is read in one pass over its brackets, innermost
first: what stands between two is a link, a template, a table, a form of a word in variants of Chinese. A template is
text only if it is known to be (`convert`, `lang`, `nowrap`, …); all others are apparatus, and go. Brackets without
their partners lose themselves, never the page.
"""

import dataclasses
import html
import re
from collections.abc import Callable

from datapipe.read.formats import wiki_words as words
from datapipe.read.formats.wiki_templates import template_text

# Elements that are no running text.
_DROPPED = (
    "ref|references|gallery|timeline|imagemap|score|graph|templatestyles|templatedata|mapframe|maplink|hiero|inputbox|categorytree|"
    "includeonly|indicator|charinsert|style|script|section|phonos|rss|dynamicpagelist"
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DROPPED_ELEMENT = re.compile(rf"<({_DROPPED})\b[^<>]*>", re.IGNORECASE)
_HIDDEN = re.compile(r"<(span|div)\b[^<>]*display\s*:\s*none[^<>]*>", re.IGNORECASE)
# In these nothing is mark-up.
_VERBATIM = re.compile(r"<(nowiki|pre|syntaxhighlight|source|math|chem)\b[^<>]*>", re.IGNORECASE)
_PARAGRAPH_END = re.compile(r"\n[\n=]|\Z")
_LINES_KEPT = ("pre", "syntaxhighlight", "source")
_MARKUP = re.compile(r"[\[\]{}|'<>=*:_~!-]")
_NO_INCLUDE = re.compile(r"</?(?:noinclude|onlyinclude|poem|big|small)\b[^<>]*>", re.IGNORECASE)

_BRACKETS = re.compile(
    r"\{\{\{?|\}\}\}?|\[\[|\]\]|-\{(?!\{)|\}-|(?m:^[ \t:*#;]*\{\|)(?!\})|(?m:^[ \t]*\|\})(?!\})"
    r"|<table\b[^<>]*>|</table\s*>",
    re.IGNORECASE,
)
_SIMPLE_LINK = re.compile(r"\[\[([^\[\]{}\n]+)\]\]")  # nothing else in it, as nearly all have
_CLOSES = {"{{": "}}", "{{{": "}}}", "[[": "]]", "-{": "}-", "{|": "|}", "<table": "</table"}
_OPENS = {closing: opening for opening, closing in _CLOSES.items()}
MAX_DEPTH = 100  # of brackets, beyond which opening ones are text

_TAG = re.compile(r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>")
_BREAK = re.compile(
    r"<(?:br|hr|/?p|/?div|/?blockquote|/?center|/?li|/?ul|/?ol|/?dl|/?d[dt]|/?h[1-6])\b[^<>]*>", re.IGNORECASE
)
_EXTERNAL = re.compile(
    r"\[(?:(?:https?|ftps?|ircs?|news|gopher|sftp|git):)?(?://|mailto:|news:)[^\s\[\]<>|]*[ \t]*([^\[\]\n]*)\]",
    re.IGNORECASE,
)
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__[^\W\d_]+(?:_?[^\W\d_]+)*__")
_SIGNATURE = re.compile(r"~{3,5}")
_HEADING = re.compile(r"(={1,6})[ \t]*(.+?)[ \t]*\1[ \t]*\Z")
_LIST = re.compile(r"([*#:;]+)[ \t]*")
_RULE = re.compile(r"-{4,}")
_CELL = re.compile(r"[ \t]*(?:\||!.*!!|!\s*(?:scope|style|colspan|rowspan|class|width)\b)")

# What is left around something that went: brackets of nothing, blanks before a comma, two commas.
_OPEN, _SHUT = "(（[［〔【「『《〈", ")）]］〕】」』》〉"
_IN_BRACKETS = r",;:，；：、·/|–—\-" + " \t\u00a0"
_HOLLOW = re.compile(
    rf"([ \t\u00a0]*)(?:\([{_IN_BRACKETS}]*\)|（[{_IN_BRACKETS}]*）"
    rf"|\[[{_IN_BRACKETS}]*\]|「」|『』|《》|〈〉|【】|〔〕)"
)
_AFTER_OPEN = re.compile(r"([(（])[ \t\u00a0]*(?:[,;:，；：、][ \t\u00a0]*)+")
_BEFORE_SHUT = re.compile(r"[ \t\u00a0]*(?:[,;，；、][ \t\u00a0]*)+([)）])|[ \t\u00a0]+([)）])")
_BEFORE_STOP = re.compile(r"[ \t\u00a0]+([,.;:!?，。；：、！？])(?=[\s\"”’)]|$)", re.MULTILINE)
_TWICE = re.compile(r"([,;，；、])(?:[ \t]*[,;，；、])+")
_BLANKS = re.compile(r"[ \t\u00a0]{2,}")


@dataclasses.dataclass(frozen=True)
class Wiki:
    """What a page's mark-up depends on.

    Attributes:
        files: words, in lower case, of the namespace of files.
        categories: of that of categories.
        variants: names of variants of Chinese in which a form is looked for, best first.
    """

    files: frozenset[str] = words.FILE_WORDS
    categories: frozenset[str] = words.CATEGORY_WORDS
    variants: tuple[str, ...] = words.VARIANTS["zh-hans"]


def plain_text(wikitext: str, title: str = "", wiki: Wiki = Wiki()) -> str:
    """The text of a page: paragraphs, headings and lists as lines.

    Args:
        wikitext: its source.
        title: for where it says `{{PAGENAME}}`.
        wiki: words and variants.

    >>> plain_text("'''Berlin''' ({{IPA-de|x}}) is a [[capital city|capital]].<ref>A</ref>\\n[[Category:Berlin]]")
    'Berlin is a capital.'
    """
    text = _SIMPLE_LINK.sub(lambda link: _link(link[1], wiki), _without_elements(wikitext))
    text = _without_brackets(text, title, wiki)
    text = _BREAK.sub("\n", text)
    text = _TAG.sub("", text)
    text = _EXTERNAL.sub(r"\1", text)
    if "''" in text:
        text = "\n".join(_unquoted(line) if "''" in line else line for line in text.split("\n"))
    text = _SIGNATURE.sub("", _SWITCH.sub("", text))
    return html.unescape(_lines(text)).strip("\n")


def _unquoted(line: str) -> str:
    """A line without the marks of bold and italics: two, three and five apostrophes; what is more are apostrophes.

    Where neither comes in pairs, one of three is an apostrophe and two (MediaWiki's doQuotes), as in `l'''été''`: that
    after a word of one letter, else that after a longer one, else that after a blank.
    """
    lengths = [min(len(mark[0]), 5) if len(mark[0]) != 4 else 3 for mark in _QUOTES.finditer(line)]
    bold, italic = (sum(length in (own, 5) for length in lengths) for own in (3, 2))
    apostrophe = -1
    if bold % 2 and italic % 2:
        ranked = [(_rank(line, mark.start()), mark.start()) for mark in _QUOTES.finditer(line) if len(mark[0]) == 3]
        apostrophe = min(ranked, default=(0, -1))[1]
    return _QUOTES.sub(
        lambda mark: "'" * (mark.start() == apostrophe or {4: 1}.get(len(mark[0]), max(0, len(mark[0]) - 5))), line
    )


def _rank(line: str, at: int) -> int:
    before = line[max(0, at - 2) : at].rjust(2)
    return 2 if before[1] == " " else 0 if before[0] == " " else 1


def _without_elements(text: str) -> str:
    if "<" not in text:
        return text
    text = _COMMENT.sub("", text)
    text = _replaced(text, _VERBATIM, _protected)
    text = _replaced(text, _DROPPED_ELEMENT, lambda _, __: "", to_paragraph_end=True)
    return _replaced(_NO_INCLUDE.sub("", text), _HIDDEN, lambda _, __: "")


def _replaced(
    text: str, opening: re.Pattern[str], shown: Callable[[str, str], str], *, to_paragraph_end: bool = False
) -> str:
    """Elements as what is made of their names and contents, in one pass.

    One that is left open stays as it is, or goes on to the end of its paragraph, if so asked.
    """
    parts: list[str] = []
    at = 0
    left_open: set[str] = set()  # names of which no end follows
    while tag := opening.search(text, at):
        name = tag[1].lower()
        parts.append(text[at : tag.start()])
        at = tag.end()
        if tag[0].endswith("/>"):
            parts.append(shown(name, ""))
            continue
        end = None if name in left_open else re.compile(rf"</{name}\s*>", re.IGNORECASE).search(text, at)
        if end:
            parts.append(shown(name, text[at : end.start()]))
            at = end.end()
            continue
        left_open.add(name)
        if to_paragraph_end:
            paragraph_end = _PARAGRAPH_END.search(text, at)
            at = paragraph_end.start() if paragraph_end else len(text)
        else:
            parts.append(tag[0])
    return "".join([*parts, text[at:]])


def _protected(name: str, content: str) -> str:
    """An element in which nothing is mark-up: as character references, which are undone at last."""
    content = content.strip("\n") if name in _LINES_KEPT else " ".join(content.split()) if name == "math" else content
    bare = _MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", content)
    if name in _LINES_KEPT:
        # A line that begins with a blank is preformatted, and no list item, heading or cell.
        return "\n" + "\n".join(f" {line}" for line in bare.split("\n")) + "\n"
    return bare


def _without_brackets(text: str, title: str, wiki: Wiki) -> str:
    """Links as their labels, templates, tables and variants as what they show."""
    kinds: list[str] = []
    parts: list[list[str]] = [[]]
    at = 0

    def flatten() -> None:
        # A bracket without its partner: what it holds is text, but a file or a category to the end of its line.
        kind, content = kinds.pop(), "".join(parts.pop())
        if kind == "[[" and _namespace(content) in wiki.files | wiki.categories:
            content = content.partition("\n")[2]
        elif kind in ("{|", "<table"):
            content = re.sub(r"(?m)^[ \t]*[|!].*$", "", content.partition("\n")[2])
        elif kind == "{{":
            content = re.sub(r"(?m)^[ \t]*\|.*$", "", content.partition("\n")[2] if "\n" in content else content)
        parts[-1].append(content)

    while bracket := _BRACKETS.search(text, at):
        mark, end = bracket[0], bracket.end()
        parts[-1].append(text[at : bracket.start()])
        at = end
        bare = mark.lstrip(" \t:*#;").lower()
        opening = "<table" if bare.startswith("<table") else bare
        if opening in _CLOSES:
            if len(kinds) < MAX_DEPTH:
                kinds.append(opening)
                parts.append([])
            continue
        closing = "</table" if bare.startswith("</table") else bare
        if closing == "}}}" and (not kinds or kinds[-1] != "{{{"):
            closing, at = "}}", end - 1
        elif closing == "}}" and kinds and kinds[-1] == "{{{":
            kinds[-1] = "{{"
            parts[-1].insert(0, "{")
        opener = _OPENS[closing]
        if opener not in kinds or (closing == "}-" and kinds[-1] != "-{"):
            if closing == "}-":
                parts[-1].append(mark)
            continue
        if closing == "|}" and kinds[-1] != "{|" and "{{" in kinds[len(kinds) - kinds[::-1].index("{|") :]:
            continue
        if (
            closing == "]]"
            and kinds[-1] != "[["
            and any(kind in ("{{", "{|") for kind in kinds[len(kinds) - kinds[::-1].index("[[") :])
        ):
            continue
        while kinds[-1] != opener:
            flatten()
        kinds.pop()
        parts[-2].append(_shown(opener, "".join(parts.pop()), title, wiki))
    parts[-1].append(text[at:])
    while kinds:
        flatten()
    return "".join(parts[0])


def _shown(kind: str, content: str, title: str, wiki: Wiki) -> str:
    if kind == "[[":
        return _link(content, wiki)
    if kind == "{{":
        return template_text(content, title)
    if kind == "-{":
        return _variant(content, wiki.variants)
    if kind == "{{{":
        return content.partition("|")[2]
    return "\n"


def _namespace(target: str) -> str:
    prefix, colon, _ = target.partition(":")
    return " ".join(prefix.replace("_", " ").split()).lower().strip("\u200e\u200f") if colon else ""


def _link(content: str, wiki: Wiki) -> str:
    target, bar, label = content.partition("|")
    namespace = _namespace(target)
    if namespace in wiki.files or namespace in wiki.categories:
        return ""
    if namespace in words.LANGUAGES and not bar:
        return ""
    if bar and label.strip():
        return label
    shown = target.strip().removeprefix(":")
    namespace = _namespace(shown)
    if namespace and (
        namespace in words.LANGUAGES or namespace in words.PROJECT_WORDS or namespace in wiki.files | wiki.categories
    ):
        shown = shown.partition(":")[2].strip().removeprefix(":")
    if bar:  # the pipe trick: without what tells pages of one name apart
        shown = re.sub(r"[ _]*[(（][^()（）]*[)）]$|,.*$", "", shown)
    return shown.replace("_", " ").lstrip("#")


def _variant(content: str, wanted: tuple[str, ...]) -> str:
    """What `-{…}-` shows: the form of the variant that is wanted, or a text that is not to be converted."""
    flags, bar, rules = content.partition("|")
    if bar and re.fullmatch(r"[A-Z+-](?:;[A-Z+-])*|(?:zh(?:-\w+)?;?)+|[A-Z;+ -]*", flags.strip()):
        shows = {flag.strip() for flag in flags.split(";")}
        if shows & {"H", "T", "D", "-", "N"} and "A" not in shows:
            return ""
        content = rules
    forms: dict[str, str] = {}
    for rule in re.split(r";(?=\s*(?:[a-z]{2,3}(?:-\w+)?\s*:|$|[^;]*=>))", content):
        name, colon, form = rule.partition("=>")[2].partition(":") if "=>" in rule else rule.partition(":")
        if colon and re.fullmatch(r"\s*[a-z]{2,3}(?:-\w+)?\s*", name):
            forms.setdefault(name.strip(), form.strip())
    if not forms:
        return content
    return next((forms[name] for name in wanted if name in forms), next(iter(forms.values())))


def _lines(text: str) -> str:
    """Paragraphs, headings and lists as lines; headings of sections without text go."""
    out: list[str] = []
    headings: list[tuple[int, str]] = []  # of sections in which no text has come so far
    counts: list[int] = []
    for raw in text.split("\n"):
        line = raw.rstrip()
        if not line.strip():
            if out and out[-1]:
                out.append("")
            counts = []
            continue
        heading = _HEADING.match(line.strip()) if line.lstrip()[:1] == "=" else None
        if heading:
            level = len(heading[1])
            headings = [(above, words_) for above, words_ in headings if above < level]
            shown = _tidy(heading[2]).strip()
            if shown:
                headings.append((level, shown))
            counts = []
            continue
        if _CELL.match(line) or _RULE.match(line):
            line = _RULE.sub("", line, count=1) if _RULE.match(line) else ""
        marks = _LIST.match(line)
        item = ""
        if marks:
            depth, kind = len(marks[1]), marks[1][-1]
            body = _tidy(line[marks.end() :]).strip()
            if kind == "#":
                counts = [*counts[:depth], *[0] * (depth - len(counts))]
                counts[depth - 1] += bool(body)
                item = f"{'  ' * depth}{counts[depth - 1]}. "
            elif kind == "*":
                item = f"{'  ' * depth}• "
            if kind != "#":
                counts = counts[: marks[1].rfind("#") + 1]  # an item goes on, or has others below it
        else:
            body = _tidy(line) if not line.startswith(" ") else _tidy(line, preformatted=True)
            body = body.strip() if not line.startswith(" ") else body.rstrip()[1:]
            counts = []
        if not body.strip(" .,;:，。、；："):
            continue
        for _, shown in headings:
            if out and out[-1]:
                out.append("")
            out += [shown, ""]
        headings = []
        out.append(item + body)
    while out and not out[-1]:
        out.pop()
    return "\n".join(out)


def _tidy(line: str, *, preformatted: bool = False) -> str:
    """A line without what is hollow now."""
    if "&" in line and "&nbsp;" in line:
        line = line.replace("&nbsp;", " ")
    if preformatted:
        return line
    for _ in range(3):
        if not any(mark in line for mark in "(（[「『《〈【〔"):
            break
        before = line
        line = _HOLLOW.sub("", _AFTER_OPEN.sub(r"\1", line))
        line = _BEFORE_SHUT.sub(lambda match: match[1] or match[2], line)
        if line == before:
            break
    line = _BEFORE_STOP.sub(r"\1", line)
    return _TWICE.sub(r"\1", _BLANKS.sub(" ", line))
