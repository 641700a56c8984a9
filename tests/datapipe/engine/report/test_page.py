"""The report shows what was removed, treats documents as text, and draws all its plots in a browser."""

import gzip
import pathlib
import shutil
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datapipe.engine.funnel import count_funnel
from datapipe.engine.report import page as page_module
from datapipe.engine.report.page import TOPICS, TOPICS_TABLE, write_report
from datapipe.mix.topics import TABLE, TABLE_SCHEMA, FindTopics
from datapipe.store.corpus import Corpus
from datapipe.store.record import Done, RunRecord, Skipped
from tests.helpers import CorpusOf, add_columns, done, prose, random_words, rows_of, run_recipe, write_lines


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
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 7
    assert "\\u003cscript>alert(1)\\u003c/script>" in page  # in the data of the plots
    assert "0-0" in page


def test_the_policy_names_the_script_that_comes_along() -> None:
    packed = pathlib.Path(page_module.__file__).with_name("vega.js.gz")
    assert page_module._hash(gzip.decompress(packed.read_bytes())) == page_module.VEGA_HASH


def test_the_template_is_compiled_once_for_all_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    def no_compiler(*_: Any) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    page_module._template.cache_clear()
    first = page_module._template()
    page_module._template.cache_clear()
    with monkeypatch.context() as second:
        second.setattr("jinja2.Environment.compile", no_compiler)
        assert page_module._template().name == first.name
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"something else")  # of another version of Jinja
    page_module._template.cache_clear()
    page_module._template()
    assert kept.read_bytes() != b"something else"


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
    assert ["", "documents: rejected, malformed_json", "2", "", ""] in rows
    assert ["", "removed, long", "5", "2,505", "–"] in rows
    assert ["kept", "each once", "1", "4", "–"] in rows
    assert ["toy", "1.0", "0", "a note"] in rows
    assert ["quality", "", "", "skipped: no examples"] in rows
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('data-reason="toy: long"') == 4
    assert page.count(f"<pre>{'x' * 500}") == 4


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
    assert '"terms":"sea, \\u003cb>"' in (tmp_path / "report.html").read_text(encoding="utf-8")


HOSTILE = "</script><img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"
RECIPE = """
stages:
  - documents: {fields: {source: site}}
  - language
  - measurements
  - rules
  - exact_duplicates
  - near_duplicates
  - shards
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The report of a run over documents that are kept, removed, duplicates, rejects, and hostile."""
    base = tmp_path_factory.mktemp("report")
    words = random_words(1, 400)
    twin = [*words[:200], "other", *words[201:]]
    records: list[Any] = [{"text": prose(seed), "site": f"site-{seed % 5}"} for seed in range(60)]
    records += [{"text": " ".join(each) + ".", "site": "twins"} for each in (words, twin)]
    records += [{"text": "buy now " * 80, "site": "spam"}, {"text": prose(3), "site": "copies"}]
    records += [{"text": f"{prose(100)}\n{HOSTILE}", "site": HOSTILE}, {"text": f"{HOSTILE} " * 30, "site": HOSTILE}]
    records += [{"text": "机器翻译的质量取决于训练数据，也取决于模型的大小。" * 20, "site": "长" * 90}, {"text": ""}]
    (base / "in").mkdir()
    write_lines(base / "in" / "a.jsonl", records)
    run_recipe(RECIPE, base, [str(base / "in")])
    return base / "out" / "report.html"


def test_a_report_is_small_and_alone(report: pathlib.Path) -> None:
    page = report.read_text(encoding="utf-8")
    assert report.stat().st_size < 1_500_000
    assert HOSTILE not in page
    assert 'src="' not in page
    assert 'href="http' not in page


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_draws_every_plot(report: pathlib.Path, width: int, scheme: Any) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium here")
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.extend([request.url] * (not request.url.startswith("file:"))))
        page.goto(report.as_uri())
        page.wait_for_selector("html[data-drawn=yes]", state="attached", timeout=60_000)
        assert said == []
        charts = page.locator(".chart")
        assert charts.count() > 10
        assert page.locator(".chart[data-drawn=yes] svg").count() == charts.count()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.title() == "datapipe: toy"
        assert page.locator(".chart", has_text=HOSTILE[:20]).count() > 0  # as the name of a source: text

        page.locator("#thresholds-language").select_option("en")
        page.locator("label", has_text="bytes").first.click()
        page.locator("#samples-words").fill("buy now")
        visible = page.locator("#samples-list > .sample:visible")
        assert visible.count() > 0
        assert all("buy now" in text for text in visible.all_text_contents())
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") != "BODY"
        assert said == []
        browser.close()


def test_what_to_look_at_first_comes_with_a_command(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    (part,) = corpus_of(["a"], bytes=pa.array([1], pa.int64()))
    corpus = Corpus(str(tmp_path), (part,))
    stages: dict[str, Done | Skipped] = {"documents": done("text", rejects={"malformed_json": 2})}
    record = RunRecord({"name": "r", "description": ""}, [], {}, stages)
    record.warnings = ["source x: 38 of 41 documents removed (93%), 10 by quality_filter: low_quality"]
    write_report(corpus, count_funnel(corpus, stages), record)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"{record.warnings[0]}<br><code>datapipe sample {tmp_path} --reason quality_filter</code>" in page
    assert f"<code>datapipe rejects {tmp_path}</code>" in page
