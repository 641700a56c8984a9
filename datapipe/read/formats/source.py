"""Bytes of a file or of a range of it, decompressed within stated limits: what every reader of this package takes.

A reader is a function `Source -> Iterator[Row | Reject]`. It never raises for what a file holds: what cannot be read is
a `Reject` that says where and why. Errors of the file system itself (no such file, no permission) do raise.
"""

import codecs
import contextlib
import dataclasses
import io
import itertools
import lzma
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from datapipe.read.formats.encodings import HEAD_BYTES, MAX_REPLACED_SHARE, decode_text, wide_encoding
from datapipe.store import files
from datapipe.text.dialogues import Dialogue

RAW_BYTES = 4096  # of a reject's raw bytes, kept to look at
BLOCK_BYTES = 1 << 20
DECOMPRESSED_READ_BYTES = 1 << 14
# Below this a file does no harm whatever its ratio; highly repetitive small files are common.
EXPANSION_FLOOR_BYTES = 64 << 20

# xz -9 needs 65 MiB to decompress; zstd windows end at 128 MiB, Arrow's limit.
XZ_MEMORY_BYTES = 256 << 20

# A file's first bytes, not its name, decide how it is decompressed; the name tells what is in it.
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}
# Parallel compressors (pzstd) begin with a frame that decoders skip.
_MAGIC |= {bytes((0x50 + variant,)) + b"\x2a\x4d\x18": "zstd" for variant in range(16)}


class Row(NamedTuple):
    """One record of an input file.

    Attributes:
        position: byte offset in the decompressed file (after conversion to UTF-8 where a byte order mark demands it),
            or the row of a table.
        columns: the record's fields by their own names. A format without fields gives `text` alone. A string that is
            text in no encoding is its bytes.
        raw: the bytes it was read from, where there are such.
        dialogue: what it holds in place of a text, for records of instructions.
    """

    position: int
    columns: dict[str, Any]
    raw: bytes = b""
    dialogue: Dialogue | None = None


class Reject(NamedTuple):
    """An input record that is no document, or the place where a file could not be read further.

    Attributes:
        file: the file's name, relative to the input's root.
        position: as in `Row`.
        reason: a snake_case name.
        detail: what exactly is wrong, in words.
        raw: the first RAW_BYTES bytes of the record.
        columns: the names of its fields where it lacks a text, that of the longest string first.
    """

    file: str
    position: int
    reason: str
    detail: str
    raw: bytes
    columns: tuple[str, ...] = ()


