"""FineWeb's recipe beside datatrove's own filters, in the order of its `examples/fineweb.py`: do they keep the same?

    python -m benchmarks.fineweb --data ../shared/data --peer PEER/bin/python

PEER is a virtual environment of its own with `pip install datatrove spacy nltk`. English documents of several kinds go
through Gopher's repetition, Gopher's quality, C4's and FineWeb's filters there, and through `lines`, `measurements` and
`rules` of the recipe here. What differs is counted by both reasons, with an example of each, and so is the text that is
left of documents that both keep. Here, a stage stands once: Gopher's rules see the text that C4 has left, not the page.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter
from typing import Any

# Documents by kind: a file, a field and what it begins with in English documents, the field of the text, how many.
KINDS = {
    "web pages": ("corpora/en-c4-300", "text", "", "text", 300),
    "manuals": ("corpora/multi-docs", "lang", "en", "text", 900),
    "command pages": ("corpora/multi-templated", "id", "pages/", "text", 500),
    "Wikipedia": ("good/wikipedia-paragraphs", "language", "en", "text", 200),
    "news": ("good/article-pages", "article", "", "article", 100),
}


def main(argv: list[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--peer", help="the Python of an environment with datatrove")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        sys.stdout.write(json.dumps(theirs(options.serve)))
        return
    texts = {kind: documents(options.data, *where) for kind, where in KINDS.items()}
    flat = [text for own in texts.values() for text in own]
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(flat, file)
        file.flush()
        command = [options.peer, __file__, "--serve", file.name]
        peer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    report(texts, ours(flat), peer)


def report(texts: dict[str, list[str]], here: list[list[str | None]], there: list[list[str | None]]) -> None:
    """Print what differs."""
    differing: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    pairs = iter(zip(here, there, strict=True))
    print("| documents | number | kept here | kept there | both alike | of those kept by both, the same text |")
    print("|---|---|---|---|---|---|")
    for kind, own in texts.items():
        judged = [next(pairs) for _ in own]
        both = [(left, right) for left, right in judged if left[0] is None and right[0] is None]
        alike = sum((left[0] is None) == (right[0] is None) for left, right in judged)
        kept = [sum(pair[side][0] is None for pair in judged) for side in (0, 1)]
        same = sum(str(left[1]).split() == str(right[1]).split() for left, right in both)
        counts = f"{len(own):,} | {kept[0]:,} | {kept[1]:,} | {alike / len(own):.1%} | {same:,} of {len(both):,}"
        print(f"| {kind} | {counts} |")
        for text, (left, right) in zip(own, judged, strict=True):
            if (left[0] is None) != (right[0] is None):
                key = (left[0] or "kept", right[0] or "kept")
                differing[key] += 1
                examples.setdefault(key, " ".join(text.split())[:100])
    for (left_reason, right_reason), count in differing.most_common():
        print(f"{count:5,}  here {left_reason}, there {right_reason}: {examples[left_reason, right_reason]!r}")


def documents(data: pathlib.Path, name: str, mark: str, begins: str, field: str, number: int) -> list[str]:
    """English texts of a file."""
    from benchmarks.dedup_quality import records

    found = records(data / f"{name}.jsonl.zst")
    texts = [row[field] for row in found if row[mark].startswith(begins)]
    return [text for text in texts if text and text.strip()][:number]


def ours(texts: list[str]) -> list[list[str | None]]:
    """Of each document why the recipe drops it, if it does, and the text that is left."""
    import pyarrow as pa

    from datapipe.commands.recipes import RECIPES
    from datapipe.engine.recipe import load_recipe
    from datapipe.stage import DocumentStage, append_columns

    stages = load_recipe(str(RECIPES / "fineweb.yaml"), {"input_parent": "in", "output": "out"}).stages
    batch = pa.RecordBatch.from_pydict(
        {"text": texts, "language": ["en"] * len(texts), "language_score": pa.array([1.0] * len(texts), pa.float32())}
    )
    for stage in stages:
        if isinstance(stage, DocumentStage) and stage.name in ("lines", "measurements", "rules"):
            batch = append_columns(batch, stage)
    return [list(row) for row in zip(_reasons(batch), batch.column("text").to_pylist(), strict=True)]


def _reasons(batch: Any) -> list[str | None]:
    """The first reason of the stages that judge."""
    columns = [batch.column(name).to_pylist() for name in batch.schema.names if name.endswith("_reason")]
    return [next(filter(None, row), None) for row in zip(*columns, strict=True)]


def theirs(path: str) -> list[list[str | None]]:
    """As `ours`, by datatrove."""
    from datatrove.data import Document  # type: ignore[import-not-found]
    from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    filters = [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]
    found: list[list[str | None]] = []
    for text in json.loads(pathlib.Path(path).read_text(encoding="utf-8")):
        page = Document(text=text, id="")
        said = next((said for judge in filters if (said := judge.filter(page)) is not True), None)
        found.append([None if said is None else str(said[1]) if isinstance(said, tuple) else "dropped", page.text])
    return found


if __name__ == "__main__":
    main()
