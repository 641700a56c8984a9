"""How well the default recipe's quality classifier tells good text from bad, none of which it was trained on.

    python -m benchmarks.quality --data ../shared/data

It is trained on the sample's examples and those that come along. Good and bad text is that of `decisions.py` in the
languages that have examples, and heaps of characters and words made in more ways. For each kind: the share that scores
at least what the default recipe asks for, and for bad text the area under the ROC curve against all good text of its
language that somebody edited (C4 is as the web is). Pages that are not in the language are left out.
"""

import argparse
import collections
import pathlib
import random
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import yaml

from benchmarks.decisions import HERE, Document, bad_documents, bad_pages, good_documents
from datapipe.commands.recipes import recipe_path
from datapipe.filters.language import identify
from datapipe.filters.quality import ScoreQuality
from datapipe.filters.quality_training import area_under_curve, score
from datapipe.store.corpus import Corpus

HAN = (0x4E00, 0x9FA5)


def heaps(good: Sequence[Document], count: int) -> Iterator[Document]:
    """Words and characters without order, beside those of `bad_documents`."""
    draw = random.Random(5)
    english = [row.text for row in good if row.kind == "news pages"]
    words = sorted({word.lower() for text in english for word in re.findall("[A-Za-z]+", text)})
    for number in range(count):
        shuffled = english[number % len(english)].split()
        draw.shuffle(shuffled)
        yield Document("a page's words shuffled", "en", " ".join(shuffled[:200]))
        yield Document("words of a list", "en", " ".join(draw.choices(words, k=150)))
        pieces = ("".join(chr(draw.randint(*HAN)) for _ in range(draw.randint(8, 20))) for _ in range(12))
        yield Document("any Chinese characters", "zh", "".join(piece + draw.choice("，。") for piece in pieces))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with good/ and corpora/")
    parser.add_argument("--sample", type=int, default=120, help="good documents of each kind, at most")
    parser.add_argument("--bad", type=int, default=40, help="bad documents of each kind")
    options = parser.parse_args()
    stages = yaml.safe_load(pathlib.Path(recipe_path("default")).read_text(encoding="utf-8"))["stages"]
    (least,) = (stage["quality_filter"]["min_score"] for stage in stages if "quality_filter" in stage)
    examples = HERE.parent / "sample_data/quality"
    good = good_documents(options.data, options.sample)
    bad = [*bad_documents(good, options.bad), *heaps(good, options.bad), *bad_pages()]
    with tempfile.TemporaryDirectory() as folder:
        positives, negatives = ([str(examples / f"{kind}.jsonl")] for kind in ("positive", "negative"))
        stage = ScoreQuality(positives, negatives, web_examples=True).prepare(Corpus(""), folder)
        for language in stage.judged:
            scores = collections.defaultdict(list)
            for rows in (good, bad):
                own = [row for row in rows if row.language == language]
                texts = pa.array([row.text for row in own])
                found = identify(texts).column("language").to_pylist()
                for row, value, name in zip(own, score(stage.trained, texts), found, strict=True):
                    if rows is bad or name == language:
                        scores[rows is good, row.kind].append(value)
            edited = np.array(
                [v for (is_good, kind), values in scores.items() if is_good and kind != "C4" for v in values]
            )
            for (is_good, kind), values in scores.items():
                kept = np.mean(np.array(values) >= least)
                area = "" if is_good else f"   AUC {area_under_curve(edited, np.array(values)):.3f}"
                quality = "good" if is_good else "bad"
                sys.stdout.write(f"{language}  {quality:4}  {kind:24} {len(values):4}  kept {kept:4.0%}{area}\n")


if __name__ == "__main__":
    main()
