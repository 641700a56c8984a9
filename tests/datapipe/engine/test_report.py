"""The report shows what was removed, and treats documents as text."""

import pathlib

import pyarrow as pa

from datapipe.engine.funnel import count_funnel
from datapipe.engine.report import write_report
from datapipe.store.corpus import Corpus
from datapipe.store.record import Done, RunRecord, Skipped
from tests.helpers import CorpusOf, add_columns, done


def test_a_document_cannot_put_markup_into_the_page(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    attack = "<script>alert(1)</script>"
    (part,) = corpus_of([attack, "fine"], bytes=pa.array([25, 4], pa.int64()))
    part = add_columns(part, tmp_path / "toy", toy_removed=pa.array([attack, None]))
    corpus = Corpus(str(tmp_path), (part,))
    stages: dict[str, Done | Skipped] = {
        "documents": done("text", rejects={attack: 1}),
        "toy": done("toy_removed", notes=(attack,)),
        "quality": Skipped(attack),
    }
    record = RunRecord({"name": attack, "description": attack}, [attack], {}, stages)
    write_report(corpus, count_funnel(corpus, stages), record)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 7
    assert "0-0" in page
