"""The recipes that come along over one corpus: what each keeps, stage by stage; Baichuan 2 beside its figure 2.

    python -m benchmarks.recipes --data ../shared/data
    python -m benchmarks.recipes --data ../shared/data --sample 100 --recipes llama qwen

The corpus is at most `--sample` documents of each kind in DATA/corpora and DATA/good, see their README. A recipe that
asks for sources by name gets them as `SOURCES` says. Recipes run up to their tokenizer; examples of quality, reference
texts and listed words are those of `sample_data/`. Cells are per cent of the bytes read that a stage passes on.
"""

import argparse
import hashlib
import itertools
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import yaml

from benchmarks.dedup_quality import records
from datapipe.commands.recipes import RECIPES
from datapipe.engine.funnel import Funnel
from datapipe.engine.recipe import load_recipe
from datapipe.engine.run import run
from datapipe.engine.runner import Runner
from datapipe.engine.stages import NAMES as STAGES

SAMPLE_DATA = pathlib.Path(__file__).parent.parent / "sample_data"
NAMES = ("default", "llama", "baichuan1", "baichuan2", "glm130b", "chatglm2", "qwen", "code_qwen", "skywork")
KINDS = {
    "c4": "corpora/en-c4-300",
    "manual": "corpora/zh-versions",
    "articles": "corpora/zh-articles",
    "poetry": "corpora/zh-poetry",
    "handbooks": "corpora/multi-docs",
    "commands": "corpora/multi-templated",
    "code": "corpora/code-python",
    "paragraphs": "good/wikipedia-paragraphs",
    "news": "good/article-pages",
    "abstracts": "good/zh-abstracts",
}
# Which kind plays which source, for recipes that treat sources apart.
SOURCES: dict[str, dict[str, str]] = {
    "llama": {
        "c4": "cc", "news": "cc", "manual": "cc", "articles": "c4", "code": "github", "paragraphs": "wikipedia",
        "poetry": "books", "handbooks": "books", "abstracts": "arxiv", "commands": "stackexchange",
    },
    "skywork": {
        "c4": "en_web", "news": "en_web", "manual": "zh_web", "articles": "zh_misc", "code": "github",
        "paragraphs": "en_encyclopedia", "poetry": "zh_social", "handbooks": "en_misc", "abstracts": "stem",
        "commands": "en_misc",
    },
}  # fmt: skip
# Baichuan 2's figure 2: per cent of the raw data that each stage keeps, and the stage of the recipe that stands for it.
FIGURE_2 = {
    "exact deduplication": ("exact_duplicates", 70.11),
    "heuristic": ("rules", 68.34),
    "sentence-wise quality": ("passage_filter", 65.28),
    "sentence- and paragraph-wise deduplication": ("cut_repeated_text", 50.81),
    "document-wise deduplication": ("near_duplicates", 31.68),
}


def corpus(data: pathlib.Path, sample: int) -> Iterator[tuple[str, str]]:
    """Kind and text of at most so many documents of each kind, spread over it; of the manual, pages in all versions."""
    for kind, name in KINDS.items():
        found = list(records(data / f"{name}.jsonl.zst"))
        if kind == "manual":
            found = sorted(found, key=lambda row: (hashlib.sha256(row["cluster"].encode()).digest(), row["version"]))[
                :sample
            ]
        texts = [text for row in found if (text := row.get("text") or row.get("article"))]
        number = min(sample, len(texts))
        for at in range(number):
            yield kind, texts[at * len(texts) // number]


def up_to_the_tokenizer(stages: Sequence[Any]) -> list[Any]:
    """The stages before it."""

    def goes_on(entry: Any) -> bool:
        return (entry if isinstance(entry, str) else next(iter(entry))) != "tokenizer"

    return list(itertools.takewhile(goes_on, stages))


def funnel(name: str, documents: Iterable[tuple[str, str]], folder: pathlib.Path, workers: int) -> Funnel:
    """Run a recipe over documents, and count what its stages do."""
    plain = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    recipe = folder / f"{name}.yaml"
    recipe.write_text(yaml.safe_dump({"stages": up_to_the_tokenizer(plain["stages"])}), encoding="utf-8")
    inputs = folder / "documents"
    inputs.mkdir()
    sources = SOURCES.get(name, {})
    with (inputs / "all.jsonl").open("wb") as sink:
        for kind, text in documents:
            row = {"text": text, "source": sources.get(kind, kind), "license": "mit"}
            sink.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    (folder / "quality").symlink_to(SAMPLE_DATA / "quality")
    (folder / "references").mkdir()
    (folder / "references" / "wikipedia.jsonl").symlink_to(SAMPLE_DATA / "quality" / "positive.jsonl")
    variables = {"input_parent": str(folder), "output": str(folder / "out")}
    loaded = load_recipe(str(recipe), variables)
    return run(loaded, [str(inputs)], str(folder / "out"), Runner(workers=workers), lambda _: None).funnel


def side_by_side(funnels: Mapping[str, Funnel]) -> Iterator[str]:
    """A table of per cents of bytes that each stage passes on, a column a recipe."""
    shares: dict[str, dict[str, float]] = {}
    for name, found in funnels.items():
        for step in found.steps:
            shares.setdefault(step.stage, {})[name] = 100 * step.left.bytes / found.read.bytes
    yield "| stage | " + " | ".join(funnels) + " |"
    yield "|" + "---|" * (len(funnels) + 1)
    for stage in (name for name in STAGES if name in shares):
        cells = (f"{shares[stage][name]:.1f}" if name in shares[stage] else "" for name in funnels)
        yield f"| `{stage}` | {' | '.join(cells)} |"
    kept = (f"**{100 * found.kept.bytes / found.read.bytes:.1f}**" for found in funnels.values())
    yield f"| kept, bytes | {' | '.join(kept)} |"
    documents = (f"{100 * found.kept.documents / found.read.documents:.1f}" for found in funnels.values())
    yield f"| kept, documents | {' | '.join(documents)} |"


def figure_2(found: Funnel) -> Iterator[str]:
    """Baichuan 2's five stages: kept here, kept as published, and what each removes."""
    steps = {step.stage: step for step in found.steps}
    yield "| stage | removed | kept | published: removed | kept |"
    yield "|---|---|---|---|---|"
    published = 100.0
    for name, (stage, kept) in FIGURE_2.items():
        step = steps[stage]
        left, gone = (100 * of / found.read.bytes for of in (step.left.bytes, step.entered.bytes - step.left.bytes))
        yield f"| {name} | {gone:.2f} | {left:.2f} | {published - kept:.2f} | {kept:.2f} |"
        published = kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="a folder with corpora/ and good/")
    parser.add_argument("--sample", type=int, default=300, help="documents of each kind")
    parser.add_argument("--recipes", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    documents = list(corpus(arguments.data, arguments.sample))
    print(f"{len(documents):,} documents, {sum(len(text.encode()) for _, text in documents) / 1e6:.1f} MB\n")
    funnels = {}
    for name in arguments.recipes:
        with tempfile.TemporaryDirectory() as folder:
            funnels[name] = funnel(name, documents, pathlib.Path(folder), arguments.workers)
    print("\n".join(side_by_side(funnels)))
    if "baichuan2" in funnels:
        print("\nBaichuan 2, per cent of the bytes read:\n")
        print("\n".join(figure_2(funnels["baichuan2"])))


if __name__ == "__main__":
    main()
