"""Why much was rejected, and advice that holds: with it, the same records are read."""

import pathlib
from typing import Any

import yaml

from datapipe.read.reject_summary import summarize_rejects
from tests.datapipe.read.helpers import Write, read, written

CHINESE = "这是一个关于城市公园的故事，春天里盛开的花朵和湖边散步的人们，孩子们放风筝。"
RUSSIAN = "Весной в городском парке цветут деревья, и люди гуляют вдоль озера."


def summary(root: str, folder: pathlib.Path, **options: Any) -> list[str]:
    """The lines on the rejects of a folder, moved to where a run has them."""
    parts = [part for part in written(root, folder, **options) if part.kind == "reject"]
    for part in parts:
        pathlib.Path(part.path).rename(folder / "rejects" / f"documents-{part.task:05d}{part.sequence}.parquet")
    records, rejects = len(read(root, **options)), sum(part.rows for part in parts)
    return summarize_rejects(str(folder / "rejects"), "documents", records, rejects, options)


def test_advice_reads_what_was_rejected(write: Write, tmp_path: pathlib.Path) -> None:
    write("a.jsonl", *({"id": n, "Story": f"a long story of number {n}", "title": "x"} for n in range(20)))
    write("b.csv", b"ID,TEXT", *(b"%d,some words" % n for n in range(10)))
    write("c.txt", CHINESE.encode("gb18030"))
    write("d.dat", RUSSIAN.encode("cp1251"))
    root = write("e.png", b"\x89PNG\0")
    lines = summary(root, tmp_path / "out", fields={"source": "site"})
    text = "\n".join(lines)
    assert lines[0].startswith("WARNING: documents rejected 33 of 33 records (100%): see ")
    assert ".jsonl: 20 missing_text" in text
    assert ".png: 1 unknown_format" in text
    assert "Story, id, title: 20" in text
    pasted = yaml.safe_load("\n".join(lines[lines.index("") + 1 :]))[0]["documents"]
    assert pasted["fields"] == {"source": "site", "text": ["Story", "TEXT"]}
    assert set(pasted["encodings"]) == {"gb18030", "cp1251"}
    documents = [record.text.decode().strip() for record in read(root, **pasted) if hasattr(record, "text")]
    assert len(documents) == 32
    assert {CHINESE, RUSSIAN} <= set(documents)


def test_what_is_beside_an_empty_text_is_no_text(write: Write, tmp_path: pathlib.Path) -> None:
    write("a.csv", b"id,text", *(b"%d," % n for n in range(10)))
    root = write("b.jsonl", *({"text": [str(n)], "name": "a name"} for n in range(10)))
    lines = summary(root, tmp_path / "out")
    assert "    id: 10" in lines
    assert not any("paste into the recipe" in line for line in lines)


def test_a_tenth_is_not_worth_a_word(write: Write, tmp_path: pathlib.Path) -> None:
    root = write("a.jsonl", *({"text": str(n)} for n in range(9)), {"n": 1})
    assert summary(root, tmp_path / "out") == []
    root = write("a.jsonl", *({"text": str(n)} for n in range(8)), {"n": 1})
    assert summary(root, tmp_path / "more")[0].startswith("WARNING: documents rejected 1 of 9 records (11%)")


def test_archives_are_told_to_be_unpacked(write: Write, tmp_path: pathlib.Path) -> None:
    root = write("beer.stackexchange.com.7z", b"7z\xbc\xaf\x27\x1c\0\4")
    lines = summary(root, tmp_path / "out")
    assert "    .7z: 1 archive" in lines
    assert any("7z x FILE -oFOLDER" in line for line in lines)
    assert not any("paste into the recipe" in line for line in lines)


def test_many_kinds_are_cut_short(write: Write, tmp_path: pathlib.Path) -> None:
    for number in range(20):
        root = write(f"a.x{number:02}", b"\0")
    lines = summary(root, tmp_path / "out")
    assert sum("unknown_format" in line for line in lines) == 8
    assert "    and 12 more" in lines
