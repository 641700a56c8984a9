"""Baichuan 2: the five stages of figure 2 add up to the raw data, and what scores higher is sampled more often."""

import json
import pathlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers

from datapipe.engine.run import Outcome
from tests.helpers import write_lines
from tests.recipes.toy import chinese, code, columns, english, plain, run_named, sample_quality

FIGURE_2 = {
    "exact_duplicates": ("exact_duplicates",),
    "rules": ("rules",),
    "sentence quality": ("passage_filter",),
    "sentence and paragraph duplicates": ("cut_repeated_text",),
    "near_duplicates": ("near_duplicates",),
}
SPAM = "Click here now to buy cheap boats and win a big prize, free shipping on every order today!"
REPEATED = english(999, 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("baichuan2")
    for folder in ("documents", "quality", "instructions"):
        (base / folder).mkdir()
    lines = {
        kind: [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
        for kind, path in sample_quality().items()
    }
    for kind, examples in lines.items():
        own = [{"text": text} for seed in range(60) for text in (english(10_000 + seed), chinese(10_000 + seed))]
        chosen = examples[:: 1 + len(examples) // 300]
        write_lines(base / "quality" / f"{kind}.jsonl", [*chosen, *(own if kind == "positive" else [])])
    good = [row["text"] for row in lines["positive"][1 :: 1 + len(lines["positive"]) // 400]][:60]
    texts = [*good, *(english(seed) for seed in range(30)), *(chinese(seed) for seed in range(30))]
    texts += texts[:10]  # exact duplicates
    texts += [text + " And so on." for text in texts[60:70]]  # near duplicates
    texts += [english(100 + seed) + " " + REPEATED for seed in range(5)]
    texts += [english(200 + seed) + "\n\n" + SPAM for seed in range(5)]
    texts += [code(seed) for seed in range(20)]
    texts.append("buy buy buy " * 40)
    write_lines(base / "documents" / "a.jsonl", ({"text": text} for text in texts))
    write_lines(base / "instructions" / "i.jsonl", ({"instruction": f"Q{n}?", "output": f"A{n}."} for n in range(20)))
    toy = {"tokenizer.vocabulary": 2500, "topics.count": 3}
    return base, run_named("baichuan2", base, toy)


def test_what_the_five_stages_remove_and_what_they_keep_is_all(run: tuple[pathlib.Path, Outcome]) -> None:
    _, outcome = run
    steps = {step.stage: step for step in outcome.funnel.steps}
    order = [step.stage for step in outcome.funnel.steps]
    raw = steps["exact_duplicates"].entered.bytes
    kept, removed = 100.0, 0.0
    places = []
    for name, stages in FIGURE_2.items():
        step = steps[stages[0]]
        gone = 100 * (step.cut_bytes + sum(totals.bytes for totals in step.removed.values())) / raw
        assert gone > 0, name
        removed += gone
        assert 100 * step.left.bytes / raw + removed == pytest.approx(100, abs=0.01), name
        assert 100 * step.left.bytes / raw == pytest.approx(kept - gone, abs=0.01), name
        kept -= gone
        places.append(order.index(stages[0]))
    assert places == sorted(places)


def test_repeated_and_bad_sentences_are_cut_and_the_rest_stays(run: tuple[pathlib.Path, Outcome]) -> None:
    reasons = [f"{stage}_reason" for stages in FIGURE_2.values() for stage in stages]
    texts = [row["text"] for row in columns(run[1], "text", *reasons) if not any(row[name] for name in reasons)]
    assert sum(REPEATED in text for text in texts) == 1
    assert not any(SPAM in text for text in texts)
    assert sum(english(200 + seed).splitlines()[0] in text for seed in range(5) for text in texts) == 5


def test_the_rate_rises_with_the_score_and_the_copies_with_the_rate(run: tuple[pathlib.Path, Outcome]) -> None:
    _, outcome = run
    rows = columns(outcome, "quality_filter_score", "upsampling_weight", "topic", "mixture_copies", "bytes",
                   "language", "quality_score", "passages_sentence", "passages_paragraph")  # fmt: skip
    scored = [row for row in rows if row["quality_filter_score"] is not None and row["upsampling_weight"] is not None]
    assert len(scored) > 80
    topics = {row["topic"] for row in scored}
    assert len(topics) == 3
    for topic in topics:  # of one topic, one rate of frequency
        own = sorted((row["quality_filter_score"], row["upsampling_weight"]) for row in scored if row["topic"] == topic)
        assert all(np.diff([weight for _, weight in own]) >= -1e-6)
    low, high = ([row for row in scored if (row["quality_filter_score"] > 0.5) == is_high] for is_high in (False, True))
    mean = [float(np.mean([row["mixture_copies"] or 0 for row in of])) for of in (low, high)]
    assert mean[1] > 1.5 * mean[0]
    # All three levels speak: the ranks of each rise with the score.
    for level in ("quality_score", "passages_sentence", "passages_paragraph"):
        values = [[row[level] for row in of if row["language"] == "en"] for of in (low, high)]
        assert np.mean(values[1]) > np.mean(values[0]), level


def test_the_tokenizer_keeps_code_and_full_width_text(run: tuple[pathlib.Path, Outcome]) -> None:
    base, _ = run
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "out" / "tokenizer" / "tokenizer.json"))
    for text in ("    def f(x):\n        return  x\n\t\t# ok", "ＡＢＣ　１２３，全角。", " a", "a ", "   "):
        encoding = tokenizer.encode(text)
        assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == text
    pieces = [piece for piece in tokenizer.get_vocab() if not piece.startswith(("<0x", "<res"))]
    assert max(map(len, pieces)) <= 32
    assert any(len(piece) > 1 and not piece.strip(" ") for piece in pieces)  # white space alone
    assert not tokenizer.encode("boat").tokens[0].startswith((" ", "▁"))  # no dummy prefix
    options = next(stage["tokenizer"] for stage in plain("baichuan2")["stages"] if "tokenizer" in stage)
    assert (options["vocabulary"], options["max_token_length"]) == (125_696, 32)


def test_dialogues_are_in_its_form(run: tuple[pathlib.Path, Outcome]) -> None:
    rows = pq.read_table(run[0] / "out" / "shards", columns=["text", "source"]).to_pylist()
    dialogues = {row["text"] for row in rows if row["source"] == "instructions"}
    assert dialogues
    assert all(text.startswith("<reserved_106>Q") and "<reserved_107>A" in text for text in dialogues)
