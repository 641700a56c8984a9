"""What the tests of recipes share: toy corpora of many kinds, and a recipe that comes along run at toy size."""

import gzip
import importlib
import pathlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from datapipe.commands.recipes import RECIPES
from datapipe.engine.run import Outcome
from tests.helpers import PROSE_WORDS, SAMPLE, run_recipe

# By name, since a folder of the same name, of what it makes, lies beside it.
SOURCES = importlib.import_module("sample_data.sources")
CHINESE = (
    "河流 市场 早晨 渔船 灯光 人们 街道 学校 图书馆 春天 山坡 农民 收获 稻谷 工人 桥梁 火车 城市 公园 湖水 孩子 "
    "老师 医生 音乐 绘画 历史 语言 科学 研究"
)
CHINESE_VERBS = "看见 经过 介绍 建造 讨论 喜欢 离开 记录 保护 发现 走进 照亮 带来 改变"


def sentence(source: random.Random, words: int = 12) -> str:
    """One that passes for English."""
    chosen = source.choices(PROSE_WORDS.split(), k=words)
    return f"{' '.join(chosen).capitalize()} number {source.randrange(10**6)}."


def english(seed: int, sentences: int = 8) -> str:
    """A text that passes for English, another one for each seed."""
    source = random.Random(seed)
    return "\n".join(sentence(source) for _ in range(sentences))


def chinese(seed: int, sentences: int = 8) -> str:
    """A text that passes for Chinese, another one for each seed."""
    source = random.Random(seed)

    def one() -> str:
        nouns, verbs = source.sample(CHINESE.split(), 6), source.sample(CHINESE_VERBS.split(), 2)
        return f"{nouns[0]}里的{nouns[1]}{verbs[0]}了{nouns[2]}，也{verbs[1]}了{nouns[3]}和{nouns[4]}的{nouns[5]}。"

    return "\n".join("".join(one() for _ in range(3)) for _ in range(sentences))


def code(seed: int) -> str:
    """A text that is source code, another one for each seed."""
    source = random.Random(seed)
    words = PROSE_WORDS.split()

    def name() -> str:
        return "_".join(source.choices(words, k=3))

    body = "\n".join(f"    {name()} = measure_{name()}({name()}, {name()})" for _ in range(6))
    return f"import os\n\n\ndef collect_{name()}({name()}, {name()}):\n{body}\n    return {name()}\n"


def write_wiki(path: pathlib.Path, texts: Sequence[str], language: str = "en") -> None:
    """Texts as the articles of a wiki's dump, with templates, files, tables and references around them."""
    words = {"en": ("Category", "File"), "zh": ("分类", "文件")}
    path.mkdir(parents=True)
    data = SOURCES.wiki(language, 3, *words[language], [*texts])
    (path / f"{language}wiki-20261126-pages-articles-multistream.xml.bz2").write_bytes(data)


def write_papers(path: pathlib.Path, texts: Sequence[str]) -> None:
    """Texts as papers, each in its LaTeX source as arXiv serves it: a tar with its parts, or the one file."""
    path.mkdir(parents=True)
    for number, text in enumerate(texts):
        files = SOURCES.paper(f"Paper {number}", ["Nothing of this is body text.", text], inputs=number % 2 == 0)
        if len(files) > 1:
            (path / f"2611.{number:05}.tar.gz").write_bytes(SOURCES.tar(files))
        else:
            (path / f"2611.{number:05}.gz").write_bytes(gzip.compress(files["main.tex"].encode(), mtime=0))


def write_posts(path: pathlib.Path, texts: Sequence[str]) -> None:
    """Texts as the posts of a Stack Exchange site, in threes: a question, an accepted answer and a better one."""
    folder = path / "boats.stackexchange.com"
    folder.mkdir(parents=True)
    (folder / "Posts.xml").write_bytes(SOURCES.posts([*texts]))


def write_books(path: pathlib.Path, texts: Sequence[str]) -> None:
    """Texts as books, an EPUB each."""
    path.mkdir(parents=True)
    for number, text in enumerate(texts):
        (path / f"{number:05}.epub").write_bytes(SOURCES.epub(f"Book {number}", [text]))


def write_crawl(path: pathlib.Path, texts: Sequence[str]) -> None:
    """Texts as pages of a crawl, in the form that CCNet takes from Common Crawl: WET."""
    path.mkdir(parents=True)
    records = []
    for number, text in enumerate(texts):
        body = text.encode()
        head = f"WARC-Type: conversion\r\nWARC-Target-URI: https://example.com/{number}\r\nContent-Type: text/plain"
        records.append(f"WARC/1.0\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n")
    (path / "crawl.warc.wet.gz").write_bytes(b"".join(gzip.compress(record, mtime=0) for record in records))


def sample_quality() -> dict[str, str]:
    """The sample's examples of quality, by the names that recipes give them."""
    return {kind: str(SAMPLE / "quality" / f"{kind}.jsonl") for kind in ("positive", "negative")}


def plain(name: str) -> dict[str, Any]:
    """A recipe that comes along, as plain values."""
    return dict(yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8")))


def entries(stages: list[Any]) -> Iterator[tuple[list[Any], int, str]]:
    """Where each stage stands: the list, its place in it, and its name."""
    for place, entry in enumerate(stages):
        if isinstance(entry, dict) and "branches" in entry:
            for branch in entry["branches"]:
                yield from entries(branch)
        else:
            yield stages, place, entry if isinstance(entry, str) else next(iter(entry))


def changed(name: str, changes: dict[str, Any], without: Sequence[str] = ()) -> str:
    """A recipe with other values at `stage.option`, and without some stages."""
    recipe = plain(name)
    left = dict(changes)
    for stages, place, stage in list(entries(recipe["stages"])):
        own = {key.split(".")[1]: left.pop(key) for key in list(changes) if key.split(".")[0] == stage}
        if own:
            options = {} if isinstance(stages[place], str) else stages[place][stage] or {}
            stages[place] = {stage: options | own}
    assert not left, f"the recipe {name} has no such stages: {left}"
    recipe["stages"] = [entry for entry in recipe["stages"] if _name(entry) not in without]
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)


def _name(entry: Any) -> str:
    return entry if isinstance(entry, str) else str(next(iter(entry)))


def run_named(
    name: str,
    base: pathlib.Path,
    changes: dict[str, Any] | None = None,
    without: Sequence[str] = (),
    output: str = "out",
    documents: str = "documents",
) -> Outcome:
    """Run a recipe that comes along over `base/documents`, at toy size."""
    return run_recipe(changed(name, changes or {}, without), base, [str(base / documents)], output)


def shards(base: pathlib.Path, output: str = "out") -> list[dict[str, Any]]:
    """The rows of a run's shards."""
    rows: list[dict[str, Any]] = pq.read_table(base / output / "shards").to_pylist()
    return rows


def columns(outcome: Outcome, *names: str, kept_only: bool = False) -> list[dict[str, Any]]:
    """Columns of all documents of a run, with their ids."""
    found = []
    for part in outcome.corpus.parts:
        there = [name for name in names if name in part.columns]
        for batch in part.read(there, named=names, kept_only=kept_only):
            found += batch.to_pylist()
    return found


def table(path: pathlib.Path) -> pa.Table:
    """A folder of Parquet files."""
    return pq.read_table(path)
