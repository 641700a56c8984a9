"""Readers of CSV and TSV, a record a row after the header, all values strings.

In CSV a field may stand in quotes (RFC 4180). Real files hold quotes that nobody closes, and what a lenient reader does
with those, taking all that follows for one field, loses documents by the thousand. So a row that runs over several
lines must be well-formed to be one; else its first line alone is no row, and reading goes on with the second. TSV has
no quoting (as IANA registers it): a quote there is a character like others.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from datapipe.read.formats.arrow_values import distinct_names
from datapipe.read.formats.source import RAW_BYTES, Damage, Reject, Row, Source


def read_csv(source: Source) -> Iterator[Row | Reject]:
    """One record a row, comma-separated; a row that has not as many values as the header is a reject.

    Where the header has more semicolons, tabs or bars than commas, these separate, as spreadsheets write them where the
    comma is the decimal sign; a first line `sep=;` says so, too. Positions are byte offsets. Repeated names of the
    header take a number; of a header that is no UTF-8, what can be read stands for the names, so that the rows are not
    lost with it.
    """
    return _read(source, _dialect_of(_head(source)))


def read_tsv(source: Source) -> Iterator[Row | Reject]:
    """As `read_csv`, separated by tabs, a row a line, without quoting."""
    return _read(source, None)


class _Dialect(NamedTuple):
    """How the values of a CSV file are told apart.

    Attributes:
        separator: between two values.
        is_named: whether the first line is no header but says what the separator is, as Excel reads and writes it.
        spaced: whether a space follows each separator, and is no part of the value: a quote may come after it.
    """

    separator: str
    is_named: bool
    spaced: bool


_SEPARATORS = ",;\t|"
_NAMED = re.compile(rb'"?sep=([,;\t|:^~])"?(?:\r?\n|\r|\Z)', re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"?')


def _head(source: Source) -> bytes:
    """The first block; what cannot be read is told when rows are."""
    try:
        return next(source.blocks(), b"").removeprefix(codecs.BOM_UTF8)
    except Damage:
        return b""


def _dialect_of(head: bytes) -> _Dialect:
    named = _NAMED.match(head)
    header = re.split(r"[\r\n]", head[named.end() if named else 0 :][:RAW_BYTES].decode(errors="replace"), maxsplit=1)[
        0
    ]
    bare = _QUOTED.sub("", header)
    separator = named[1].decode() if named else max(_SEPARATORS, key=bare.count)
    spaced = separator in bare and bare.count(separator) == bare.count(f"{separator} ")
    return _Dialect(separator, is_named=named is not None, spaced=spaced)


def _read(source: Source, dialect: _Dialect | None) -> Iterator[Row | Reject]:
    """The rows of a CSV file of some dialect, or of a TSV file, which has none.

    A file whose first block has carriage returns and no line feed has lines that end in those.
    """
    csv.field_size_limit(source.max_document_bytes)
    head = _head(source)
    lines = _Lines(source, carriage_returns=b"\r" in head and b"\n" not in head)
    is_named = dialect is not None and dialect.is_named
    names: list[str] = []
    header: Reject | None = None  # one of no text, of which a reject tells where no row follows
    while True:
        lines.begin_row()
        try:
            values = _tsv_values(lines) if dialect is None else _csv_values(lines, dialect)
            if values is None:
                break
        except csv.Error as error:
            reason = "too_large" if "larger" in str(error) else "malformed_csv"
            detail = "a quote that nobody closes" if lines.ended else str(error)
            yield source.reject(lines.start, reason, detail, lines.raw)
            continue
        if is_named or not values:
            is_named = False
            continue
        decoded = [source.decode_if_it_can(value) for value in values]
        if not names:
            names = distinct_names((n if isinstance(n, str) else n.decode(errors="replace")).strip() for n in decoded)
            if not all(isinstance(name, str) for name in decoded):
                detail = "the header is no text, and no row follows"
                header = source.reject(lines.start, "invalid_utf8", detail, lines.raw)
            continue
        header = None
        if len(values) != len(names):
            detail = f"{len(values)} values under {len(names)} names"
            yield source.reject(lines.start, "malformed_csv", detail, lines.raw)
        else:
            yield Row(lines.start, dict(zip(names, decoded, strict=True)), lines.raw)
    if header:
        yield header
    if lines.damage:
        yield source.reject(lines.start, lines.damage.reason, lines.damage.detail)


def _csv_values(lines: "_Lines", dialect: _Dialect) -> list[str] | None:
    """The values of the next row; None at the end.

    Raises:
        csv.Error: if it is none; then of what has been read only the first line is taken.
    """
    form: dict[str, Any] = {"delimiter": dialect.separator, "skipinitialspace": dialect.spaced}
    try:
        return next(csv.reader(lines, strict=True, **form), None)
    except csv.Error:
        if lines.give_back(but=1) or lines.ended:
            raise
    # A row of one line is what it is: `"a" b` is a value, too.
    lines.give_back(but=0)
    return next(csv.reader(lines, **form), None)


def _tsv_values(lines: "_Lines") -> list[str] | None:
    line = next(lines, None)
    if line is None:
        return None
    bare = line.removesuffix("\n").removesuffix("\r")
    return bare.split("\t") if bare else []


class _Line(NamedTuple):
    """A line with its end, or the first bytes of one that is too long, and how many it has."""

    raw: bytes
    length: int


class _Lines:
    """The lines of a source as `csv` takes them. Those of the row begun last can be taken again.

    Attributes:
        start: of the row, in bytes.
        ended: whether the row was asked for more lines than there are.
        damage: what ended the lines before their time.
    """

    def __init__(self, source: Source, *, carriage_returns: bool) -> None:
        self._stream = source.stream(carriage_returns=carriage_returns)
        self._limit = source.max_document_bytes
        self._row: list[_Line] = []
        self._given_back: deque[_Line] = deque()
        self.start = self._next = 0
        self.ended = False
        self.damage: Damage | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else self._read()
        if not line.raw:
            self.ended = True
            raise StopIteration
        at = self._next
        self._next += line.length
        self._row.append(line)
        if self._next - self.start > self._limit:
            raise csv.Error(f"row larger than {self._limit} bytes")
        raw = line.raw if at else line.raw.removeprefix(codecs.BOM_UTF8)
        return raw.decode(errors="surrogateescape")

    def _read(self) -> _Line:
        try:
            raw = b"" if self.damage else self._stream.readline(self._limit)
            length = len(raw)
            if length == self._limit:
                last = raw
                while not last.endswith(b"\n") and (last := self._stream.readline(self._limit)):
                    length += len(last)
        except Damage as damage:
            self.damage = damage
            return _Line(b"", 0)
        return _Line(raw, length)

    def begin_row(self) -> None:
        """Take what has been read for a row."""
        self.start = self._next
        self.ended = False
        self._row.clear()

    def give_back(self, but: int) -> bool:
        """Give back the lines of the row but its first ones, to be read again; whether there are any."""
        again = self._row[but:]
        self._given_back.extendleft(reversed(again))
        self._next -= sum(line.length for line in again)
        del self._row[but:]
        return bool(again)

    @property
    def raw(self) -> bytes:
        """The row's first bytes, as many as a reject shows."""
        raw = bytearray()
        for line in self._row:
            if len(raw) >= RAW_BYTES:
                break
            raw += line.raw
        return bytes(raw[:RAW_BYTES])
