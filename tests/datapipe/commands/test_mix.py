"""`datapipe mix`: another mixture of a finished run, the same as the recipe would give, without a stage that runs."""

import json
import pathlib

import pyarrow.parquet as pq
import pytest

from datapipe.cli import main
from tests.helpers import run_recipe, write_lines

RECIPE = """
stages:
  - documents
  - mixture: {by: [shelf], unit: bytes, shares: {a: 0.5}, budget: 3000}
  - shards
"""


@pytest.fixture
def output(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "in").mkdir()
    records = [
        {"text": f"document {number:04d}", "shelf": "abc"[number % 3], "tongue": "xy"[number % 2]}
        for number in range(600)
    ]
    write_lines(tmp_path / "in" / "a.jsonl", records)
    run_recipe(RECIPE, tmp_path, [str(tmp_path / "in")])
    return tmp_path / "out"


def test_it_takes_what_the_recipe_would(output: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = output.parent / "selection.parquet"
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert main(["mix", str(output), "--shares", "{a: 0.2, b: 0.7}", "--save", str(saved)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[3].split()[:5] == ["0", "b", "2,106", "70.13%", "70.00%"]  # documents of 13 bytes
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before
    other = RECIPE.replace("{a: 0.5}", "{a: 0.2, b: 0.7}")
    run_recipe(other, output.parent, [str(output.parent / "in")], "other")
    shards = pq.read_table(output.parent / "other" / "shards").column("id").to_pylist()
    rows = pq.read_table(saved).to_pylist()
    assert sorted(shards) == sorted(row["id"] for row in rows for _ in range(row["copies"]))
    assert {row["phase"] for row in rows} == {0}


def test_other_groups_phases_and_units(output: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = output.parent / "selection.parquet"
    phases = "[{budget: 1300, shares: {x: 0.1}}, {budget: 1300, shares: {x: {a: 0.3}}}]"
    assert main(["mix", str(output), "--by", "tongue", "shelf", "--phases", phases, "--save", str(saved)]) == 0
    assert "x/a" in capsys.readouterr().out
    rows = pq.read_table(saved).to_pylist()
    assert [sum(row["copies"] for row in rows if row["phase"] == phase) for phase in (0, 1)] == [100, 100]
    assert (
        main(["mix", str(output), "--by", "tongue", "--shares", "{x: 0.9}", "--max-epochs", "1", "--budget", "9000"])
        == 0
    )
    assert "x: 1 epochs, the most allowed" in capsys.readouterr().out
    assert main(["mix", str(output), "--shares", "{b: 0.7}", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [round(of["share"], 2) for of in said["taken"] if of["group"] == ["b"]] == [0.7]


def test_proxies_are_written_with_their_shares(output: pathlib.Path) -> None:
    folder = output.parent / "proxies"
    arguments = ["--budget", "9000", "--proxies", "4", "--proxy-budget", "2600", "--save", str(folder)]
    assert main(["mix", str(output), *arguments]) == 0
    table = pq.read_table(folder / "_proxies.parquet").to_pylist()
    assert [(row["proxy"], row["group"]) for row in table] == [(proxy, group) for proxy in range(4) for group in "abc"]
    for row in table:
        assert row["epochs"] == pytest.approx(row["final_epochs"], abs=0.25)
    for proxy in range(4):
        copies = pq.read_table(folder / f"proxy-{proxy:05d}.parquet").column("copies").to_pylist()
        assert sum(copies) == pytest.approx(200, abs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shares", "{a: 2}"], "mixture: shares.a must be"),
        (["--shares", "{a: "], "mix: shares must be YAML"),
        (["--by", "colour"], "mix: no document has a column 'colour'"),
        (["--unit", "tokens"], "mix: no document has a column 'tokens'"),
        (["--proxies", "3"], "proxies need proxy-budget"),
        (["--proxies", "3", "--proxy-budget", "99999", "--save", "x"], "proxy-budget must be above 0 and at most"),
    ],
)
def test_what_cannot_be_is_said(
    output: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["mix", str(output), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert json.loads((output / "run.json").read_text())["running"] == {}
