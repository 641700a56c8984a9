"""Levels of deduplication in recipes: in any order, explained, and against a run of which only signatures are left."""

import pathlib
import shutil

import pytest

from datapipe.cli import main
from datapipe.engine.explain import look_up
from datapipe.engine.output import open_corpus
from tests.helpers import jaccard, random_words, write_lines


def page(*paragraphs: list[str]) -> str:
    return "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)


NEAR = [*random_words(1)[:100], "changed", *random_words(1)[101:190]]
TEXTS = {
    "original": page(random_words(1)),
    "copy": page(random_words(1)),
    "near": page(NEAR),
    "first with the paragraph": page(random_words(2), random_words(9, 60)),
    "later with the paragraph": page(random_words(9, 60), random_words(3)),
    "statement": page(random_words(4)),
    "the same words in another order": page(random_words(4)[::-1]),
    "alone": page(random_words(5)),
}
NAMES = list(TEXTS)
LEVELS = {
    "exact": "- exact_duplicates",
    "near": "- near_duplicates",
    "paragraphs": "- repeated_text: {keep_copies: {paragraph: 1, window: 1}}\n  - cut_repeated_text",
    "semantic": "- embeddings\n  - semantic_duplicates: {keep: first}",
}


def run(tmp_path: pathlib.Path, name: str, stages: str, texts: dict[str, str]) -> str:
    """The output folder of a run through the command line; the input is gone when it is done."""
    folder = tmp_path / f"{name}-in"
    folder.mkdir()
    write_lines(folder / "a.jsonl", ({"id": key, "text": text} for key, text in texts.items()))
    (tmp_path / f"{name}.yaml").write_text(f"description: toy\nstages:\n  - documents\n  {stages}\n")
    arguments = ["run", str(tmp_path / f"{name}.yaml"), "--input", str(folder), "--output", str(tmp_path / name)]
    assert main([*arguments, "--workers", "1"]) == 0
    shutil.rmtree(folder)
    return str(tmp_path / name)


@pytest.mark.parametrize(
    ("order", "verdicts"),
    [
        (
            ("exact", "near", "paragraphs", "semantic"),
            {
                "copy": "removed by exact_duplicates: exact_duplicate",
                "near": "removed by near_duplicates: near_duplicate",
                "the same words in another order": "removed by semantic_duplicates: semantic_duplicate",
            },
        ),
        (
            ("semantic", "paragraphs", "near", "exact"),
            {
                "copy": "removed by semantic_duplicates: semantic_duplicate",
                "near": "removed by semantic_duplicates: semantic_duplicate",
                "the same words in another order": "removed by semantic_duplicates: semantic_duplicate",
            },
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_levels_work_in_any_order(order: tuple[str, ...], verdicts: dict[str, str], tmp_path: pathlib.Path) -> None:
    output = run(tmp_path, "out", "\n  ".join(LEVELS[level] for level in order), TEXTS)
    corpus, _ = open_corpus(output)
    found = {name: look_up(corpus, name) for name in NAMES}
    assert {name: record["verdict"] for name, record in found.items() if record["verdict"] != "kept"} == verdicts
    # The paragraph goes where it comes again, whatever went before.
    cut = found["later with the paragraph"]
    assert corpus.parts[0].column("text")[NAMES.index("later with the paragraph")].as_py() == page(random_words(3))
    spans = [(span["unit"], span["of"]) for span in cut["repeated_text_spans"]]
    assert spans == [("paragraph", f"0-{NAMES.index('first with the paragraph')}"), ("window", spans[0][1])]
    assert cut["cut_repeated_text_characters"] == len(page(random_words(9, 60))) + 2
    # Who is removed names a partner and how like it is.
    original = f"0-{NAMES.index('original')}"
    for name, verdict in verdicts.items():
        stage = verdict.split()[2].removesuffix(":")
        record = found[name]
        if stage == "exact_duplicates":
            assert record["exact_duplicates_of"] == original
        elif stage == "near_duplicates":
            assert record["near_duplicates_of"] == original
            assert record["near_duplicates_similarity"] == pytest.approx(jaccard(random_words(1), NEAR))
        elif stage == "semantic_duplicates":
            partner = original if name in ("copy", "near") else f"0-{NAMES.index('statement')}"
            assert record["semantic_duplicates_of"] == partner
            assert 0.9 < record["semantic_duplicates_similarity"] <= 1


def test_a_corpus_grows_by_what_is_new_though_the_earlier_text_is_gone(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = {name: TEXTS[name] for name in ("original", "statement", "first with the paragraph")}
    first = pathlib.Path(run(tmp_path, "first", "- signatures: {scheme: datasketch}", earlier))
    for path in first.iterdir():
        if path.name != "signatures":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    against = "- cross_run_duplicates: {against: '{input_parent}/first/signatures'}"
    stages = f"- signatures: {{scheme: datasketch}}\n  {against}\n  - near_duplicates"
    output = run(tmp_path, "second", stages, TEXTS | {"alone again": page([*random_words(5), "end"])})
    corpus, _ = open_corpus(output)
    found = {name: look_up(corpus, name) for name in [*NAMES, "alone again"]}
    seen = {
        name: record["cross_run_duplicates_of"] for name, record in found.items() if "seen_earlier" in record["verdict"]
    }
    expected = {"original": "0-0", "copy": "0-0", "near": "0-0", "statement": "0-1", "first with the paragraph": "0-2"}
    assert seen == expected
    assert found["copy"]["cross_run_duplicates_similarity"] == 1
    assert 0.8 <= found["near"]["cross_run_duplicates_similarity"] < 1
    assert found["alone"]["verdict"] == "removed by near_duplicates: near_duplicate"
    assert found["alone again"]["verdict"] == "kept"
    capsys.readouterr()
    (tmp_path / "second.yaml").write_text((tmp_path / "second.yaml").read_text().replace("datasketch}", "fast}"))
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", [{"text": TEXTS["alone"]}])
    assert main(["run", str(tmp_path / "second.yaml"), "--input", str(tmp_path / "in"), "--output", output]) == 2
    assert "cross_run_duplicates: against holds signatures made with {'scheme': 'datasketch'" in capsys.readouterr().err
