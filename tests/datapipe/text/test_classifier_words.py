"""Against plain Python, and what a text looks like to the classifier."""

import itertools
import unicodedata

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from datapipe.text.characters import HAN, class_table
from datapipe.text.classifier_words import Vocabulary, tokens


def read(text: str, *known: str) -> str:
    data, _ = tokens(pa.array([text]), Vocabulary.of(word.encode() for word in known) if known else None)
    return data.tobytes().decode()


def test_what_is_unknown_is_read_as_its_kind() -> None:
    assert read("The 2 moles\nburrowed, 我们走。") == "the 0 moles burrowed , 我 们 走 。 "
    assert read("The 2 moles\nburrowed, 我们走。", "the", "我", ",") == "the \1 \2es \2ed , 我 \1 \1 \1 "
    assert read("Größen größe größer", "größe") == "\2en größe \2er "
    assert read("Öl ОТКРЫТ Ⱥb", "öl", "открыт") == "öl открыт \1 "


def test_thai_letters_are_tokens() -> None:
    assert read("สวัสดี", "ส") == "ส \1 \1 ส \1 \1 "


def test_line_breaks_are_blanks() -> None:
    assert read("One line.\nAnother\r\n\n line") == read("One line. Another line")


def is_alone(character: str) -> bool:
    unspaced = any(a <= ord(character) <= b for a, b in ((0x0E00, 0x0EFF), (0x0F00, 0x109F), (0x1780, 0x17FF)))
    symbol = unicodedata.category(character)[0] in "PS"
    return bool(class_table()[ord(character)] & HAN) or symbol or (unspaced and not character.isspace())


def lower(character: str) -> str:
    return character.lower() if len(character.lower()) == 1 else character


def reference(text: str, known: set[str] | None) -> str:
    found = []
    spread = "".join(f" {c} " if is_alone(c) else " " if c.isspace() else c for c in text)
    for token in spread.split(" "):
        word = "".join("0" if unicodedata.category(c)[0] == "N" else lower(c) for c in token)
        if word and known is not None and word not in known:
            word = "\2" + word[-2:] if len(word) > 3 else "\1"
        found.append(word)
    return "".join(word + " " for word in found if word)


TEXTS = st.lists(st.one_of(st.text(max_size=20), st.text("aZä 中9\n.,<_ก", max_size=12)), max_size=5)
WORDS = st.none() | st.sets(st.sampled_from(["a", "az", "zä", "中", ".", "0", "00", "aaa", "ä", "ก"]))


@given(TEXTS, WORDS)
def test_tokens(texts: list[str], known: set[str] | None) -> None:
    array = pa.array(["x", *texts], pa.string()).slice(1)
    vocabulary = None if known is None else Vocabulary.of(word.encode() for word in sorted(known))
    data, bounds = tokens(array, vocabulary)
    found = [data[a:b].tobytes().decode() for a, b in itertools.pairwise(bounds.tolist())]
    assert found == [reference(text, known) for text in texts]
