"""The table of measures is the row that the kernels write, and the marks are those of each definition."""

import numpy as np
import pyarrow as pa

from datapipe.text.measures import (
    CHINESE_ONLY,
    DATAPIPE,
    DATATROVE,
    DCLM,
    DEFINITIONS,
    DOLMA,
    MEASUREMENTS,
    SCHEMA,
    mark_table,
    row_type,
    stop_table,
)
from datapipe.text.repetition import text_hash
from datapipe.text.spans import BULLET, CLOSING, SYMBOL, TERMINAL


def test_a_row_holds_every_measure_in_its_place() -> None:
    row = np.zeros(1, row_type())
    row["characters"], row["traditional_share"] = 1, 2
    row["gram_shares"], row["character_shares"] = range(10, 19), range(20, 29)
    columns = row.view([(name, kind) for name, (kind, _) in MEASUREMENTS.items()])
    found = {name: int(columns[name][0]) for name in MEASUREMENTS if columns[name][0]}
    ngrams = [*(f"top_{n}{{}}_share" for n in (2, 3, 4)), *(f"duplicate_{n}{{}}_share" for n in range(5, 11))]
    assert found == {
        "characters": 1,
        **{name.format("gram"): 10 + place for place, name in enumerate(ngrams)},
        "traditional_share": 2,
        **{name.format("character"): 20 + place for place, name in enumerate(ngrams)},
    }


def test_schema_and_chinese_measures() -> None:
    assert SCHEMA.names == list(MEASUREMENTS)
    assert {field.type for field in SCHEMA} == {pa.int32(), pa.float32()}
    assert set(CHINESE_ONLY) < set(SCHEMA.names)
    assert "character_entropy" in CHINESE_ONLY
    assert "han_share" not in CHINESE_ONLY


def test_marks_differ_by_definition() -> None:
    def having(mark: int, character: str) -> set[int]:
        return {system for system in DEFINITIONS.values() if mark_table(system)[ord(character)] & mark}

    assert having(BULLET, "*") == {DATAPIPE, DOLMA, DCLM}
    assert having(BULLET, "•") == {DATAPIPE, DATATROVE, DCLM}
    assert having(TERMINAL, "…") == {DATAPIPE, DOLMA, DCLM}
    assert having(TERMINAL, "。") == set(DEFINITIONS.values())
    assert having(CLOSING, "”") == {DATAPIPE, DOLMA, DCLM}
    assert having(SYMBOL, "&") == {DATAPIPE, DATATROVE}
    assert having(SYMBOL, "€") == {DATAPIPE}


def test_stop_words_lie_by_language() -> None:
    hashes, bounds = stop_table((("en", ("The", "of", "the")), ("de", ("und",))))
    assert bounds == {"en": (0, 2, 3), "de": (2, 3, 3)}
    assert hashes.tolist() == [text_hash("the"), text_hash("of"), text_hash("und")]
