"""Readers of dumps of wikis, LaTeX sources, Stack Exchange and books, beside the libraries that a user calls in a loop.

    python -m benchmarks.sources --data ../shared/data/sources --peer PEER/bin/python

PEER is an environment of its own with `pip install mwxml mwparserfromhell wikitextparser pylatexenc TexSoup lxml
beautifulsoup4 ebooklib`. DATA holds folders mediawiki, latex, stackexchange and books with files such as
pages-articles.xml.bz2, 1911.02782.gz, Posts.xml and book.epub. One side after the other in each round, one thread;
megabytes of the input, decompressed, by seconds of the processor from the file to texts, medians of the rounds.
Residue is what mark-up is left in the texts: `thumb|`, `Category:` and the like, commands of LaTeX outside of formulas,
tags. A peer that fails on a file has its time up to there, and the failure is counted.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

KINDS = {
    "mediawiki": (
        re.compile(r"\.xml(\.bz2)?$"),
        r"thumb\||\[\[|\{\{|\{\||<ref|(?:Category|Категория|Bólkur|ファイル|分類):",
    ),
    "latex": (re.compile(r"\.(tex|gz)$"), r"\\(?:cite|ref|label|section|begin\{(?:figure|table|itemize))|^%"),
    "stackexchange": (re.compile(r"Posts\.xml$"), r"</?(?:p|a|code|li|em)\b"),
    "books": (re.compile(r"\.epub$"), r"</?(?:p|div|span)\b"),
}

# What the peer's Python runs: paths in; for each way, seconds, megabytes, texts and failures.
PEER = r"""
import bz2, json, sys, tarfile, time, gzip, io
kind, paths = sys.argv[1], sys.argv[2:]
def opened(path):
    return bz2.open(path) if path.endswith(".bz2") else open(path, "rb")
