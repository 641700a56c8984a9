"""The main job on the sample data: every planted case found, nothing lost, both products of use."""

import json
import pathlib
import random
from collections import defaultdict
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from datapipe.cli import main
from datapipe.engine.explain import look_up
from datapipe.engine.output import open_corpus
from datapipe.engine.runner import Runner, Usage
from datapipe.engine.stages import NAMES, all_stages
from datapipe.mix.shards import ORIGIN
from datapipe.read.options import TEXT_FIELDS
from datapipe.read.user_columns import column_name
from datapipe.store.corpus import REASON, Corpus, first_reasons
from datapipe.store.schemas import REJECT_SCHEMA
from tests.helpers import ROOT, SAMPLE, prose, rows_of, write_lines

CASES = json.loads((SAMPLE / "planted.json").read_text(encoding="utf-8"))

pytestmark = pytest.mark.xdist_group("default_recipe")  # of several processes each would make the fixtures anew
Fate = tuple[str, str] | None


PIPELINES: list[int] = []


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A finished run of the default recipe, with its pipelines counted."""
    run_pipeline = Runner.run

    def counted(self: Runner, build: Any, read_bytes: int, *args: Any) -> Usage:
        PIPELINES.append(read_bytes)
        return run_pipeline(self, build, read_bytes, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "run", counted)
        return run_default(tmp_path_factory)


def run_default(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("default") / "out"
    recipe = ROOT / "pipelines" / "recipes" / "default.yaml"
    assert (
        main(["run", str(recipe), "--input", str(SAMPLE / "documents"), "--output", str(folder), "--workers", "1"]) == 0
    )
    return folder


@pytest.fixture(scope="module")
def corpus(output: pathlib.Path) -> Corpus:
    return open_corpus(str(output))[0]


@pytest.fixture(scope="module")
def fates(output: pathlib.Path, corpus: Corpus) -> dict[tuple[str, int | None], Fate]:
    """What became of each input record, by file and position: stage and reason, or None for kept."""
    found: dict[tuple[str, int | None], Fate] = {}
    for part in corpus.parts:
        stages, reasons = first_reasons(part)
        folder = "documents" if part.kind == "document" else "instructions"
        paths, positions = part.column("path").to_pylist(), part.column("position").to_pylist()
        for row, reason in enumerate(reasons.to_pylist()):
            stage = part.decisions[stages[row]].removesuffix(REASON)
            found[f"{folder}/{paths[row]}", positions[row]] = (stage, reason) if reason else None
    for path in (output / "rejects").iterdir():
        stage = path.name.split("-")[0]
        for reject in pq.read_table(path).to_pylist():
            found[f"{stage}/{reject['file']}", reject["position"]] = ("documents", reject["reason"])
            found[f"{stage}/{reject['file']}", None] = ("documents", reject["reason"])
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_every_planted_case_meets_its_fate(case: dict[str, Any], fates: dict[tuple[str, int | None], Fate]) -> None:
    found = [fates[record["file"], record["position"]] for record in case["records"]]
    assert sum(fate is None for fate in found) == case["kept"]
    stage = "documents" if case["stage"] == "instructions" else case["stage"]
    assert {fate for fate in found if fate} <= {(stage, case["reason"])}


def test_it_takes_few_pipelines(output: pathlib.Path) -> None:
    assert output.exists()
    # Sources; language to quality_filter; exact and near; embeddings and decontamination; semantic and upsampling;
    # tokenizer; tokens; mixture and shards.
    assert len(PIPELINES) == 8


def test_nothing_is_lost(output: pathlib.Path, corpus: Corpus) -> None:
    record = json.loads((output / "run.json").read_text(encoding="utf-8"))
    rejects = sum(len(pq.read_table(path)) for path in (output / "rejects").iterdir())
    rows = sum(part.rows for part in corpus.parts)
    assert sum(record["stages"][name]["source"]["records"] for name in ("documents", "instructions")) == rows + rejects
    kept = {f"{part.number}-{row}" for part in corpus.parts for row in part.kept().nonzero()[0]}
    shards = ds.dataset(output / "shards", format="parquet").to_table()
    assert set(shards.column("id").to_pylist()) == kept
    removed = sum(a["documents"] for step in record["funnel"]["steps"] for a in step["removed"].values())
    assert len(kept) + removed == rows


def test_shards_hold_the_text_that_the_corpus_holds(output: pathlib.Path, corpus: Corpus) -> None:
    texts = {
        f"{part.number}-{id_ & 0xFFFFFFFF}": text
        for part in corpus.parts
        for batch in part.read(["text"])
        for id_, text in zip(batch.column("id").to_pylist(), batch.column("text").to_pylist(), strict=True)
    }
    arrow = ds.dataset(output / "shards", format="parquet").to_table()
    frame = pl.read_parquet(output / "shards" / "*.parquet")
    assert frame["text"].to_list() == arrow.column("text").to_pylist()
    assert frame["tokens"].sum() > 0
    assert all(texts[row["id"]] == row["text"] for row in arrow.select(["id", "text"]).to_pylist())


def test_the_tokenizer_gives_back_every_sample_document(output: pathlib.Path, corpus: Corpus) -> None:
    path = str(output / "tokenizer" / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    fast = PreTrainedTokenizerFast(tokenizer_file=path)
    for part in corpus.parts:
        for batch in part.read(["text", "tokens"], kept_only=False):
            texts = batch.column("text").to_pylist()
            encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
            ids = [encoding.ids for encoding in encodings]
            assert tokenizer.decode_batch(ids, skip_special_tokens=False) == texts
            counted = zip(ids, batch.column("tokens").to_pylist(), strict=True)  # null: removed before it was counted
            assert all(count in (None, len(numbers)) for numbers, count in counted)
            if part.kind == "document":
                sample = texts[:50]
                there = fast(sample, add_special_tokens=False)["input_ids"]
                assert there == ids[:50]
                assert fast.batch_decode(there, clean_up_tokenization_spaces=False) == sample


def test_the_tokenizer_is_what_was_asked_for(output: pathlib.Path) -> None:
    tokenizer = Tokenizer.from_file(str(output / "tokenizer" / "tokenizer.json"))
    assert tokenizer.encode("2023").tokens[-4:] == ["2", "0", "2", "3"]
    assert tokenizer.get_vocab_size() <= 40000
    words = [tokenizer.decode([number]) for number in tokenizer.get_vocab().values()]
    assert sum(len(word) > 1 and all("一" <= character <= "鿿" for character in word) for word in words) > 1000


def test_a_removed_copy_names_its_partner(corpus: Corpus) -> None:
    seen: defaultdict[str, int] = defaultdict(int)
    for part in corpus.of_kind(["document"]):
        for stage in ("exact_duplicates", "near_duplicates", "semantic_duplicates"):
            reasons = part.column(f"{stage}_reason")
            for row in reasons.is_valid().to_numpy(zero_copy_only=False).nonzero()[0].tolist():
                record = look_up(corpus, f"{part.number}-{row}")
                partner = look_up(corpus, record[f"{stage}_of"])
                assert partner["part_kind"] == "document"
                assert record["verdict"].startswith("removed by ")
                seen[stage] += 1
    assert min(seen[stage] for stage in ("exact_duplicates", "near_duplicates", "semantic_duplicates")) >= 2


def test_the_report_shows_the_funnel(output: pathlib.Path) -> None:
    rows = [row[1:3] for row in rows_of(output / "report.html")]
    steps = json.loads((output / "run.json").read_text(encoding="utf-8"))["funnel"]["steps"]
    counted = {reason: totals["documents"] for step in steps for reason, totals in step["removed"].items()}
    assert {"near_duplicate", "exact_duplicate", "evaluation_overlap"} <= counted.keys()
    for reason, documents in counted.items():
        assert [f"removed, {reason}", f"{documents:,}"] in rows


def test_other_documents_with_nothing_beside_them(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in" / "documents"
    folder.mkdir(parents=True)
    essay = (SAMPLE / "documents" / "essays").glob("*.txt")
    for path in essay:
        (folder / path.name).write_bytes(path.read_bytes())
    assert main(["run", "default", "--input", str(folder), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for stage in ("quality", "quality_filter", "instructions", "decontamination", "evaluation_questions"):
        assert f" {stage} skipped: " in said
    assert len(ds.dataset(tmp_path / "out" / "shards", format="parquet").to_table()) >= len(list(folder.iterdir())) // 2


def test_user_columns_reach_the_shards(output: pathlib.Path) -> None:
    names = ds.dataset(output / "shards", format="parquet").schema.names
    assert {"text", "source", "language", "tokens", "id", "url", "title"} <= set(names)
    assert pa.types.is_string(ds.dataset(output / "shards", format="parquet").schema.field("input_id").type)


VALUES: list[Any] = [True, -(2**60) - 1, 2**70, 0.1, -0.0, 1e300, "text", "1", [1, 2**70], {"a": [None, 0.1]}, None]


def test_users_columns_come_out_exactly_whatever_they_are_called(tmp_path: pathlib.Path) -> None:
    chance = random.Random(0)
    made = [column for stage in all_stages() for column in stage.writes.names]
    internal = ["id", "computed", "place", "shuffle_position", "part_kind", "input_other", *REJECT_SCHEMA.names]
    odd = ["中文", "a.b", "a", "", " ", "\0", "'", "\ud800", "\\ud800", "n" * 900]
    names = [*made, *ORIGIN, *internal, *NAMES, *odd]
    names = [f"{prefix}{name}" for name in dict.fromkeys(names) for prefix in ("", "input_", "input_input_")]
    rows = []
    for number in range(120):
        row = {name: chance.choice(VALUES) for name in chance.sample(names, 60) if name not in TEXT_FIELDS}
        row.pop("source", None)
        rows.append(row | {"text": prose(number), "key": number})
    (tmp_path / "documents").mkdir()
    for file in range(4):  # a part each
        write_lines(tmp_path / "documents" / f"{file}.jsonl", rows[file::4])
    recipe = (ROOT / "pipelines" / "recipes" / "default.yaml").read_text()
    (tmp_path / "small.yaml").write_text(recipe.replace("- documents\n", "- documents: {part_bytes: 30000}\n"))
    arguments = ["--input", str(tmp_path / "documents"), "--output", str(tmp_path / "out"), "--workers", "1"]
    assert main(["run", str(tmp_path / "small.yaml"), *arguments]) == 0
    reserved = frozenset(made)
    written = ds.dataset(tmp_path / "out" / "shards", format="parquet").to_table().to_pylist()
    assert len(written) > 60
    for found in written:
        others = json.loads(found["input_other"] or "{}")
        for name, value in rows[found["key"]].items():
            ours = column_name(name, reserved)
            if ours in others:  # of too many fields in a task, or too many columns in the shards
                assert as_column(others[ours], value), name
            elif name in ("text", "key"):
                continue
            else:
                assert as_column(found.get(ours), value), (name, found.get(ours), value)


def as_column(found: Any, value: Any) -> bool:
    """Whether a column holds a value: as it is, or as JSON where it holds others, too."""
    return repr(found) == repr(value) or (isinstance(found, str) and repr(json.loads(found)) == repr(value))
