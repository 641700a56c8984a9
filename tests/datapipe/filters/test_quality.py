"""Good prose scores above spam in both languages, from few examples; other languages are not judged."""

import copy
import json
import pathlib
import re
from collections.abc import Callable

import pyarrow as pa
import pytest

from datapipe.filters.quality import ScoreQuality
from datapipe.filters.quality_training import scramble, train_fasttext
from datapipe.read.examples import read_examples
from datapipe.store.corpus import Corpus
from tests.helpers import SAMPLE, write_lines

ENGLISH_PROSE = (
    "The valley was settled late, and what we know of its first farmers comes from letters that they sent home."
)
pytestmark = pytest.mark.xdist_group("quality")  # of several processes each would make the fixtures anew
QUALITY = SAMPLE / "quality"


def good_texts() -> list[str]:
    return read_examples([str(QUALITY / "positive.jsonl")])[::5]


def bad_texts() -> list[str]:
    return read_examples([str(QUALITY / "negative.jsonl")])[::5]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """A few dozen of each kind, in Chinese, English and other languages."""
    folder = tmp_path_factory.mktemp("examples")
    for name, texts in (("good", good_texts()), ("bad", bad_texts())):
        write_lines(folder / f"{name}.jsonl", ({"text": text} for text in texts))
    return {"positives": [str(folder / "good.jsonl")], "negatives": [str(folder / "bad.jsonl")]}


