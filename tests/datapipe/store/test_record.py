"""What `run.json` holds is read back as it was, and gives the corpus that the stages left."""

import json
import pathlib

import pytest

from datapipe.store.record import FORMAT, Begun, Done, Kept, PartRecord, RecordError, RunRecord, Skipped, SourceResult

PARTS = (
    PartRecord(0, "document", 3, 30, ("text", "source", "stars"), ("stars",)),
    PartRecord(1, "document", 2, 20, ("text", "source"), ()),
)
RECORD = RunRecord(
    recipe={"name": "toy", "description": "", "stages": []},
    inputs=["in"],
    versions={"python": "3"},
    stages={
        "documents": Done(
            "k1",
            1.5,
            7,
            ("document",),
            columns=("text", "source"),
            source=SourceResult(PARTS, 6, 1, {"malformed_json": 1}),
        ),
        "toy": Done(
            "k2",
            0.5,
            8,
            ("document",),
            columns=("toy_score", "toy_reason"),
            notes=("a note",),
            rows_key="r2",
            computed=5,
        ),
        "quality": Skipped("no examples"),
        "tokenizer": Done(
            "k3", 0.5, 8, ("document", "instruction"), files={"tokenizer/tokenizer.json": Kept(9, "ab", "1-2")}
        ),
    },
    running={"shards": Begun("k4", "", {"shards/a b": Kept(1, "cd", "3")})},
    named={"model": Kept(2, "ef", "4")},
)


def test_a_record_is_read_as_it_was_written(tmp_path: pathlib.Path) -> None:
    assert RunRecord.read(str(tmp_path)) is None
    RECORD.write(str(tmp_path))
    assert RunRecord.read(str(tmp_path)) == RECORD
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_it_gives_the_corpus_with_the_columns_of_each_stage() -> None:
    first, second = RECORD.corpus("/out").parts
    assert (first.number, first.rows, first.user_columns) == (0, 3, ("stars",))
    assert first.columns["stars"] == "/out/documents/part-00000.parquet"
    assert second.columns["toy_score"] == "/out/toy/part-00001.parquet"
    assert second.decisions == ("toy_reason",)
    assert "stars" not in second.columns


def test_a_stage_is_done_or_not() -> None:
    assert RECORD.done("toy") == RECORD.stages["toy"]
    assert RECORD.done("quality") is None
    assert RECORD.done("nothing") is None


def test_of_another_format_only_the_recipe_is_known(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.json").write_text(
        json.dumps({"format": 1, "recipe": {"name": "old"}, "versions": {}, "stages": {"a": {"b": 1}}})
    )
    record = RunRecord.read(str(tmp_path))
    assert record is not None
    assert (record.format, record.recipe, record.stages) == (1, {"name": "old"}, {})
    assert record.format != FORMAT


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"format": 4, "recipe"', b"[]", b"1", b'{"run": 5}', bytes(50), b"\xff"]
)
def test_what_is_no_record_is_said_in_one_line(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RecordError, match=r"^.*run\.json is (damaged|no record of datapipe's).*$"):
        RunRecord.read(str(tmp_path))


def test_a_record_that_lacks_something_is_said_in_one_line(tmp_path: pathlib.Path) -> None:
    RECORD.write(str(tmp_path))
    whole = json.loads((tmp_path / "run.json").read_text())
    for key in ("inputs", "named", "running"):
        (tmp_path / "run.json").write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        with pytest.raises(RecordError, match=rf"run\.json has been altered .*{key}"):
            RunRecord.read(str(tmp_path))
    for stage, key in (("documents", "files"), ("documents", "source"), ("toy", "key")):
        entry = {name: value for name, value in whole["stages"][stage].items() if name != key}
        (tmp_path / "run.json").write_text(json.dumps(whole | {"stages": {stage: entry}}))
        with pytest.raises(RecordError, match=rf"run\.json has been altered .*{key}"):
            RunRecord.read(str(tmp_path))
