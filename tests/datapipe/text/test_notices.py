"""The kernel's oracle is in `test_measuring.py`; here, what it is for."""

import pyarrow as pa
import pytest

from datapipe.text.measuring import measure_text
from datapipe.text.notices import ADVERTS, NOTICES

NOTICE = (
    "We use cookies on our website. Your personal data are handled as our privacy policy says. All rights reserved. "
    "The weather is fine."
)
ADVERT = "Order now with a 50 % discount! Free shipping, best price! Click here for your free bonus! It rains."
ARTICLE = (
    "The court ruled on the use of cookies. It had heard both sides for a week. The judges asked what a reader can "
    "know. A new law was passed in the spring. It protects personal data better than the last one. "
    "Nobody was surprised. The ministry had promised as much before the vote, and most of the parties had agreed."
)


def shares(text: str, language: str = "en") -> tuple[float, float, float]:
    row = measure_text(pa.array([text]), pa.array([language])).to_pylist()[0]
    return row["notice_share"], row["advert_share"], row["exclamation_share"]


def test_a_text_of_notices_is_told() -> None:
    assert shares(NOTICE)[0] == pytest.approx(0.83, abs=0.03)
    assert shares(NOTICE.upper())[0] == shares(NOTICE)[0]
    assert shares(NOTICE)[1:] == (0, 0)


def test_an_advertisement_is_told() -> None:
    notice, advert, exclamation = shares(ADVERT)
    assert notice == 0
    assert advert > 0.8
    assert exclamation > 0.8


def test_an_article_on_them_is_neither() -> None:
    assert shares(ARTICLE) == (0, 0, 0)  # two stems prove nothing
    assert 0 < shares(ARTICLE + " The reader sees a notice on this website.")[0] < 0.5


def test_two_exclamations_prove_nothing() -> None:
    assert shares("Stop! Come back!") == (0, 0, 0)
    assert shares("Stop! Come back! Now!")[2] == 1


def test_white_space_ends_a_sentence_in_thai() -> None:
    text = "เราใช้คุกกี้ ข้อมูลส่วนบุคคล สงวนลิขสิทธิ์ แม่น้ำไหลผ่านเมืองเก่าไปสู่ทะเล"
    assert 0.4 < shares(text, "th")[0] < 0.7
    assert shares(text, "en")[0] == 1


def test_stems_are_in_lower_case_and_differ() -> None:
    for by_language in (NOTICES, ADVERTS):
        for listed in by_language.values():
            of_language = listed.split("|")
            assert len(set(of_language)) == len(of_language)
            assert all(stem == stem.lower() and len(stem) > 1 for stem in of_language)
            # The kernel looks for four code points of them at once.
            assert all(len(stem) > 3 for stem in of_language if stem[0] < "\u0590")