class Damage(Exception):  # noqa: N818 - a finding about the input, turned into a Reject by whoever reads it
    """A file that cannot be read further, or a page that cannot be read."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class WikiOptions:
    """How the dump of a wiki is read.

    Attributes:
        language: of its pages; "" for what the file's name or, without a word there, the dump itself says.
        variant: of Chinese, in which `-{zh-hans:…;zh-hant:…}-` is written: "zh-cn", "zh-tw", "zh-hk" and so on; ""
            takes simplified forms where a page is mostly simplified, and traditional ones otherwise.
        namespaces: numbers of those whose pages are documents; 0 is that of articles.
    """

    language: str = ""
    variant: str = ""
    namespaces: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class Source:
    """A file, or a byte range of it, and the limits under which it is read.

    Attributes:
        path: where it lies, for any Beam file system.
        name: the file's name in positions and rejects.
        start: first byte of the range; a record belongs to the range in which it begins.
        stop: the byte after the range; None reads to the end.
        max_document_bytes: a record of more bytes is rejected without being held in memory.
        max_expansion: decompressed bytes per compressed byte, above which a file counts as a decompression bomb.
        encodings: where the bytes of a record are no UTF-8, that one of them in which they make most sense.
        repair: replace the invalid bytes of a record with U+FFFD when they are few.
        text_unit: "file" or "line": what one document of a plain text file is.
        main_content: of an HTML page, leave out navigation, advertisements and the like.
        wiki: how the dump of a wiki is read.
        post_comments: under a post of a Stack Exchange dump, the comments on it.
        gutenberg_notices: keep what Project Gutenberg writes before and after a book.
    """

    path: str
    name: str
    start: int = 0
    stop: int | None = None
    max_document_bytes: int = 50_000_000
    max_expansion: float = 1000.0
    encodings: tuple[str, ...] = ()
    repair: bool = False
    text_unit: str = "file"
    main_content: bool = True
    wiki: WikiOptions = dataclasses.field(default_factory=WikiOptions)
    post_comments: bool = False
    gutenberg_notices: bool = False

    def reject(self, position: int, reason: str, detail: str, raw: bytes = b"") -> Reject:
        """A reject of this file."""
        return Reject(self.name, position, reason, detail, raw[:RAW_BYTES])

    def expands_too_much(self, size: int, compressed: int) -> bool:
        """Whether so many bytes, of so many in the file, are a decompression bomb; a little file may expand freely."""
        return size > max(EXPANSION_FLOOR_BYTES, self.max_expansion * compressed)

    def decode(self, raw: bytes, charset: str = "") -> str:
        """The text of a record's bytes; `charset` is the encoding that an HTTP header declares.

        Raises:
            UnicodeDecodeError: if they are text in none of the encodings, nor UTF-8 with little damage when repairing.
        """
        try:
            return decode_text(raw, self.encodings, charset)
        except UnicodeDecodeError:
            text = raw.decode(errors="replace")
            if self.repair and text.count("\ufffd") <= MAX_REPLACED_SHARE * len(text):
                return text
            raise

    def decode_if_it_can(self, value: str) -> str | bytes:
        """A string whose bytes that are no UTF-8 have come as surrogates, decoded; those bytes, if it is no text."""
        if value.isascii():
            return value
        raw = value.encode(errors="surrogateescape")
        try:
            return self.decode(raw)
        except UnicodeDecodeError:
            return raw

    def blocks(self, begin: int = 0) -> Iterator[bytes]:
        """The file from byte `begin` on, past the source's range, decompressed and as UTF-8.

        Raises:
            Damage: `truncated_file`, `corrupt_file`, `decompression_bomb` or `too_much_memory` (to decompress it),
                after all blocks before that place.
        """
        with files.open_input(self.path) as file:
            compression, _ = _sniff(file)
            if file.size() == 0 and self.name.lower().endswith(COMPRESSIONS):
                raise Damage("truncated_file", "no bytes at all, while even nothing takes some when compressed")
            file.seek(begin)
            blocks = self._decompressed_blocks(file, compression) if compression else _plain_blocks(file)
            yield from _as_utf8(blocks) if begin == 0 else blocks

    def opened(self) -> tuple[bytes, Iterator[bytes]] | Reject:
        """The first block and all blocks, that one too; a reject where the file has damage before it has any."""
        blocks = self.blocks()
        try:
            first = next(blocks, b"")
        except Damage as damage:
            return self.reject(0, damage.reason, damage.detail)
        return first, itertools.chain((first,), blocks)

    def stream(self, *, carriage_returns: bool = False) -> io.BufferedReader:
        """The blocks as one stream that raises `Damage` where they do; carriage returns are line feeds, if so asked."""
        blocks = (block.replace(b"\r", b"\n") for block in self.blocks()) if carriage_returns else self.blocks()
        return io.BufferedReader(_BlockStream(blocks), BLOCK_BYTES)

    @contextlib.contextmanager
    def seekable(self) -> Iterator[pa.NativeFile]:
        """The file for readers that need any byte of it; a compressed one is unpacked on local disk first.

        Raises:
            Damage: as `blocks`.
        """
        with files.open_input(self.path) as file:
            compression, _ = _sniff(file)
            file.seek(0)
            if compression is None:
                yield file
                return
            with tempfile.TemporaryFile() as unpacked:
                for block in self._decompressed_blocks(file, compression):
                    unpacked.write(block)
                unpacked.seek(0)
                yield pa.PythonFile(unpacked, mode="r")

    def splittable(self) -> "Source | None":
        """The source itself, if its file can be read from any byte on.

        Otherwise (compressed, or UTF-16 or UTF-32 by its byte order mark) the range that starts at 0 becomes the whole
        file, and any other is None: there is nothing left for it to read.
        """
        if self.start == 0 and self.stop is None:
            return self
        with files.open_input(self.path) as file:
            if _sniff(file) == (None, None):
                return self
        return None if self.start else dataclasses.replace(self, stop=None)

    def _decompressed_blocks(self, file: pa.NativeFile, compression: str) -> Iterator[bytes]:
        stream = _decompressor(file, compression)
        produced, pending, damage = 0, bytearray(), None
        while damage is None:
            try:
                data = stream.read(DECOMPRESSED_READ_BYTES)
            except (OSError, EOFError, lzma.LZMAError) as error:
                if isinstance(error, OSError) and error.errno:
                    raise
                damage = Damage(_reason_of(error), f"{compression}: {error}")
                pending += self._last_before_damage(compression, produced)
                break
            if not data:
                break
            produced += len(data)
            if self.expands_too_much(produced, file.tell()):
                detail = f"{compression}: {file.tell()} bytes expand to more than {self.max_expansion:g} times as many"
                damage = Damage("decompression_bomb", detail)
            pending += data
            if len(pending) >= BLOCK_BYTES:
                yield bytes(pending)
                pending.clear()
        if pending:
            yield bytes(pending)
        if damage is not None:
            raise damage

    def _last_before_damage(self, compression: str, known: int) -> bytes:
        """What a damaged file still gives after so many bytes: the read that fails takes with it what came before."""
        last = bytearray()
        with files.open_input(self.path) as file:
            stream = _decompressor(file, compression)
            with contextlib.suppress(OSError, EOFError, lzma.LZMAError):
                while known > 0:
                    known -= len(stream.read(min(known, DECOMPRESSED_READ_BYTES)))
                while byte := stream.read(1):
                    last += byte
        return bytes(last)


class _BlockStream(io.RawIOBase):
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


def _decompressor(file: pa.NativeFile, compression: str) -> "pa.NativeFile | _XzStream":
    if compression == "xz":
        return _XzStream(file)
    return pa.CompressedInputStream(file, compression)


class _XzStream:
    """One xz stream after the other; `lzma.open` would take a damaged one after the first for the file's end."""

    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        self._begin(b"")

    def _begin(self, held: bytes) -> None:
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY_BYTES)
        self._held = held

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0")  # padding between streams
                while not rest:
                    block = self._file.read(BLOCK_BYTES)
                    if not block:
                        return b""
                    rest = block.lstrip(b"\0")
                self._begin(rest)
            if not self._held and self._decompressor.needs_input:
                self._held = self._file.read(BLOCK_BYTES)
                if not self._held:
                    raise EOFError("the file ends within a stream")
            data = self._decompressor.decompress(self._held, size)
            self._held = b""
            if data:
                return data


