"""Qwen: duplicates, scorers, up-sampling; instruction samples that overlap a test set by 13 tokens go, and whole; the
tokenizer's closure, ids and boundaries; both policies of loss."""

import itertools
import json
import pathlib
import random

import pyarrow.parquet as pq
import pytest
import tokenizers

from datapipe.engine.run import Outcome
from tests.helpers import random_words, write_lines
from tests.recipes.toy import (
    chinese,
    columns,
    english,
    run_named,
    sample_quality,
    shards,
    write_books,
    write_wiki,
)
from tokenizer_training.formats import read_tokenizer, token_bytes

QUESTION = random_words(7, 40)
SYSTEM = "You are a helpful assistant."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("qwen")
    for folder in ("documents", "instructions", "evaluation", "quality", "safety"):
        (base / folder).mkdir()
    for kind, path in sample_quality().items():
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        examples = [json.loads(line) for line in lines[:: 1 + len(lines) // 300]]
        examples += [{"text": english(10_000 + n)} for n in range(60)] if kind == "positive" else []
        write_lines(base / "quality" / f"{kind}.jsonl", examples)
    web = [english(seed, 12) + f"\nBorn in {1900 + seed}, 12345 boats." for seed in range(60)]
    web += [chinese(seed, 12) for seed in range(60)]
    web += [web[0].upper(), web[1].replace(" ", "  ")]  # exact after normalization
    web += [web[2] + " And the end.", web[3] + " And the end."]  # near
    web += ["有人说了badword，又说了villain。" + chinese(900, 12), english(901, 12) + " " + " ".join(QUESTION)]
    write_lines(base / "documents" / "web.jsonl", ({"text": text} for text in web))
    write_wiki(base / "documents" / "wikipedia", [english(500 + seed, 12) for seed in range(20)])
    write_books(base / "documents" / "books", [english(600 + seed, 12) for seed in range(6)])
    (base / "safety" / "words.txt").write_text("badword\nvillain\n", encoding="utf-8")
    write_lines(base / "evaluation" / "e.jsonl", [{"question": " ".join(QUESTION)}])
    source = random.Random(3)
    plants = {"thirteen": QUESTION[5:18], "twelve": [*QUESTION[20:32], "different"]}
    samples = [{"instruction": " ".join(words), "output": name} for name, words in plants.items()]
    samples.append({"instruction": "Say it.", "output": " ".join(["so", *QUESTION[3:16]]), "name": "in the answer"})
    samples += [{"instruction": english(seed, 1), "output": english(source.randrange(10**6), 2)} for seed in range(60)]
    write_lines(base / "instructions" / "i.jsonl", samples)
    toy = {
        "tokenizer.vocabulary": 1600,
        "extended_tokenizer.size": 300,
        "quality_filter.min_score": 0.0,
        "mixture.shares": {"instruction": 0.1},
        "safety_filter.max_words_per_line": 0.0,
    }
    return base, run_named("qwen", base, toy)


def test_duplicates_and_what_scorers_dislike_are_gone(run: tuple[pathlib.Path, Outcome]) -> None:
    names = ("exact_duplicates_reason", "near_duplicates_reason", "safety_filter_reason", "quality_filter_score",
             "quality_score", "perplexity", "text")  # fmt: skip
    rows = columns(run[1], *names)
    assert [sum(row[name] is not None for row in rows) for name in names[:3]] == [2, 2, 1]
    left = [row for row in rows if row["safety_filter_reason"] is None]
    both = [row for row in left if row["quality_score"] is not None and row["perplexity"] is not None]
    assert len(both) > 50
    assert all(row["quality_filter_score"] is not None for row in both)


def test_a_sample_with_thirteen_tokens_of_a_test_goes_whole_and_documents_stay(
    run: tuple[pathlib.Path, Outcome],
) -> None:
    _, outcome = run
    rows = [row for row in columns(outcome, "messages", "decontamination_reason") if row["messages"]]
    gone = [row["messages"][-1]["content"] for row in rows if row["decontamination_reason"]]
    assert sorted(gone) == sorted(["thirteen", " ".join(["so", *QUESTION[3:16]])])
    assert any(" ".join(QUESTION) in row["text"] for row in columns(outcome, "text", kept_only=True))


def test_selected_sources_come_twice(run: tuple[pathlib.Path, Outcome]) -> None:
    weights = {
        row["source"]: row["upsampling_weight"]
        for row in columns(run[1], "source", "upsampling_weight", kept_only=True)
    }
    assert weights.items() >= {"web": 1.0, "wikipedia": 2.0, "books": 2.0}.items()  # by folders, not by `enwiki`


def test_the_tokenizer_is_pruned_extended_and_appended_to(run: tuple[pathlib.Path, Outcome]) -> None:
    base, _ = run
    paths = [base / "out" / name / "tokenizer.json" for name in ("tokenizer", "extended_tokenizer")]
    trained, extended = (read_tokenizer(str(path)) for path in paths)
    spelt = [[token for _, token in sorted(token_bytes(of).items())] for of in (trained, extended)]
    numbers = [token for token in spelt[0] if len(token) > 1 and token.isdigit()]
    assert numbers
    kept = [token for token in spelt[0] if token not in numbers]
    assert spelt[1][: len(kept)] == kept  # in order, re-indexed
    assert len(spelt[1]) == len(kept) + 300
    # Closure: by tokens of lower id alone, each token comes down to exactly two.
    ids = {token: number for number, token in enumerate(spelt[1])}
    merges = {b"".join(_bytes(extended, pair)) for pair in extended["model"]["merges"]}
    for token, number in ids.items():
        if len(token) > 1:
            assert token in merges
            assert len(_lower(token, ids, number)) == 2, token
    loaded = [tokenizers.Tokenizer.from_file(str(path)) for path in paths]
    for text in [english(1), chinese(1), "x = 2023\n", "Ünseen 河流"]:
        bounds = [{stop for _, stop in of.encode(text).offsets} for of in (_pruned(paths[0]), loaded[1])]
        assert bounds[1] <= bounds[0]
    assert loaded[1].encode("2023").tokens == list("2023")
    special = [loaded[1].token_to_id(token) for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    assert special == [len(spelt[1]), len(spelt[1]) + 1, len(spelt[1]) + 2]


def _bytes(tokenizer: dict[str, object], names: list[str]) -> list[bytes]:
    by_id = token_bytes(tokenizer)
    vocabulary = tokenizer["model"]["vocab"]  # type: ignore[index]
    return [by_id[vocabulary[name]] for name in names]


def _lower(token: bytes, ids: dict[bytes, int], limit: int) -> list[bytes]:
    """A token encoded by the tokens of lower id alone, as tiktoken merges: the lowest id first."""
    parts = [bytes([byte]) for byte in token]
    while True:
        pairs = [(ids.get(a + b, limit), place) for place, (a, b) in enumerate(itertools.pairwise(parts))]
        best, place = min(pairs, default=(limit, 0))
        if best >= limit:
            return parts
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def _pruned(path: pathlib.Path) -> tokenizers.Tokenizer:
    from tokenizer_training.extend import with_single_digits

    return tokenizers.Tokenizer.from_str(json.dumps(with_single_digits(read_tokenizer(str(path)))))


@pytest.mark.parametrize("policy", ["qwen_paper", "qwen_script"])
def test_both_policies_of_loss(policy: str, run: tuple[pathlib.Path, Outcome], tmp_path: pathlib.Path) -> None:
    base, _ = run
    for folder in ("documents", "instructions"):
        (tmp_path / folder).mkdir()
    write_lines(tmp_path / "documents" / "a.jsonl", [{"text": english(0)}])
    write_lines(
        tmp_path / "instructions" / "i.jsonl", [{"instruction": "Where is the boat?", "output": "At the quay."}]
    )
    path = str(base / "out" / "extended_tokenizer" / "tokenizer.json")
    changes = {"chat.loss": policy, "tokens.tokenizer": path, "mixture.shares": {}}
    without = ("tokenizer", "extended_tokenizer", "quality", "perplexity", "safety", "safety_filter", "quality_filter")
    run_named("qwen", tmp_path, changes, (*without, "upsampling", "near_duplicates", "decontamination", "rules"))
    (row,) = [row for row in shards(tmp_path) if row["source"] == "instructions"]
    turns = {"system": SYSTEM, "user": "Where is the boat?", "assistant": "At the quay."}
    golden = "".join(f"<|im_start|>{role}\n{said}<|im_end|>\n" for role, said in turns.items())
    assert row["text"] == golden
    learnt = [golden.encode()[piece["start"] : piece["stop"]].decode() for piece in row["pieces"] if piece["loss"]]
    masks = {
        "qwen_paper": ["<|im_start|>assistant\n", "At the quay.", "<|im_end|>\n"],  # system and user are masked
        "qwen_script": ["<|im_start|>", "<|im_end|>", "\n"] * 2 + ["<|im_start|>", "At the quay.", "<|im_end|>", "\n"],
    }
    assert "".join(learnt) == "".join(masks[policy])
    assert pq.read_table(tmp_path / "out" / "shards").num_rows == 2
