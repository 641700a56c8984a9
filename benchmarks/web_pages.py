"""Text of web pages: what is kept of the content, and at what speed, beside Trafilatura and Resiliparse.

    python -m benchmarks.web_pages --data ../shared/data --peer PEER/bin/python

PEER is a virtual environment of its own with `pip install trafilatura lxml_html_clean`. DATA holds good/article-pages,
real pages with the text of their articles by hand (https://github.com/scrapinghub/article-extraction-benchmark, MIT); F1,
precision and recall are that benchmark's, of runs of four words, means over pages. Sentences kept are those of
tests/datapipe/read/formats/pages.py, pages written for this, each with sentences that are its content and others that
are not. One thread, CPU time from bytes to text, median of the rounds; in a round one follows the other.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa

WORDS = re.compile(r"\w+")
RUN = 4  # words

# What the peer's Python runs: pages in, texts and seconds of each way to call it out.
PEER = """
import json, sys, time, trafilatura
pages = [page.encode() for page in json.load(open(sys.argv[1]))]
ways = {"": {}, ", no comments": {"include_comments": False}}
results = {}
for way, options in ways.items():
    trafilatura.extract(pages[0], **options)
    begin = time.process_time()
    texts = [trafilatura.extract(page, **options) or "" for page in pages]
    results[f"trafilatura {trafilatura.__version__}{way}"] = texts, time.process_time() - begin
print(json.dumps(results))
"""

Results = dict[str, tuple[list[str], float]]  # texts and seconds by name


class Scores(NamedTuple):
    """Means over pages."""

    f1: float
    precision: float
    recall: float


def extract_here(pages: Sequence[bytes]) -> Results:
    """Texts of this project, and of Resiliparse by itself."""
    from resiliparse.extract.html2text import extract_plain_text

    from datapipe.read.formats import Source
    from datapipe.read.formats.page import page_text

    source = Source("", "")
    ways: dict[str, Callable[[bytes], str]] = {
        "this project": lambda page: page_text(source, page),
        "resiliparse": lambda page: extract_plain_text(page.decode(), main_content=True, alt_texts=False),
        "resiliparse, no comments": lambda page: extract_plain_text(
            page.decode(), main_content=True, alt_texts=False, comments=False
        ),
    }
    results = {}
    for name, extract in ways.items():
        extract(pages[0])
        begin = time.process_time()
        texts = [extract(page) for page in pages]
        results[name] = texts, time.process_time() - begin
    return results


def extract_there(peer: str, pages: Sequence[bytes]) -> Results:
    """Texts of Trafilatura."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([page.decode() for page in pages], file)
        file.flush()
        return json.loads(subprocess.run([peer, "-c", PEER, file.name], check=True, stdout=subprocess.PIPE).stdout)


def score(texts: Sequence[str], articles: Sequence[str]) -> Scores:
    """How much of the articles is in the texts, and the other way round, by runs of four words."""
    precisions, recalls = [], []
    for text, article in zip(texts, articles, strict=True):
        found, right = _runs(text), _runs(article)
        common = (found & right).total()
        if found:
            precisions.append(common / found.total())
        if right:
            recalls.append(common / right.total())
    precision, recall = statistics.mean(precisions), statistics.mean(recalls)
    return Scores(2 * precision * recall / (precision + recall), precision, recall)


def _runs(text: str) -> Counter[tuple[str, ...]]:
    words = WORDS.findall(text)
    return Counter(tuple(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1)) if words)


def kept(texts: Sequence[str], sentences: Sequence[Sequence[str]]) -> str:
    """How many of the sentences stand in the texts of their pages, and of how many."""
    found = [
        re.sub(r"\s+", " ", sentence) in re.sub(r"\s+", " ", text)
        for text, of_page in zip(texts, sentences, strict=True)
        for sentence in of_page
    ]
    return f"{sum(found)} of {len(found)}"


def main() -> None:
    """Print every side."""
    from tests.datapipe.read.formats.pages import PAGES

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True, help="the folder with good/article-pages")
    arguments.add_argument("--peer", help="the Python of an environment with Trafilatura")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()

    def extract(pages: Sequence[bytes]) -> Results:
        return extract_here(pages) | (extract_there(given.peer, pages) if given.peer else {})

    written = extract([page.html.encode() for page in PAGES])
    with pa.input_stream(str(given.data / "good/article-pages.jsonl.zst"), compression="zstd") as file:
        rows = [json.loads(line) for line in file.read().splitlines()]
    pages, articles = [row["html"].encode() for row in rows], [row["article"] for row in rows]
    rounds = [extract(pages) for _ in range(given.rounds)]
    seconds = {name: statistics.median(results[name][1] for results in rounds) for name in rounds[0]}
    sys.stdout.write(f"{'':34}{'F1':>6}{'prec.':>7}{'recall':>7}{'ms/page':>9}{'content kept':>14}{'other kept':>12}\n")
    for name, (texts, _) in rounds[0].items():
        wanted = kept(written[name][0], [page.wanted for page in PAGES])
        unwanted = kept(written[name][0], [page.unwanted for page in PAGES])
        measures = "".join(f"{measure:7.3f}" for measure in score(texts, articles))
        milliseconds = 1000 * seconds[name] / len(pages)
        sys.stdout.write(f"{name:33}{measures}{milliseconds:9.2f}{wanted:>14}{unwanted:>12}\n")
    for name in seconds:
        if name.startswith("trafilatura"):
            sys.stdout.write(f"time beside {name}: {seconds['this project'] / seconds[name]:.3f}\n")


if __name__ == "__main__":
    main()
