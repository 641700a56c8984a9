"""Decompression, byte order marks and limits."""

import bz2
import gzip
import lzma
import pathlib
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from datapipe.read.formats import Source
from datapipe.read.formats.source import Damage

MakeSource = Callable[..., Source]

DATA = b"".join(b'{"text": "line %d"}\n' % line for line in range(100_000))
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "bz2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
}


@pytest.fixture
def source(tmp_path: pathlib.Path) -> MakeSource:
    def make(data: bytes, **options: Any) -> Source:
        path = tmp_path / "file"
        path.write_bytes(data)
        return Source(str(path), "file", **options)

    return make


@pytest.mark.parametrize("compression", COMPRESS)
def test_decompresses_by_content_and_over_several_members(source: MakeSource, compression: str) -> None:
    compressed = COMPRESS[compression](DATA)
    assert b"".join(source(compressed * 2).blocks()) == DATA * 2


@pytest.mark.parametrize("compression", COMPRESS)
def test_a_truncated_file_gives_what_came_before(source: MakeSource, compression: str) -> None:
    compressed = COMPRESS[compression](DATA)
    got = b""
    with pytest.raises(Damage) as damage:
        for block in source(compressed[: len(compressed) * 2 // 3]).blocks():
            got += block
    assert damage.value.reason == "truncated_file"
    assert DATA.startswith(got)
    assert len(got) > len(DATA) // 3


@pytest.mark.parametrize("compression", COMPRESS)
def test_wherever_a_file_is_cut_it_is_not_taken_for_a_whole_one(source: MakeSource, compression: str) -> None:
    compressed = COMPRESS[compression](DATA[:2000])
    for length in range(6, len(compressed)):
        with pytest.raises(Damage) as damage:
            list(source(compressed[:length]).blocks())
        assert damage.value.reason == "truncated_file"


def test_a_compressed_file_of_no_bytes_is_truncated(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.gz").touch()
    with pytest.raises(Damage) as damage:
        list(Source(str(tmp_path / "a.gz"), "a.jsonl.gz").blocks())
    assert damage.value.reason == "truncated_file"
    assert b"".join(Source(str(tmp_path / "a.gz"), "a.jsonl").blocks()) == b""


@pytest.mark.parametrize("compression", COMPRESS)
def test_garbage_after_the_end_is_corrupt_and_loses_nothing(source: MakeSource, compression: str) -> None:
    got = b""
    with pytest.raises(Damage) as damage:
        for block in source(COMPRESS[compression](DATA) + b"garbage, and more of it").blocks():
            got += block
    assert (got, damage.value.reason) == (DATA, "corrupt_file")


def test_a_truncated_file_gives_the_last_byte_before_the_end(source: MakeSource) -> None:
    for length in (500, 5_000, len(gzip.compress(DATA)) - 20):
        cut = gzip.compress(DATA)[:length]
        got = b""
        with pytest.raises(Damage):
            for block in source(cut).blocks():
                got += block
        assert got == zlib.decompressobj(31).decompress(cut)


def test_zstd_frames_to_skip_and_xz_padding_are_no_data(source: MakeSource) -> None:
    skip = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    compressed = COMPRESS["zstd"](DATA)
    assert b"".join(source(skip + compressed + skip + compressed).blocks()) == DATA * 2
    compressed = COMPRESS["xz"](DATA)
    assert b"".join(source(compressed + bytes(8) + compressed + bytes(4)).blocks()) == DATA * 2


def test_a_damaged_xz_stream_after_a_whole_one_is_told(source: MakeSource) -> None:
    compressed = COMPRESS["xz"](DATA)
    got = b""
    with pytest.raises(Damage) as damage:
        for block in source(compressed + b"\xfd8zXZ\0" + compressed[6:]).blocks():
            got += block
    assert (got, damage.value.reason) == (DATA, "corrupt_file")


def test_decompression_takes_bounded_memory(source: MakeSource) -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=28)
    stream = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}]
    for data in (stream.compress(b"a") + stream.flush(), lzma.compress(b"a", filters=filters)):
        with pytest.raises(Damage) as damage:
            list(source(data).blocks())
        assert damage.value.reason == "too_much_memory"


def test_a_decompression_bomb_ends_at_the_limit(source: MakeSource) -> None:
    bomb = COMPRESS["zstd"](bytes(200 << 20))
    got = 0
    with pytest.raises(Damage) as damage:
        for block in source(bomb).blocks():
            got += len(block)
    assert damage.value.reason == "decompression_bomb"
    assert got < 70 << 20
    assert sum(map(len, source(bomb, max_expansion=1e6).blocks())) == 200 << 20


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_byte_order_mark_decides_the_encoding(
    source: MakeSource, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    text = "中文\n" * 500_000
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    assert b"".join(source(compress((mark + text).encode(encoding))).blocks()).decode() == text


def test_what_is_not_of_the_marked_encoding_is_damage(source: MakeSource) -> None:
    with pytest.raises(Damage, match="truncated") as damage:
        list(source("abc".encode("utf-16") + b"\x00").blocks())
    assert damage.value.reason == "truncated_file"
    with pytest.raises(Damage, match="utf-32-le") as damage:
        list(source("abc".encode("utf-32") + b"\xff\xff\xff\x7f").blocks())
    assert damage.value.reason == "corrupt_file"


def test_of_several_encodings_the_one_that_makes_most_sense_is_taken_in_any_order(source: MakeSource) -> None:
    assert source(b"", encodings=("gb18030",)).decode("中文".encode("gb18030")) == "中文"
    assert source(b"", encodings=("ascii", "idna", "big5")).decode("中文".encode("big5")) == "中文"
    both = "中文".encode("big5")
    assert both.decode("gb18030") != "中文"
    for encodings in (("gb18030", "big5"), ("big5", "gb18030")):
        assert source(b"", encodings=encodings).decode(both) == "中文"
    with pytest.raises(UnicodeDecodeError):
        source(b"").decode("中文".encode("gb18030"))


def test_repairs_little_damage_only(source: MakeSource) -> None:
    damaged = b"a" * 200 + b"\xff"
    assert source(b"", repair=True).decode(damaged) == "a" * 200 + "\ufffd"
    with pytest.raises(UnicodeDecodeError):
        source(b"").decode(damaged)
    with pytest.raises(UnicodeDecodeError):
        source(b"", repair=True).decode("中文字符".encode("gb18030"))


def test_keeps_a_bounded_copy_of_the_raw_bytes(source: MakeSource) -> None:
    assert len(source(b"").reject(0, "reason", "detail", bytes(10_000)).raw) == 4096
