"""Mutated files of every format and compression: readers never raise, and what they lose they report.

2,000 files, or 20,000 in `make test-all`, none of which made a reader raise or lost a record. A file is made from its
number alone, so that a failure can be repeated.
Besides what holds for all of them, records are compared with the truth where that is known: lines with the lines of a
file, whole files with one record, and a compressed file that was mutated before it was compressed with the same file
uncompressed.
"""

import bz2
import codecs
import dataclasses
import gzip
import io
import json
import lzma
import pathlib
import random
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from datapipe.read.formats import FORMATS, RAW_BYTES, Reject, encodings, source
from datapipe.read.inputs import Slice, Task
from datapipe.read.options import ReadOptions
from datapipe.read.parts import write_parts
from datapipe.read.records import Document, read_task
from datapipe.store.record import Done
from datapipe.text.normalization import Normalization
from tests.helpers import NIGHTLY, run_recipe

# A file that begins so is taken for compressed, or for one of another encoding: its bytes are not its lines.
MAGIC, MARKS = tuple(source._MAGIC), tuple(encodings._BYTE_ORDER_MARKS)
TWO_OBJECTS = re.compile(rb"\{.*\}\s*\{", re.DOTALL)
FILES = 20000 if NIGHTLY else 2000
DOCUMENTS = 12
TEXTS = [f"第{n}号文件：a text of several words, number {n}, “quoted” and {'long ' * n}." for n in range(DOCUMENTS)]
ROWS = [{"text": text, "n": n, "tags": ["a", {"b": n}]} for n, text in enumerate(TEXTS)]
# fmt: off
SPECIAL = [b"\0", b'"', b"\\", b"[", b"{" * 300, b"\n", b"\r\n", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800",
           b"-1", b"99999999999", b"\xef\xbb\xbf", b"<div>" * 600, b"WARC/1.0\r\n", b"\x1f\x8b", b"\x28\xb5\x2f\xfd",
           b"A" * 3000, b"\xff\xff\xff\xff"]
# fmt: on
COMPRESS: list[Callable[[bytes], bytes]] = [
    bytes,
    bytes,
    bytes,
    gzip.compress,
    lambda data: b"".join(gzip.compress(data[at : at + 500]) for at in range(0, len(data), 500)),
    zstandard.ZstdCompressor().compress,
    lambda data: b"".join(zstandard.compress(data[at : at + 500]) for at in range(0, len(data), 500)),
    bz2.compress,
    lambda data: lzma.compress(data, preset=0),
]


def _table(new: Callable[..., object]) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"text": TEXTS, "n": range(DOCUMENTS), "tags": [["a", None]] * DOCUMENTS})
    with new(sink, table.schema) as writer:  # type: ignore[attr-defined]
        for start in range(0, DOCUMENTS, 5):
            writer.write_table(table.slice(start, 5))
    return sink.getvalue().to_pybytes()


def _warc() -> bytes:
    records = []
    for number, text in enumerate(TEXTS):
        http = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<h1>{number}</h1><p>{text}</p>".encode()
        )
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a/\r\nContent-Length: {len(http)}\r\n\r\n"
        records.append(head.encode() + http + b"\r\n\r\n")
    return b"".join(records)


