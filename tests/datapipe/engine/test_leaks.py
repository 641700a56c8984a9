"""What leaked where: the tables, the counts and the levels, from the columns of the stages."""

import pathlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.commands.explain import explain_document
from datapipe.engine.funnel import count_funnel, render_funnel
from datapipe.engine.leaks import LeakCount, Levels, leaks_of, write_leaks
from datapipe.mix import contaminated_tokens, decontamination
from datapipe.store import files
from datapipe.store.corpus import Corpus
from datapipe.store.record import Done, Skipped
from datapipe.store.schemas import EVALUATION_RECORDS
from tests.helpers import (
    CorpusOf,
    add_columns,
    done,
    prose,
    random_words,
    rows_of,
    run_recipe,
    save_word_tokenizer,
    write_lines,
)

Stages = dict[str, Done | Skipped]


def leaked_corpus(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> tuple[Corpus, Stages]:
    """Four documents, of which two stages found records in three, and the last of which is removed."""
    (part,) = corpus_of(["a", "bb", "ccc", "dddd"], bytes=pa.array([1, 2, 3, 4], pa.int64()))
    grams = [[("b: #1.jsonl#0", "see: c#2"), ("a.jsonl#7", "words")], None, [("a.jsonl#7", "word\ns")], None]
    overlaps = [[{"record": record, "text": text} for record, text in found] if found else None for found in grams]
    part = add_columns(
        part,
        tmp_path / "decontamination",
        decontamination_reason=pa.nulls(4, pa.string()),
        decontamination_leaks=pa.array(overlaps, decontamination.LEAKS),
    )
    runs = [[("a.jsonl#0", 0.1, [0, 2])], None, [("a.jsonl#0", 0.15, [1, 4])], [("a.jsonl#0", 0.8, [4, 20])]]
    shared = [
        [{"record": r, "share": s, "runs": t, "text": "t"} for r, s, t in found] if found else None for found in runs
    ]
    part = add_columns(
        part,
        tmp_path / "contaminated_tokens",
        contaminated_tokens_reason=pa.array([None, None, None, "contaminated_tokens"]),
        contaminated_tokens_leaks=pa.array(shared, contaminated_tokens.LEAKS),
    )
    records = pa.table([["a.jsonl#0", "a.jsonl#1"], [range(20), range(20)]], contaminated_tokens.RECORDS)
    files.write_table(str(tmp_path / "contaminated_tokens" / EVALUATION_RECORDS), records)
    stages: Stages = {
        "decontamination": done("decontamination_reason", "decontamination_leaks"),
        "contaminated_tokens": done("contaminated_tokens_reason", "contaminated_tokens_leaks"),
    }
    return Corpus(str(tmp_path), (part,)), stages


def test_a_row_for_each_record_in_each_document(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    corpus, stages = leaked_corpus(corpus_of, tmp_path)
    write_leaks(corpus, stages)
    rows = pq.read_table(tmp_path / "leaks" / "documents.parquet").to_pylist()
    found = [(row["stage"], row["file"], row["record"], row["document"], row["text"]) for row in rows]
    assert found == [
        ("decontamination", "b: #1.jsonl", 0, "0-0", "see: c#2"),
        ("decontamination", "a.jsonl", 7, "0-0", "words"),
        ("decontamination", "a.jsonl", 7, "0-2", "word\ns"),
        ("contaminated_tokens", "a.jsonl", 0, "0-0", "t"),
        ("contaminated_tokens", "a.jsonl", 0, "0-2", "t"),
        ("contaminated_tokens", "a.jsonl", 0, "0-3", "t"),
    ]
    assert [row["score"] for row in rows[:4]] == [None, None, None, pytest.approx(0.1)]
    assert [row["document"] for row in leaks_of(corpus, "a.jsonl#7")] == ["0-0", "0-2"]
    assert [row["document"] for row in leaks_of(corpus, "b: #1.jsonl#0")] == ["0-0"]
    assert leaks_of(corpus, "a.jsonl#99") == leaks_of(corpus, "0-0") == []


def test_the_share_of_a_record_is_that_of_all_documents_together(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    corpus, stages = leaked_corpus(corpus_of, tmp_path)
    write_leaks(corpus, stages)
    first, second = pq.read_table(tmp_path / "leaks" / "records.parquet").to_pylist()
    assert first == {
        "file": "a.jsonl",
        "record": 0,
        "tokens": 20,
        "share": 1.0,
        "kept_share": pytest.approx(0.2),  # 0 to 4: the document with the rest is removed
        "level": "in between",
    }
    assert (second["share"], second["kept_share"], second["level"]) == (0, 0, "clean")


def test_the_funnel_counts_by_evaluation_file(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    funnel = count_funnel(*leaked_corpus(corpus_of, tmp_path))
    assert funnel.leaks == {"a.jsonl": LeakCount(3, 2), "b: #1.jsonl": LeakCount(1, 1)}
    assert funnel.levels == {"a.jsonl": Levels(records=2, clean=1, not_clean=1, not_dirty=2, dirty=0)}
    lines = [line.split() for line in render_funnel(funnel).splitlines()]
    assert ["a.jsonl", "3", "2"] in lines
    assert lines[-1] == ["a.jsonl", "2", "1", "1", "2", "0"]


def test_without_such_a_stage_there_is_no_table(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    corpus, stages = leaked_corpus(corpus_of, tmp_path)
    write_leaks(corpus, stages)
    write_leaks(corpus, {})
    assert not (tmp_path / "leaks").exists()


RECIPE = """
stages:
  - documents
  - decontamination: {evaluation: ["{input_parent}/evaluation"], fields: [question], parts: [document], shortest: 13}
  - evaluation_questions: {evaluation: ["{input_parent}/evaluation"]}
  - contaminated_tokens:
      {evaluation: ["{input_parent}/evaluation"], tokenizer: "{input_parent}/t.json", fields: [question]}
"""


def test_a_run_says_what_leaked_where(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("documents", "evaluation"):
        (tmp_path / name).mkdir()
    question, answer = " ".join(random_words(1, 12)), "the seventh of May"
    records: list[dict[str, Any]] = [
        {"question": prose(1), "answer": "so it is"},
        {"question": question, "answer": answer},
    ]
    write_lines(tmp_path / "evaluation" / "set.jsonl", records)
    half = " ".join(question.split()[:11])
    texts = [f"{prose(2)} {question}? {answer}.", prose(3), prose(1), f"{half}, and no more."]
    save_word_tokenizer(tmp_path / "t.json", [*question.split(), *prose(1).split()])
    write_lines(tmp_path / "documents" / "a.jsonl", ({"text": text} for text in texts))
    outcome = run_recipe(RECIPE, tmp_path, [str(tmp_path / "documents")])
    assert outcome.funnel.leaks == {"set.jsonl": LeakCount(3, 2)}
    # The last text is removed for what it holds: nothing of either record is left.
    assert outcome.funnel.levels == {"set.jsonl": Levels(2, 2, 0, 2, 0)}
    assert pq.read_table(tmp_path / "out" / "leaks" / "records.parquet").column("share").to_pylist() == [
        0,
        pytest.approx(11 / 12),
    ]
    explain_document(str(tmp_path / "out"), "set.jsonl#1")
    said = capsys.readouterr().out
    assert f"{question}? {answer}" in said
    assert "  0-0  found by evaluation_questions" in said
    shown = [row[:3] for row in rows_of(tmp_path / "out" / "report.html")]
    assert ["evaluation_questions", "set.jsonl#1", "0-0"] in shown
    assert ["decontamination", "set.jsonl#0", "0-2"] in shown
    assert ["contaminated_tokens", "set.jsonl#1", "0-3"] in shown
    assert ["set.jsonl", "2", "2"] in shown
