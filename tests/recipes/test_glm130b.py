"""GLM-130B: 30/70 of the rows, four samples of 512 that do not see each other, 5 % instructions, caps a data set."""

import collections
import pathlib
import random

import numpy as np
import pyarrow.parquet as pq
import pytest

from datapipe.engine.run import Outcome
from datapipe.mix.blank_infilling import attention_mask
from tests.helpers import write_lines
from tests.recipes.toy import (
    chinese,
    columns,
    english,
    run_named,
    sentence,
    write_books,
    write_papers,
    write_posts,
    write_wiki,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, Outcome]:
    base = tmp_path_factory.mktemp("glm130b")
    for folder in ("documents", "instructions"):
        (base / folder).mkdir()
    write_posts(base / "documents" / "stackexchange", [english(seed, 30) for seed in range(60)])
    write_books(base / "documents" / "gutenberg", [english(seed, 30) for seed in range(60, 100)])
    write_papers(base / "documents" / "arxiv", [english(seed, 30) for seed in range(100, 140)])
    write_wiki(base / "documents" / "wikipedia", [english(seed, 30) for seed in range(140, 500)])
    write_lines(base / "documents" / "zh.jsonl", ({"text": chinese(seed, 12)} for seed in range(500)))
    write_lines(
        base / "documents" / "other.jsonl", [{"text": "Der Fluss fließt ruhig durch die alte Stadt am Meer."}] * 3
    )
    source = random.Random(0)
    for name, count in (("t0_large", 300), ("t0_small", 20), ("deepstruct", 300)):
        rows = [{"instruction": sentence(source), "output": sentence(source), "source": name} for _ in range(count)]
        write_lines(base / "instructions" / f"{name}.jsonl", rows)
    toy = {"tokenizer.vocabulary": 800, "caps.max_documents": 100, "caps.groups": {"deepstruct": 200}}
    return base, run_named("glm130b", base, toy)


def _rows(base: pathlib.Path) -> list[dict[str, object]]:
    files = sorted((base / "out" / "glm_samples").glob("*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def test_no_data_set_has_more_than_its_cap(run: tuple[pathlib.Path, Outcome]) -> None:
    rows = columns(run[1], "source", "messages", "caps_reason")
    left = collections.Counter(row["source"] for row in rows if row["messages"] and row["caps_reason"] is None)
    assert left == {"t0_large": 100, "t0_small": 20, "deepstruct": 200}


def test_rows_have_their_shares(run: tuple[pathlib.Path, Outcome]) -> None:
    base, outcome = run
    objectives = collections.Counter(row["objective"] for row in _rows(base))
    of_text = objectives["token"] + objectives["document"]
    assert of_text > 100
    assert objectives["token"] / of_text == pytest.approx(0.3, abs=0.01)
    tokens = collections.Counter[str]()
    for row in columns(outcome, "language", "tokens", "mixture_copies", kept_only=True):
        tokens[row["language"] or "instruction"] += row["tokens"] * row["mixture_copies"]
    shares = {name: count / sum(tokens.values()) for name, count in tokens.items()}
    assert shares == pytest.approx({"instruction": 0.05, "en": 0.475, "zh": 0.475}, abs=0.01)


def test_blanks_hide_their_share_and_ends_a_fifth_at_least(run: tuple[pathlib.Path, Outcome]) -> None:
    for row in _rows(run[0]):
        labels = np.array(row["labels"])
        subs = row["sub_rows"]
        assert isinstance(subs, list)
        assert len(subs) <= (1 if row["objective"] == "document" else 4)
        assert len(labels) == 2048
        for number, sub in enumerate(subs):
            assert sub["begin"] == number * 512
            own = labels[sub["begin"] : sub["end"]]
            context, written = sub["context"] - sub["begin"], sub["end"] - sub["context"]
            assert (own[:context] == -100).all()
            assert (own[context:] >= 0).all()
            assert sub["end"] - sub["begin"] <= (2048 if row["objective"] == "document" else 512)
            if row["objective"] == "document":
                assert written - 1 >= int(0.2 * (context - 1 + written - 1))
        padding = np.ones(2048, bool)
        for sub in subs:
            padding[sub["begin"] : sub["end"]] = False
        assert (labels[padding] == -100).all()


def test_nothing_is_seen_across_samples(run: tuple[pathlib.Path, Outcome]) -> None:
    row = next(row for row in _rows(run[0]) if row["objective"] == "instruction")
    subs = [(sub["begin"], sub["context"], sub["end"]) for sub in row["sub_rows"]]  # type: ignore[attr-defined]
    assert len(subs) == 4
    mask = attention_mask(2048, subs)
    for begin, context, end in subs:
        assert not mask[begin:end, :begin].any()
        assert not mask[begin:end, end:].any()
        assert mask[begin:context, begin:context].all()
        assert not mask[begin:context, context:].any()
        assert (mask[context:end, context:end] == np.tril(np.ones((end - context, end - context), bool))).all()
    assert [row["position_ids"][begin] for begin, _, _ in subs] == [0] * 4  # type: ignore[index]
