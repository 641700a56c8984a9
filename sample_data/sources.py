"""Makes `sources/`: two dumps of wikis, two papers, a Stack Exchange site and a book, of the paragraphs in `written/`.

It exists so that anyone can see that nothing in them is another's: the words are those of `written/prose_*.txt`, which
were written for this project, and the mark-up around them, with all that a reader must take out, is made here.

    python sample_data/sources.py
"""

import bz2
import gzip
import html
import io
import pathlib
import tarfile
import zipfile

HERE = pathlib.Path(__file__).parent
ENGLISH, CHINESE = (
    (HERE / "written" / f"prose_{language}.txt").read_text(encoding="utf-8").splitlines() for language in ("en", "zh")
)
DATE = (2026, 11, 26, 0, 0, 0)
PAGES_IN_STREAM = 6


def wiki(language: str, title_length: int, category: str, file: str, paragraphs: list[str]) -> bytes:
    """A dump in several streams of bz2, as Wikipedia's are, with a redirect and a page that is no article."""
    names = {0: "", 1: "Talk", 4: "Project", 6: file, 10: "Template", 14: category}
    namespaces = "".join(f'<namespace key="{key}">{name}</namespace>' for key, name in names.items())
    head = (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{language}">\n'
        f"<siteinfo><sitename>Sample</sitename><namespaces>{namespaces}</namespaces></siteinfo>\n"
    )
    pages = [
        page(number, title(text, title_length), article(text, category, file)) for number, text in enumerate(paragraphs)
    ]
    first = title(paragraphs[0], title_length)
    pages.append(page(900, "Another name", f"#REDIRECT [[{first}]]", f'<redirect title="{html.escape(first)}" />'))
    pages.append(page(901, "Project:About", "These are notes for those who write here.", ns=4))
    streams = [head]
    streams += ["".join(pages[at : at + PAGES_IN_STREAM]) for at in range(0, len(pages), PAGES_IN_STREAM)]
    return b"".join(bz2.compress(stream.encode()) for stream in [*streams, "</mediawiki>\n"])


def title(text: str, length: int) -> str:
    """The first words, or Chinese characters, of a text."""
    return " ".join(text.split()[:length]) if text.isascii() else text[: 2 * length].strip("，。：:、 ")


def article(text: str, category: str, file: str) -> str:
    """A paragraph as wikitext, with all that goes around the text of articles."""
    stop = "." if text.isascii() else "。"
    first, *rest = text.split(stop)
    name = title(text, 2)
    body = stop.join(rest).replace(name, f"[[{name}]]")
    return (
        f"{{{{Infobox place\n| name = {name}\n| image = a.jpg\n}}}}\n"
        f"[[{file}:a.jpg|thumb|220px|''{name}'' ([[map]])]]\n"
        f"'''{first}'''<ref name=\"a\">{{{{cite book|title=A}}}}</ref>{stop}{body}<ref name=\"a\" />\n\n"
        f'{{| class="wikitable"\n! a !! b\n|-\n| 1 || 2\n|}}\n== References ==\n{{{{reflist}}}}\n[[{category}:{name}]]'
    )


def page(number: int, name: str, text: str, redirect: str = "", ns: int = 0) -> str:
    """A page of a dump."""
    return (
        f"  <page>\n    <title>{html.escape(name)}</title>\n    <ns>{ns}</ns>\n    <id>{number + 1}</id>\n"
        f"    {redirect}\n"
        f"    <revision>\n      <id>{number + 1}</id>\n      <timestamp>2026-11-26T00:00:00Z</timestamp>\n"
        f"      <model>wikitext</model>\n"
        f'      <text bytes="{len(text.encode())}" xml:space="preserve">{html.escape(text)}'
        "</text>\n    </revision>\n  </page>\n"
    )


def tex(text: str) -> str:
    """A text with what LaTeX takes for mark-up escaped."""
    for character in "%&$#_":
        text = text.replace(character, f"\\{character}")
    return text.replace('"', "''")


