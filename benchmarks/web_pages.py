"""Text of web pages: what is kept of the content, and at what speed, beside Trafilatura.

    python -m benchmarks.web_pages --peer PEER/bin/python

PEER is a virtual environment of its own with `pip install trafilatura lxml_html_clean`. The pages are those of
tests/datapipe/formats/pages.py, written for this, each with sentences that are its content and others that are not.
One thread, CPU time, median of the rounds; the peer reads the same pages from a file of JSON.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

REPEATS = 20  # of all pages in a round

# What the peer's Python runs: pages in, texts and seconds a page out.
PEER = """
import json, sys, time, trafilatura
pages, rounds, repeats = json.load(open(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
extract = lambda page: trafilatura.extract(page, include_comments=True, deduplicate=False) or ""
seconds = []
for _ in range(rounds):
    begin = time.process_time()
    texts = [[extract(page) for page in pages] for _ in range(repeats)][0]
    seconds.append((time.process_time() - begin) / repeats / len(pages))
print(json.dumps([trafilatura.__version__, texts, seconds]))
"""


def extract_here(pages: list[str], rounds: int) -> tuple[list[str], list[float]]:
    """Texts, and seconds a page in each round, of the reader of this project."""
    from datapipe.read.formats import Source, web

    source = Source("", "")
    encoded = [page.encode() for page in pages]
    extract: Callable[[bytes], str] = lambda page: web._page_text(source, page, "")  # noqa: E731
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(REPEATS):
            texts = [extract(page) for page in encoded]
        seconds.append((time.process_time() - begin) / REPEATS / len(pages))
    return texts, seconds


def extract_there(peer: str, pages: list[str], rounds: int) -> tuple[str, list[str], list[float]]:
    """Version, texts and seconds of Trafilatura."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(pages, file)
        file.flush()
        command = [peer, "-c", PEER, file.name, str(rounds), str(REPEATS)]
        version, texts, seconds = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return version, texts, seconds


def kept(texts: list[str], sentences: list[tuple[str, ...]]) -> str:
    """How many of the sentences stand in the texts of their pages, and of how many."""
    found = [
        re.sub(r"\s+", " ", sentence) in re.sub(r"\s+", " ", text)
        for text, of_page in zip(texts, sentences, strict=True)
        for sentence in of_page
    ]
    return f"{sum(found)} of {len(found)}"


def main() -> None:
    """Print both sides."""
    from tests.datapipe.read.formats.pages import PAGES

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer", help="the Python of an environment with Trafilatura")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    pages = [page.html for page in PAGES]
    wanted, unwanted = [page.wanted for page in PAGES], [page.unwanted for page in PAGES]
    extract_here(pages, 1)
    rows = [("this project", *extract_here(pages, given.rounds))]
    if given.peer:
        version, texts, seconds = extract_there(given.peer, pages, given.rounds)
        rows.append((f"trafilatura {version}", texts, seconds))
    sys.stdout.write(f"{'':20} {'content kept':>14} {'other kept':>12} {'pages/s':>9}\n")
    for name, texts, seconds in rows:
        speed = 1 / statistics.median(seconds)
        sys.stdout.write(f"{name:20} {kept(texts, wanted):>14} {kept(texts, unwanted):>12} {speed:9,.0f}\n")


if __name__ == "__main__":
    main()
