"""The report shows what was removed, and treats documents as text."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

from datapipe.engine.funnel import count_funnel
from datapipe.engine.report.page import TOPICS, TOPICS_TABLE, write_report
from datapipe.mix.topics import TABLE, TABLE_SCHEMA, FindTopics
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


def test_topics_are_shown_the_largest_first(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a", "b"], bytes=[1, 1])
    rows = [
        {
            "topic": 4,
            "documents": 1200,
            "quality": 0.25,
            "terms": ["sea", "<b>"],
            "examples": [7, (1 << 32) + 2],
            "x": 1.0,
        }
        | {"languages": [{"language": "en", "documents": 1100}, {"language": "zh", "documents": 100}], "y": 0.5},
        {
            "topic": 0,
            "documents": 9,
            "quality": None,
            "terms": [],
            "examples": [],
            "x": -1.0,
            "y": 0.0,
            "languages": [],
        },
    ]
    (tmp_path / "topics").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, TABLE_SCHEMA), tmp_path / TOPICS / TOPICS_TABLE)
    assert (FindTopics.name, TABLE) == (TOPICS, TOPICS_TABLE)
    stages: dict[str, Done | Skipped] = {"documents": done("text"), "topics": done("topic")}
    corpus = Corpus(str(tmp_path), (part,))
    write_report(corpus, count_funnel(corpus, stages), RunRecord({"name": "r", "description": ""}, [], {}, stages))
    shown = rows_of(tmp_path / "report.html")
    assert ["4", "1,200", "0.25", "en 1,100, zh 100", "sea, &lt;b&gt;", "0-7, 1-2"] in shown
    assert ["0", "9", "–", "", "", ""] in shown
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<circle") == 2
