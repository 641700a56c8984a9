"""Runs from Python: made, opened, looked into, compared; and lists and frames cleaned."""

import json
import pathlib
import subprocess
import sys

import polars
import pyarrow as pa
import pytest

import datapipe
from datapipe.engine.output import RunError
from tests.helpers import prose, write_lines

RECIPE = """
stages:
  - documents
  - language
  - measurements
  - rules
  - exact_duplicates
  - shards
"""
TEXTS = [*map(prose, range(8)), prose(1), "buy now " * 50]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "toy.yaml").write_text(RECIPE)
    write_lines(folder / "a.jsonl", [{"text": text, "stars": number} for number, text in enumerate(TEXTS)])
    return folder


@pytest.fixture(scope="module")
def made(base: pathlib.Path) -> datapipe.Run:
    return datapipe.run(str(base / "toy.yaml"), str(base / "a.jsonl"), str(base / "out"), quiet=True)


def test_a_run_is_looked_into(made: datapipe.Run) -> None:
    assert made.funnel.kept.documents == len(made.kept()) == 8
    assert made.table(["stars"]).column("stars").to_pylist() == list(range(10))
    kept = made.kept().table()
    assert set(kept.column_names) == {"id", *made.documents.column_names}
    assert kept.column("text").to_pylist() == TEXTS[:8]
    with pytest.raises(ValueError, match="no stage has written the column 'star'"):
        made.table(["star"])
    verdict = made.explain("0-9").verdict
    assert verdict.stage == "rules"
    assert "8 documents" in repr(made) or "8 kept" in repr(made)
    assert "exact_duplicates" in made._repr_html_()
    assert pathlib.Path(made.report).is_file()


def test_a_lazy_frame_reads_the_columns_that_a_query_needs(made: datapipe.Run) -> None:
    frame = made.lazy().filter(polars.col("rules_reason").is_not_null()).select("id", "stars").collect()
    assert frame.to_dicts() == [{"id": 9, "stars": 9}]
    assert made.kept().lazy().select("stars").collect().to_series().to_list() == list(range(8))


def test_a_sample_is_of_what_was_asked(made: datapipe.Run) -> None:
    (spam,) = made.sample(reason="rules").to_pylist()
    assert (spam["document"], spam["fate"].split(":")[0], spam["text"][:8]) == ("0-9", "rules", "buy now ")
    assert len(made.sample(3)) == 3
    assert made.sample(3).equals(made.sample(3))
    assert not made.sample(3, seed=1).equals(made.sample(3))
    nearest = made.sample(9, borderline=True).column("margin").to_pylist()
    assert nearest == sorted(nearest)
    with pytest.raises(ValueError, match="no document was 'nothing'"):
        made.sample(reason="nothing")


def test_another_setting_and_a_comparison(made: datapipe.Run, base: pathlib.Path) -> None:
    loose = datapipe.run(
        str(base / "toy.yaml"),
        str(base / "a.jsonl"),
        str(base / "loose"),
        set={"rules.rule_sets": {"default": []}},
        until="exact_duplicates",
        reuse=[made.output],
        quiet=True,
    )
    assert json.loads((base / "loose" / "run.json").read_text())["recipe"]["stages"][3]["rules"]["rule_sets"]
    (changed,) = made.diff(loose).to_pylist()
    assert (changed["after"], changed["before"].split(":")[0]) == ("kept", "rules")
    assert not (base / "loose" / "shards").exists()


def test_only_a_finished_run_is_opened(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RunError, match="no run of datapipe"):
        datapipe.open(str(tmp_path))


def test_opening_needs_neither_beam_nor_numba(made: datapipe.Run) -> None:
    code = (
        "import sys, datapipe\n"
        f"run = datapipe.open({made.output!r})\n"
        "run.funnel, run.sample(2), run.explain('0-1'), run.kept().table(['text'])\n"
        "print({'apache_beam', 'numba'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("set()\n", "")


@pytest.mark.parametrize("kind", ["strings", "dicts", "arrow", "polars"])
def test_what_is_cleaned_comes_back_as_it_was(base: pathlib.Path, kind: str) -> None:
    rows = [{"body": text, "stars": number} for number, text in enumerate(["", *TEXTS])]
    kept = rows[1:9]
    recipe = str(base / "toy.yaml")
    if kind == "strings":
        assert datapipe.clean([row["body"] for row in rows], recipe) == [row["body"] for row in kept]
        return
    given = {"dicts": rows, "arrow": pa.Table.from_pylist(rows), "polars": polars.DataFrame(rows)}[kind]
    found = datapipe.clean(given, recipe, text="body")
    assert type(found) is type(given)
    assert {"dicts": lambda: found, "arrow": lambda: found.to_pylist(), "polars": lambda: found.to_dicts()}[
        kind
    ]() == kept


def test_nothing_comes_back_where_nothing_is_kept() -> None:
    assert datapipe.clean(["A text of few words."]) == []


def test_a_dataset_comes_out(made: datapipe.Run) -> None:
    pytest.importorskip("datasets", reason="the extra `notebook` is not installed")
    dataset = made.kept().to_datasets()
    assert dataset["text"][:] == TEXTS[:8]


def test_what_is_no_documents_is_refused() -> None:
    with pytest.raises(TypeError, match="documents must be strings, dicts, a table or a frame, got int"):
        datapipe.clean(3)
