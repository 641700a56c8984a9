"""LLaMA 1: duplicated lines go, buckets end at the percentiles, and seven sources have their shares and epochs."""

import collections
import json
import pathlib
import random
import shutil

import numpy as np
import pytest
import tokenizers

from datapipe.engine.run import Outcome
from tests.helpers import write_lines
from tests.recipes.toy import (
    code,
    columns,
    english,
    plain,
    run_named,
    sample_quality,
    sentence,
    shards,
    write_books,
    write_crawl,
    write_papers,
    write_posts,
    write_wiki,
)

# Table 1: share and epochs.
TABLE = {
    "cc": (0.67, 1.10),
    "c4": (0.15, 1.06),
    "github": (0.045, 0.64),
    "wikipedia": (0.045, 2.45),
    "books": (0.045, 2.23),
    "arxiv": (0.025, 1.06),
    "stackexchange": (0.02, 1.03),
}
# How each source comes: Common Crawl as WET, Wikipedia as a dump, papers as LaTeX, Stack Exchange as its posts, books
# as EPUB; C4 as the JSON lines that it is published in, GitHub as those of its export, with licences.
WRITERS = {
    "cc": write_crawl,
    "wikipedia": write_wiki,
    "books": write_books,
    "arxiv": write_papers,
    "stackexchange": write_posts,
}
LINE = "Subscribe to OUR letter of 2021, and win 3 boats!"
VARIANT = "subscribe to our letter of 1987 and win 5 boats"


def _texts(name: str, count: int) -> list[str]:
    """As many texts of a source, of about as many tokens each."""
    start = 10_000 * list(TABLE).index(name)
    if name == "cc":
        return [english(start + number, 6) for number in range(count)]
    if name == "github":
        return [code(start + number) for number in range(count)]
    # A year that is frequent: a tokenizer that may join digits has a token of it.
    return [f"In 2023 {sentence(random.Random(start + number), 24)}" for number in range(count)]


