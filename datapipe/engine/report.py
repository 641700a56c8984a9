"""The report of a run: one HTML file with the funnel, the stages' costs and samples of what each reason removed.

Everything that comes from a document is escaped by the template engine: a document cannot put markup into the page.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import jinja2
import pyarrow.parquet as pq

from datapipe.engine.funnel import Funnel
from datapipe.engine.leaks import first_leaks
from datapipe.store import files
from datapipe.store.corpus import REASON, ROW_BITS, Corpus, first_reasons
from datapipe.store.record import RunRecord

REPORT = "report.html"
# The table of the stage `topics`, by name: its module would bring Beam along.
TOPICS, TOPICS_TABLE = "topics", "_topics.parquet"
_TOPICS_SHOWN = 100
_SAMPLES_PER_REASON = 3
_SAMPLE_CHARACTERS = 400
_LEAKS_SHOWN = 50


def write_report(corpus: Corpus, funnel: Funnel, record: RunRecord) -> None:
    """Write `REPORT` into the corpus's folder."""
    folder = pathlib.Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html.jinja").render(
        record=record,
        funnel=funnel,
        samples=list(_samples(corpus)),
        topics=_topics(corpus, record),
        leaks=first_leaks(corpus, record.stages, _LEAKS_SHOWN),
    )
    with files.whole_file(files.join(corpus.root, REPORT)) as sink:
        sink.write(page.encode(errors="backslashreplace"))  # an input may have a name that is no UTF-8


def _topics(corpus: Corpus, record: RunRecord) -> list[dict[str, Any]]:
    """The largest topics, with their languages and examples as text, and their places on a map of 100 x 100."""
    path = files.join(corpus.folder(TOPICS), TOPICS_TABLE)
    if not record.done(TOPICS) or not files.exists(path):
        return []
    with files.open_input(path) as source:
        rows: list[dict[str, Any]] = pq.read_table(source).to_pylist()[:_TOPICS_SHOWN]
    widest = max((abs(row[axis]) for row in rows for axis in ("x", "y")), default=0) or 1
    most = max((row["documents"] for row in rows), default=1) or 1
    for row in rows:
        row["languages"] = ", ".join(f"{of['language']} {of['documents']:,}" for of in row["languages"][:3])
        row["examples"] = [f"{id_ >> ROW_BITS}-{id_ & (1 << ROW_BITS) - 1}" for id_ in row["examples"]]
        row["place"] = 50 + 45 * row["x"] / widest, 50 - 45 * row["y"] / widest
        row["radius"] = 0.5 + 3.5 * (row["documents"] / most) ** 0.5
    return rows


def _samples(corpus: Corpus) -> Iterator[dict[str, str]]:
    """The first few documents that each reason removed."""
    seen: dict[tuple[str, str], int] = {}
    for part in corpus.parts:
        stages, reasons = first_reasons(part)
        wanted: dict[int, tuple[str, str]] = {}
        for row in (stages >= 0).nonzero()[0].tolist():
            key = (part.decisions[stages[row]].removesuffix(REASON), reasons[row].as_py())
            if seen.get(key, 0) < _SAMPLES_PER_REASON:
                seen[key] = seen.get(key, 0) + 1
                wanted[row] = key
        start = 0
        for batch in part.read(["text"], kept_only=False) if wanted else ():
            for row in [row for row in wanted if start <= row < start + len(batch)]:
                stage, reason = wanted[row]
                text = batch.column("text")[row - start].as_py()[:_SAMPLE_CHARACTERS]
                yield {"id": f"{part.number}-{row}", "stage": stage, "reason": reason, "text": text}
            start += len(batch)
