"""The report shows what was removed, and treats documents as text."""

import pathlib

import pyarrow as pa

from datapipe.engine.funnel import count_funnel
from datapipe.engine.report import write_report
from datapipe.store.corpus import Corpus
from datapipe.store.record import Done, RunRecord, Skipped
from tests.helpers import CorpusOf, add_columns, done, rows_of


def test_a_document_cannot_put_markup_into_the_page(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    attack = "<script>alert(1)</script>"
    (part,) = corpus_of([attack, "fine"], bytes=pa.array([25, 4], pa.int64()))
    part = add_columns(part, tmp_path / "toy", toy_reason=pa.array([attack, None]))
    corpus = Corpus(str(tmp_path), (part,))
    stages: dict[str, Done | Skipped] = {
        "documents": done("text", rejects={attack: 1}),
        "toy": done("toy_reason", notes=(attack,)),
        "quality": Skipped(attack),
    }
    record = RunRecord({"name": attack, "description": attack}, [attack], {}, stages)
    write_report(corpus, count_funnel(corpus, stages), record)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 7
    assert "0-0" in page


def test_the_funnel_and_a_few_of_what_was_removed(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    texts = [*("x" * 500 + str(number) for number in range(5)), "fine"]
    (part,) = corpus_of(texts, bytes=pa.array([501] * 5 + [4], pa.int64()))
    part = add_columns(part, tmp_path / "toy", toy_reason=pa.array(["long"] * 5 + [None]))
    corpus = Corpus(str(tmp_path), (part,))
    stages: dict[str, Done | Skipped] = {
        "documents": done("text", rejects={"malformed_json": 2}),
        "toy": done("toy_reason", notes=("a note",)),
        "quality": Skipped("no examples"),
    }
    write_report(corpus, count_funnel(corpus, stages), RunRecord({"name": "r", "description": ""}, [], {}, stages))
    rows = rows_of(tmp_path / "report.html")
    assert ["", "documents: rejected, malformed_json", "2", "", "", ""] in rows
    assert ["", "removed, long", "5", "2,505", "–", ""] in rows
    assert ["kept", "each once", "1", "4", "–", ""] in rows
    assert ["toy", "1.0", "0", "a note"] in rows
    assert ["quality", "", "", "skipped: no examples"] in rows
    assert [row for row in rows if row[:1] == ["0-0"]] == [["0-0", "toy", "long", "x" * 400]]
    assert [row[0] for row in rows if row[1:3] == ["toy", "long"]] == ["0-0", "0-1", "0-2"]
