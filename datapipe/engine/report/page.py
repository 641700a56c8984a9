"""The report of a run: one HTML file that needs no network: plots, tables, and samples of what went and what stayed.

Whatever comes from a document or a name of the user's is text: the template engine escapes it, the data of the plots
stand in a block that no browser runs, and the page's policy lets no script run but its own two. Vega, Vega-Lite and
Vega-Embed (`vega.js.gz`: 6.4.0, 6.4.3 and 7.3.0 as npm has them, one after the other; BSD licence beside it) draw by an
interpreter of syntax trees, without `eval`.
"""

import base64
import functools
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jinja2
import jinja2.bccache
import pyarrow.parquet as pq

from datapipe.engine.funnel import Funnel
from datapipe.engine.kept_files import REPORT
from datapipe.engine.leaks import first_leaks
from datapipe.engine.report.charts import draw_charts, mixture_chart, threshold_charts, topic_map
from datapipe.engine.report.figures import SCORES, Figures, count_parts
from datapipe.engine.report.samples import read_samples
from datapipe.engine.verdicts import Options, document_id
from datapipe.kernels import kept_file, whole
from datapipe.store import files
from datapipe.store.corpus import Corpus, Part
from datapipe.store.record import Done, RunRecord, Skipped

# By name: their modules would bring Beam along.
TOPICS, TOPICS_TABLE = "topics", "_topics.parquet"
MIXTURE, SHARES_FILE = "mixture", "_shares.json"
_TOPICS_SHOWN = 100
_LEAKS_SHOWN = 50
_REJECTS_SHOWN = 40
_REJECTS_OF_A_REASON = 3
_REJECT_CHARACTERS = 300
TEMPLATE = "page.html.jinja"
_FOLDER = pathlib.Path(__file__).parent
# Of what `vega.js.gz` holds: to unpack it takes an eighth of what a report of ten documents takes.
VEGA_HASH = "sha256-g7z2QrE0IpH/ObmGsrI1jAg+sKwlDMFBTCFq6XqMUTs="


def write_report(
    corpus: Corpus,
    funnel: Funnel,
    record: RunRecord,
    count: Callable[[Sequence[Part], Options], Figures] = count_parts,
) -> None:
    """Write `report.html` into the corpus's folder.

    Args:
        corpus: of the run.
        funnel: of all that it has.
        record: of what is done.
        count: what counts the figures of its parts: here, or by workers.
    """
    options = record.options
    figures = count(corpus.of_kind(("document",)), options)
    topics = _topics(corpus, record)
    charts = draw_charts(funnel, record, figures)
    for name, chart in (("mixture", mixture_chart(_shares(corpus, record))), ("topics", topic_map(topics))):
        if chart:
            charts[name] = chart
    script, vega = (_FOLDER / "page.js").read_text(), (_FOLDER / "vega.js.gz").read_bytes()
    page = _template().render(
        record=record,
        output=corpus.root,
        options=options,
        funnel=funnel,
        findings=list(_findings(funnel, record, corpus.root)),
        notes=[
            (name, note) for name, stage in record.stages.items() if isinstance(stage, Done) for note in stage.notes
        ],
        samples=read_samples(corpus, figures.picks, options),
        scores={column: bins.edges for column, bins in SCORES.items()},
        topics=topics,
        leaks=first_leaks(corpus, record.stages, _LEAKS_SHOWN),
        rejects=list(_rejects(corpus)),
        charts=charts,
        data=_as_block({"charts": charts, "thresholds": threshold_charts(figures, options)}),
        style=(_FOLDER / "page.css").read_text(),
        script=script,
        vega=base64.b64encode(vega).decode(),
        hashes=[_hash(script.encode()), VEGA_HASH],
    )
    with files.whole_file(files.join(corpus.root, REPORT)) as sink:
        sink.write(page.encode(errors="backslashreplace"))  # an input may have a name that is no UTF-8