@pytest.fixture(scope="module")
def trained(examples: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> ScoreQuality:
    return ScoreQuality(**examples).prepare(Corpus(""), str(tmp_path_factory.mktemp("quality")))  # type: ignore[arg-type]


def scores(stage: ScoreQuality, *texts: str | None) -> list[float]:
    batch = pa.record_batch({"text": pa.array(texts, pa.string())})
    return stage.process(batch).column("quality_score").to_pylist()


def test_unseen_prose_scores_above_unseen_spam(trained: ScoreQuality) -> None:
    prose = [
        ENGLISH_PROSE,
        "这本书讨论了农业在山区的发展，作者根据当时的书信说明了居民的生活。",
    ]
    spam = ["click here!!! BUY best deal, free offer >>> SUBSCRIBE", "扫码 免费领取！！！ 点击购买 加微信"]
    assert min(scores(trained, *prose)) > 0.5 > max(scores(trained, *spam))


def test_gibberish_scores_low(trained: ScoreQuality) -> None:
    gibberish = "qxz vnrw kqj zzpt wvx mmq jhg bdx ptk lrw xqz nvb wqk jzx"
    assert max(scores(trained, gibberish, scramble(ENGLISH_PROSE * 3))) < 0.5 < scores(trained, ENGLISH_PROSE)[0]


def test_nothing_scores_zero(trained: ScoreQuality) -> None:
    assert scores(trained, None, "", " \n ") == [None, 0, 0]


def test_text_is_not_truncated(trained: ScoreQuality) -> None:
    good, spam = good_texts()[0], "\n".join(bad_texts()[:60])
    assert scores(trained, good + "\n" + spam)[0] < scores(trained, good)[0] - 0.2


def test_prepare_writes_model_and_result(trained: ScoreQuality) -> None:
    folder = pathlib.Path(trained.trained).parent
    assert json.loads((folder / "quality.json").read_text())["en"]["held_out_auc"] > 0.95
    assert sorted(path.suffix for path in folder.glob("[!.]*")) == [".bin", ".json", ".json"]


def test_a_given_model_sees_the_text_as_it_is(tmp_path: pathlib.Path) -> None:
    (tmp_path / "train.txt").write_text("__label__hq Alpha beta\n__label__cc gamma delta\n" * 50)
    model = train_fasttext(str(tmp_path / "train.txt"), dim=10, bucket=1 << 10, wordNgrams=2, epoch=50, lr=0.5)
    path = str(tmp_path / "own.bin")
    model.save_model(path)
    stage = ScoreQuality(model=path, good_label="hq")
    assert stage.skip_reason() is None
    assert stage.prepare(Corpus(""), str(tmp_path)) is stage
    high, low, unknown = scores(stage, "Alpha\nbeta", "gamma delta", "alpha")
    assert high > 0.9 > 0.1 > low
    assert scores(ScoreQuality(model=path, good_label="cc"), "gamma delta")[0] == pytest.approx(1 - low, abs=1e-3)
    assert unknown != high


def test_a_language_without_examples_is_not_judged(trained: ScoreQuality) -> None:
    languages = ["en", "zh-Hans", "de", None, "code", "en"]
    batch = pa.record_batch({"text": [ENGLISH_PROSE] * 5 + [None], "language": languages})
    found = trained.process(batch).column("quality_score")
    assert found.is_valid().to_pylist() == [True, True, False, False, False, False]
    notes = json.loads((pathlib.Path(trained.trained).parent / "_notes.json").read_text())
    assert re.match(r"judges documents in en \(\d+ good, \d+ bad examples\), zh \(", notes[0])
    assert re.search(r"want of examples: .*\bru \(\d+ good, 0 bad", notes[1])


def test_only_documents_surely_in_a_language_are_judged(trained: ScoreQuality) -> None:
    texts = pa.array([ENGLISH_PROSE] * 5)
    columns = {"language": ["en"] * 5, "language_score": pa.array([0.66, 0.64, None, 0.9, 0.9], pa.float32())}
    batch = pa.record_batch({"text": texts, **columns, "language_mixed": [False, False, False, True, None]})
    assert trained.process(batch).column("quality_score").is_valid().to_pylist() == [True, False, False, False, True]
    lenient = copy.copy(trained)
    lenient.min_language_score = 0.3
    assert lenient.process(batch).column("quality_score").is_valid().to_pylist() == [True, True, False, False, True]


def test_languages(examples: dict[str, list[str]], tmp_path: pathlib.Path) -> None:
    stage = ScoreQuality(**examples, languages=["zh"]).prepare(Corpus(""), str(tmp_path))  # type: ignore[arg-type]
    batch = pa.record_batch({"text": ["中文的书", "A book"], "language": ["zh", "en"]})
    assert stage.process(batch).column("quality_score").is_valid().to_pylist() == [True, False]
    with pytest.raises(ValueError, match=r"are needed in fr; .*fr has \d+ good and \d+ bad"):
        ScoreQuality(**examples, languages=["zh", "fr"]).prepare(Corpus(""), str(tmp_path))  # type: ignore[arg-type]


def test_too_few_examples(tmp_path: pathlib.Path) -> None:
    for name, count in (("good", 9), ("bad", 20)):
        write_lines(tmp_path / f"{name}.jsonl", ({"text": f"This is the {name} text {n}."} for n in range(count)))
    stage = ScoreQuality([str(tmp_path / "good.jsonl")], [str(tmp_path / "bad.jsonl")])
    with pytest.raises(ValueError, match=r"at least 10 .* one language; en has 9 good and 20 bad"):
        stage.prepare(Corpus(""), str(tmp_path))


def test_examples_are_no_model(examples: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="no model; call prepare first"):
        scores(ScoreQuality(**examples), "text")  # type: ignore[arg-type]


def test_missing(examples: dict[str, list[str]]) -> None:
    assert ScoreQuality(**examples).skip_reason() is None  # type: ignore[arg-type]
    assert ScoreQuality().skip_reason() == "no examples and no model given"
    assert ScoreQuality(positives=["no.jsonl"], negatives=["no.jsonl"]).skip_reason() == "no such file: no.jsonl"
    assert ScoreQuality(web_examples=True).skip_reason() is None
    alone = ScoreQuality(positives=["no.jsonl"], negatives=["no.jsonl"], web_examples=True)
    assert alone.skip_reason() == "no such file: no.jsonl"
    with pytest.raises(ValueError, match="positives without negatives"):
        ScoreQuality(positives=["a.jsonl"])
    with pytest.raises(ValueError, match="got both"):
        ScoreQuality(positives=["a"], negatives=["b"], model="c")
    with pytest.raises(ValueError, match=r"quality: model .* is another file: expected SHA-256 0, found"):
        ScoreQuality(model=__file__, model_sha256="0")


# Advertisements, and what a careful person wrote on the same subject.
ADVERTISEMENTS = {
    "en": (
        "Get your loan today! Bad credit is no problem. Apply now online, money in your account in 15 "
        "minutes, no paperwork, no guarantor. Best rates guaranteed. Click here and fill in the form!"
    ),
    "de": (
        "Sofortkredit ohne Schufa! Jetzt online beantragen und Geld noch heute auf dem Konto. Keine "
        "Vorkosten, diskret und schnell. Jetzt hier klicken und unverbindlich anfragen!"
    ),
    "ru": (
        "Займ онлайн на карту за 5 минут! Без справок и отказа, первый займ бесплатно. Оформите заявку прямо "
        "сейчас на нашем сайте и получите деньги сегодня!"
    ),
    "es": (
        "¡Préstamos rápidos online sin aval! Solicita ahora tu dinero y recíbelo hoy mismo en tu cuenta. Sin "
        "papeleos, sin nómina. ¡Haz clic aquí y pide tu crédito!"
    ),
}
REPORTS = {
    "en": (
        "The court found that the lender had hidden the true rate in the small print. Two of the borrowers "
        "told the judge that they had paid back four times what they had been lent, and still owed money."
    ),
    "de": (
        "Das Gericht stellte fest, dass der Anbieter die wahren Zinsen im Kleingedruckten verborgen hatte. "
        "Zwei der Betroffenen berichteten, sie hätten das Vierfache zurückgezahlt und seien noch immer "
        "verschuldet."
    ),
    "ru": (
        "Суд установил, что компания скрыла от заёмщиков настоящую ставку. Двое из них рассказали, что "
        "вернули вчетверо больше, чем взяли, и всё ещё остались должны."
    ),
    "es": (
        "El tribunal consideró probado que la empresa ocultó el interés real del préstamo. Dos de los "
        "afectados contaron que habían devuelto cuatro veces lo que recibieron y que aún debían dinero."
    ),
}


def test_examples_that_come_along_judge_twelve_languages(tmp_path: pathlib.Path) -> None:
    stage = ScoreQuality(web_examples=True).prepare(Corpus(""), str(tmp_path))
    assert set(stage.judged) >= {"en", "zh", "de", "ru", "el", "th", "ro", "hi", "vi", "ar", "es", "tr"}
    for language, text in ADVERTISEMENTS.items():
        low, high = scores(stage, text, REPORTS[language])
        assert low < 0.1 < high, language


def test_columns(trained: ScoreQuality, corpus_on_disk: Callable[..., Corpus]) -> None:
    corpus = corpus_on_disk(["a", None])
    (batch,) = corpus.parts[0].read(["text"])
    assert trained.process(batch.drop_columns(["id"])).schema == ScoreQuality.writes
