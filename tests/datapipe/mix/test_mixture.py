"""Mixing: shares are met within a point, nothing is taken more often than allowed, and what cannot be met is said."""

import json
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from datapipe.mix.mixture import MixSources
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
    copies, _ = mix(parts, by=["source"], shares=LLAMA, budget=total)
    amounts = copies * np.array(tokens)
    assert abs(amounts.sum() / total - 1) < 0.01
    for source, share in LLAMA.items():
        of = np.array([name == source for name in sources])
        assert abs(amounts[of].sum() / amounts.sum() - share) < 0.01
        assert abs(amounts[of].sum() / np.array(tokens)[of].sum() / LLAMA_EPOCHS[source] - 1) < 0.02


def test_more_tokens_mean_more_copies_up_to_max_epochs(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["x"] * 50, tokens=[10] * 50)
    for wanted, expected in ((250, 250), (1000, 1000), (10_000, 2500)):
        copies, _ = mix(parts, shares={}, budget=wanted)
        assert copies.sum() * 10 == expected
    copies, _ = mix(parts, shares={}, budget=10_000, max_epochs=2, folder=str(tmp_path))
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
    copies, _ = mix(parts, by=["language"], shares=shares, folder=str(tmp_path))
    assert abs(copies[1::2].sum() / copies.sum() - 0.75) < 0.01
    assert json.loads((tmp_path / "_notes.json").read_text()) == [
        "no tokens in ja: its share of 20.0% goes to the others"
    ]


def test_rows_without_a_value_are_the_group_none(corpus_of: CorpusOf) -> None:
    documents = corpus_of(["x"] * 400, tokens=[10] * 400, language=["en", "zh", "zh", None] * 100)
    instructions = corpus_of(["x"] * 100, tokens=[10] * 100, kind="instruction", first=1)
    shares = {"en": 0.3, "zh": 0.3, "none": 0.4}
    copies, _ = mix(documents + instructions, by=["language"], shares=shares)
    null = np.r_[np.tile([False, False, False, True], 100), np.ones(100, bool)]
    assert abs(copies[null].sum() / copies.sum() - 0.4) < 0.01


def test_groups_without_a_share_keep_their_proportions(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 3000, tokens=[10] * 3000, source=["a", "b", "b"] * 1000)
    copies, _ = mix(parts, by=["source"], shares={"missing": 0.5}, budget=15_000)
    assert abs(copies.sum() - 1500) <= 2
    assert abs(copies[::3].sum() / 1500 - 1 / 3) < 0.03


def test_a_share_of_nought_takes_nothing(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 4, tokens=[10] * 4, source=["spam", "good"] * 2)
    copies, reasons = mix(parts, by=["source"], shares={"spam": 0.0})
    assert copies.tolist() == [0, 1, 0, 1]
    assert reasons == ["sampled_out", None, "sampled_out", None]


def test_weights_set_the_copies_within_a_group(corpus_of: CorpusOf) -> None:
    weights = [0.25, 1.0, 2.5, 9.0, None] * 400
    parts = corpus_of(["x"] * 2000, tokens=[10] * 2000, upsampling_weight=pa.array(weights, pa.float32()))
    copies, _ = mix(parts, shares={})
    means = copies.reshape(-1, 5).mean(axis=0)
    assert np.allclose(means, [0.25, 1, 2.5, 5, 1], atol=0.07)
    # The sampling rate rises with the weight at any size of the mixture.
    halved, _ = mix(parts, shares={}, budget=int(copies.sum() * 5))
    assert abs(halved.sum() / copies.sum() - 0.5) < 0.01
    assert (np.diff(halved.reshape(-1, 5).mean(axis=0)[:4]) > 0).all()


def test_the_seed_chooses_the_documents_and_the_parts_do_not(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 200, tokens=[10] * 200, rows_per_part=50)
    first, _ = mix(parts, shares={}, budget=1000)
    again, _ = mix(parts[::-1], shares={}, budget=1000)
    other, _ = mix(parts, shares={}, budget=1000, seed=1)
    assert first.tolist() == again.tolist() != other.tolist()
    assert first.sum() == other.sum() == 100


def test_rows_without_tokens_take_none(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 100, tokens=[10, None] * 50)
    copies, _ = mix(parts, shares={}, budget=1000)
    assert copies[::2].tolist() == [2] * 50


