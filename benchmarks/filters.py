"""Speed of the filters, one thread: the rules beside datatrove's, and language to quality in Beam; do decisions agree?

    python -m benchmarks.filters --data ../shared/data --peer PEER/bin/python
    python -m benchmarks.filters --data ../shared/data --peer PEER/bin/python --parity datatrove
    python -m benchmarks.filters --data ../shared/data --peer DOLMA/bin/python --parity dolma
    python -m benchmarks.filters --data ../shared/data
    python -m benchmarks.filters --data ../shared/data --measurements

PEER is a virtual environment of its own with `pip install datatrove spacy nltk`, DOLMA one with `pip install dolma`.
Both sides run Gopher quality, Gopher repetition and FineWeb's rules with the published thresholds on the same
documents. Figures are CPU time; a figure is the median of the rounds. `--parity` instead compares, on each document and
with the same words, each filter's verdict (datatrove) or each measure of the Gopher tagger, to a millionth (dolma).
Without PEER, language identification, measurements, rules and quality classifier run end to end over parts on disk, as
the driver runs them, and the same stages on the same batches in memory: documents of 3 KB, drawn from the paragraphs of
real pages. "start" is what the pipelines cost with a single document: a constant, part of Beam's figure, which fewer
documents would not hide. `--measurements` says what that stage alone takes of a batch of such documents, in ns a byte.
"""

import argparse
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

DOCUMENT_BYTES = 3000
DOCUMENTS_IN_BEAM = 20_000  # two parts
END_TO_END = {"en": "en-c4-300", "zh": "zh-articles"}
EXAMPLES = pathlib.Path(__file__).parent.parent / "sample_data/quality"
WORDS = ("shipped", "whitespace")
CORPORA = {"web pages": ("en-c4-300", None), "technical pages": ("multi-docs", "en-US")}
# datatrove's reasons, filter by filter, in the order in which each filter looks, by the names of our rules.
REASONS = {
    "gopher_repetition": {
        "gopher_duplicate_paragraphs": "dup_para_frac",
        "gopher_duplicate_paragraph_characters": "dup_para_char_frac",
        "gopher_duplicate_lines": "dup_line_frac",
        "gopher_duplicate_line_characters": "dup_line_char_frac",
        **{f"gopher_top_{n}gram": f"top_{n}_gram" for n in range(2, 5)},
        **{f"gopher_duplicate_{n}gram": f"duplicated_{n}_n_grams" for n in range(5, 11)},
    },
    "gopher_quality": {
        "gopher_min_words": "gopher_short_doc",
        "gopher_max_words": "gopher_long_doc",
        "gopher_min_word_length": "gopher_below_avg_threshold",
        "gopher_max_word_length": "gopher_above_avg_threshold",
        "gopher_hash_ratio": "gopher_too_many_hashes",
        "gopher_ellipsis_ratio": "gopher_too_many_ellipsis",
        "gopher_bullet_lines": "gopher_too_many_bullets",
        "gopher_ellipsis_lines": "gopher_too_many_end_ellipsis",
        "gopher_alphabetic_words": "gopher_below_alpha_threshold",
        "gopher_stop_words": "gopher_enough_stop_words",
    },
    "fineweb": {
        "fineweb_terminal_punctuation": "line_punct_ratio",
        "fineweb_short_lines": "short_line_ratio",
        "fineweb_duplicate_characters": "char_dup_ratio",
        "fineweb_newlines": "list_ratio",
    },
}

