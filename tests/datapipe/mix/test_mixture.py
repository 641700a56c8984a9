"""Mixing: shares are met within a point, nothing is taken more often than allowed, and what cannot be met is said."""

import json
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapipe.mix.mixture import REST, STEPS, MixSources, count_copies, plan_epochs, token_curve
from datapipe.store.corpus import Corpus, Part
from datapipe.text.bit_mixing import uniform_draw
from tests.helpers import CorpusOf

# Of LLaMA 1 (Touvron et al. 2023, table 1): its seven sources, their shares, and epochs.
LLAMA = {"cc": 0.67, "c4": 0.15, "github": 0.045, "wikipedia": 0.045, "books": 0.045, "arxiv": 0.025, "stack": 0.02}
LLAMA_EPOCHS = {"cc": 1.10, "c4": 1.06, "github": 0.64, "wikipedia": 2.45, "books": 2.23, "arxiv": 1.06, "stack": 1.03}


def mix(parts: list[Part], folder: str = "", **options: Any) -> tuple[npt.NDArray[np.int64], list[str | None]]:
    """Copies of each row, ordered by id, and the reasons."""
    table = pa.Table.from_batches(parts | MixSources(**options).ready(folder=folder)).sort_by("id")
    return table.column("mixture_copies").to_numpy().astype(np.int64), table.column("mixture_reason").to_pylist()


def sizes(rows: int, mean: int, seed: int = 1) -> list[int]:
    """Token counts as long-tailed as those of documents."""
    draws = uniform_draw(np.arange(rows, dtype=np.uint64), seed)
    return np.maximum(1, np.floor(-np.log1p(-draws) * mean)).astype(int).tolist()


def kinds(corpus_of: CorpusOf, documents: list[int], instructions: list[int]) -> list[Part]:
    parts = corpus_of(["x"] * len(documents), tokens=documents, rows_per_part=100)
    more = corpus_of(
        ["x"] * len(instructions), tokens=instructions, rows_per_part=100, kind="instruction", first=len(parts)
    )
    return parts + more


def test_by_default_documents_are_kept_once_and_instructions_take_five_percent(corpus_of: CorpusOf) -> None:
    documents, instructions = sizes(300, 500), sizes(60, 60)
    copies, reasons = mix(kinds(corpus_of, documents, instructions))
    assert set(copies[:300]) == {1}
    taken = int(copies[300:] @ instructions)
    assert abs(taken / (taken + sum(documents)) - 0.05) < 0.01
    assert [reason is None for reason in reasons] == (copies > 0).tolist()
    assert {reason for reason in reasons if reason} <= {"sampled_out"}


def test_seven_sources_take_their_shares_and_epochs(corpus_of: CorpusOf) -> None:
    total = 1_400_000
    documents = {source: sizes(max(40, int(share * 2000)), 100) for source, share in LLAMA.items()}
    sources: list[str] = []
    tokens: list[int] = []
    for source, lengths in documents.items():
        # As many tokens as give the published epochs at the published share.
        scale = LLAMA[source] * total / LLAMA_EPOCHS[source] / sum(lengths)
        tokens += [max(1, round(length * scale)) for length in lengths]
        sources += [source] * len(lengths)
    parts = corpus_of(["x"] * len(tokens), tokens=tokens, source=sources, rows_per_part=300)
    copies, _ = mix(parts, by="source", shares=LLAMA, tokens=total)
    amounts = copies * np.array(tokens)
    assert abs(amounts.sum() / total - 1) < 0.01
    for source, share in LLAMA.items():
        of = np.array([name == source for name in sources])
        assert abs(amounts[of].sum() / amounts.sum() - share) < 0.01
        assert abs(amounts[of].sum() / np.array(tokens)[of].sum() / LLAMA_EPOCHS[source] - 1) < 0.02


def test_more_tokens_mean_more_copies_up_to_max_epochs(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["x"] * 50, tokens=[10] * 50)
    for wanted, expected in ((250, 250), (1000, 1000), (10_000, 2500)):
        copies, _ = mix(parts, shares={}, tokens=wanted)
        assert copies.sum() * 10 == expected
    copies, _ = mix(parts, shares={}, tokens=10_000, max_epochs=2, folder=str(tmp_path))
    assert set(copies) == {2}


