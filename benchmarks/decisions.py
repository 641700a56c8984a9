"""What is kept of good text and of bad, by language and kind: the default recipe, beside datatrove as it ships.

    python -m benchmarks.decisions --data ../shared/data --peer PEER/bin/python
    python -m benchmarks.decisions --data ../shared/data --sample 30 --without quality quality_filter

PEER is a virtual environment of its own with `pip install 'datatrove[processing]==0.10' orjson spacy 'xxhash<4'`. A
document is kept if no filter and no deduplication removed it: the recipe runs up to `semantic_duplicates`. Each cell
has ours first, then the peer's. The column `duplicates` counts what deduplication removed; where that is more than one
document in a hundred, a second row tells what the filters alone keep. Below stand the commonest reasons. `--texts FILE`
writes every document with what became of it.

Good is what people wrote with care: DATA/good and DATA/corpora, see their README. Bad is made here, the same at each
run, in the languages of the good paragraphs:

    spam        advertisements, of the sentences in `bad_text.yaml`
    notices     cookies, terms, privacy, copyright; likewise
    menus       what stands around the text of a page; likewise
    characters  random letters of the language's alphabet, in words of its length
    words       random strings for words, each ever the same, so that they repeat as often as a language's words do
    salad       the language's own words in random order, in sentences

The pages of `bad_pages.jsonl`, spam, notices and menus in these languages, were written one by one by others than those
who wrote the lists and examples that the filters go by; nothing is fitted to them.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import yaml

from benchmarks.dedup_quality import records
from datapipe.commands.recipes import recipe_path
from datapipe.engine.recipe import load_recipe
from datapipe.engine.run import run
from datapipe.engine.runner import Runner
from datapipe.store.corpus import REASON, first_reasons

HERE = pathlib.Path(__file__).parent
LAST_STAGE = "semantic_duplicates"
DEDUPLICATION = ("exact_duplicates", "near_duplicates", "semantic_duplicates", "minhash")  # ours, and the peer's
UNSPACED = {"zh", "th"}
STOPS = {"zh": "。", "hi": "।", "th": ""}  # what ends a sentence, where that is no point
REASONS_SHOWN = 3

# What the peer's Python runs: documents in, the filter that removed each out, null for those that none did.
PEER = """
import glob, json, sys
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline import filters as quality
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

folder, config = sys.argv[1], MinhashConfig()

def run(*pipeline, tasks=1):
    LocalPipelineExecutor(list(pipeline), tasks=tasks, workers=1, logging_dir=None).run()

def removed(name):
    return JsonlWriter(f"{folder}/removed/{name}", compression=None)

def read(name):
    rows = [json.loads(line) for path in glob.glob(f"{folder}/{name}/*.jsonl") for line in open(path)]
    return {row["id"]: row["metadata"].get("filter_reason") for row in rows}

filters = {
    "gopher_repetition": quality.GopherRepetitionFilter,
    "gopher_quality": quality.GopherQualityFilter,
    "c4": quality.C4QualityFilter,
    "fineweb": quality.FineWebQualityFilter,
}
run(
    JsonlReader(f"{folder}/in"),
    *(kind(exclusion_writer=removed(name)) for name, kind in filters.items()),
    JsonlWriter(f"{folder}/filtered", compression=None),
)
run(JsonlReader(f"{folder}/filtered"), MinhashDedupSignature(f"{folder}/signatures", config=config))
run(MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config), tasks=config.num_buckets)
run(MinhashDedupCluster(f"{folder}/buckets", f"{folder}/clusters", config=config))
run(
    JsonlReader(f"{folder}/filtered"),
    MinhashDedupFilter(f"{folder}/clusters", exclusion_writer=removed("minhash")),
    JsonlWriter(f"{folder}/kept", compression=None),
)
reasons = dict.fromkeys(read("kept"))
for name in (*filters, "minhash"):
    reasons |= {id_: f"{name} {reason or ''}".strip() for id_, reason in read(f"removed/{name}").items()}
