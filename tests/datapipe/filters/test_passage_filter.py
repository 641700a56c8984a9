"""Sentences below the threshold go, short ones stay, and a document of which too little is left goes whole."""

from typing import Any

import pyarrow as pa

from datapipe.filters.passage_filter import CutSentences

ONE, TWO, THREE = (
    "The river runs through the town. ",
    "Buy cheap boats here today now!\n",
    "第三句话在这里结束了，它说的是这座城市的河流和市场。",
)


def cut(texts: list[str | None], scores: list[list[float] | None], **options: Any) -> list[dict[str, Any]]:
    batch = pa.record_batch(
        {"text": pa.array(texts, pa.string()), "passages_sentence_scores": pa.array(scores, pa.list_(pa.float32()))}
    )
    return list(CutSentences(**options).process(batch).to_pylist())


def test_low_sentences_are_cut_and_counted() -> None:
    whole = ONE + TWO + THREE
    rows = cut([whole, whole, None, ""], [[0.9, 0.05, 0.8], [0.9, 0.2, 0.8], None, []])
    assert rows[0] == {"text": ONE + THREE, "passage_filter_cut_bytes": len(TWO), "passage_filter_reason": None}
    assert rows[1] == {"text": whole, "passage_filter_cut_bytes": 0, "passage_filter_reason": None}
    assert [row["text"] for row in rows[2:]] == [None, ""]


def test_what_ends_the_text_takes_the_space_before_it_along() -> None:
    (row,) = cut([ONE + TWO + "Click on it now, all of you!"], [[0.9, 0.9, 0.0]])
    assert row["text"] == (ONE + TWO).rstrip()
    assert row["passage_filter_cut_bytes"] == len("\nClick on it now, all of you!")


def test_short_sentences_stay() -> None:
    assert cut([ONE + "Buy! " + TWO], [[0.9, 0.0, 0.9]])[0]["text"] == ONE + "Buy! " + TWO
    assert cut([ONE + "Buy! " + TWO], [[0.9, 0.0, 0.9]], min_characters=1)[0]["text"] == ONE + TWO


def test_a_document_of_which_too_little_is_left_goes_and_keeps_its_text() -> None:
    (row,) = cut([ONE + TWO], [[0.05, 0.9]])
    assert row == {"text": ONE + TWO, "passage_filter_cut_bytes": 0, "passage_filter_reason": "too_little_left"}
    assert cut([ONE + TWO], [[0.05, 0.9]], min_kept_share=0.3)[0]["text"] == TWO