class _Kept(jinja2.BytecodeCache):
    """Keeps the compiled template for the next process: to compile it would be a twentieth of a short run."""

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Take it from the file, if it is there and of this template."""
        kept = kept_file(TEMPLATE, ".bin")
        if kept.is_file():
            with kept.open("rb") as source:
                bucket.load_bytecode(source)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Write the file."""
        with whole(kept_file(TEMPLATE, ".bin")) as sink:
            bucket.write_bytecode(sink)


@functools.cache  # a run writes several
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        bytecode_cache=_Kept(),
    )
    return environment.get_template(TEMPLATE)


def _hash(script: bytes) -> str:
    """A script's name in a Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}"


def _as_block(data: Any) -> str:
    """JSON that no text in it can end the block of: the only one that begins a tag or a comment is escaped."""
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def _findings(funnel: Funnel, record: RunRecord, output: str) -> Iterator[tuple[str, str]]:
    """What to look at first, a line each, with the command that shows more of it."""
    for line in record.warnings:
        by = re.search(r", [\d,]+ by (\w+): ", line)
        yield line, f"datapipe sample {output} --reason {by[1]}" if by else ""
    rejects = sum(sum(reasons.values()) for reasons in funnel.rejects.values())
    records = funnel.read.documents + rejects
    if rejects:
        most = sorted(
            ((count, reason) for reasons in funnel.rejects.values() for reason, count in reasons.items()), reverse=True
        )
        reasons = ", ".join(f"{count:,} {reason}" for count, reason in most[:5])
        said = f"{rejects:,} of {records:,} records ({rejects / records:.1%}) were no documents: {reasons}"
        yield said, f"datapipe rejects {output}"
    for name, stage in record.stages.items():
        if isinstance(stage, Skipped):
            yield f"{name} was skipped: {stage.skipped}", ""


def _rejects(corpus: Corpus) -> Iterator[dict[str, str]]:
    """The first few records of each reason that were no documents."""
    shown: dict[tuple[str, str], int] = {}
    for path in files.list_folder(corpus.folder("rejects")):
        stage = path.rpartition("/")[2].rpartition("-")[0]
        with files.open_columns(path, ["file", "position", "reason", "detail", "raw"]) as source:
            for batch in pq.ParquetFile(source).iter_batches(columns=["file", "position", "reason", "detail", "raw"]):
                for row in batch.to_pylist():
                    key = stage, row["reason"]
                    shown[key] = shown.get(key, 0) + 1
                    if shown[key] > _REJECTS_OF_A_REASON:
                        continue
                    if len(shown) > _REJECTS_SHOWN:
                        return
                    raw = row["raw"].decode(errors="backslashreplace")[:_REJECT_CHARACTERS]
                    yield {name: str(row[name]) for name in ("file", "position", "reason", "detail")} | {
                        "stage": stage,
                        "raw": raw,
                    }


def _shares(corpus: Corpus, record: RunRecord) -> Mapping[str, Any]:
    """What the mixture took, as it has written it."""
    path = files.join(corpus.folder(MIXTURE), SHARES_FILE)
    if not record.done(MIXTURE) or not files.exists(path):
        return {}
    shares: Mapping[str, Any] = files.read_json(path)
    return shares


def _topics(corpus: Corpus, record: RunRecord) -> list[dict[str, Any]]:
    """The largest topics, with their languages and examples as text."""
    path = files.join(corpus.folder(TOPICS), TOPICS_TABLE)
    if not record.done(TOPICS) or not files.exists(path):
        return []
    with files.open_columns(path) as source:
        rows: list[dict[str, Any]] = pq.read_table(source).to_pylist()[:_TOPICS_SHOWN]
    for row in rows:
        row["languages"] = ", ".join(f"{of['language']} {of['documents']:,}" for of in row["languages"][:3])
        row["examples"] = list(map(document_id, row["examples"]))
    return rows
