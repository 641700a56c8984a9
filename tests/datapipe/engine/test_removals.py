"""Sources and languages that lose most of their documents are named, in the run, the report and run.json."""

import json
import pathlib

import pyarrow as pa

from datapipe.engine.removals import LINES, Loss, describe_losses, find_losses
from datapipe.store.corpus import Corpus
from tests.helpers import CorpusOf, add_columns, run_recipe, write_lines

Row = tuple[str | None, str | None, str | None]


def corpus(corpus_of: CorpusOf, tmp_path: pathlib.Path, rows: list[Row]) -> Corpus:
    """Of source, language and reason, in two parts."""
    sources, languages, reasons = (list(column) for column in zip(*rows, strict=True))
    half = -(-len(rows) // 2)
    parts = [
        add_columns(part, tmp_path / f"toy{part.number}", toy_reason=pa.array(reasons[at : at + half], pa.string()))
        for part, at in zip(
            corpus_of([""] * len(rows), rows_per_part=half, source=sources, language=languages), (0, half), strict=True
        )
    ]
    return Corpus("").with_parts(parts)


def test_a_source_and_a_language_of_which_most_is_gone_are_named(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    rows: list[Row] = [("good", "en", None)] * 90 + [("good", "en", "bad")] * 10
    rows += [("gone", "th", "no_stop")] * 35 + [("gone", "th", "short")] * 5 + [("gone", "en", None)] * 5
    rows += [("few", "fr", "bad")] * 19 + [(None, None, "bad")] * 50 + [("half", "en", "bad")] * 30
    rows += [("half", "en", None)] * 30
    assert find_losses(corpus(corpus_of, tmp_path, rows), 0.5) == [
        Loss("language", "th", 40, 40, "toy", "no_stop", 35),
        Loss("source", "gone", 45, 40, "toy", "no_stop", 35),
    ]


def test_unwanted_languages_are_no_loss(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    rows: list[Row] = [("a", "fr", "language_not_wanted")] * 40
    assert [loss.group for loss in find_losses(corpus(corpus_of, tmp_path, rows), 0.5)] == ["source"]


def test_what_a_mixture_does_not_take_is_no_loss(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of([""] * 100, source=["a"] * 100)
    toy, mixture = pa.array(["bad"] * 10 + [None] * 90), pa.array([None] * 10 + ["sampled_out"] * 80 + [None] * 10)
    part = add_columns(part, tmp_path / "toy", toy_reason=toy)
    assert (
        find_losses(Corpus("").with_parts([add_columns(part, tmp_path / "mixture", mixture_reason=mixture)]), 0.5) == []
    )


def test_lines() -> None:
    losses = [Loss("source", f"site {n}", 4000, 3000, "rules", "gopher_stop_words", 2500) for n in range(LINES + 2)]
    lines = describe_losses(losses, 0.5)
    assert lines[0] == "source site 0: 3,000 of 4,000 documents removed (75%), 2,500 by rules: gopher_stop_words"
    assert lines[LINES:] == ["and 2 more sources and languages lost more than 50%"]
    assert describe_losses([], 0.5) == []


def test_the_run_says_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    same = [{"text": "The same sentence on each page.", "source": "<copies>"}] * 25
    others = [{"text": f"Page number {n} says something else.", "source": "own"} for n in range(25)]
    write_lines(tmp_path / "in" / "d.jsonl", [*same, *others])
    outcome = run_recipe(
        "description: x\nstages:\n  - documents\n  - exact_duplicates\n", tmp_path, [str(tmp_path / "in")], "out"
    )
    line = "source <copies>: 24 of 25 documents removed (96%), 24 by exact_duplicates: exact_duplicate"
    assert outcome.record.warnings == [line]
    assert json.loads((tmp_path / "out/run.json").read_text())["warnings"] == [line]
    unsaid = run_recipe(
        "warn_removed: 0.97\nstages:\n  - documents\n  - exact_duplicates\n", tmp_path, [str(tmp_path / "in")], "out2"
    )
    assert unsaid.record.warnings == []
    assert line.replace("<", "&lt;").replace(">", "&gt;") in (tmp_path / "out/report.html").read_text()