DOLMA_MEASURES = {  # our names, and those of its Gopher tagger
    "words": "word_count",
    "median_word_length": "median_word_length",
    "symbol_ratio": "symbol_to_word_ratio",
    "alphabetic_word_share": "fraction_of_words_with_alpha_character",
    "stop_words": "required_word_count",
    "bullet_line_share": "fraction_of_lines_starting_with_bullet_point",
    "ellipsis_line_share": "fraction_of_lines_ending_with_ellipsis",
    "duplicate_line_share": "fraction_of_duplicate_lines",
    "duplicate_line_character_share": "fraction_of_characters_in_duplicate_lines",
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="the folder of shared data")
    parser.add_argument("--peer", help="the Python of an environment with datatrove")
    parser.add_argument("--documents", type=int, default=300, help="how many of each corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--parity", choices=("datatrove", "dolma"), help="compare with this peer instead of racing, on all corpora"
    )
    parser.add_argument("--measurements", action="store_true", help="time that stage alone, by the byte")
    parser.add_argument("--serve", nargs=2, metavar=("WORDS", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        words, path = options.serve
        sys.stdout.write(json.dumps(dolma_measures(path) if words == "dolma" else datatrove_verdicts(words, path)))
    elif options.measurements:
        by_the_byte(options.data, options.rounds)
    elif options.parity:
        compare(options.data, options.peer, options.parity)
    elif options.peer:
        race(options.data, options.peer, options.documents, options.rounds)
    else:
        end_to_end(options.data, DOCUMENTS_IN_BEAM, options.rounds)


def race(data: pathlib.Path, peer: str, number: int, rounds: int) -> None:
    print(f"{'documents':16} {'words':12} {'datapipe':>10} {'datatrove':>10} {'ratio':>7}   documents/s, medians")
    for corpus, (name, language) in CORPORA.items():
        texts = documents(data, name, language)[:number]
        datapipe_verdicts(texts[:10], "auto", "datapipe")  # compiles
        for words in WORDS:
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(datapipe_verdicts(texts, "auto" if words == "shipped" else words, "datapipe")["seconds"])
                theirs.append(ask(peer, words, texts)["seconds"])
            speed, other = (len(texts) / statistics.median(seconds) for seconds in (ours, theirs))
            print(f"{corpus:16} {words:12} {speed:10,.0f} {other:10,.0f} {speed / other:6.1f}x")


def end_to_end(data: pathlib.Path, number: int, rounds: int) -> None:
    import pyarrow as pa

    from benchmarks.dedup_quality import ROWS_PER_BATCH, corpus
    from datapipe.filters.language import IdentifyLanguage
    from datapipe.filters.measurements import MeasureText
    from datapipe.filters.quality import ScoreQuality
    from datapipe.filters.rules import ApplyRules
    from datapipe.stage import append_columns
    from datapipe.store.corpus import Corpus

    print(
        f"{'documents':10} {'documents/s':>12} {'Beam':>9} {'bare':>9} {'ratio':>7} {'start':>7}   us a document; bare:"
    )
    with tempfile.TemporaryDirectory() as folder:
        good, bad = ([str(EXAMPLES / f"{kind}.jsonl")] for kind in ("positive", "negative"))
        quality = ScoreQuality(good, bad).prepare(Corpus(folder), folder)
        stages: list[Any] = [IdentifyLanguage(), MeasureText(), ApplyRules(), quality]
        for language, name in END_TO_END.items():
            texts = drawn(documents(data, name, None), number)
            (root := pathlib.Path(folder, language)).mkdir()
            parts = corpus(texts, str(root))
            (alone := root / "alone").mkdir()
            first = corpus(texts[:1], str(alone))
            in_beam(parts, stages, str(root))  # compiles, loads models
            whole, start = [], []
            bare: dict[str, list[float]] = {stage.name: [] for stage in stages}
            for _ in range(rounds):
                whole.append(in_beam(parts, stages, str(root)))
                start.append(in_beam(first, stages, str(alone)))
                batches = pa.table({"text": texts}).to_batches(max_chunksize=ROWS_PER_BATCH)
                for stage in stages:
                    started = time.process_time()
                    batches = [append_columns(batch, stage) for batch in batches]
                    bare[stage.name].append(time.process_time() - started)
            each = {stage: 1e6 * statistics.median(seconds) / number for stage, seconds in bare.items()}
            beam, kernels = 1e6 * statistics.median(whole) / number, sum(each.values())
            split = ", ".join(f"{stage} {micros:.0f}" for stage, micros in each.items())
            print(
                f"{language:10} {1e6 / beam:12,.0f} {beam:9.0f} {kernels:9.0f} {beam / kernels:6.2f}x "
                f"{statistics.median(start):5.2f} s   {split}"
            )


def by_the_byte(data: pathlib.Path, rounds: int) -> None:
    import pyarrow as pa

    from benchmarks.dedup_quality import ROWS_PER_BATCH
    from datapipe.filters.measurements import MeasureText

    measure = MeasureText()
    for language, name in END_TO_END.items():
        texts = drawn(documents(data, name, None), ROWS_PER_BATCH)
        batch = pa.RecordBatch.from_pydict({"text": texts, "language": [language] * len(texts)})
        measure.process(batch)  # compiles
        seconds = []
        for _ in range(rounds):
            started = time.process_time()
            measure.process(batch)
            seconds.append(time.process_time() - started)
        print(
            f"{language} {1e9 * statistics.median(seconds) / sum(len(text.encode()) for text in texts):.1f} ns a byte"
        )


def drawn(pages: list[str], number: int) -> list[str]:
    """Documents of about `DOCUMENT_BYTES`, of paragraphs drawn at random, the same for the same pages."""
    import numpy as np

    random = np.random.default_rng(7)
    paragraphs = [line for page in pages for line in page.split("\n") if len(line) > 40]
    made = []
    for _ in range(number):
        lines, size = [], 0
        while size < DOCUMENT_BYTES:
            lines.append(paragraphs[random.integers(len(paragraphs))])
            size += len(lines[-1].encode())
        made.append("\n".join(lines))
    return made


def in_beam(parts: list[Any], stages: list[Any], root: str) -> float:
    """CPU seconds of the stages over parts on disk, in a pipeline here, as `datapipe.engine.run` builds them."""
    import apache_beam as beam

    from datapipe.engine import work
    from datapipe.engine.progress import Progress
    from datapipe.engine.runner import Runner
    from datapipe.store.corpus import Part

    def build(pipeline: Any) -> None:
        every = pipeline | beam.Create(parts, reshuffle=False)
        _ = every | beam.Map(work.process, work.Pass(tuple(stages), root)).with_output_types(tuple[int, Part])

    for stage in stages:  # what is there from the round before would be taken for done
        shutil.rmtree(f"{root}/{stage.name}", ignore_errors=True)
        pathlib.Path(root, stage.name).mkdir()
    started = time.process_time()
    with Progress(root, ("stages",), None):  # where `work.process` says how far it is
        Runner(workers=1).run(build, 0, lambda: None)
    return time.process_time() - started


def compare(data: pathlib.Path, peer: str, system: str) -> None:
    for path in sorted((data / "corpora").glob("*.jsonl.zst")):
        texts = [text for text in documents(data, path.name.removesuffix(".jsonl.zst"), None) if text.strip()][:4000]
        if system == "datatrove":
            found = datapipe_verdicts(texts, "whitespace", "datatrove")["verdicts"]
            wanted = ask(peer, "whitespace", texts)["verdicts"]
            differing = [row for row, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1]]
        else:
            found, wanted = datapipe_measures(texts), ask(peer, "dolma", texts)["measures"]
            differing = [
                row
                for row, (ours, theirs) in enumerate(zip(found, wanted, strict=True))
                if not all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in zip(ours, theirs, strict=True))
            ]
        print(f"{path.name:28} {len(texts):6,} documents, {len(differing)} differ")
        for row in differing[:5]:
            print(f"    document {row}: datapipe {found[row]}, {system} {wanted[row]}")


