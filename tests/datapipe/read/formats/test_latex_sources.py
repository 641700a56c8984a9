"""LaTeX sources as arXiv keeps them."""

import gzip
import io
import pathlib
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from datapipe.read.formats import Row, Source, format_of
from datapipe.read.formats.sniff import sniff_format
from tests.helpers import Read

PAPER = b"\\documentclass{article}\\title{T}\\begin{document}Front\\section{One}\\input{body/part}\\end{document}"
PART = b"Text of a part \\include{body/deeper}"
FILES = {
    "figure.png": b"\0" * 5000,
    "main.tex": PAPER,
    "body/part.tex": PART,
    "body/deeper.tex": b"and deeper.",
    "refs.bbl": b"x",
}


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("latex")


def tar(files: Mapping[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=form) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return held.getvalue()


def texts(found: list[Any]) -> list[str]:
    return [record.columns["text"] for record in found if isinstance(record, Row)]


@pytest.mark.parametrize(
    "data", [tar(FILES), gzip.compress(tar(FILES, tarfile.GNU_FORMAT), mtime=0)], ids=["tar", "gz"]
)
def test_a_tar_is_a_paper_with_its_files_taken_in(read: Read, data: bytes, tmp_path: pathlib.Path) -> None:
    (row,) = read(data)
    assert row.columns == {
        "text": "One\n\nText of a part and deeper.",
        "title": "T",
        "abstract": None,
        "main_file": "main.tex",
        "paper_id": None,
    }
    assert sniff_format(Source(str(tmp_path / "file"), "file"))[0] == "latex"


@pytest.mark.parametrize(
    ("files", "main"),
    [
        ({"supplement.tex": PAPER + b" " * 999, "b.tex": PAPER}, "b.tex"),
        ({"a.tex": PAPER, "paper.tex": PAPER}, "paper.tex"),
        ({"a.tex": PAPER, "b.tex": PAPER + b" " * 9}, "b.tex"),
        ({"a.tex": b"\\input{b}" + PAPER, "b.tex": PAPER + b" " * 999}, "a.tex"),
        ({"fig.tex": PAPER.replace(b"article", b"standalone") + b" " * 999, "a.tex": PAPER}, "a.tex"),
        ({"a.tex": PAPER + b" " * 9, "z.tex": PAPER, "00README.XXX": b"z.tex toplevelfile\n"}, "z.tex"),
        ({"old": PAPER.replace(b"documentclass", b"documentstyle"), "macros.tex": b"\\def\\a{b}"}, "old"),
    ],
)
def test_the_main_file_is_found(read: Read, files: dict[str, bytes], main: str) -> None:
    (row,) = read(tar(files))
    assert row.columns["main_file"] == main


def test_one_file_alone_and_a_part_of_a_paper(read: Read, tmp_path: pathlib.Path) -> None:
    assert texts(read(gzip.compress(PAPER.replace(b"\\input{body/part}", b"Alone.")))) == ["One\n\nAlone."]
    assert sniff_format(Source(str(tmp_path / "file"), "file"))[0] == "latex"
    assert texts(read(b"% chapter\nText of a chapter.\n\\section{One} More.")) == ["Text of a chapter.\n\nOne\n\nMore."]
    assert texts(read(b"\\section{Caf\xe9}")) == ["Café"]
    assert texts(read(b"\\usepackage[cp1251]{inputenc}\\section{\xcf}")) == ["П"]
    assert format_of("a/paper.tex.gz") == format_of("x.tar.gz") == "latex"


def test_a_tar_of_many_papers(read: Read) -> None:
    one = gzip.compress(PAPER)
    many = {
        "1911/1911.02782.gz": gzip.compress(tar(FILES)),
        "1911/1911.02783.pdf": b"%PDF",
        "1911/math0309136.gz": one,
        "1911/1911.02785.gz": one[:40],
        "1911/1911.02786.gz": gzip.compress(tar({"a.png": b"x"})),
        "1911/1911.02787.gz": gzip.compress(b"%!PS no paper"),
        "1911/1911.02788.gz": gzip.compress(b"\\a" + b" " * 300_000),
    }
    found = read(tar(many), max_document_bytes=100_000)
    assert [record.columns["paper_id"] for record in found if isinstance(record, Row)] == ["1911.02782", "math0309136"]
    assert [(r.reason, r.detail[:15]) for r in found if not isinstance(r, Row)] == [
        ("no_latex", "1911/1911.02783"),
        ("truncated_file", "1911/1911.02785"),
        ("no_latex", "no LaTeX file"),
        ("no_latex", "no file that be"),
        ("decompression_bomb", "1911/1911.02788"),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tar({"data.csv": b"a,b"}), "no_latex"),
        (tar({"a.tex": b"\\def\\a{b}", "b.tex": b"\\a"}), "no_latex"),
        (tar({"a.tex": b"\\a" * 99_999}), "too_large"),
        (tar(FILES)[:5800], "truncated_file"),
        (b"\\section{" * 500, "macro_bomb"),
        (b"x" * 200_000, "too_large"),
        (gzip.compress(tar(FILES))[:50], "truncated_file"),
    ],
)
def test_what_is_no_paper_is_a_reject(read: Read, data: bytes, reason: str) -> None:
    assert reason in [record.reason for record in read(data, max_document_bytes=100_000) if not isinstance(record, Row)]