def _reason_of(error: BaseException) -> str:
    # Arrow says "Truncated compressed stream", and zstd that a frame "requires too much memory".
    if isinstance(error, EOFError) or "runcated" in str(error):
        return "truncated_file"
    return "too_much_memory" if "memory" in str(error).lower() else "corrupt_file"


def _plain_blocks(file: pa.NativeFile) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _sniff(file: pa.NativeFile) -> tuple[str | None, str | None]:
    """What a file is compressed with, and whether it is UTF-16 or UTF-32; a compressed one's encoding is not known."""
    head = file.read(HEAD_BYTES)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None), wide_encoding(head)


def _as_utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks as they are, unless they are UTF-16 or UTF-32: then in UTF-8, without the byte order mark.

    Lone surrogates pass, as bytes that are no UTF-8: the one record that holds them is rejected, not the file.
    """
    head = next(blocks, b"")
    encoding = wide_encoding(head)
    if encoding is None:
        yield head
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    try:
        yield decoder.decode(head).removeprefix("\ufeff").encode(errors="surrogatepass")
        for block in blocks:
            yield decoder.decode(block).encode(errors="surrogatepass")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        reason = "truncated_file" if "truncated" in error.reason else "corrupt_file"
        raise Damage(reason, f"{encoding}: {error.reason}") from error