def _epub() -> bytes:
    held = io.BytesIO()
    items = "".join(f'<item id="c{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(DOCUMENTS))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(DOCUMENTS))
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("book.opf", f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>")
        for n, text in enumerate(TEXTS):
            book.writestr(f"{n}.xhtml", f"<html><body><p>{text}</p></body></html>")
    return held.getvalue()


def _tar() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, text in (
            ("main.tex", "\\documentclass{a}\\begin{document}\\input{b}"),
            ("b.tex", "\n\n".join(TEXTS)),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return held.getvalue()


WHOLE = {
    "jsonl": "\n".join(json.dumps(row) for row in ROWS).encode(),
    "json": json.dumps(ROWS, ensure_ascii=False, indent=1).encode(),
    "parquet": _table(pq.ParquetWriter),
    "arrow": _table(pa.ipc.new_file),
    "csv": ("text,n\n" + "".join(f'"{text}",{n}\n' for n, text in enumerate(TEXTS))).encode(),
    "tsv": ("text\tn\n" + "".join(f"{text}\t{n}\n" for n, text in enumerate(TEXTS))).encode(),
    "text": "\n".join(TEXTS).encode("utf-16"),
    "text_lines": "\r\n".join(TEXTS).encode(),
    "markdown": "\n\n".join(TEXTS).encode(),
    "html": "".join(f"<div><p>{text}</p><ul><li>{text}</ul></div>" for text in TEXTS).encode(),
    "warc": _warc(),
    "mediawiki": (
        "<mediawiki><siteinfo/>"
        + "".join(
            f"<page><title>{n}</title><revision><text>{text}</text></revision></page>" for n, text in enumerate(TEXTS)
        )
        + "</mediawiki>"
    ).encode(),
    "stackexchange": (
        "<posts>\n"
        + "".join(
            f'<row Id="{n}" PostTypeId="{n % 3 % 2 + 1}" ParentId="1" Body="{text}" />\n'
            for n, text in enumerate(TEXTS)
        )
        + "</posts>"
    ).encode(),
    "epub": _epub(),
    "latex": _tar(),
}


LINES = {format_: set(WHOLE[format_].replace(b"\r", b"").split(b"\n")) for format_ in ("jsonl", "text_lines")}
NORMALIZATIONS: tuple[dict[str, bool | str], ...] = ({}, {"whitespace": True, "form": "NFKC"})


def mutate(data: bytes, chance: random.Random) -> tuple[bytes, bool]:
    """The data with a few changes, and whether they could have taken away whole records."""
    mutated, cut = bytearray(data), False
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(mutated) + 1)
        end = min(len(mutated), at + chance.choice((1, 4, 50, 500)))
        change = chance.randrange(7)
        if change == 0 and at < len(mutated):
            mutated[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            mutated[at:at] = chance.choice(SPECIAL)
        elif change == 2:
            mutated[at:end] = chance.randbytes(end - at)
            cut = True
        elif change == 3:
            del mutated[at:end]
            cut = True
        elif change == 4:
            del mutated[at:]
            cut = True
        elif change == 5:
            mutated[at:at] = mutated[at:end]
        elif at + 4 <= len(mutated):
            mutated[at : at + 4] = chance.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\0"))
            cut = True
    return bytes(mutated), cut


def make(format_: str, number: int) -> tuple[bytes, bytes | None, bool, ReadOptions]:
    """A mutated file, what it holds decompressed (None where its compression is damaged), whether whole records could
    have gone, and how to read it."""
    chance = random.Random(f"{format_} {number}")
    options = ReadOptions(
        format=format_.removesuffix("_lines"),
        text_unit="line" if format_ == "text_lines" else "file",
        max_document_bytes=chance.choice((300, 2000, 100_000)),
        encodings=chance.choice(((), ("gb18030",))),
        repair_encoding=chance.random() < 0.3,
        main_content=chance.random() < 0.7,
        normalization=Normalization(**chance.choice(NORMALIZATIONS)),  # type: ignore[arg-type]
    )
    compress = chance.choice(COMPRESS)
    if compress is bytes or chance.random() < 0.5:
        plain, cut = mutate(WHOLE[format_], chance)
        return compress(plain), plain, cut, options
    data, cut = mutate(compress(WHOLE[format_]), chance)
    return data, None, cut, options


def _unnamed(record: Document | Reject) -> Document | Reject:
    if isinstance(record, Reject) and record.detail.startswith("zip: "):
        return record._replace(detail="zip: ")
    return record


@pytest.mark.parametrize("format_", WHOLE)
def test_mutated_files_are_read_to_the_end(format_: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "rejects").mkdir()
    for number in range(-(-FILES // len(WHOLE))):
        data, plain, cut, options = make(format_, number)

        def read(held: bytes, *bounds: int, options: ReadOptions = options) -> list[Document | Reject]:
            path.write_bytes(held)
            whole = Slice(str(path), "file", options.format, "source", len(held), 0.0)
            ranges = zip((0, *bounds), (*bounds, None), strict=True)
            pieces = (dataclasses.replace(whole, start=start, stop=stop) for start, stop in ranges)
            return list(read_task(Task(0, tuple(pieces)), options))

        records = read(data)
        documents = [record for record in records if isinstance(record, Document)]
        rejects = [record for record in records if isinstance(record, Reject)]
        task = Task(0, (Slice(str(path), "file", options.format, "source", len(data), 0.0),))
        written = write_parts(task, options, str(tmp_path))
        assert sum(part.rows for part in written.files) == written.records == len(records), (format_, number)
        assert sum(part.rows for part in written.files if part.kind == "reject") >= len(rejects)
        assert all(len(reject.raw) <= RAW_BYTES for reject in rejects)

        if format_ in ("text", "markdown", "html"):
            assert len(records) == 1, (format_, number)
        elif format_ in ("epub", "latex"):
            assert records, (format_, number)
        # One flipped bit makes two lines one, an article a talk page, a question a wiki of tags.
        elif format_ not in ("text_lines", "mediawiki", "stackexchange"):
            assert cut or rejects or len(records) >= DOCUMENTS, (format_, number)
        if plain is not None and plain != data and not plain.startswith(MAGIC):
            # `zipfile` names the same damage by what the file's own `seek` says.
            assert [_unnamed(record) for record in read(plain)] == [_unnamed(record) for record in records], (
                format_,
                number,
            )
        if plain is not None and format_ in ("jsonl", "text_lines") and not plain.startswith(MAGIC + MARKS):
            lines = [line.removesuffix(b"\r") for line in plain.removeprefix(codecs.BOM_UTF8).split(b"\n")]
            # Objects one behind the other are another format, whose values are no lines.
            if format_ != "jsonl" or not TWO_OBJECTS.match(lines[0]):
                assert len(records) == sum(bool(line.strip()) for line in lines), (format_, number)
            texts = {document.text.decode() for document in documents}
            intact = {line for line in set(lines) & LINES[format_] if len(line) <= options.max_document_bytes}
            assert texts >= {json.loads(line)["text"] if format_ == "jsonl" else line.decode() for line in intact}
        if data == plain and format_ in ("jsonl", "text_lines"):
            chance = random.Random(number)
            bounds = sorted({chance.randrange(1, len(data)) for _ in range(3)}) if len(data) > 1 else []
            assert read(data, *bounds) == records, (format_, number)


def test_mutated_files_go_through_to_the_shards(tmp_path: pathlib.Path) -> None:
    """All in one corpus, whose columns then differ from part to part; a run checks that no record is lost."""
    documents = tmp_path / "documents"
    documents.mkdir()
    for number in range(FILES if NIGHTLY else 200):
        format_ = list(WHOLE)[number % len(WHOLE)]
        ending = next(iter(FORMATS[format_.removesuffix("_lines")].extensions), ".xml")
        (documents / f"{number}{ending}").write_bytes(make(format_, number)[0])
    outcome = run_recipe("stages: [documents: {part_bytes: 100000}, shards]", tmp_path, [str(documents)])
    source = outcome.record.stages["documents"]
    assert isinstance(source, Done)
    assert source.source
    shards, rejects = (pq.read_table(tmp_path / "out" / name) for name in ("shards", "rejects"))
    assert len(shards) == sum(part.rows for part in source.source.parts) == source.source.records - len(rejects)
    assert Counter(rejects.column("reason").to_pylist()) == source.source.rejects_by_reason