def documents(data: pathlib.Path, name: str, language: str | None) -> list[str]:
    from benchmarks.dedup_quality import records

    pages = records(data / "corpora" / f"{name}.jsonl.zst")
    return [page["text"] for page in pages if language is None or page["lang"] == language]


def datapipe_verdicts(texts: list[str], words: str, definition: str) -> dict[str, Any]:
    """CPU seconds, and each document's verdict by filter: datatrove's name of the first failed rule, or none."""
    import pyarrow as pa

    from datapipe.filters.measurements import MeasureText
    from datapipe.filters.rules import ApplyRules
    from datapipe.stage import append_columns

    measure = MeasureText(words=words, definition=definition)
    judge = ApplyRules(rule_sets={"default": list(REASONS)})
    batch = pa.RecordBatch.from_pydict({"text": texts, "language": ["en"] * len(texts)})
    started = time.process_time()
    judged = append_columns(append_columns(batch, measure), judge)
    seconds = time.process_time() - started
    verdicts = [
        [next((reason for rule, reason in reasons.items() if rule in failed), None) for reasons in REASONS.values()]
        for failed in judged.column("rules_failed").to_pylist()
    ]
    return {"seconds": seconds, "verdicts": verdicts}


def datapipe_measures(texts: list[str]) -> list[list[float]]:
    """Each document's measures of `DOLMA_MEASURES` and n-gram shares, by dolma's definition."""
    import pyarrow as pa

    from datapipe.text.measuring import measure_text

    measured = measure_text(pa.array(texts), pa.array(["en"] * len(texts)), definition="dolma")
    names = [*DOLMA_MEASURES, *(f"{'top' if n < 5 else 'duplicate'}_{n}gram_share" for n in range(2, 11))]
    return [list(row) for row in zip(*(measured.column(name).to_pylist() for name in names), strict=True)]


def dolma_measures(path: str) -> dict[str, Any]:
    """As `datapipe_measures`, by dolma."""
    from dolma.taggers.gopher import get_attributes  # type: ignore[import-not-found]

    measures = []
    for text in json.loads(pathlib.Path(path).read_text()):
        found = get_attributes(text)
        shares = dict(
            [*found.fraction_of_characters_in_most_common_ngram, *found.fraction_of_characters_in_duplicate_ngrams]
        )
        own = [getattr(found, name) for name in DOLMA_MEASURES.values()]
        measures.append(own + [shares.get(n, 0.0) for n in range(2, 11)])
    return {"measures": measures}


def ask(peer: str, words: str, texts: list[str]) -> dict[str, Any]:
    """What `datatrove_verdicts` says in the peer's environment."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(texts, file)
        file.flush()
        command = [peer, __file__, "--serve", words, file.name]
        return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def datatrove_verdicts(words: str, path: str) -> dict[str, Any]:
    """As `datapipe_verdicts`; timed on documents that stop at the first filter that drops them, as datatrove runs."""
    from datatrove.data import Document  # type: ignore[import-not-found]
    from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )

    if words == "whitespace":
        for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
            module.split_into_words = lambda text, _: text.split()
    filters = [GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter()]
    pages = [Document(text=text, id="") for text in json.loads(pathlib.Path(path).read_text())]
    for judge in filters:
        judge.filter(Document(text="The first document loads the tokenizer.", id=""))
    started = time.process_time()
    for page in pages:
        all(judge.filter(page) is True for judge in filters)
    seconds = time.process_time() - started
    verdicts = [[None if (said := judge.filter(page)) is True else said[1] for judge in filters] for page in pages]
    return {"seconds": seconds, "verdicts": verdicts}


if __name__ == "__main__":
    main()