def pages(path):
    import mwxml
    data = opened(path).read()
    text = data.decode("utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data.decode("utf-8-sig")
    for page in mwxml.Dump.from_file(io.StringIO(text)):
        if page.namespace == 0 and not page.redirect:
            for revision in page:
                yield revision.text or ""
def wiki(parse):
    return lambda path: [parse(text) for text in pages(path)]
def sources(path):
    if path.endswith(".tex"):
        return open(path, errors="replace").read()
    texts = []
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(".tex"):
                texts.append(archive.extractfile(member).read().decode(errors="replace"))
    return "\n".join(texts)
def threads(path):
    from lxml import etree
    from bs4 import BeautifulSoup
    questions, answers = {}, {}
    for _, row in etree.iterparse(path, tag="row"):
        kind = row.get("PostTypeId")
        if kind in "12":
            text = BeautifulSoup(row.get("Body") or "", "lxml").get_text()
            if kind == "1":
                questions[row.get("Id")] = (row.get("Title") or "") + "\n" + text
            else:
                answers.setdefault(row.get("ParentId"), []).append((-int(row.get("Score")), text))
        row.clear()
    return [text + "".join("\n" + a for _, a in sorted(answers.get(id_, []))) for id_, text in questions.items()]
def book(path):
    import ebooklib
    from ebooklib import epub
    from bs4 import BeautifulSoup
    read = epub.read_epub(path)
    items = (read.get_item_with_id(id_) for id_, _ in read.spine)
    return ["\n".join(BeautifulSoup(item.get_content(), "lxml").get_text("\n") for item in items if item)]
if kind == "mediawiki":
    import mwparserfromhell, wikitextparser
    ways = {"mwxml, mwparserfromhell": wiki(lambda text: str(mwparserfromhell.parse(text).strip_code())),
            "mwxml, wikitextparser": wiki(lambda text: wikitextparser.parse(text).plain_text())}
elif kind == "latex":
    from pylatexenc.latex2text import LatexNodes2Text
    from TexSoup import TexSoup
    ways = {"pylatexenc": lambda path: [LatexNodes2Text(math_mode="verbatim").latex_to_text(sources(path))],
            "TexSoup": lambda path: ["\n".join(map(str, TexSoup(sources(path), tolerance=1).text))]}
elif kind == "stackexchange":
    ways = {"lxml, BeautifulSoup": threads}
else:
    ways = {"ebooklib, BeautifulSoup": book}
results = {}
for name, way in ways.items():
    texts, failures = [], 0
    begin = time.process_time()
    for path in paths:
        try:
            texts += way(path)
        except Exception as error:
            failures += 1
    results[name] = [time.process_time() - begin, texts, failures]
print(json.dumps(results))
"""


class Result(NamedTuple):
    """What one way to read some files took and gave: seconds of the processor, texts, files that it failed on."""

    seconds: float
    texts: list[str]
    failures: int


def read_here(kind: str, paths: list[pathlib.Path]) -> Result:
    """This project's readers."""
    from datapipe.read.formats import Row, Source, format_of, read
    from datapipe.read.formats.sniff import sniff_format

    texts, failures = [], 0
    begin = time.process_time()
    for path in paths:
        source = Source(str(path), path.name)
        for record in read(source, format_of(path.name) or sniff_format(source)[0] or kind):
            if isinstance(record, Row):
                texts.append(record.columns["text"])
            else:
                failures += 1
    return Result(time.process_time() - begin, texts, failures)


def read_there(peer: str, kind: str, paths: list[pathlib.Path]) -> dict[str, Result]:
    """The peers."""
    command = [peer, "-W", "ignore", "-c", PEER, kind, *map(str, paths)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {name: Result(*result) for name, result in found.items()}


def megabytes(kind: str, path: pathlib.Path) -> float:
    """Of what there is to read in a file: of LaTeX sources in a tar, and of books, the files that hold text."""
    import tarfile
    import zipfile

    from datapipe.read.formats import Source

    if kind == "books":
        with zipfile.ZipFile(path) as book:
            return sum(i.file_size for i in book.infolist() if i.filename.lower().endswith(("html", "htm"))) / 1e6
    if kind == "latex" and path.suffix == ".gz":
        with tarfile.open(path) as archive:
            return sum(member.size for member in archive if member.name.endswith(".tex")) / 1e6
    return sum(map(len, Source(str(path), path.name).blocks())) / 1e6


def unpacked(path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The same dump decompressed and in UTF-8: how fast bz2 is, is not asked, and mwxml reads nothing else."""
    from datapipe.read.formats import Source

    plain = folder / path.name.removesuffix(".bz2")
    plain.write_bytes(b"".join(Source(str(path), path.name).blocks()))
    return plain


def main() -> None:
    """Print every side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder of files")
    parser.add_argument("--peer", help="the Python of an environment with the peers")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"{'':38}{'MB/s':>8}{'texts':>7}{'failed':>7}{'residue':>9}{'here, times':>13}")
    with tempfile.TemporaryDirectory() as folder:
        for kind, (names, residue) in KINDS.items():
            paths = sorted(path for path in (given.data / kind).iterdir() if names.search(path.name))
            if kind == "mediawiki":
                paths = [unpacked(path, pathlib.Path(folder)) for path in paths]
            size = sum(megabytes(kind, path) for path in paths)
            read_here(kind, paths)  # imports, and tables that are made once
            rounds = [
                {"this project": read_here(kind, paths)} | (read_there(given.peer, kind, paths) if given.peer else {})
                for _ in range(given.rounds)
            ]
            seconds = {name: statistics.median(results[name].seconds for results in rounds) for name in rounds[0]}
            for name, result in rounds[0].items():
                left = sum(len(re.findall(residue, text, re.MULTILINE)) for text in result.texts)
                ratio = "" if name == "this project" else f"{seconds[name] / seconds['this project']:13.1f}"
                print(
                    f"{kind + ', ' + name:38}{size / seconds[name]:8.2f}{len(result.texts):7}{result.failures:7}"
                    f"{left:9}{ratio}"
                )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
