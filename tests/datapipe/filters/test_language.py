"""Languages, scripts, mixtures and source code are told apart; each option changes what is said."""

import pathlib

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from datapipe.filters.language import IdentifyLanguage, identify, model_path
from datapipe.filters.quality_training import train_fasttext
from tests.helpers import read_lines

ENGLISH = "The committee published its report last week, and members of the public may read it in the library. "
FRENCH = "Le comité a publié son rapport la semaine dernière et le public peut le lire à la bibliothèque. "
CHINESE = "委员会上周发表了报告，公众可以在图书馆阅读这份报告，也可以在网上下载。"
TRADITIONAL = "委員會上週發表了報告，公眾可以在圖書館閱讀這份報告，也可以在網上下載。"
JAPANESE = "委員会は先週報告書を発表しました。図書館で読むことができます。"
KOREAN = "위원회는 지난주에 보고서를 발표했으며 도서관에서 읽을 수 있습니다."

PYTHON = """
import os


def size(path: str) -> int:
    \"\"\"Bytes of a file.\"\"\"
    if not path:
        raise ValueError(path)
    return os.stat(path).st_size
"""
SHELL = """
#!/bin/sh
set -e
for f in *.txt; do
  if [ -f "$f" ]; then
    echo "$f" >> list
  fi
done
"""


def languages(*texts: str | None, **options: object) -> list[str]:
    return identify(pa.array(texts, pa.string()), **options).column("language").to_pylist()  # type: ignore[arg-type]


def test_languages_and_scripts() -> None:
    table = identify(pa.array([ENGLISH, FRENCH, CHINESE, TRADITIONAL, JAPANESE, KOREAN]))
    assert table.column("language").to_pylist() == ["en", "fr", "zh", "zh", "ja", "ko"]
    assert table.column("language_script").to_pylist() == ["Latn", "Latn", "Hans", "Hant", "Jpan", "Kore"]
    assert min(table.column("language_score").to_pylist()) > 0.8
    assert table.column("language_second").null_count < 3
    assert not any(table.column("language_mixed").to_pylist())


@pytest.mark.parametrize("text", ["", None, "\n\n", "1234 !!! …", "\u200b"])
def test_text_without_a_letter_is_undetermined(text: str | None) -> None:
    row = identify(pa.array([text], pa.string())).to_pylist()[0]
    assert (row["language"], row["language_score"], row["language_second"]) == ("und", 0.0, None)


def test_score_is_that_of_the_library() -> None:
    labels, scores = fasttext.FastText._FastText(model_path("")).predict([FRENCH], k=2)
    row = identify(pa.array([FRENCH])).to_pylist()[0]
    found = [row["language"], row["language_second"]]
    assert [f"__label__{language}" for language in found] == labels[0]
    np.testing.assert_allclose([row["language_score"], row["language_second_score"]], scores[0], rtol=1e-5)


def test_sliced_arrays_and_all_string_types() -> None:
    texts = pa.array([CHINESE, ENGLISH, None, FRENCH])
    whole = identify(texts)
    assert identify(texts.slice(1)).to_pylist() == whole.slice(1).to_pylist()
    assert identify(texts.cast(pa.large_string())).to_pylist() == whole.to_pylist()
    assert len(identify(pa.array([], pa.string()))) == 0


def test_mixed_languages_are_flagged_with_their_shares() -> None:
    text = ENGLISH * 10 + "\n" + FRENCH * 5
    row = identify(pa.array([text]), max_characters=0).to_pylist()[0]
    assert (row["language"], row["language_second"], row["language_mixed"]) == ("en", "fr", True)
    assert row["language_share"] == pytest.approx(2 / 3, abs=0.1)
    assert row["language_second_share"] == pytest.approx(1 / 3, abs=0.1)
    assert not identify(pa.array([text]), max_characters=0, mixed_share=0.5).to_pylist()[0]["language_mixed"]
    # A window that covers one sentence sees one language only.
    line = pa.array([text.replace("\n", " ").replace(".", "")])
    assert not identify(line, window=2000, max_characters=0).to_pylist()[0]["language_mixed"]


def test_windows_spread_over_the_document() -> None:
    """The first thousand characters alone would say English, the middle alone French."""
    text = ENGLISH * 12 + FRENCH * 3 + CHINESE * 60
    assert languages(text) == ["zh"]
    assert languages(text[:1500], max_characters=250) == ["en"]
    assert languages(CHINESE * 20 + FRENCH * 8 + CHINESE * 20, max_characters=125) == ["fr"]


def test_bilingual_lines_are_mixed() -> None:
    row = identify(pa.array([f"{CHINESE}\n{ENGLISH}\n" * 3])).to_pylist()[0]
    assert (row["language"], row["language_second"], row["language_mixed"]) == ("zh", "en", True)
    assert row["language_share"] + row["language_second_share"] == pytest.approx(1)


def test_alternating_lines_in_one_script_are_mixed() -> None:
    lines = [ENGLISH[:60], FRENCH[:75], ENGLISH[20:], FRENCH[10:]]
    for start in range(4):
        text = "\n".join(lines[start:] + lines * 8)
        assert identify(pa.array([text])).to_pylist()[0]["language_mixed"], text