json.dump(reasons, open(f"{folder}/reasons.json", "w"))
"""


class Document(NamedTuple):
    """A text, what kind it is of, and the language that its table has a column for."""

    kind: str
    language: str
    text: str


def good_documents(data: pathlib.Path, sample: int) -> list[Document]:
    """Good text: at most `sample` documents of each kind and language, spread over the source."""
    paragraphs = records(data / "good/wikipedia-paragraphs.jsonl.zst")
    rows = [Document("Wikipedia paragraphs", row["language"], row["text"]) for row in paragraphs]
    rows += [Document("abstracts", "zh", row["text"]) for row in records(data / "good/zh-abstracts.jsonl.zst")]
    rows += [Document("news pages", "en", row["article"]) for row in records(data / "good/article-pages.jsonl.zst")]
    rows += [Document("C4", "en", row["text"]) for row in records(data / "corpora/en-c4-300.jsonl.zst")]
    rows += [Document("declaration", "any", row["text"]) for row in records(data / "good/udhr.jsonl.zst")]
    newest = {row["cluster"]: row["text"] for row in records(data / "corpora/zh-versions.jsonl.zst")}
    rows += [Document("TiDB manual", "zh", text) for text in newest.values()]
    for row in records(data / "corpora/multi-docs.jsonl.zst"):
        if row["source"] == "debian-handbook":
            rows.append(Document("Debian handbook", row["lang"][:2], row["text"]))
        elif row["source"] == "libreoffice-help":
            rows.append(Document("LibreOffice help", row["lang"][:2], row["text"]))
    groups = collections.defaultdict(list)
    for document in rows:
        groups[document.kind, document.language].append(document)
    return [document for group in groups.values() for document in _spread(group, sample)]


def _spread(rows: Sequence[Document], sample: int) -> Iterable[Document]:
    sample = min(sample, len(rows))
    return (rows[at * len(rows) // sample] for at in range(sample))


def bad_documents(good: Iterable[Document], sample: int) -> list[Document]:
    """Bad text in each language of the good paragraphs: `sample` documents of each kind."""
    templates = yaml.safe_load((HERE / "bad_text.yaml").read_text(encoding="utf-8"))
    texts = collections.defaultdict(list)
    for row in good:
        if row.kind == "Wikipedia paragraphs":
            texts[row.language].append(row.text)
    made = []
    for language, own in texts.items():
        draw = random.Random(language)
        written, parts = templates[language], _parts_of(language, own)
        for _ in range(sample):
            made += [Document(kind, language, text) for kind, text in _bad_texts(draw, language, written, parts)]
    return made


def bad_pages() -> list[Document]:
    """Whole pages, each written for itself in its language, by nobody who wrote the stage's lists or examples."""
    rows = map(json.loads, (HERE / "bad_pages.jsonl").read_text(encoding="utf-8").splitlines())
    return [Document(f"{row['kind']}, pages", row["language"], row["text"]) for row in rows]


def _parts_of(language: str, texts: Sequence[str]) -> tuple[list[str], str, list[int]]:
    """The words of a language as often as they occur, its letters, and how long its words are."""
    pattern = r"[^\W\d_]" if language in UNSPACED else r"[^\W\d_]+"
    if language in ("th", "hi"):  # a mark belongs to the letter before it
        pattern = r"[\u0e01-\u0e3a\u0e40-\u0e4e]{2,5}" if language == "th" else r"[\u0900-\u0963]+"
    words = [word for text in texts for word in re.findall(pattern, text)]
    letters = "".join(sorted({letter for word in words for letter in word.lower()}))
    return words, letters, [len(word) for word in words]


def _bad_texts(
    draw: random.Random, language: str, written: Mapping[str, str | list[str]], parts: tuple[list[str], str, list[int]]
) -> Iterable[tuple[str, str]]:
    words, letters, lengths = parts
    space, stop = "" if language in UNSPACED else " ", STOPS.get(language, ".")

    def filled(items: Iterable[str]) -> list[str]:
        return [item.replace("{}", str(draw.randrange(2, 3000))) for item in items]

    def sentences(next_word: collections.abc.Callable[[], str]) -> str:
        return " ".join(
            space.join(next_word() for _ in range(draw.randrange(8, 20))).capitalize() + stop for _ in range(8)
        )

    def letters_in(size: int) -> str:
        return "".join(draw.choices(letters, k=size))

    vocabulary = [letters_in(size) for size in draw.choices(lengths, k=300)]
    items = str(written["menu"]).split(" | ")
    yield "spam", "\n".join(filled(draw.sample(written["spam"], 6)))
    yield "spam, one line", " ".join(filled(draw.sample(written["spam"], 6)))
    yield "notices", "\n".join(filled(draw.sample(written["notices"], 6)))
    yield "notices, one line", " ".join(filled(draw.sample(written["notices"], 6)))
    yield "menus", draw.choice(["\n", " | ", " "]).join(filled(draw.sample(items, 28)))
    yield "characters", sentences(lambda: letters_in(draw.choice(lengths)))
    yield "words", sentences(lambda: vocabulary[int(len(vocabulary) * draw.random() ** 2)])
    yield "salad", sentences(lambda: draw.choice(words))


def write_documents(documents: Sequence[Document], folder: pathlib.Path) -> None:
    """Write the texts into a new folder, as JSON lines, each with its number."""
    folder.mkdir()
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as file:
        for number, document in enumerate(documents):
            json.dump({"id": str(number), "text": document.text}, file)
            file.write("\n")


