"""Reader of LaTeX sources: as arXiv keeps them, a paper a file (tar or plain, in gzip) or many in a tar; `.tex` files.

Which of a paper's files is its main one nothing says but the files: that which begins a document and that no other
takes in. Figures and styles are passed over unread. https://info.arxiv.org/help/bulk_data_s3.html describes the tars of
many papers: a member a paper, itself compressed.
"""

import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator

from datapipe.read.formats.latex import read_latex_source
from datapipe.read.formats.source import BLOCK_BYTES, Damage, Reject, Row, Source

MAX_PAPER_FILES = 10_000
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257

_TEX = (".tex", ".ltx", ".latex", ".tex.txt")
_GZIP = b"\x1f\x8b"
_START = re.compile(r"^[^%\n]*\\document(?:class|style)\b", re.MULTILINE)
_BODY = re.compile(r"^[^%\n]*\\begin\s*\{document\}", re.MULTILINE)
_TAKEN_IN = re.compile(
    r"^[^%\n]*?\\(?:input|include|subfile|import\*?\s*\{[^{}]*\})\s*\{?\s*([^\s{}\\]+)", re.MULTILINE
)
_ENCODING = re.compile(rb"\\usepackage\s*\[\s*([\w-]+)\s*\]\s*\{inputenc\}")
_SNIFFED = re.compile(rb"^[^%\n]*\\document(?:class|style)\b|^[^%\n]*\\begin\s*\{document\}", re.MULTILINE)
_CODECS = {
    "latin1": "latin-1",
    "latin9": "iso8859-15",
    "ansinew": "cp1252",
    "applemac": "mac-roman",
    "latin2": "iso8859-2",
}
_CODECS |= {"cp1250": "cp1250", "cp1251": "cp1251", "koi8-r": "koi8-r", "cp1252": "cp1252"}
# Beside the paper, with a beginning of their own.
_BESIDE = re.compile(
    r"suppl|response|rebuttal|cover|letter|poster|slides|reply|diff|template|example|sample", re.IGNORECASE
)
_USUAL = re.compile(r"(?:main|ms|paper|article|manuscript|root)\.\w+$", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?\d{7})(?:v\d+)?(?=\.|$)")


def is_tar(start: bytes) -> bool:
    """Whether a file is a tar by its first bytes."""
    return start.startswith(TAR_MAGIC, TAR_MAGIC_AT)


def is_latex(start: bytes) -> bool:
    """Whether a text is a LaTeX document by its first bytes."""
    return _SNIFFED.search(start) is not None


def read_latex(source: Source) -> Iterator[Row | Reject]:
    """One record a paper: `text` as `latex.py` says, `title`, `abstract`, `main_file`, and of arXiv's `paper_id`.

    Rejects are papers without LaTeX (`no_latex`, such as those of which arXiv has a PDF alone), those that expand
    without end (`macro_bomb`), and damaged files.
    """
    opened = source.opened()
    if isinstance(opened, Reject):
        yield opened
        return
    first, blocks = opened
    if is_tar(first):
        yield from _read_tar(source)
        return
    held = bytearray()
    try:
        for block in blocks:
            held += block
            if len(held) > source.max_document_bytes:
                raise Damage("too_large", f"more than {source.max_document_bytes} bytes")
        name = posixpath.basename(source.name)
        yield _paper(source, 0, source.name, {name: bytes(held)}, bytes(held))
    except Damage as damage:
        yield source.reject(0, damage.reason, damage.detail, bytes(held[:BLOCK_BYTES]))


def _read_tar(source: Source) -> Iterator[Row | Reject]:
    """The paper that a tar is, or those that it holds, each compressed."""
    own: dict[str, bytes] = {}
    size = papers = 0
    position = 0
    try:
        stream = _Counted(source.stream())
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=0) as archive:  # type: ignore[call-overload]
            for count, member in enumerate(archive):
                position = member.offset
                if not member.isfile():
                    continue
                name = member.name.removeprefix("./")
                if name.lower().endswith((".gz", ".pdf")) and _IDENTIFIER.match(posixpath.basename(name)):
                    papers += 1
                    yield _member(source, archive, member)
                    continue
                if count >= MAX_PAPER_FILES and not papers:
                    raise Damage("too_many_files", f"more than {MAX_PAPER_FILES} files in a paper")
                if _may_be_tex(name):
                    size += member.size
                    if size > source.max_document_bytes:
                        raise Damage("too_large", f"more than {source.max_document_bytes} bytes of LaTeX")
                    file = archive.extractfile(member)
                    own[name] = file.read() if file else b""
            if stream.count - archive.offset < tarfile.BLOCKSIZE:  # tarfile takes half a header for the end
                raise Damage("truncated_file", "tar: the file ends within a header")
    except (tarfile.TarError, EOFError, ValueError) as error:
        yield source.reject(
            position, "truncated_file" if "end of data" in str(error) else "corrupt_file", f"tar: {error}"
        )
        if not papers and not own:
            return
    except Damage as damage:
        yield source.reject(position, damage.reason, damage.detail)
        if not papers and (not own or damage.reason in ("too_large", "too_many_files")):
            return
    if own or not papers:
        try:
            yield _paper(source, 0, source.name, own, b"")
        except Damage as damage:
            yield source.reject(0, damage.reason, damage.detail)