@pytest.mark.parametrize(
    "other", [FRENCH, CHINESE, "Комитет опубликовал доклад на прошлой неделе, его может прочесть любой. "]
)
def test_alternating_sentences_of_one_line_are_mixed(other: str) -> None:
    text = f"{ENGLISH} {other} ".replace("  ", " ") * 12
    assert identify(pa.array([text])).to_pylist()[0]["language_mixed"]
    assert not identify(pa.array([f"{other} " * 12])).to_pylist()[0]["language_mixed"]


@pytest.mark.parametrize("gap", [" ", "\n"])
def test_a_long_text_is_mixed_by_its_share_of_another_language(gap: str) -> None:
    """Windows that meet a second language by chance are looked at again, closer; where all is judged, there is none."""

    def texts(sentences: int, together: int, every: int) -> list[str]:
        """French in which, of so many sentences at a time, each such time is English; from the first, second ... on."""
        french = [f"{FRENCH.strip()} Voilà la page {at}, que tout le monde peut lire." for at in range(sentences)]
        starts = range(every * together)
        lines = (
            [ENGLISH.strip() if (at + start) // together % every == 0 else line for at, line in enumerate(french)]
            for start in starts
        )
        return [gap.join(chosen) for chosen in lines]

    elevenths, halves = texts(60, 2, 11), texts(100, 3, 2)
    found = identify(pa.array(elevenths + halves)).column("language_mixed").to_pylist()
    assert not any(found[: len(elevenths)])
    assert all(found[len(elevenths) :])


def test_marks_weigh_as_much_as_letters() -> None:
    """Half of Hindi's characters are marks: an eighth of English is no fifth of the text."""
    hindi = "समिति ने पिछले सप्ताह अपनी रिपोर्ट प्रकाशित की और लोग इसे पुस्तकालय में पढ़ सकते हैं। "
    row = identify(pa.array([hindi * 12 + "\n" + ENGLISH * 2])).to_pylist()[0]
    assert (row["language"], row["language_mixed"]) == ("hi", False)
    assert row["language_second_share"] == pytest.approx(0.15, abs=0.05)
    terms = "我们使用 Kubernetes 和 PostgreSQL 部署这个 Web 应用，详见 README。\n" * 5
    assert not identify(pa.array([terms])).to_pylist()[0]["language_mixed"]


def test_addresses_and_markup_are_no_language() -> None:
    links = "https://example.com/terms/of/service\n" * 20
    assert languages(links + CHINESE * 4, links) == ["zh", "und"]


@pytest.mark.parametrize("text", [PYTHON, SHELL])
def test_source_code(text: str) -> None:
    assert languages(text) == ["code"]
    row = identify(pa.array([text])).to_pylist()[0]
    assert row["language_score"] == row["language_code_share"] >= 0.5
    assert row["language_second"] != "code"


def test_prose_about_code_is_prose() -> None:
    fenced = f"# Notes\n\n{ENGLISH}\n\n```python\n{PYTHON}```\n\n- {ENGLISH}\n"
    assert languages(fenced, CHINESE + "\n" + SHELL.replace("\n", "\n\n") + CHINESE * 3) == ["en", "zh"]
    assert languages(f"{CHINESE}\n```\n{PYTHON * 9}```\n", f"{CHINESE}\n{PYTHON * 9}", code_share=1) == ["zh", "zh"]


def test_the_name_of_a_file_counts() -> None:
    texts = pa.array(["import os\nx = os.sep\n" + ENGLISH, ENGLISH, ENGLISH * 3 + PYTHON * 9, "# " + ENGLISH])
    for columns, expected in (
        ({"path": ["a.py", "b.py", "c.md", "d.sh"]}, ["code", "en", "en", "code"]),
        ({"path": ["x.jsonl"] * 4}, ["en", "en", "code", "en"]),
        ({"path": ["x.jsonl"] * 4, "input_path": ["a.py", None, "c.rst", None]}, ["code", "en", "en", "en"]),
        ({"path": ["x.jsonl"] * 4, "input_path": [1, 2, 3, 4]}, ["en", "en", "code", "en"]),
    ):
        (out,) = [pa.record_batch({"text": texts, **columns})] | IdentifyLanguage()
        assert out.column("language").to_pylist() == expected


def test_styles_and_capitals_are_read() -> None:
    styled = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in ENGLISH)
    bold = "".join(chr(ord(c) - 97 + 0x1D5EE) if "a" <= c <= "z" else c for c in ENGLISH)
    shy = ENGLISH.replace("e", "e\u00ad")
    assert languages(ENGLISH.upper(), FRENCH.upper(), styled, bold, shy, " ".join(FRENCH)) == (
        ["en", "fr", "en", "en", "en", "fr"]
    )