def test_a_group_that_is_too_small_is_repeated_as_allowed_and_said(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = kinds(corpus_of, [100] * 100, [10] * 5)
    copies, _ = mix(parts, folder=str(tmp_path))
    assert set(copies[:100]) == {1}
    assert set(copies[100:]) == {5}
    notes = json.loads((tmp_path / "_notes.json").read_text())
    assert notes == ["instruction: 5 epochs, the most allowed, give 2.4% of the tokens, not 5.0%"]


def test_an_absent_group_is_said_and_its_share_goes_to_the_others(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["x"] * 1000, tokens=[10] * 1000, language=["en", "zh"] * 500)
    shares = {"en": 0.2, "zh": 0.6, "ja": 0.2}
    copies, _ = mix(parts, by="language", shares=shares, folder=str(tmp_path))
    assert abs(copies[1::2].sum() / copies.sum() - 0.75) < 0.01
    assert json.loads((tmp_path / "_notes.json").read_text()) == [
        "no tokens in ja: its share of 20.0% goes to the others"
    ]


def test_rows_without_a_value_are_the_group_none(corpus_of: CorpusOf) -> None:
    documents = corpus_of(["x"] * 400, tokens=[10] * 400, language=["en", "zh", "zh", None] * 100)
    instructions = corpus_of(["x"] * 100, tokens=[10] * 100, kind="instruction", first=1)
    shares = {"en": 0.3, "zh": 0.3, "none": 0.4}
    copies, _ = mix(documents + instructions, by="language", shares=shares)
    null = np.r_[np.tile([False, False, False, True], 100), np.ones(100, bool)]
    assert abs(copies[null].sum() / copies.sum() - 0.4) < 0.01


def test_groups_without_a_share_keep_their_proportions(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 3000, tokens=[10] * 3000, source=["a", "b", "b"] * 1000)
    copies, _ = mix(parts, by="source", shares={"missing": 0.5}, tokens=15_000)
    assert abs(copies.sum() - 1500) <= 2
    assert abs(copies[::3].sum() / 1500 - 1 / 3) < 0.03


def test_a_share_of_nought_takes_nothing(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 4, tokens=[10] * 4, source=["spam", "good"] * 2)
    copies, reasons = mix(parts, by="source", shares={"spam": 0.0})
    assert copies.tolist() == [0, 1, 0, 1]
    assert reasons == ["sampled_out", None, "sampled_out", None]


def test_weights_set_the_copies_within_a_group(corpus_of: CorpusOf) -> None:
    weights = [0.25, 1.0, 2.5, 9.0, None] * 400
    parts = corpus_of(["x"] * 2000, tokens=[10] * 2000, upsampling_weight=pa.array(weights, pa.float32()))
    copies, _ = mix(parts, shares={})
    means = copies.reshape(-1, 5).mean(axis=0)
    assert np.allclose(means, [0.25, 1, 2.5, 5, 1], atol=0.07)
    # The sampling rate rises with the weight at any size of the mixture.
    halved, _ = mix(parts, shares={}, tokens=int(copies.sum() * 5))
    assert abs(halved.sum() / copies.sum() - 0.5) < 0.01
    assert (np.diff(halved.reshape(-1, 5).mean(axis=0)[:4]) > 0).all()


def test_the_seed_chooses_the_documents_and_the_parts_do_not(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 200, tokens=[10] * 200, rows_per_part=50)
    first, _ = mix(parts, shares={}, tokens=1000)
    again, _ = mix(parts[::-1], shares={}, tokens=1000)
    other, _ = mix(parts, shares={}, tokens=1000, seed=1)
    assert first.tolist() == again.tolist() != other.tolist()
    assert first.sum() == other.sum() == 100


def test_rows_without_tokens_take_none(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 100, tokens=[10, None] * 50)
    copies, _ = mix(parts, shares={}, tokens=1000)
    assert copies[::2].tolist() == [2] * 50


def test_of_two_steps_as_near_the_lower_is_taken() -> None:
    curve = np.full(STEPS + 1, 20)
    curve[:2] = 0, 10
    assert plan_epochs({"a": curve}, {"a": 1.0}, 15) == ({"a": 1 / STEPS}, [])
    assert plan_epochs({"a": curve}, {"a": 1.0}, 16) == ({"a": 2 / STEPS}, [])
    assert plan_epochs({"a": curve}, {"a": 1.0}, 20) == ({"a": 1.0}, [])  # the last step of as many tokens


def test_removed_rows_take_no_part(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of(["x"] * 4, tokens=[10] * 4, toy_reason=["spam", None, None, "spam"])
    verdicts = pa.Table.from_batches([part] | MixSources(shares={}, tokens=40))
    assert verdicts.column("id").to_pylist() == [1, 2]
    assert verdicts.column("mixture_copies").to_pylist() == [2, 2]


def test_empty_corpus(corpus_of: CorpusOf) -> None:
    assert corpus_of([], tokens=pa.array([], pa.int64())) | MixSources() == []


def test_prepare_only_tells_it_where_to_write(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = kinds(corpus_of, [10] * 10, [10])
    corpus = Corpus(str(tmp_path), tuple(parts))
    assert pa.Table.from_batches(parts | MixSources().prepare(corpus, str(tmp_path))).num_rows == 11
    assert json.loads((tmp_path / "_notes.json").read_text()) == []


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 1.0, 2.0, 7.5])), max_size=20),
    st.integers(1, 4),
    st.integers(0, 4 * STEPS),
    st.integers(0, 5),
)
def test_the_curve_is_what_copies_have(rows: list[tuple[int, float]], max_epochs: int, step: int, seed: int) -> None:
    tokens = np.array([row[0] for row in rows], np.int64)
    weights = np.array([row[1] for row in rows])
    draws = uniform_draw(np.arange(len(rows), dtype=np.uint64), seed)
    step = min(step, max_epochs * STEPS)
    curve = token_curve(tokens, weights, draws, max_epochs)
    assert curve[step] == tokens @ count_copies(step / STEPS * weights, draws, max_epochs).astype(np.int64)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c", REST]), st.integers(0, 3), min_size=1),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 25), max_size=4),
    st.one_of(st.none(), st.integers(1, 40_000)),
)
def test_plans_keep_within_what_there_is(
    magnitudes: dict[str, int], percents: dict[str, int], total: int | None
) -> None:
    shares = {group: percent / 100 for group, percent in percents.items()}
    curves = {}
    for number, (group, magnitude) in enumerate(magnitudes.items()):
        rows = 10**magnitude if magnitude else 0
        draws = uniform_draw(np.arange(rows, dtype=np.uint64), number)
        curves[group] = token_curve(np.full(rows, 10, np.int64), np.ones(rows), draws, 3)
    curves = {group: curve for group, curve in curves.items() if group == REST or group in shares}
    epochs, notes = plan_epochs(curves, shares, total)
    assert epochs.keys() == curves.keys()
    assert all(0 <= epoch <= 3 for epoch in epochs.values())
    taken = {group: int(curve[round(epochs[group] * STEPS)]) for group, curve in curves.items()}
    rest = 1 - sum(shares.values())
    asked = {group: shares.get(group, rest) for group in curves}
    if total is not None and all(asked.values()) and sum(int(curve[-1]) for curve in curves.values()) >= total:
        assert abs(sum(taken.values()) - total) <= 10 * len(taken)
    if not notes and sum(taken.values()) >= 2000:
        for group, amount in taken.items():
            assert abs(amount / sum(taken.values()) - asked[group]) < 0.01 + 10 * len(taken) / sum(taken.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": ""}, "by must have at least 1 character, got ''"),
        ({"shares": {"a": 1.5}}, "shares.a must be between 0 and 1, got 1.5"),
        ({"shares": {"": 0.5}}, "each be of a named group"),
        ({"shares": {"a": 0.7, "b": 0.7}}, "not exceed 1 together"),
        ({"max_epochs": 0}, "max_epochs must be at least 1, got 0"),
        ({"tokens": 0}, "tokens must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixSources(**options)