def judge_here(documents: Sequence[Document], quality: pathlib.Path | None, without: Sequence[str]) -> list[str | None]:
    """What this project's default recipe says of each: the reason, or None if it keeps it."""
    recipe = yaml.safe_load(pathlib.Path(recipe_path("default")).read_text(encoding="utf-8"))
    names = [stage if isinstance(stage, str) else next(iter(stage)) for stage in recipe["stages"]]
    wanted = zip(names[: names.index(LAST_STAGE) + 1], recipe["stages"], strict=False)
    recipe["stages"] = [stage for name, stage in wanted if name not in without]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_documents(documents, folder / "in")
        if quality:
            (folder / "quality").symlink_to(quality.resolve())
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        output = str(folder / "out")
        checked = load_recipe(str(folder / "recipe.yaml"), {"input_parent": str(folder), "output": output})
        outcome = run(checked, [str(folder / "in")], output, Runner(workers=1), lambda _: None)
        reasons: list[str | None] = ["rejected"] * len(documents)
        for part in outcome.corpus.parts:
            stages, why = first_reasons(part)
            for id_, stage, reason in zip(part.column("input_id"), stages, why.to_pylist(), strict=True):
                stage_name = part.decisions[stage].removesuffix(REASON)
                reasons[int(id_.as_py())] = reason and f"{stage_name} {reason}"
    return reasons


def judge_there(peer: str, documents: Sequence[Document]) -> list[str | None]:
    """What datatrove's filters and MinHash say, as they ship."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_documents(documents, folder / "in")
        done = subprocess.run([peer, "-c", PEER, name], cwd=name, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"datatrove failed: {done.stderr[-2000:]}")
        reasons = json.loads((folder / "reasons.json").read_text(encoding="utf-8"))
    return [reasons.get(str(number), "empty") for number in range(len(documents))]


def table(documents: Sequence[Document], judged: Mapping[str, Sequence[str | None]]) -> Iterable[str]:
    """Markdown: a row a kind, a column a language, in a cell what each side keeps, in per cent."""
    cells = collections.defaultdict[tuple[str, str], list[int]](list)
    for number, document in enumerate(documents):
        cells[document.kind, document.language].append(number)
    by_kind = collections.Counter(kind for kind, _ in cells)
    languages = [language for kind, language in cells if kind == documents[0].kind]
    copies = [[bool(reason and reason.startswith(DEDUPLICATION)) for reason in own] for own in judged.values()]
    kept = [[reason is None for reason in own] for own in judged.values()]
    passed = [[a or b for a, b in zip(*own, strict=True)] for own in zip(copies, kept, strict=True)]

    def shares(of: Sequence[Sequence[bool]], numbers: Sequence[int]) -> str:
        return " / ".join(f"{100 * sum(own[number] for number in numbers) / len(numbers):.0f}" for own in of)

    yield f"Kept, in per cent: {' / '.join(judged)}\n"
    yield f"| kind | documents | duplicates | all | {' | '.join(languages)} |"
    yield "|---" * (len(languages) + 4) + "|"
    for kind in by_kind:
        own = {language: numbers for (of, language), numbers in cells.items() if of == kind}
        every = [number for numbers in own.values() for number in numbers]
        removed = [sum(side[number] for number in every) for side in copies]
        rows = [(kind, f"{len(every)} | {' / '.join(map(str, removed))}", kept)]
        if max(removed) * 100 > len(every):
            rows.append((f"{kind}, filters alone", " | ", passed))
        for name, figures, of in rows:
            columns = (shares(of, own[language]) if language in own else "" for language in languages)
            yield f"| {name} | {figures} | {shares(of, every)} | {' | '.join(columns)} |"
    for name, reasons in judged.items():
        yield f"\nRemoved by {name}:\n"
        for (kind, language), numbers in cells.items():
            counts = collections.Counter(reasons[number] for number in numbers if reasons[number])
            if counts:
                first = ", ".join(f"{reason} {count}" for reason, count in counts.most_common(REASONS_SHOWN))
                yield f"{kind}, {language}: {counts.total()} of {len(numbers)}: {first}"


def main() -> None:
    """Print what each side keeps."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True, help="the folder with good/ and corpora/")
    arguments.add_argument("--peer", help="the Python of an environment with datatrove")
    arguments.add_argument("--sample", type=int, default=120, help="good documents of each kind and language, at most")
    arguments.add_argument("--bad", type=int, default=20, help="bad documents of each kind and language")
    arguments.add_argument("--kinds", nargs="*", help="only these")
    arguments.add_argument("--without", nargs="*", default=[], help="stages to leave out of the default recipe")
    arguments.add_argument("--quality", type=pathlib.Path, default=HERE.parent / "sample_data/quality")
    arguments.add_argument("--texts", type=pathlib.Path, help="where to write each document and its reason")
    given = arguments.parse_args()
    documents = good_documents(given.data, given.sample)
    documents += [*bad_documents(documents, given.bad), *bad_pages()]
    if given.kinds:
        documents = [document for document in documents if document.kind in given.kinds]
    judged = {"datapipe": judge_here(documents, given.quality, given.without)}
    if given.peer:
        judged["datatrove"] = judge_there(given.peer, documents)
    if given.texts:
        with given.texts.open("w", encoding="utf-8") as file:
            for number, document in enumerate(documents):
                row = document._asdict() | {name: reasons[number] for name, reasons in judged.items()}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for line in table(documents, judged):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