class _Counted:
    """A stream of which it is known how many bytes were read."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data


def _member(source: Source, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Row | Reject:
    """A paper of a tar of many."""
    position = member.offset
    if member.name.lower().endswith(".pdf"):
        return source.reject(position, "no_latex", f"{member.name}: a PDF alone")
    raw = b""
    try:
        if member.size > source.max_document_bytes:
            raise Damage("too_large", f"{member.name}: {member.size} bytes")
        file = archive.extractfile(member)
        raw = file.read() if file else b""
        data = _inflated(source, member.name, raw)
        if not is_tar(data):
            name = posixpath.basename(member.name).removesuffix(".gz") + ".tex"
            return _paper(source, position, member.name, {name: data}, raw)
        own: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as inner:
            for count, part in enumerate(inner):
                if count >= MAX_PAPER_FILES:
                    raise Damage("too_many_files", f"{member.name}: more than {MAX_PAPER_FILES} files")
                name = part.name.removeprefix("./")
                file = inner.extractfile(part) if part.isfile() and _may_be_tex(name) else None
                if file:
                    own[name] = file.read()
        return _paper(source, position, member.name, own, raw)
    except (tarfile.TarError, EOFError, ValueError) as error:
        return source.reject(position, "corrupt_file", f"{member.name}: {error}", raw)
    except Damage as damage:
        return source.reject(position, damage.reason, damage.detail, raw)


def _inflated(source: Source, name: str, raw: bytes) -> bytes:
    if not raw.startswith(_GZIP):
        return raw
    stream = zlib.decompressobj(31)
    try:
        data = stream.decompress(raw, 2 * source.max_document_bytes)
    except zlib.error as error:
        raise Damage("corrupt_file", f"{name}: gzip: {error}") from None
    if stream.unconsumed_tail or source.expands_too_much(len(data), len(raw)):
        raise Damage("decompression_bomb", f"{name}: expands to more than {2 * source.max_document_bytes} bytes")
    if not stream.eof:
        raise Damage("truncated_file", f"{name}: gzip: the file ends too soon")
    return data


def _may_be_tex(name: str) -> bool:
    bare = posixpath.basename(name).lower()
    return bare.endswith(_TEX) or "." not in bare or bare.startswith("00readme")


def _paper(source: Source, position: int, name: str, found: dict[str, bytes], raw: bytes) -> Row | Reject:
    """The paper that some files make up.

    Raises:
        Damage: `no_latex`, or as `read_latex_source`.
    """
    texts = {path: _decoded(data) for path, data in found.items() if b"\0" not in data[:BLOCK_BYTES]}
    main = _main_file(texts)
    if main is None:
        raise Damage("no_latex", "no file that begins a document" if found else "no LaTeX file")
    folder = posixpath.dirname(main)

    def read_file(wanted: str) -> str | None:
        wanted = posixpath.normpath(wanted)
        for base in (folder, ""):
            path = posixpath.join(base, wanted)
            for ending in ("", ".tex", ".ltx", ".latex"):
                if path + ending in texts:
                    return texts[path + ending]
        return None

    paper = read_latex_source(texts[main], read_file, source.max_document_bytes)
    identifier = _IDENTIFIER.match(posixpath.basename(name))
    columns = {
        "text": paper.text,
        "title": paper.title or None,
        "abstract": paper.abstract or None,
        "main_file": main,
        "paper_id": identifier[1] if identifier else None,
    }
    return Row(position, columns, raw or texts[main].encode(errors="replace"))


def _decoded(data: bytes) -> str:
    """TeX is bytes: where it is no UTF-8, what it declares, or Latin-1, so that a name in a comment costs no paper."""
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return data.decode()
    except UnicodeDecodeError:
        declared = _ENCODING.search(data)
        return data.decode(_CODECS.get(declared[1].decode().lower(), "latin-1") if declared else "latin-1", "replace")


def _main_file(texts: dict[str, str]) -> str | None:
    """The file that is the paper: as a 00README says, or that which begins a document and is part of no other."""
    if len(texts) == 1:
        (only,) = texts
        return only if "\\" in texts[only] and not only.lower().startswith("00readme") else None
    for path, text in texts.items():
        if posixpath.basename(path).lower().startswith("00readme"):
            named = re.search(
                r"^\s*(\S+\.\w+)\s+toplevelfile|\"filename\"\s*:\s*\"([^\"]+)\"[^}]*\"toplevel\"", text, re.MULTILINE
            )
            name = (named[1] or named[2]) if named else ""
            if name in texts:
                return name
    taken = {
        posixpath.normpath(name).removesuffix(".tex") for text in texts.values() for name in _TAKEN_IN.findall(text)
    }
    begin = [path for path, text in texts.items() if _START.search(text)]
    begin = begin or [path for path, text in texts.items() if _BODY.search(text)]
    if not begin:
        return None

    def rank(path: str) -> tuple[bool, bool, bool, bool, bool, int, str]:
        text = texts[path]
        name = posixpath.basename(path)
        is_taken = path.rpartition(".")[0] in taken or name.rpartition(".")[0] in taken
        inputs = sum(len(texts.get(inner, texts.get(inner + ".tex", ""))) for inner in _TAKEN_IN.findall(text))
        return (
            "{standalone}" in text,
            is_taken,
            _BODY.search(text) is None,
            _BESIDE.search(name) is not None,
            not _USUAL.search(name),
            -len(text) - inputs,
            path,
        )

    return min(begin, key=rank)
