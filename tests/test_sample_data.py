"""The sample data must be what `planted.json` and SOURCE.md say: the tests of the main job trust them."""

import json
import re
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from datapipe.mix import decontamination
from datapipe.read.dialogues import Unreadable, parse_dialogue
from datapipe.read.examples import read_evaluation
from datapipe.read.inputs import plan
from datapipe.read.options import ReadOptions
from datapipe.read.parts import read_groups
from datapipe.read.records import Document, read_task
from tests.helpers import SAMPLE

pytestmark = pytest.mark.xdist_group("sample_data")  # of several processes each would make the fixtures anew
CASES: list[dict[str, Any]] = json.loads((SAMPLE / "planted.json").read_text(encoding="utf-8"))


def line_at(record: dict[str, Any]) -> bytes:
    """The line of a file that begins at a record's position, which must begin a line."""
    data = (SAMPLE / record["file"]).read_bytes()
    assert record["position"] == 0 or data[record["position"] - 1 :].startswith(b"\n")
    return data[record["position"] :].split(b"\n", 1)[0]


def text_of(record: dict[str, Any]) -> str:
    if record["file"].endswith(".txt"):
        return (SAMPLE / record["file"]).read_text(encoding="utf-8")
    return str(json.loads(line_at(record))["text"])


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", text.lower())
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}


def cases_of(stage: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in CASES if case["stage"] == stage]


@pytest.fixture(scope="module")
def batches() -> list[pa.RecordBatch]:
    options = ReadOptions()
    return [batch for task in plan([str(SAMPLE / "documents")], options) for batch in read_groups(task, options)]


