"""What a file is whose name does not tell: a look at its first bytes.

People leave extensions out (`part-00000`, `Makefile`) and make their own (`.story`). What is text in UTF-8 is read, and
what is not is left to whoever names a format.
"""

import codecs
import re
import shlex

import orjson

from datapipe.read.formats import epub
from datapipe.read.formats.latex_sources import is_latex, is_tar
from datapipe.read.formats.mediawiki import is_mediawiki
from datapipe.read.formats.source import Damage, Source
from datapipe.read.formats.stackexchange import table_of

LOOKED_AT = 1 << 16  # bytes
# Archives of files, and what unpacks them: Stack Exchange gives its dumps out as 7z. Python has no reader of 7z, those
# that there are bring half a dozen compressors, and a site is unpacked once but read with every run.
_ARCHIVES = {b"7z\xbc\xaf\x27\x1c": "7z x {} -o{}", b"Rar!\x1a\x07": "unrar x {} {}/", b"PK\3\4": "unzip {} -d {}"}
# First bytes of formats that are read, and of documents for other programs that would pass for text.
_MAGIC = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"WARC/": "warc",
    b"filedesc:": "arc",
    b"%PDF-": None,
    b"%!PS": None,
    b"{\\rtf": None,
}
_PAGE = re.compile(rb"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
# What no text holds: control characters but tab, line feeds, form feed and escape (of terminals).
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def sniff_format(source: Source) -> tuple[str | None, bytes]:
    """The key in FORMATS of what a file seems to be, and its first bytes.

    None if it is neither a format that is read nor text, in UTF-8 or one of the source's encodings. An empty file, and
    one that cannot be decompressed, is text: its reader says so.
    """
    head = bytearray()
    try:
        for block in source.blocks():
            head += block
            if len(head) >= LOOKED_AT:
                break
    except Damage:
        if not head:
            return "text", b""
    start = bytes(head[:LOOKED_AT])
    return _format_of(start, source, whole=len(head) < LOOKED_AT), start


def unpacked_by(name: str, start: bytes) -> str | None:
    """The command that unpacks an archive, if a file is one by its name and first bytes; other programs' files are zip.

    >>> unpacked_by("dump/beer.stackexchange.com.7z", b"7z\\xbc\\xaf\\x27\\x1c")
    '7z x beer.stackexchange.com.7z -obeer.stackexchange.com'
    """
    file = name.rpartition("/")[2]
    command = next((command for magic, command in _ARCHIVES.items() if start.startswith(magic)), None)
    if command is None or (command.startswith("unzip") and not file.lower().endswith(".zip")):
        return None
    return command.format(shlex.quote(file), shlex.quote(file.rpartition(".")[0] or f"{file}.d"))


def _format_of(start: bytes, source: Source, *, whole: bool) -> str | None:
    if is_tar(start):
        return "latex"
    if start.startswith(epub.MAGIC, epub.MAGIC_AT):
        return "epub"
    for magic, format_ in _MAGIC.items():
        if start.startswith(magic):
            return format_
    if _BINARY.search(start) or not _is_text(start, source, whole=whole):
        return None
    start = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if _PAGE.match(start):
        return "html"
    if is_mediawiki(start):
        return "mediawiki"
    if table_of(start):
        return "stackexchange"
    if is_latex(start):
        return "latex"
    first, ended, _ = start.partition(b"\n")
    if _is_object(first) or (first.startswith(b'{"') and not (ended or whole)):
        return "jsonl"
    return "json" if re.match(rb"\[\s*\{\s*\"", start) else "text"


def _is_text(start: bytes, source: Source, *, whole: bool) -> bool:
    # A character may be cut in two at the end: of four bytes at most, in every encoding.
    for cut in range(1 if whole else 4):
        try:
            source.decode(start[: len(start) - cut])
        except UnicodeDecodeError:
            continue
        return True
    return False


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
