"""Readers of what people have: from the bytes of a file to records, and to rejects where a file holds none.

Each reader is a pure generator in bounded memory, imported when a file of its kind comes. Which records are
documents is decided in `datapipe.read.documents`.
"""

import importlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from datapipe.read.formats.source import COMPRESSIONS, RAW_BYTES, Reject, Row, Source

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
        module: of this folder, the one of the reader.
        reader: a function from a source to its rows and rejects.
        extensions: of the file names, lower case.
        has_fields: whether records bear names of the user's, so that the text must be looked for by name.
        splittable: whether a byte range of the file can be read by itself.
        splits_bz2: whether so can a byte range of a bz2 file of several streams.
        one_document: whether a file is one document.
        text_share: bytes of text to expect from a byte of the file, for packing and splitting.
    """

    module: str
    reader: str
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
    "jsonl": Format("text", "read_json_lines", (".jsonl", ".ndjson"), splittable=True),
    "json": Format("text", "read_json", (".json",)),
    "parquet": Format("tables", "read_parquet", (".parquet",), splittable=True, text_share=3),
    "arrow": Format("tables", "read_arrow", (".arrow", ".feather", ".ipc")),
    "csv": Format("separated", "read_csv", (".csv",)),
    "tsv": Format("separated", "read_tsv", (".tsv",)),
    "text": Format("text", "read_text", (".txt", ".text"), has_fields=False, one_document=True),
    "markdown": Format("text", "read_as_it_is", (".md", ".markdown"), has_fields=False, one_document=True),
    "html": Format(
        "page", "read_html", (".html", ".htm", ".xhtml"), has_fields=False, one_document=True, text_share=0.5
    ),
    "warc": Format("warc", "read_warc", (".warc", ".wet"), has_fields=False, text_share=0.5),
    "arc": Format("arc", "read_arc", (".arc",), has_fields=False, text_share=0.5),
    "epub": Format("epub", "read_epub", (".epub",), has_fields=False, one_document=True, text_share=2),
    "latex": Format(
        "latex_sources", "read_latex", (".tex", ".latex", ".ltx", ".tar"), has_fields=False, one_document=True
    ),
    "mediawiki": Format("mediawiki", "read_mediawiki", (), has_fields=False, splittable=True, splits_bz2=True),
    "stackexchange": Format("stackexchange", "read_stackexchange", ("posts.xml",), has_fields=False),
    "code": Format(
        "text",
        "read_as_it_is",
        tuple(f".{extension}" for extension in _CODE.split()),
        has_fields=False,
        one_document=True,
    ),
}

# Dumps of Wikimedia's wikis: `enwiki-latest-pages-articles1.xml-p1p41242.bz2`. Others tell it by their first bytes.
_WIKI_DUMP = re.compile(r"-pages-[a-z-]+\d*\.xml(?:-p\d+p\d+)?$")


def read(source: Source, format_: str) -> Iterator[Row | Reject]:
    """The records of a file, or of a range of it, in a format of FORMATS."""
    found = FORMATS[format_]
    whole_or_range = source if found.splits_bz2 else source.splittable()
    if whole_or_range is not None:
        module = importlib.import_module(f"{__name__}.{found.module}")
        yield from getattr(module, found.reader)(whole_or_range)


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