def test_every_case_has_a_stage_a_reason_and_records() -> None:
    assert len({case["case"] for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.keys() == {"case", "stage", "reason", "kept", "records"}
        assert case["reason"], case["case"]
        assert 0 <= case["kept"] <= len(case["records"])


def test_every_record_begins_where_it_is_said_to() -> None:
    named = [record for case in CASES for record in case["records"] if record.get("id")]
    for record in named:
        assert json.loads(line_at(record))["id"] == record["id"]
    everything = [line for line in (SAMPLE / "documents" / "planted.jsonl").read_bytes().split(b"\n") if line]
    assert sum(record["file"] == "documents/planted.jsonl" for record in named) == len(everything)


def test_just_the_planted_records_are_rejected(batches: list[pa.RecordBatch]) -> None:
    rejected = [row for batch in batches if "reason" in batch.schema.names for row in batch.to_pylist()]
    found = Counter((f"documents/{row['file']}", row["reason"]) for row in rejected)
    places = {(f"documents/{row['file']}", row["position"]) for row in rejected}
    cases = [case for case in CASES if case["stage"] == "documents" and not case["kept"]]
    planted = [(case["reason"], record) for case in cases for record in case["records"]]
    assert found == Counter((record["file"], reason) for reason, record in planted)
    assert {(r["file"], r["position"]) for _, r in planted if r["position"] is not None} <= places


def test_what_stands_before_a_cut_is_read(batches: list[pa.RecordBatch]) -> None:
    paths = Counter(path for batch in batches if "path" in batch.schema.names for path in batch["path"].to_pylist())
    assert paths["cut.jsonl.gz"] >= 5
    assert paths["cut.jsonl.zst"] >= 5


def test_there_is_enough_of_each_kind(batches: list[pa.RecordBatch]) -> None:
    ids = [id_ for batch in batches if "input_id" in batch.schema.names for id_ in batch["input_id"].to_pylist()]
    languages = Counter(found[1] for id_ in ids if id_ and (found := re.search(r"-(de|en|fr|ja|ru|zh)-", id_)))
    assert languages["zh"] >= 700
    assert sum(id_.startswith("lu-xun-") for id_ in ids if id_) >= 60
    assert sum(id_.startswith("austen-") for id_ in ids if id_) >= 600
    assert languages["en"] >= 400
    assert min(languages["de"], languages["fr"], languages["ru"]) >= 300
    assert languages["ja"] >= 200
    assert sum("/" in id_ for id_ in ids if id_) >= 300


@pytest.mark.parametrize("case", cases_of("exact_duplicates"))
def test_exact_copies_differ_in_form_alone(case: dict[str, Any]) -> None:
    first, *others = (shingles(text_of(record).replace("\u200b", "")) for record in case["records"])
    if "normalisation" not in case["case"]:
        assert all(other == first for other in others)
    assert len(case["records"]) == 3


@pytest.mark.parametrize("case", cases_of("near_duplicates"))
def test_near_copies_share_most_of_their_shingles(case: dict[str, Any]) -> None:
    first, *others = (shingles(text_of(record)) for record in case["records"])
    for other in others:
        assert 0.85 <= len(first & other) / len(first | other) < 1


@pytest.mark.parametrize("case", cases_of("semantic_duplicates"))
def test_rewritten_copies_are_too_far_apart_for_minhash(case: dict[str, Any]) -> None:
    first, second = (shingles(text_of(record)) for record in case["records"])
    assert 0.5 <= len(first & second) / len(first | second) <= 0.7


@pytest.mark.parametrize("case", cases_of("decontamination"))
def test_leaked_questions_overlap_an_evaluation_set(case: dict[str, Any]) -> None:
    records, texts = zip(*read_evaluation([str(SAMPLE / "evaluation")], []), strict=True)
    index, _ = decontamination.evaluation_index(pa.array(texts), records, 13, 8)
    (record,) = case["records"]
    sample = json.loads(line_at(record))
    matches = decontamination.find_overlaps(pa.array([f"{sample['instruction']}\n{sample['input']}"]), index)
    assert matches[0].is_valid == (case["kept"] == 0)
    # One token less would have found the record that is kept, too.
    shorter, _ = decontamination.evaluation_index(pa.array(texts), records, 12, 8)
    assert decontamination.find_overlaps(pa.array([sample["input"]]), shorter)[0].is_valid


def test_all_but_the_planted_instructions_have_a_known_shape() -> None:
    planted = {case["records"][0]["id"]: case["reason"] for case in CASES if case["stage"] == "instructions"}
    for path in sorted((SAMPLE / "instructions").iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            parsed = parse_dialogue(record)
            assert (parsed.reason if isinstance(parsed, Unreadable) else None) == planted.get(record["id"])


def test_quality_examples_are_no_documents(batches: list[pa.RecordBatch]) -> None:
    texts = {text for batch in batches if "text" in batch.schema.names for text in batch["text"].to_pylist()}
    for name in ("positive", "negative"):
        lines = (SAMPLE / "quality" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) >= 270
        assert not texts & {json.loads(line)["text"] for line in lines}


def test_every_source_is_named_with_its_licence(batches: list[pa.RecordBatch]) -> None:
    source = (SAMPLE / "SOURCE.md").read_text(encoding="utf-8")
    prefixes = re.findall(r"`([\w-]+[-/])`", source)
    ids = {id_ for batch in batches if "input_id" in batch.schema.names for id_ in batch["input_id"].to_pylist() if id_}
    unnamed = {id_ for id_ in ids if not id_.startswith(("planted-", *prefixes))}
    assert not unnamed


def test_the_whole_is_small() -> None:
    files = [path for path in SAMPLE.rglob("[!._]*") if path.is_file() and "cache" not in path.parent.name]
    assert sum(path.stat().st_size for path in files) < 5_000_000


def test_dumps_papers_and_books_are_read_whole_and_without_their_mark_up() -> None:
    options = ReadOptions()
    records = [record for task in plan([str(SAMPLE / "sources")], options) for record in read_task(task, options)]
    documents = [record for record in records if isinstance(record, Document)]
    assert len(documents) == len(records)
    assert Counter(document.source for document in documents) == {
        "books": 1,
        "heliu": 20,
        "papers": 2,
        "prose.example.com": 5,
        "rivers": 20,
    }
    assert Counter(document.columns.get("language") for document in documents) == {"zh": 20, "en": 21, None: 7}
    text = "\n".join(document.text.decode() for document in documents)
    assert not re.findall(
        r"thumb|\[\[|\{\{|Category:|分类:|wikitable|<p>|\\section|\\cite|a note to|Contents|A figure", text
    )
    written = [(SAMPLE / "written" / f"prose_{name}.txt").read_text(encoding="utf-8") for name in ("en", "zh")]
    last = [paragraph.split(". ")[-1] for paragraph in written[0].splitlines()]
    in_title_pages = 3  # two abstracts, which are columns, and a paragraph in quotes
    assert sum(sentence.replace("--", "–") in text for sentence in last) >= len(last) - in_title_pages
