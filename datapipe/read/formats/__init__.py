"""Readers of what people have: from the bytes of a file to records, and to rejects where a file holds none.

Each reader is a pure generator in bounded memory. Which records are documents is decided in `datapipe.read.documents`.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from datapipe.read.formats.arc import read_arc
from datapipe.read.formats.epub import read_epub
from datapipe.read.formats.latex_sources import read_latex
from datapipe.read.formats.mediawiki import read_mediawiki
from datapipe.read.formats.page import read_html
from datapipe.read.formats.separated import read_csv, read_tsv
from datapipe.read.formats.source import COMPRESSIONS, RAW_BYTES, Reject, Row, Source
from datapipe.read.formats.stackexchange import read_stackexchange
from datapipe.read.formats.tables import read_arrow, read_parquet
from datapipe.read.formats.text import read_as_it_is, read_json, read_json_lines, read_text
from datapipe.read.formats.warc import read_warc

__all__ = [
    "COMPRESSIONS",
    "FORMATS",
    "RAW_BYTES",
    "Format",
    "Reject",
    "Row",
    "Source",
    "extension",
    "format_of",
    "read",
    "stem",
]


class Format(NamedTuple):
    """How files of some kind are read.

    Attributes:
        read: the reader.
        extensions: of the file names, lower case.
        has_fields: whether records bear names of the user's, so that the text must be looked for by name.
        splittable: whether a byte range of the file can be read by itself.
        splits_bz2: whether so can a byte range of a bz2 file of several streams.
        one_document: whether a file is one document.
        text_share: bytes of text to expect from a byte of the file, for packing and splitting.
    """

    read: Callable[[Source], Iterator[Row | Reject]]
    extensions: tuple[str, ...]
    has_fields: bool = True
    splittable: bool = False
    splits_bz2: bool = False
    one_document: bool = False
    text_share: float = 1


# Source code by the extensions of The Stack's most frequent languages (Kocetkov et al. 2022, by GitHub's linguist).
_CODE = """
    ada adb ads agda al applescript as asm awk bas bash bat bzl c cc cfg clj cljs cls cmake cmd coffee cpp cs css cu
    cuh cxx d dart dockerfile el elm erb erl ex exs f f03 f08 f90 f95 fs fsx fth fx gd glsl go gql gradle graphql
    groovy h haml hbs hcl hh hlsl hpp hrl hs hxx idr ini ino ipynb jade java jinja jl js jsx kt kts lean less lisp lua
    m mk ml mli mm mjs mts nim nix nut p4 pas patch php pl pm pp properties proto ps1 psm1 pug purs py pyi pyx qml r
    rake rb rkt rs s sass sas scala scm scss sh sml sol sql st stan styl sv svelte swift tcl tf thrift toml ts tsx
    v vb vba vert vhd vhdl vim vue wat xaml xsl xslt yaml yml zig zsh
"""

FORMATS: dict[str, Format] = {
    "jsonl": Format(read_json_lines, (".jsonl", ".ndjson"), splittable=True),
    "json": Format(read_json, (".json",)),
    "parquet": Format(read_parquet, (".parquet",), splittable=True, text_share=3),
    "arrow": Format(read_arrow, (".arrow", ".feather", ".ipc")),
    "csv": Format(read_csv, (".csv",)),
    "tsv": Format(read_tsv, (".tsv",)),
    "text": Format(read_text, (".txt", ".text"), has_fields=False, one_document=True),
    "markdown": Format(read_as_it_is, (".md", ".markdown"), has_fields=False, one_document=True),
    "html": Format(read_html, (".html", ".htm", ".xhtml"), has_fields=False, one_document=True, text_share=0.5),
    "warc": Format(read_warc, (".warc", ".wet"), has_fields=False, text_share=0.5),
    "arc": Format(read_arc, (".arc",), has_fields=False, text_share=0.5),
    "epub": Format(read_epub, (".epub",), has_fields=False, one_document=True, text_share=2),
    "latex": Format(read_latex, (".tex", ".latex", ".ltx", ".tar"), has_fields=False, one_document=True),
    "mediawiki": Format(read_mediawiki, (), has_fields=False, splittable=True, splits_bz2=True),
    "stackexchange": Format(read_stackexchange, ("posts.xml",), has_fields=False),
    "code": Format(
        read_as_it_is, tuple(f".{extension}" for extension in _CODE.split()), has_fields=False, one_document=True
    ),
}

# Dumps of Wikimedia's wikis: `enwiki-latest-pages-articles1.xml-p1p41242.bz2`. Others tell it by their first bytes.
_WIKI_DUMP = re.compile(r"-pages-[a-z-]+\d*\.xml(?:-p\d+p\d+)?$")


def read(source: Source, format_: str) -> Iterator[Row | Reject]:
    """The records of a file, or of a range of it, in a format of FORMATS."""
    whole_or_range = source if FORMATS[format_].splits_bz2 else source.splittable()
    if whole_or_range is not None:
        yield from FORMATS[format_].read(whole_or_range)


def format_of(name: str) -> str | None:
    """The name of the format that a file's name tells, or None.

    >>> format_of("crawl/pages.warc.gz"), format_of("notes.docx")
    ('warc', None)
    """
    bare = _without_compression(name.lower())
    if _WIKI_DUMP.search(bare):
        return "mediawiki"
    return next((key for key, format_ in FORMATS.items() if bare.endswith(format_.extensions)), None)


def stem(name: str) -> str:
    """A file's name without folder, format and compression: `a/news.2024.jsonl.zst` is `news.2024`."""
    bare = _without_compression(name.rpartition("/")[2])
    extension = next((e for f in FORMATS.values() for e in f.extensions if bare.lower().endswith(e)), "")
    return bare[: len(bare) - len(extension)] or bare


def extension(name: str) -> str:
    """The ending of a file's name, in lower case, compression and all; "" if it has none.

    >>> extension("crawl/pages.JSONL.gz"), extension("Makefile")
    ('.jsonl.gz', '')
    """
    name = name.rpartition("/")[2].lower()
    bare = _without_compression(name)
    return name[bare.rindex(".") :] if "." in bare.lstrip(".") else name[len(bare) :]


def _without_compression(name: str) -> str:
    extension = next((extension for extension in COMPRESSIONS if name.lower().endswith(extension)), "")
    return name[: len(name) - len(extension)]
