"""Language identification: accuracy by language, source code told from prose, speed, and what a start costs.

    python -m benchmarks.language --data ../shared/data
    python -m benchmarks.language --code /usr/lib/python3 /usr/share/perl /usr/include node_modules

The peer is the fastText library with `lid.176.ftz` alone, called as its documentation says, on the same texts. Speed is
documents per second of CPU time of one thread, on documents of 3,000 characters; "kernel" is the peer's model on all of
each, asked by `datapipe.text.fasttext_model`. A start is the CPU time of a new process until its first document is
judged, with an empty numba cache (cold) and a filled one (warm).

With `--code`, it tells only how many files below the folders are source code, by extension, with the names of the files
and by their content alone: of those with at least 100 characters, up to 400 of each extension and three of each folder,
taken by a hash of their content.
"""

import argparse
import functools
import hashlib
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import fasttext
import pyarrow as pa

from benchmarks.dedup_quality import records
from datapipe.filters.language import identify, model_path
from datapipe.read.models import load_classifier
from datapipe.text.characters import text_buffers

TARGETS = {"zh": 0.97, "en": 0.985, "fr": 0.985, "de": 0.985, "es": 0.985, "ru": 0.985, "ja": 0.985, "ko": 0.985}
SAME = {"nb": "no"}  # Bokmål, which lid.176 calls Norwegian
PROSE = ("en-c4-300", "multi-docs", "multi-templated", "zh-articles", "zh-poetry", "zh-versions")
CHARACTERS = 3000
EXTENSIONS = ("py", "js", "c", "h", "yaml", "yml", "sql", "sh", "pm", "go", "rs", "java", "md", "rst")
FILES, FILES_OF_A_FOLDER, SHORTEST = 400, 3, 100
START = (
    "import pyarrow, datapipe.filters.language as l; "
    "l.identify(pyarrow.array(['To be or not to be, that is the question.']))"
)


def alone(texts: list[str]) -> list[str]:
    """What the peer says."""
    labels, _ = library().predict([text.replace("\n", " ") for text in texts])
    return [label.removeprefix("__label__") for (label,) in labels]


@functools.cache
def library() -> Any:
    return fasttext.FastText._FastText(model_path(""))


def kernel(texts: list[str]) -> list[str]:
    """What the same model says by the kernel here."""
    model = load_classifier(model_path(""))
    data, bounds = text_buffers(pa.array(texts))
    labels, _ = model.predict(data, bounds[:-1], bounds[1:], 1)
    return [model.labels[label] for label in labels[:, 0]]


def ours(texts: list[str]) -> list[str]:
    """What this project says."""
    return identify(pa.array(texts)).column("language").to_pylist()


def accuracy(data: pathlib.Path) -> None:
    """Share of labelled sentences in their language, and the misses."""
    sentences = defaultdict(list)
    for record in records(data / "labelled/language-sentences.jsonl.zst"):
        sentences[record["language"]].append(record["text"])
    print(f"{'language':10}{'sentences':>10}{'datapipe':>10}{'lid.176':>10}{'target':>10}")
    for language, texts in sorted(sentences.items(), key=lambda item: (item[0] not in TARGETS, item[0])):
        wanted = SAME.get(language, language)
        shares = [sum(found == wanted for found in judge(texts)) / len(texts) for judge in (ours, alone)]
        target = f"{TARGETS[language]:.3f}" if language in TARGETS else ""
        print(f"{language:10}{len(texts):>10}{shares[0]:>10.3f}{shares[1]:>10.3f}{target:>10}")


def code(data: pathlib.Path) -> None:
    """Share of the documents of each corpus that count as source code."""
    print(f"\n{'corpus':20}{'documents':>10}{'code':>10}")
    for name in ("code-python", *PROSE):
        texts = [record["text"] for record in records(data / f"corpora/{name}.jsonl.zst")]
        texts = texts[:: max(1, len(texts) // 2000)]
        print(f"{name:20}{len(texts):>10}{ours(texts).count('code') / len(texts):>10.4f}")


def files(folders: list[pathlib.Path]) -> None:
    """Share of files that count as source code, by extension, named and by their content alone."""
    texts: dict[str, dict[str, tuple[pathlib.Path, str]]] = defaultdict(dict)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix[1:] in EXTENSIONS and path.is_file():
                content = path.read_bytes()
                if len(content.strip()) >= SHORTEST and _is_text(content):
                    texts[path.suffix[1:]][hashlib.md5(content).hexdigest()] = (path, content.decode())
    print(f"{'extension':10}{'files':>10}{'named':>10}{'content':>10}")
    for extension in EXTENSIONS:
        counts: Counter[pathlib.Path] = Counter()
        chosen: list[tuple[str, str]] = []
        for _, (path, text) in sorted(texts[extension].items()):
            counts[path.parent] += 1
            if counts[path.parent] <= FILES_OF_A_FOLDER and len(chosen) < FILES:
                chosen.append((str(path), text))
        if chosen:
            names, contents = (pa.array(values) for values in zip(*chosen, strict=True))
            shares = [
                identify(contents, names=given).column("language").to_pylist().count("code") / len(chosen)
                for given in (names, None)
            ]
            print(f"{extension:10}{len(chosen):>10}{shares[0]:>10.3f}{shares[1]:>10.3f}")


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def speed(data: pathlib.Path) -> None:
    """Documents per second, of this project and of the peer on all of each document and on its beginning."""
    judges: dict[str, Callable[[list[str]], list[str]]] = {
        "datapipe": ours,
        "lid.176, all": alone,
        "kernel": kernel,
        "lid.176, first 1,000": lambda texts: alone([text[:1000] for text in texts]),
    }
    print(f"\n{'documents/s':24}{'en':>10}{'zh':>10}")
    corpora = []
    for name, language in (("multi-docs", "en-US"), ("zh-articles", None)):
        found = (r["text"] for r in records(data / f"corpora/{name}.jsonl.zst") if r.get("lang") == language)
        joined = "\n".join(found)
        corpora.append([joined[i : i + CHARACTERS] for i in range(0, 1000 * CHARACTERS, CHARACTERS)])
    for name, judge in judges.items():
        rates = []
        for texts in corpora:
            judge(texts[:10])
            seconds = []
            for _ in range(3):
                begin = time.process_time()
                judge(texts)
                seconds.append(time.process_time() - begin)
            rates.append(len(texts) / sorted(seconds)[1])
        print(f"{name:24}{rates[0]:>10,.0f}{rates[1]:>10,.0f}")


def starts() -> None:
    """CPU seconds until a new process has judged its first document."""
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm"):
            begin = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", START], env=os.environ | {"NUMBA_CACHE_DIR": cache}, check=True)
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
            print(f"{name} start: {seconds:.1f} s")


def main(argv: list[str] | None = None) -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", type=pathlib.Path, help="folder of the shared corpora")
    given.add_argument("--code", type=pathlib.Path, nargs="+", help="folders of source code")
    arguments = parser.parse_args(argv)
    if arguments.code:
        files(arguments.code)
        return
    data = arguments.data
    accuracy(data)
    code(data)
    speed(data)
    print()
    starts()


if __name__ == "__main__":
    main()
