"""A question counts as leaked with its answer after it, by weight and not by chance, and what leaked can be read."""

import math
import pathlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.mix.evaluation_questions import (
    ANSWER_GRAM,
    LONG_WINDOW,
    MAX_GAP,
    PASSAGE_GRAM,
    PASSAGE_WINDOW,
    QUESTION_GRAM,
    SHORT_ANSWER,
    SHORT_WINDOW,
    FindEvaluationQuestions,
    Question,
    find_questions,
    make_questions,
    question_index,
    required_score,
    weigh,
)
from datapipe.stage import read_notes
from datapipe.store.corpus import Corpus
from tests.helpers import random_words, read_lines, write_lines

Gram = tuple[str, ...]


def found_in(
    text: str, *questions: Question, min_score: float = 0.8, shortest: int = 1
) -> dict[str, tuple[float, str]]:
    index, _ = question_index(questions, shortest)
    (leaks,) = find_questions(pa.array([text]), make_questions(index, min_score), min_score)
    return {leak.record: (leak.score, leak.text) for leak in leaks}


def grams_of(words: list[str], n: int) -> list[Gram]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


def slow_weights(texts: list[str], n: int, whole: int) -> list[dict[Gram, float]]:
    """Of each text its n-grams, and what each weighs: the rarer the more."""
    lists = [text.split() for text in texts]
    grams = [set(grams_of(words, max(1, len(words)) if len(words) <= whole else n)) for words in lists]
    return [{gram: math.log(1 + len(texts) / sum(gram in other for other in grams)) for gram in own} for own in grams]


def slow_found(text: str, questions: list[Question], min_score: float) -> dict[str, float]:
    """By the rules as they are stated: every question, every place of the text."""
    words = text.split()
    asked = slow_weights([each.question for each in questions], QUESTION_GRAM, 0)
    answers = iter(slow_weights([answer for each in questions for answer in each.answers], ANSWER_GRAM, SHORT_ANSWER))
    passages = slow_weights([each.passage for each in questions], PASSAGE_GRAM, 0)
    best: dict[str, float] = {}
    for at, each in enumerate(questions):
        own = [(answer.split(), next(answers)) for answer in each.answers]
        hits = [place for place, gram in enumerate(grams_of(words, QUESTION_GRAM)) if gram in asked[at]]
        tokens = len(each.question.split())

        def share(weights: dict[Gram, float], low: int, high: int) -> float:
            n = len(next(iter(weights)))
            found = set(grams_of(words[max(0, low) : high], n)) & weights.keys()
            return sum(weights[gram] for gram in found) / sum(weights.values())

        clusters: list[list[int]] = []
        for hit in hits:
            if clusters and hit - clusters[-1][-1] <= MAX_GAP:
                clusters[-1].append(hit)
            else:
                clusters.append([hit])
        for cluster in clusters:
            begin, end = cluster[0], cluster[-1] + QUESTION_GRAM
            overlap = share(asked[at], begin, end)
            if overlap < required_score(tokens, (min_score - 0.3) / 0.7) - 1e-9:
                continue
            end = min(end, begin + tokens)
            length = len(each.passage.split())
            passage = 0.0
            if each.passage:
                window = max(PASSAGE_WINDOW, 2 * length)
                passage = share(passages[at], begin - window, end + window) if passages[at] else 0.0
            for answer, weights in own or [([], {})]:
                window = SHORT_WINDOW if len(answer) <= SHORT_ANSWER else max(LONG_WINDOW, 2 * len(answer))
                answered = share(weights, end, end + window) if weights else 0.0
                parts = weigh(len(asked[at]), len(answer) if own else None, has_passage=bool(each.passage))
                score = parts[0] * overlap + parts[1] * answered + parts[2] * passage
                if score >= required_score(tokens + len(answer) + length, min_score) - 1e-9:
                    best[each.record] = max(score, best.get(each.record, 0.0))
    return best


def words(fewest: int, most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from("abcdefgh"), min_size=fewest, max_size=most).map(" ".join)