def _write(folder: pathlib.Path, name: str, texts: list[str]) -> None:
    """The texts of a source in the form in which it is published."""
    shutil.rmtree(folder / name, ignore_errors=True)
    if name in WRITERS:
        WRITERS[name](folder / name, texts)
        return
    records: list[dict[str, str]] = [{"text": text, "license": "MIT"} for text in texts]
    if name == "github":
        records += [{"text": code(10**6), "license": "gpl-3.0"}, {"text": code(10**6 + 1)}, records[0]]
    (folder / name).mkdir()
    for number in range(2):  # as large sources, in several files
        write_lines(folder / name / f"{name}.{number:05}-of-00002.jsonl", records[number::2])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("llama")
    (base / "documents").mkdir()
    # Without a budget first: what is there tells how large the corpus must be for the published epochs.
    per_document = {"cc": 110, "github": 110}
    counts = {}
    for name, (share, epochs) in TABLE.items():
        size = 260_000 * share / epochs
        counts[name] = round(size / per_document.get(name, 50) / (0.6 if name == "cc" else 1))
        texts = _texts(name, counts[name])
        if name == "cc":
            for place, line in ((0, LINE), (1, VARIANT)):
                texts[place] += "\n" + line
            texts.append("Too short for CCNet.")
        _write(base / "documents", name, texts)
    (base / "references").mkdir()
    (base / "quality").mkdir()
    write_lines(base / "references" / "wikipedia.jsonl", ({"text": english(-seed, 6)} for seed in range(1, 60)))
    write_lines(base / "quality" / "positive.jsonl", ({"text": english(-seed, 6)} for seed in range(100, 160)))
    negatives = pathlib.Path(sample_quality()["negative"]).read_text(encoding="utf-8").splitlines()
    write_lines(base / "quality" / "negative.jsonl", map(json.loads, negatives[:: 1 + len(negatives) // 200]))
    toy = {"tokenizer.vocabulary": 700, "quality_filter.min_score": 0.0}
    first = run_named("llama", base, toy)
    tokens = collections.Counter[str]()
    for row in columns(first, "source", "tokens", "mixture_reason"):
        if row["tokens"] is not None:
            tokens[row["source"]] += row["tokens"]
    # The budget is what the published epochs of CommonCrawl make of it; the others are cut to fit theirs.
    budget = int(tokens["cc"] * TABLE["cc"][1] / TABLE["cc"][0])
    for name, (share, epochs) in TABLE.items():
        if name != "cc":
            wanted = budget * share / epochs / (tokens[name] / counts[name])
            _write(base / "documents", name, _texts(name, round(wanted)))
    return base, run_named("llama", base, toy | {"mixture.budget": budget})


def test_shares_are_met_and_epochs_are_those_of_the_table(run: tuple[pathlib.Path, Outcome]) -> None:
    base, outcome = run
    taken = collections.Counter[str]()
    for row in shards(base):
        taken[row["source"]] += row["tokens"]
    there = collections.Counter[str]()
    for row in columns(outcome, "source", "tokens"):
        there[row["source"]] += row["tokens"] or 0
    total = sum(taken.values())
    for name, (share, epochs) in TABLE.items():
        assert taken[name] / total == pytest.approx(share, abs=0.01), name
        assert taken[name] / there[name] == pytest.approx(epochs, rel=0.02), name


def test_each_source_is_read_from_the_form_in_which_it_is_published(run: tuple[pathlib.Path, Outcome]) -> None:
    texts = collections.defaultdict[str, list[str]](list)
    for row in shards(run[0]):
        texts[row["source"]].append(row["text"])
    assert set(texts) == set(TABLE)
    assert run[1].funnel.rejects == {"documents": {}}
    marks = ("{{", "[[", "<ref", "thumb|", "Category:", "\\section", "\\cite", "bibitem", "abstract", "<p>", "Contents")
    for name in WRITERS:
        assert not [text for text in texts[name] if any(mark in text for mark in marks)], name
    assert all("References" not in text for text in texts["wikipedia"])  # a section of nothing else
    assert all("Nothing of this is body text" not in text for text in texts["arxiv"])  # before the first section
    assert any("What follows is the study in full" in text for text in texts["arxiv"])  # a macro, inlined
    best, accepted = (min(text.find(mark) for text in texts["stackexchange"]) for mark in ("\n\nA: ", "A (accepted): "))
    assert min(best, accepted) > 0
    for text in texts["stackexchange"]:
        assert text.startswith("Q: What do you make of")
        assert text.index("\n\nA: ") < text.index("\n\nA (accepted): ")  # by score


def test_a_line_that_differs_in_case_digits_and_punctuation_is_the_same(run: tuple[pathlib.Path, Outcome]) -> None:
    _, outcome = run
    text = "\n".join(row["text"] for row in columns(outcome, "text", "source") if row["source"] == "cc")
    assert "win 3 boats" not in text
    assert "win 5 boats" not in text


def test_buckets_end_at_the_percentiles_and_the_tail_is_gone(run: tuple[pathlib.Path, Outcome]) -> None:
    base, outcome = run
    rows = columns(outcome, "source", "perplexity", "perplexity_bucket", "rules_reason", "text")
    scores = np.sort(np.array([row["perplexity"] for row in rows if row["perplexity"] is not None], np.float32))
    cutoffs = json.loads((base / "out" / "perplexity_filter" / "cutoffs.json").read_text())
    assert list(cutoffs) == ["en"]
    assert cutoffs["en"] == pytest.approx([float(scores[int((len(scores) - 1) * part)]) for part in (0.3, 0.6)])
    assert {row["source"] for row in rows if row["perplexity"] is not None} == {"cc"}
    buckets = {row["text"]: row["perplexity_bucket"] for row in rows}
    assert {buckets[row["text"]] for row in shards(base) if row["source"] == "cc"} == {"head", "middle"}
    assert all(row["rules_reason"] == "ccnet_min_characters" for row in rows if row["text"].startswith("Too short"))


def test_github_has_one_copy_of_a_file_and_free_licences(run: tuple[pathlib.Path, Outcome]) -> None:
    _, outcome = run
    rows = columns(outcome, "source", "license", "column_filter_reason", "exact_duplicates_reason")
    assert sum(row["column_filter_reason"] == "license_not_wanted" for row in rows) == 2
    assert {row["license"] for row in rows if row["column_filter_reason"]} == {"gpl-3.0", None}
    assert sum(row["exact_duplicates_reason"] is not None for row in rows) == 1


def test_the_tokenizer_spells_digits_and_unseen_characters_apart(run: tuple[pathlib.Path, Outcome]) -> None:
    base, _ = run
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "out" / "tokenizer" / "tokenizer.json"))
    assert tokenizer.encode("2023").tokens == list("2023")
    assert tokenizer.encode("🜚").tokens == [f"<0x{byte:02X}>" for byte in "🜚".encode()]
    for text in ("  def f(x):\n\treturn x  # 🜚 １２ ｆｕｌｌ", "", " a", "河里的船。\n\n"):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert [tokenizer.id_to_token(number) for number in range(3)] == ["<unk>", "<s>", "</s>"]
    assert max(len(token) for token in tokenizer.get_vocab() if not token.startswith("<0x")) <= 16
    options = next(stage["tokenizer"] for stage in plain("llama")["stages"] if "tokenizer" in stage)
    assert (options["vocabulary"], options["coverage"], options["digits"]) == (32_000, 0.99995, 1)