def paper(name: str, paragraphs: list[str], inputs: bool) -> dict[str, str]:
    """A paper's files: macros, an abstract, sections, a figure, a formula, a bibliography."""
    sections = [
        f"\\section{{Part {number}}}\\label{{s{number}}}\n% a note to ourselves\n{tex(text)}~\\cite{{a}}\n"
        for number, text in enumerate(paragraphs[1:], 1)
    ]
    body = "".join(f"\\input{{parts/{number}}}\n" for number in range(len(sections))) if inputs else "\n".join(sections)
    main = (
        "\\documentclass{article}\n\\newcommand{\\study}{\\emph{the study}\\xspace}\n"
        "\\newcommand{\\norm}[1]{\\|#1\\|}\n"
        f"\\title{{{name}}}\n\\author{{Nobody}}\n\\begin{{document}}\n\\maketitle\n\\begin{{abstract}}\n{tex(paragraphs[0])}\n"
        f"\\end{{abstract}}\n\\section{{Introduction}}\n"
        f"What follows is \\study in full, with $\\norm{{x}} < 1$ throughout.\n"
        f"\\begin{{figure}}\\includegraphics{{a}}\\caption{{A figure.}}\\end{{figure}}\n{body}\n"
        "\\begin{thebibliography}{1}\\bibitem{a} A. Author. A book.\\end{thebibliography}\n\\end{document}\n"
    )
    parts = {f"parts/{number}.tex": section for number, section in enumerate(sections)} if inputs else {}
    return {"main.tex": main, **parts}


def tar(files: dict[str, str]) -> bytes:
    """Files as a tar in gzip, the same bytes whenever it is made."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(held.getvalue(), mtime=0)


def posts(paragraphs: list[str]) -> bytes:
    """A site whose questions have two answers each: the second is the better one, the first the accepted one."""
    rows = []
    for number, (asked, *answers) in enumerate(zip(paragraphs[::3], paragraphs[1::3], paragraphs[2::3], strict=False)):
        id_ = 3 * number + 1
        question = {"Id": id_, "PostTypeId": 1, "AcceptedAnswerId": id_ + 1, "Score": number, "Tags": "<sample><prose>"}
        body = f"<p>{html.escape(asked)}</p>"
        rows.append(question | {"Title": f"What do you make of “{title(asked, 4)}”?", "Body": body})
        for place, text in enumerate(answers, 1):
            body = f"<p><em>{html.escape(title(text, 2))}</em>: {html.escape(text)}</p>"
            rows.append({"Id": id_ + place, "PostTypeId": 2, "ParentId": id_, "Score": 3 * place - 1, "Body": body})
    rows.sort(key=lambda row: (row["PostTypeId"], row["Id"]))  # type: ignore[operator]
    lines = (
        "  <row "
        + "".join(f'{name}="{html.escape(str(value))}" ' for name, value in row.items())
        + 'CreationDate="2026-11-26T00:00:00.000" ContentLicense="Apache-2.0" />\r\n'
        for row in rows
    )
    return f'\ufeff<?xml version="1.0" encoding="utf-8"?>\r\n<posts>\r\n{"".join(lines)}</posts>\r\n'.encode()


def epub(name: str, paragraphs: list[str]) -> bytes:
    """A book of a chapter a paragraph, with a contents page."""
    chapters = {
        f"c{number}.xhtml": f"<h1>{html.escape(title(text, 3))}</h1><p>{html.escape(text)}</p>"
        for number, text in enumerate(paragraphs)
    }
    pages = {"nav.xhtml": "<nav epub:type='toc'><h1>Contents</h1></nav>", **chapters}
    items = "".join(f'<item id="{page}" href="{page}" media-type="application/xhtml+xml"/>' for page in pages)
    spine = '<itemref idref="nav.xhtml" linear="no"/>' + "".join(f'<itemref idref="{page}"/>' for page in chapters)
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{name}</dc:title><dc:language>en</dc:language>'
        f"<dc:rights>Apache-2.0</dc:rights></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as book:
        files = {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OPS/book.opf": package}
        head = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{}</title></head><body>{}</body></html>'
        files |= {f"OPS/{page}": head.format(name, body) for page, body in pages.items()}
        for path, text in files.items():
            kind = zipfile.ZIP_STORED if path == "mimetype" else zipfile.ZIP_DEFLATED
            book.writestr(zipfile.ZipInfo(path, DATE), text, kind)
    return held.getvalue()


def main() -> None:
    """Write the files."""
    first = paper("On Rice and Foxes", ENGLISH[20:26], inputs=True)
    second = paper("On Maize and Tomatoes", ENGLISH[26:31], inputs=False)
    made = {
        "wiki/rivers-20261126-pages-articles-multistream.xml.bz2": wiki("en", 3, "Category", "File", ENGLISH[:20]),
        "wiki/heliu-20261126-pages-articles-multistream.xml.bz2": wiki("zh", 3, "分类", "文件", CHINESE[:20]),
        "papers/2611.00001.tar.gz": tar(first),
        "papers/2611.00002.gz": gzip.compress(second["main.tex"].encode(), mtime=0),
        "stackexchange/prose.example.com/Posts.xml": posts(ENGLISH[31:46]),
        "books/plain-days.epub": epub("Plain Days", ENGLISH[46:54]),
    }
    for name, data in made.items():
        path = HERE / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
