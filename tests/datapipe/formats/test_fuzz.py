"""Mutated files of every format: readers never raise, and what they lose they report.

2,000 files by default; `FUZZ_FILES=20000 pytest tests/datapipe/formats/test_fuzz.py` for more. A file is made from its
number alone, so that a failure can be repeated.
"""

import bz2
import gzip
import json
import lzma
import os
import pathlib
import random
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from datapipe.documents import ReadDocuments, Slice, Task, read_task, write_parts
from datapipe.formats import RAW_BYTES, Reject

FILES = int(os.environ.get("FUZZ_FILES", "2000"))
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
    zstandard.ZstdCompressor().compress,
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


WHOLE = {
    "jsonl": "\n".join(json.dumps(row) for row in ROWS).encode(),
    "json": json.dumps(ROWS, ensure_ascii=False, indent=1).encode(),
    "parquet": _table(pq.ParquetWriter),
    "arrow": _table(pa.ipc.new_file),
    "csv": ("text,n\n" + "".join(f'"{text}",{n}\n' for n, text in enumerate(TEXTS))).encode(),
    "tsv": ("text\tn\n" + "".join(f"{text}\t{n}\n" for n, text in enumerate(TEXTS))).encode(),
    "text": "\n".join(TEXTS).encode("utf-16"),
    "markdown": "\n\n".join(TEXTS).encode(),
    "html": "".join(f"<div><p>{text}</p><ul><li>{text}</ul></div>" for text in TEXTS).encode(),
    "warc": _warc(),
}


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


@pytest.mark.parametrize("format_", WHOLE)
def test_mutated_files_are_read_to_the_end(format_: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "rejects").mkdir()
    options = ReadDocuments(max_document_bytes=2000 if format_ in ("jsonl", "csv") else 100_000, repair_encoding=False)
    for number in range(FILES // len(WHOLE)):
        chance = random.Random(f"{format_} {number}")
        compress = chance.choice(COMPRESS)
        if chance.random() < 0.7:
            data, cut = mutate(WHOLE[format_], chance)
            data = compress(data)
        else:
            data, cut = mutate(compress(WHOLE[format_]), chance)
        path.write_bytes(data)
        task = Task(0, (Slice(str(path), "file", format_, "source", len(data), 0.0),))

        records = list(read_task(task, options))
        rejects = [record for record in records if isinstance(record, Reject)]

        written = write_parts(task, options, str(tmp_path))
        assert sum(part.rows for part in written.files) == written.records == len(records), (format_, number)
        assert sum(part.rows for part in written.files if part.kind == "reject") >= len(rejects)
        assert all(len(reject.raw) <= RAW_BYTES for reject in rejects)
        expected = 1 if format_ in ("text", "markdown", "html") else DOCUMENTS
        assert cut or rejects or len(records) >= expected, (format_, number)
        if format_ == "jsonl" and compress is bytes:
            size = len(data)
            bounds = sorted({0, *(chance.randrange(1, size + 1) for _ in range(3)), size + 1} - {0}) if size else [1]
            pieces = tuple(
                Slice(str(path), "file", format_, "source", size, 0.0, start, stop)
                for start, stop in zip([0, *bounds[:-1]], bounds, strict=True)
            )
            assert list(read_task(Task(0, pieces), options)) == records, (format_, number)
