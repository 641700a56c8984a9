"""An n-gram is a run of n tokens: each is found where it stands, and equal ones by their hash."""

import unicodedata

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from datapipe.text.characters import HAN, class_table
from datapipe.text.token_grams import SHOWN, ngrams


def is_unspaced(character: str) -> bool:
    """Whether its script has no spaces, by the names that Unicode gives: four letters are a token."""
    return unicodedata.name(character, "").startswith(("THAI ", "LAO ", "TIBETAN ", "MYANMAR ", "KHMER "))


def tokens_of(text: str) -> list[str]:
    """The tokens of a text, by the rule as it is stated; a letter of a script without spaces by itself."""
    tokens = [""]
    for character in text:
        is_han = class_table()[ord(character)] & HAN
        if is_han or (is_unspaced(character) and unicodedata.category(character)[0] not in "PSC"):
            tokens += [character.lower(), ""]
        elif character.isspace():
            tokens.append("")
        elif unicodedata.category(character)[0] not in "PSC":
            tokens[-1] += character.lower() if len(character.lower()) == 1 else character
    return [token for token in tokens if token]


def windows_of(text: str, n: int) -> list[tuple[str, ...]]:
    """For each last token the shortest run of tokens that comes to n."""
    tokens = tokens_of(text)
    sizes = [1 if is_unspaced(token[0]) else 4 for token in tokens]
    windows = []
    for end in range(1, len(tokens) + 1):
        begins = [begin for begin in range(end) if sum(sizes[begin:end]) >= 4 * n]
        if begins:
            windows.append(tuple(tokens[begins[-1] : end]))
    return windows


CHARACTERS = st.sampled_from("aAbß1é.,-\t\n 中文のÀ\u0301€𠀀😀กี๑฿ລ་བོ།ကျខ្")
TEXTS = st.lists(st.one_of(st.none(), st.text(CHARACTERS, max_size=40)), max_size=6)


@given(TEXTS, st.integers(1, 5))
@example(["a-b c.", None, "don't 2023年!"], 2)
@example(["iPhone ของฉัน กข a กขคง b กขคงจ"], 2)
def test_ngrams_are_the_windows_of_the_tokens(texts: list[str | None], n: int) -> None:
    array = pa.array(["skipped text", *texts], pa.string())[1:]
    grams = ngrams(array, n)
    windows = [(row, window) for row, text in enumerate(texts) for window in windows_of(text or "", n)]
    assert grams.documents.tolist() == [row for row, _ in windows]
    assert [tuple(tokens_of(grams.text(gram, gram))) for gram in range(len(windows))] == [
        window for _, window in windows
    ]
    sizes = [sum(1 if is_unspaced(token[0]) else 4 for token in tokens_of(text or "")) for text in texts]
    assert grams.sizes.tolist() == sizes
    # Equal hashes mean equal windows, and the other way round.
    assert len(set(grams.hashes.tolist())) == len({window for _, window in windows})
    assert len(set(zip(grams.hashes.tolist(), (window for _, window in windows), strict=True))) == len(
        {window for _, window in windows}
    )


def test_places_count_quarters_of_tokens() -> None:
    grams = ngrams(pa.array(["one two, three", "ab กขคง ef"]), 2)
    assert grams.places.tolist() == [8, 12, 8, 12]


def test_a_long_passage_is_cut() -> None:
    grams = ngrams(pa.array(["中" * SHOWN]), 13)
    assert grams.text(0, len(grams.hashes) - 1) == "中" * (SHOWN // 3)
    assert grams.text(1, 3) == "中" * 15