def test_nested_shares_are_met_to_half_a_point(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    source = [["web", "books", "code"][number % 3] for number in range(6000)]
    language = [["zh", "en", "en", "de", None][number % 5] for number in range(6000)]
    tokens = np.array(sizes(6000, 500))
    parts = corpus_of(["x"] * 6000, tokens=tokens.tolist(), source=source, language=language, rows_per_part=900)
    shares = {"web": {"zh": 0.3, "en": 0.25}, "books": {"none": 0.05}, "code": 0.1}
    copies, _ = mix(parts, by=["source", "language"], shares=shares, budget=1_500_000, folder=str(tmp_path))
    amounts = copies * tokens
    assert abs(amounts.sum() / 1_500_000 - 1) < 0.002

    def share(*wanted: str | None) -> float:
        of = [wanted[0] == s and wanted[1:] in ((), (lang,)) for s, lang in zip(source, language, strict=True)]
        return float(amounts[of].sum() / amounts.sum())

    assert share("web", "zh") == pytest.approx(0.3, abs=0.005)
    assert share("web", "en") == pytest.approx(0.25, abs=0.005)
    assert share("books", None) == pytest.approx(0.05, abs=0.005)
    assert share("code") == pytest.approx(0.1, abs=0.005)
    # What no share names has the rest, in its natural proportions.
    rest = {("web", "de"): 1, ("web", None): 1, ("books", "zh"): 1, ("books", "en"): 2, ("books", "de"): 1}
    for group, parts_of_six in rest.items():
        assert share(*group) == pytest.approx(0.3 * parts_of_six / 6, abs=0.02)
    assert json.loads((tmp_path / "_notes.json").read_text()) == []
    table = json.loads((tmp_path / "_shares.json").read_text())
    assert {"/".join(of["group"]): round(of["share"], 2) for of in table["taken"]} == {
        "": 0.3,
        "web/zh": 0.3,
        "web/en": 0.25,
        "books/none": 0.05,
        "code": 0.1,
    }


def test_bytes_are_a_unit_too(corpus_of: CorpusOf) -> None:
    parts = corpus_of(["x"] * 1000, bytes=[10, 30] * 500, source=["a", "b"] * 500)
    copies, _ = mix(parts, by=["source"], unit="bytes", shares={"a": 0.5, "b": 0.5}, budget=8000)
    assert MixSources(unit="bytes").requires() == ("bytes",)
    assert copies[::2].sum() * 10 == 4000
    assert abs(copies[1::2].sum() * 30 - 4000) <= 30


def test_phases_follow_each_other_and_repeat_nothing_before_all_is_used(corpus_of: CorpusOf) -> None:
    # Skywork: a second stage in which the share of STEM rises from 10 to 40 %.
    source = [["web", "web", "web", "stem"][number % 4] for number in range(8000)]
    parts = corpus_of(["x"] * 8000, tokens=[10] * 8000, source=source, rows_per_part=1500)
    phases = [{"budget": 20_000, "shares": {"stem": 0.1 * step}} for step in (1, 2, 3, 4)]
    table = pa.Table.from_batches(parts | MixSources(by=["source"], phases=phases)).sort_by("id")  # type: ignore[arg-type]
    copies = np.array(table.column("mixture_phases").to_pylist())
    assert (copies.sum(axis=1) == table.column("mixture_copies").to_numpy()).all()
    stem = np.array([name == "stem" for name in source])
    for number, phase in enumerate(copies.T):
        assert phase.sum() == 2000
        assert phase[stem].sum() == 200 * (number + 1)
    # 2,000 documents of STEM are enough for all phases, and so are 6,000 others.
    assert copies.sum(axis=1).max() == 1
    more = [{"budget": 60_000, "shares": {"stem": 0.5}}] * 2
    table = pa.Table.from_batches(parts | MixSources(by=["source"], phases=more)).sort_by("id")  # type: ignore[arg-type]
    copies = np.array(table.column("mixture_phases").to_pylist())
    assert set(copies[stem].sum(axis=1)) == {3}
    assert set(copies[~stem].sum(axis=1)) == {1}


def test_a_document_that_is_much_of_the_budget_is_said(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = corpus_of(["x"] * 201, tokens=[*[10] * 200, 700], source=[*["a"] * 200, "b"])
    mix(parts, by=["source"], shares={"b": 0.2}, budget=2000, folder=str(tmp_path))
    notes = json.loads((tmp_path / "_notes.json").read_text())
    assert notes == [
        "b: 30.4% of the tokens, not 20.0%: a document of 700 is much of 2,300 tokens",
        "the rest: 69.6% of the tokens, not 80.0%: a document of 700 is much of 2,300 tokens",
    ]


def test_removed_rows_take_no_part(corpus_of: CorpusOf) -> None:
    (part,) = corpus_of(["x"] * 4, tokens=[10] * 4, toy_reason=["spam", None, None, "spam"])
    verdicts = pa.Table.from_batches([part] | MixSources(shares={}, budget=40))
    assert verdicts.column("id").to_pylist() == [1, 2]
    assert verdicts.column("mixture_copies").to_pylist() == [2, 2]


def test_empty_corpus(corpus_of: CorpusOf) -> None:
    assert corpus_of([], tokens=pa.array([], pa.int64())) | MixSources() == []


def test_prepare_only_tells_it_where_to_write(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    parts = kinds(corpus_of, [10] * 19, [10])
    corpus = Corpus(str(tmp_path), tuple(parts))
    assert pa.Table.from_batches(parts | MixSources().prepare(corpus, str(tmp_path))).num_rows == 20
    assert json.loads((tmp_path / "_notes.json").read_text()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": []}, "by must have at least 1 item"),
        ({"shares": {"a": 1.5}}, "shares.a must be between 0 and 1, got 1.5"),
        ({"shares": {"": 0.5}}, "each be of a named group"),
        ({"shares": {"a": {"b": 0.5}}}, "each be of a named group of part_kind, got 'a/b'"),
        ({"phases": [{"budget": 5}]}, "phases must each have a budget and shares, got {'budget': 5}"),
        ({"phases": [{"budget": 5, "shares": {"a": 0.7, "b": 0.7}}]}, "not exceed 1 together"),
        ({"phases": [{"budget": 5, "shares": {}}], "budget": 5}, "budget must be that of each phase"),
        ({"unit": "words"}, "unit must be one of 'tokens', 'bytes'"),
        ({"shares": {"a": 0.7, "b": 0.7}}, "not exceed 1 together"),
        ({"max_epochs": 0}, "max_epochs must be at least 1, got 0"),
        ({"budget": 0}, "budget must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixSources(**options)
