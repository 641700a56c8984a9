"""The kernel's oracle is in `test_measuring.py`; here, that it tells languages from letters at random."""

import random

import pyarrow as pa
import pytest

from datapipe.text.letter_pairs import FEWEST_LETTERS
from datapipe.text.measuring import measure_text
from tests.helpers import SAMPLE, read_lines

ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзийклмнопрстуфхцчшщыьэюя",
    "กขคงจฉชซญดตถทธนบปผฝพฟมยรลวสหอ",
    "가나다라마바사아자차카타파하",
]


def lift(text: str) -> float | None:
    value: float | None = measure_text(pa.array([text]), pa.array(["en"])).column("letter_pair_lift")[0].as_py()
    return value


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("number", [60, 400])
def test_letters_at_random_have_a_lift_of_one_at_most(alphabet: str, skewed: bool, number: int) -> None:
    draw = random.Random(7)
    weights = [1 / (at + 2) if skewed else 1 for at in range(len(alphabet))]
    words = ["".join(draw.choices(alphabet, weights, k=draw.randrange(2, 10))) for _ in range(number)]
    once, again = lift(" ".join(words)), lift(" ".join([*words, *draw.choices(words, k=4000)]))
    assert once is not None
    assert again == once < 1.1  # a word that returns says nothing new
    assert once > 0.2


def test_letters_of_an_alphabet_are_never_so_many_different_ones() -> None:
    draw = random.Random(7)
    letters = [chr(point) for point in (*range(0xE0, 0xF6), *range(0x1EA1, 0x1EFA, 2), *range(ord("a"), ord("{")))]
    words = ["".join(draw.choices(letters, k=draw.randrange(2, 5))) for _ in range(70)]
    assert lift(" ".join(words)) == 0
    assert lift(" ".join([*words, *(chr(0x4E00 + at) for at in range(400))])) != 0  # most are Chinese


@pytest.mark.parametrize("name", ["european.jsonl.zst", "chinese.jsonl.zst"])
def test_languages_have_a_higher_one(name: str) -> None:
    lifts = [lift(record["text"]) for record in read_lines(SAMPLE / "documents" / name)]
    assert min(value for value in lifts if value is not None) > 1.1


def test_of_few_letters_nothing_is_said() -> None:
    letters = "".join(chr(0x4E00 + at) for at in range(FEWEST_LETTERS))
    assert lift(letters[:-1]) is None
    assert lift(letters) == 0