def test_the_label_never_contradicts_the_script() -> None:
    hanja = "大韓民國은 民主共和國이다. 大韓民國의 主權은 國民에게 있고, 모든 權力은 國民으로부터 나온다."
    mongolian = "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ ᠨᠢ ᠡᠷᠲᠡᠨ ᠦ ᠪᠢᠴᠢᠭ ᠶᠤᠮ"
    kanji = "東京都千代田区永田町一丁目七番一号 国会議事堂 衆議院第一議員会館"
    rows = identify(pa.array([hanja, mongolian, kanji, KOREAN + CHINESE * 3])).to_pylist()
    found = [(row["language"], row["language_script"]) for row in rows]
    assert found == [("ko", "Kore"), ("mn", "Mong"), ("ja", "Jpan"), ("zh", "Hans")]


def test_cantonese_is_an_option() -> None:
    texts = ("佢哋琴日去咗邊度食飯呀？我都唔知喎，你問下佢啦，今晚仲要返工㗎。", TRADITIONAL)
    assert languages(*texts) == ["zh", "zh"]
    assert languages(*texts, cantonese=True) == ["yue", "zh"]


@pytest.mark.parametrize(
    "other", [FRENCH, CHINESE, "Комитет опубликовал доклад на прошлой неделе, его может прочесть любой. "]
)
def test_half_is_mixed_and_a_tenth_is_not(other: str) -> None:
    def text(share: float, lines: int) -> str:
        """English and another language, which says so much of it."""
        size = 3 if other is CHINESE else 1
        block = ENGLISH * (round(share * 10 * lines * len(other) * size / len(ENGLISH)) or 1)
        rest = other * round((1 - share) * 10 * lines)
        return f"{rest[: len(rest) // 2]}\n{block}\n{rest[len(rest) // 2 :]}"

    for lines in (2, 5, 20, 100):
        half, tenth = identify(pa.array([text(0.5, lines), text(0.1, lines)])).to_pylist()
        assert half["language_mixed"]
        assert not tenth["language_mixed"]


@pytest.mark.parametrize("labels", [("eng_Latn", "cmn_Hani"), ("eng_Latn", "zho_Hans"), ("en", "zh"), ("eng", "zho")])
def test_labels_of_other_models(tmp_path: pathlib.Path, labels: tuple[str, str]) -> None:
    """GlotLID's, OpenLID's, and plain ones."""
    lines = [f"__label__{labels[0]} " + ENGLISH, f"__label__{labels[1]} " + CHINESE, "__label__und_Latn 1 2"] * 20
    (tmp_path / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    model = train_fasttext(str(tmp_path / "train.txt"), dim=10, epoch=50, minn=2, maxn=3, bucket=1 << 10)
    model.save_model(str(tmp_path / "own.bin"))
    assert languages(ENGLISH, CHINESE, model=str(tmp_path / "own.bin")) == ["en", "zh"]


def test_another_model(tmp_path: pathlib.Path) -> None:
    lines = ["__label__eng_Latn " + ENGLISH, "__label__zho_Hans " + CHINESE] * 20
    (tmp_path / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    model = train_fasttext(str(tmp_path / "train.txt"), dim=10, epoch=50, minn=2, maxn=3, bucket=1 << 10)
    model.save_model(str(tmp_path / "own.bin"))
    own = str(tmp_path / "own.bin")
    assert languages(ENGLISH, CHINESE, model=own) == ["en", "zh"]
    assert identify(pa.array([FRENCH]), own).to_pylist()[0]["language"] == "en"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 5}, "window must be at least 20, got 5"),
        ({"max_characters": 100}, "max_characters must be 0 or at least window"),
        ({"mixed_share": 0}, "mixed_share must be above 0 and at most 1, got 0"),
        ({"code_share": 1.5}, "code_share must be above 0 and at most 1, got 1.5"),
        ({"model": "no/such.bin"}, "model 'no/such.bin' is no file"),
        ({"model": __file__, "model_sha256": "0"}, "language: model .* is another file: expected SHA-256 0, found"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IdentifyLanguage(**options)  # type: ignore[arg-type]


def test_stage_writes_its_columns() -> None:
    batch = pa.record_batch({"text": [ENGLISH, CHINESE]})
    (result,) = [batch] | IdentifyLanguage()
    assert result.schema.names == ["text", *IdentifyLanguage.writes.names]
    assert result.column("language").to_pylist() == ["en", "zh"]


@pytest.mark.parametrize(
    ("language", "least"),
    [
        ("zh", 0.97),
        ("en", 0.985),
        ("fr", 0.985),
        ("de", 0.985),
        ("es", 0.985),
        ("ru", 0.985),
        ("ja", 0.985),
        ("ko", 0.985),
    ],
)
def test_accuracy_on_labelled_sentences(shared_data: pathlib.Path, language: str, least: float) -> None:
    rows = read_lines(shared_data / "labelled/language-sentences.jsonl.zst")
    found = languages(*[row["text"] for row in rows if row["language"] == language])
    assert np.mean(np.array(found) == language) >= least


def test_dialogue_in_quotes_is_prose() -> None:
    dialogue = (
        '"My dear Mr. Bennet," said his lady to him one day,\n"have you heard that Netherfield Park is let at last?"\n'
    )
    assert identify(pa.array([dialogue * 5])).column("language").to_pylist() == ["en"]
