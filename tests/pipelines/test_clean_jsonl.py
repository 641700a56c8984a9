"""The document stages work in a Beam pipeline that is not the driver's."""

import json
import pathlib

from pipelines.clean_jsonl import main
from tests.helpers import write_lines

PROSE = (
    "The harbour lies where the river meets the sea, "
    "and the boats that leave it in the morning come back with the tide. "
    "People of the town have lived from fishing for as long as anybody can remember, "
    "and they still mend their nets by hand. "
    "On the quay there is a small market that opens with the first light, where the catch is sold before it is noon.\n"
)


def read(folder: pathlib.Path, fate: str) -> list[dict[str, str]]:
    return [json.loads(line) for path in folder.glob(f"out-{fate}*") for line in path.read_text().splitlines()]


def test_lines_are_kept_or_removed_with_a_reason(tmp_path: pathlib.Path) -> None:
    texts = [PROSE, "too short", "word " * 400]
    write_lines(tmp_path / "in.jsonl", ({"text": text} for text in texts))
    assert main(["--input", str(tmp_path / "*.jsonl"), "--output", str(tmp_path / "out")]) == 0
    kept, removed = read(tmp_path, "kept"), read(tmp_path, "removed")
    assert [row["text"] for row in kept] == [PROSE]
    assert kept[0]["language"] == "en"
    assert {row["text"]: row["reason"] for row in removed} == {
        "too short": "gopher_min_words",
        "word " * 400: "gopher_top_2gram",
    }
