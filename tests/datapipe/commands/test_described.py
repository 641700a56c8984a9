"""What stages say of themselves is plain, and is all there is of them."""

import json

from datapipe.commands.described import describe
from datapipe.engine.stages import NAMES


def test_each_stage_says_what_json_can_hold() -> None:
    said = describe()
    assert json.loads(json.dumps(said)) == said
    assert [each["stage"] for each in said] == [*NAMES]
    assert all(each["summary"] in " ".join(each["text"].split()) for each in said)