@st.composite
def leaked_sets(draw: st.DrawFn) -> tuple[str, list[Question]]:
    """A text made of pieces of questions, answers and passages, some of them edited, and the questions."""
    questions = [
        Question(
            f"set#{number}",
            draw(words(QUESTION_GRAM, 60)),
            tuple(draw(st.lists(words(1, 8), max_size=2))),
            draw(st.just("") | words(PASSAGE_GRAM, 12)),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    questions = list({each[1:]: each for each in reversed(questions)}.values())[::-1]
    pieces = st.sampled_from([part for each in questions for part in (each.question, *each.answers, each.passage)])
    text = " ".join(draw(st.lists(pieces | words(1, 20), max_size=6))).split()
    for place in draw(st.lists(st.integers(0, max(0, len(text) - 1)), max_size=4)):
        text[place : place + 1] = draw(st.sampled_from(["x", "", "x y"])).split()
    return " ".join(text), questions


@given(leaked_sets(), st.sampled_from([0.4, 0.8, 1.0]))
def test_finds_what_the_rules_say(case: tuple[str, list[Question]], min_score: float) -> None:
    text, questions = case
    found = {record: score for record, (score, _) in found_in(text, *questions, min_score=min_score).items()}
    assert found == pytest.approx(slow_found(text, questions, min_score))


LONG = " ".join(random_words(1, 60))
SHORT = Question("set#0", "What is the boiling point of pure water at the sea", ("100 degrees",))
OTHER = Question("set#1", LONG, (" ".join(random_words(2, 12)),))


def test_a_short_question_needs_its_answer() -> None:
    assert found_in(f"Quiz! {SHORT.question}? {SHORT.answers[0]}.", SHORT, OTHER) == {
        "set#0": (1.0, f"{SHORT.question}? {SHORT.answers[0]}")
    }
    assert found_in(f"{SHORT.question}? Nobody knows.", SHORT, OTHER) == {}
    assert found_in(f"{SHORT.answers[0]}. {SHORT.question}?", SHORT, OTHER) == {}
    assert found_in(SHORT.question, SHORT._replace(answers=()), OTHER) == {"set#0": (1.0, SHORT.question)}
    # The answer stands near: within 50 tokens.
    for between, found in ((48, 1), (49, 0)):
        assert len(found_in(f"{SHORT.question} {'so ' * between}{SHORT.answers[0]}", SHORT)) == found


def test_a_template_is_no_question() -> None:
    template = "The following is a multiple choice question about geography, choose the right answer and explain it: "
    questions = [Question(f"set#{n}", template + " ".join(random_words(n, 20)), ("North",)) for n in range(9)]
    assert found_in(template + "Which mountain is the highest of all? North", *questions) == {}
    assert list(found_in(f"{questions[3].question} North", *questions)) == ["set#3"]


def test_a_long_question_is_found_though_edited() -> None:
    edited = LONG.split()
    edited[20] = "else"
    text = f"{' '.join(edited)} {OTHER.answers[0]}"
    assert 0.9 < found_in(text, SHORT, OTHER)["set#1"][0] < 1
    assert found_in(text, SHORT, OTHER, min_score=1.0) == {}


def test_a_passage_supports_its_question() -> None:
    passage = " ".join(random_words(3, 20))
    question = Question("set#0", " ".join(random_words(4, 12)), ("yes indeed it is so",), passage)
    assert found_in(f"{passage} {question.question} {question.answers[0]}", question)["set#0"][0] == 1
    assert found_in(f"{question.question} {question.answers[0]}", question) == {}


def test_scripts_without_spaces_have_questions() -> None:
    question = Question("set#0", "小明有三个苹果又买了五个请问一共几个", ("八个",))
    assert found_in("小明有三个苹果，又买了五个，请问一共几个？答：八个。", question)["set#0"][0] == 1
    thai = Question("set#0", "แม่ค้าขายมะม่วงในตลาดวันละสี่สิบผลถ้าขายไปแล้วสามวันจะเหลือเงินเท่าไร", ("หนึ่งร้อยบาท",))
    assert found_in(f"โจทย์: {thai.question} ตอบ {thai.answers[0]}", thai)["set#0"][0] > 0.999


def test_any_of_several_answers_counts_and_equal_records_are_one() -> None:
    several = SHORT._replace(answers=("0 degrees", "100 degrees"))
    text = f"{SHORT.question}? 100 degrees"
    assert list(found_in(text, several, several._replace(record="set#7"))) == ["set#0"]


def test_an_evaluation_set_dumped_into_one_text_takes_no_quadratic_time() -> None:
    questions = [Question(f"set#{n}", " ".join(random_words(n, 30)), (f"the answer {n}",)) for n in range(1000)]
    dump = "\n".join(f"{each.question} {each.answers[0]}" for each in questions)
    assert len(found_in(dump, *questions)) == 1000
    assert len(found_in("a b c d e f g " * 20000, Question("set#0", "a b c d e f g " * 3))) == 1


def rows(path: pathlib.Path, *records: dict[str, Any]) -> str:
    write_lines(path, records)
    return str(path)


def marked(stage: FindEvaluationQuestions, texts: list[str | None], tmp_path: pathlib.Path) -> dict[str, list[Any]]:
    ready = stage.prepare(Corpus(str(tmp_path)), str(tmp_path))
    return dict(ready.process(pa.record_batch({"text": pa.array(texts, pa.string())})).to_pydict())


def test_stage_marks_documents_and_says_which_record(tmp_path: pathlib.Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"question": SHORT.question, "answer": "100&nbsp;degrees"}, {"question": "Why?"})
    text = f"<|im_start|>user\n{SHORT.question}<|im_end|>\n<|im_start|>assistant\n１００ degrees<|im_end|>\n"
    found = marked(FindEvaluationQuestions([path]), [text, None, SHORT.question], tmp_path)
    assert found["evaluation_questions_reason"] == ["evaluation_question", None, None]
    ((leak,), *others) = found["evaluation_questions_leaks"]
    assert (leak["record"], leak["score"], others) == ("a.jsonl#0", 1.0, [None, None])
    assert read_notes(str(tmp_path)) == ("1 of 2 evaluation records are too short to look for",)


def options() -> Iterator[Any]:
    record = {"question": SHORT.question, "answer": "100 degrees", "ask": "Ask for " + LONG, "context": LONG}
    text = f"{SHORT.question}? 100 degrees"
    yield {"questions": ["ask"]}, record, text, False
    yield {"answers": ["nothing"], "passages": []}, record, SHORT.question, True
    yield {"passages": []}, record, text, True
    yield {}, record, text, False
    yield {"passages": [], "shortest": 20}, record, text, False
    yield {"passages": [], "min_score": 0.3}, record | {"question": LONG}, " ".join(LONG.split()[:30]), True


@pytest.mark.parametrize(("chosen", "record", "text", "found"), list(options()))
def test_each_option_changes_what_is_found(
    chosen: dict[str, Any], record: dict[str, Any], text: str, found: bool, tmp_path: pathlib.Path
) -> None:
    path = rows(tmp_path / "a.jsonl", record)
    verdict = marked(FindEvaluationQuestions([path], **chosen), [text], tmp_path)
    assert verdict["evaluation_questions_reason"] == ["evaluation_question" if found else None]


def test_only_the_parts_named_are_looked_at() -> None:
    assert FindEvaluationQuestions().part_kinds() == ("document", "instruction")
    assert FindEvaluationQuestions(parts=["document"]).part_kinds() == ("document",)
    assert FindEvaluationQuestions().skip_reason() == "no evaluation set given"


def test_a_record_without_a_question_is_an_error(tmp_path: pathlib.Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"frage": "Wo?"})
    with pytest.raises(ValueError, match=r"a\.jsonl at 0: no text in a field question or problem"):
        marked(FindEvaluationQuestions([path]), ["x"], tmp_path)


def test_real_questions_are_found_with_their_answers_and_web_pages_hold_none(
    shared_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    path = shared_data / "evaluation" / "gsm8k-test.jsonl.zst"
    asked = [f"{record['question']}\n{record['answer']}" for record in read_lines(path)]
    pages = [record["text"] for record in read_lines(shared_data / "corpora" / "en-c4-300.jsonl.zst")]
    found = marked(FindEvaluationQuestions([str(path)]), asked + pages, tmp_path)["evaluation_questions_leaks"]
    assert [leaks[0]["record"] for leaks in found[: len(asked)]] == [f"{path.name}#{n}" for n in range(len(asked))]
    assert found[len(asked) :] == [None] * len(pages)
