"""Decontamination: 13 tokens of overlap remove a sample, 12 do not, and the evidence is there to read."""

import itertools
import pathlib
import unicodedata
from typing import Any

import pyarrow as pa
import pytest

from datapipe.mix.decontamination import (
    Decontaminate,
    evaluation_index,
    find_overlaps,
)
from datapipe.stage import read_notes
from datapipe.store.corpus import Corpus
from datapipe.text.normalization import fold
from tests.helpers import write_lines

QUESTION = "If a train leaves at noon and runs for three hours, when does it arrive?"  # 15 tokens
WORDS = QUESTION.split()


def overlaps(sample: str, *evaluation: str, n: int = 13, shortest: int = 8) -> str | None:
    records = [f"set#{number}" for number in range(len(evaluation))]
    index, _ = evaluation_index(pa.array(evaluation, pa.string()), records, n, shortest)
    leaks = find_overlaps(pa.array([sample]), index)[0].as_py()
    return f"{leaks[0]['record']}: {leaks[0]['text']}" if leaks else None


def test_thirteen_tokens_match_and_twelve_do_not() -> None:
    assert overlaps("Tell me: " + " ".join(WORDS[:13]) + " we stop?", QUESTION) == "set#0: " + " ".join(WORDS[:13])
    assert overlaps("Tell me: " + " ".join(WORDS[:12]) + " will it arrive?", QUESTION) is None


def test_case_and_punctuation_do_not_hide_an_overlap() -> None:
    assert overlaps(QUESTION.upper().replace(",", " --"), QUESTION)
    assert overlaps(QUESTION.replace(" ", "\n"), QUESTION)


def test_turkish_capitals_match_their_small_letters() -> None:
    question = "Ilık bir sabah İzmir'den yola çıkan kız, kırk kilometre yürüyüp kıyıdaki evine kaçta varır acaba?"
    capitals = question.translate({ord("i"): "İ", ord("ı"): "I"}).upper()
    assert overlaps(capitals, question)
    assert overlaps(question, capitals)


def test_chinese_characters_are_tokens() -> None:
    question = "小明有三个苹果又买了五个请问一共几个"
    assert overlaps(f"问：{question[:13]}？", question) == f"set#0: {question[:13]}"
    assert overlaps(f"问：{question[:12]}？", question) is None


@pytest.mark.parametrize(
    "question",
    [
        "แม่ค้าขายมะม่วงในตลาดวันละสี่สิบผลถ้าขายไปแล้วสามวันจะเหลือเงินเท่าไรหลังจากจ่ายค่าเช่าร้าน",
        "ຊາວນາມີຄວາຍຢູ່ເຈັດໂຕແລະຂາຍໄປສາມໂຕໃນມື້ວານນີ້ລາວຍັງເຫຼືອຄວາຍຢູ່ຈັກໂຕໃນທົ່ງນາ",
        "បើកសិករម្នាក់មានគោដប់ពីរក្បាលហើយលក់អស់បួនក្បាលតើគាត់នៅសល់គោប៉ុន្មានក្បាល",
        "လယ်သမားတစ်ယောက်မှာနွားဆယ်ကောင်ရှိပြီးလေးကောင်ရောင်းလိုက်ရင်ဘယ်နှကောင်ကျန်မလဲ",
        "ཞིང་པ་གཅིག་ལ་གཡག་བཅུ་ཡོད་པ་ལས་བཞི་བཙོངས་ན་གཡག་ག་ཚོད་ལྷག་གི་རེད་དམ་ཞེས་པའི་ལན་བྲིས",
    ],
)
def test_letters_are_quarters_of_tokens_in_scripts_without_spaces(question: str) -> None:
    letters = [at for at, character in enumerate(question) if unicodedata.category(character)[0] not in "PSC"]
    assert overlaps(f"x {question[: letters[52]]}", question) == f"set#0: {question[: letters[51] + 1]}"
    assert overlaps(question[: letters[51]], question) is None
    # A space, as between phrases, or none: the same letters.
    assert overlaps(f"{question[:20]} {question[20:]}", question)


def test_short_records_are_looked_for_whole() -> None:
    short = "What is the boiling point of pure water"  # 8 tokens
    assert overlaps(f"Quick: {short}?", short) == f"set#0: {short}"
    assert overlaps("What is the boiling point of pure gold", short) is None
    assert overlaps(short, short, shortest=9) is None
    # A record with a long text is known by that alone.
    index, _ = evaluation_index(pa.array([short, QUESTION]), ["set#0", "set#0"], 13, 8)
    assert find_overlaps(pa.array([short, QUESTION]), index).is_valid().to_pylist() == [False, True]


def test_the_longest_overlap_is_named() -> None:
    short = "What is the boiling point of pure water"
    assert (overlaps(f"{short}? {QUESTION}", short, QUESTION) or "").startswith("set#1: If a train")


def test_the_first_record_is_named() -> None:
    assert (overlaps(QUESTION, "Nothing here.", QUESTION, QUESTION) or "").startswith("set#1: ")


@pytest.fixture
def evaluation(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "evaluation.jsonl"
    records: list[dict[str, Any]] = [
        {"id": 1, "question": QUESTION, "hints": ["At three.", {"text": " ".join(f"choice{i}" for i in range(13))}]},
    ]
    write_lines(path, records)
    return str(path)


def verdicts(stage: Decontaminate, texts: list[str | None], tmp_path: pathlib.Path) -> dict[str, list[str | None]]:
    ready = stage.prepare(Corpus(str(tmp_path)), str(tmp_path))
    return dict(ready.process(pa.record_batch({"text": pa.array(texts, pa.string())})).to_pydict())


def test_stage_marks_the_sample_and_says_why(evaluation: str, tmp_path: pathlib.Path) -> None:
    # 13 tokens right up to the mark that ends the message.
    sample = f"<|im_start|>user\n{' '.join(WORDS[:13])}<|im_end|>\n<|im_start|>assistant\nAt three.<|im_end|>\n"
    found = verdicts(Decontaminate([evaluation]), [sample, None, "clean"], tmp_path)
    assert found == {
        "decontamination_reason": ["evaluation_overlap", None, None],
        "decontamination_match": [f"evaluation.jsonl#0: {' '.join(WORDS[:13])}", None, None],
        "decontamination_leaks": [[{"record": "evaluation.jsonl#0", "text": " ".join(WORDS[:13])}], None, None],
    }


def test_every_string_counts_unless_fields_are_named(evaluation: str, tmp_path: pathlib.Path) -> None:
    nested: list[str | None] = [" ".join(f"choice{i}" for i in range(13))]
    key = "decontamination_reason"
    assert verdicts(Decontaminate([evaluation]), nested, tmp_path)[key] == ["evaluation_overlap"]
    assert verdicts(Decontaminate([evaluation], fields=["question"]), nested, tmp_path)[key] == [None]
    with pytest.raises(ValueError, match="no field 'query'"):
        verdicts(Decontaminate([evaluation], fields=["query"]), nested, tmp_path)


def test_an_answer_to_choose_from_is_no_question(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "choices.jsonl"
    option = " ".join(f"choice{i}" for i in range(13))
    write_lines(path, [{"question": " ".join(WORDS[:13]), "choices": [option, "At four."]}])
    found = verdicts(Decontaminate([str(path)]), [option, " ".join(WORDS[:13])], tmp_path)
    assert found["decontamination_reason"] == [None, "evaluation_overlap"]


def test_ngram_and_shortest_change_the_decision(evaluation: str, tmp_path: pathlib.Path) -> None:
    key = "decontamination_reason"
    sample: list[str | None] = [" ".join(WORDS[:5])]
    assert verdicts(Decontaminate([evaluation]), sample, tmp_path)[key] == [None]
    strict = Decontaminate([evaluation], ngram=5, shortest=5)
    assert verdicts(strict, sample, tmp_path)[key] == ["evaluation_overlap"]


def test_transform_on_batches(evaluation: str, tmp_path: pathlib.Path) -> None:
    ready = Decontaminate([evaluation]).prepare(Corpus(str(tmp_path)), str(tmp_path))
    (batch,) = [pa.record_batch({"text": [QUESTION, "clean"]})] | ready
    assert batch.schema.names == ["text", *ready.writes.names]
    assert batch.column("decontamination_reason").to_pylist() == ["evaluation_overlap", None]


def test_a_damaged_evaluation_set_stops_the_run(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"question": "whole"}\n{"question": "cut')
    with pytest.raises(ValueError, match=r"broken\.jsonl at 22: malformed_json"):
        verdicts(Decontaminate([str(path)]), ["text"], tmp_path)
    with pytest.raises(ValueError, match=r"no file of records.*answers\.docx"):
        verdicts(Decontaminate([str(tmp_path / "answers.docx")]), ["text"], tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ngram": 0}, "ngram must be .* got 0"),
        ({"shortest": 14}, "shortest must be .* got 14"),
        ({"parts": ["code"]}, r"parts\[0\] must be one of 'document', 'instruction', got 'code'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Decontaminate(**options)


def test_without_evaluation_sets_it_says_so(evaluation: str, tmp_path: pathlib.Path) -> None:
    assert Decontaminate().skip_reason() == "no evaluation set given"
    assert Decontaminate([str(tmp_path / "sets")]).skip_reason() == f"no evaluation set at {tmp_path / 'sets'}"
    assert Decontaminate([str(tmp_path / "sets"), evaluation]).skip_reason() is None


def test_real_evaluation_sets_leak_nothing_into_real_instructions_but_themselves(
    shared_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    sets = [str(shared_data / "evaluation" / f"{name}.jsonl.zst") for name in ("gsm8k-test", "humaneval")]
    janet = "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins"
    found = verdicts(Decontaminate(sets), [janet, "A recipe for muffins."], tmp_path)["decontamination_match"]
    assert found[0] is not None
    assert found[0].startswith("gsm8k-test.jsonl.zst#0: ")
    assert found[1] is None


def test_both_sides_are_folded_alike() -> None:
    question = "小明从家里出发去学校，先走了三百公尺，又骑车走了两千公尺。"
    forms = ["小明從家裡出發去學校，先走了三百公尺，又騎車走了兩千公尺。", question.replace("走", "走\u200b")]
    index, _ = evaluation_index(fold(pa.array([question])), ["set#0"], 13, 8)
    assert find_overlaps(fold(pa.array(forms)), index).null_count == 0
    latin = "If 12 apples cost 34 coins, then how many coins do 99 &amp; apples&nbsp;cost now?"
    wide = "".join(
        chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in latin.replace("&amp;", "&").replace("&nbsp;", " ")
    )
    index, _ = evaluation_index(fold(pa.array([latin])), ["set#0"], 13, 8)
    assert find_overlaps(fold(pa.array([wide])), index).null_count == 0


def missed(*records: list[str], n: int = 13, shortest: int = 8) -> int:
    names = [f"set#{number}" for number, texts in enumerate(records) for _ in texts]
    return evaluation_index(pa.array(itertools.chain(*records), pa.string()), names, n, shortest)[1]


def test_records_too_short_are_counted() -> None:
    assert missed(["one two three", "four"], ["one two three four five six seven eight"]) == 1
    assert missed(["one two three", "four"], shortest=3) == 0


def test_an_answer_option_does_not_stand_for_the_question() -> None:
    question = "Why do the leaves fall in autumn"  # 7 tokens
    option = "Because the tree saves its water for winter"  # 8 tokens
    index, unknown = evaluation_index(pa.array([question, option, "It is cold"]), ["set#0"] * 3, 13, 8)
    assert (len(index), unknown) == (0, 1)
    # Half is not most; more than half is; and what a record says twice, it says once.
    eight = "one two three four five six seven eight"
    assert missed([eight, "a b c d e f g h"]) == 1
    assert missed([eight, "a b c d e f g"]) == 0
    assert missed([eight, eight, "a b c d e f g"]) == 0
    # A whole n-gram is evidence wherever it stands.
    assert missed([question, " ".join(WORDS[:13])]) == 0


def test_the_note_counts_records_and_names_the_way_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "set.jsonl"
    write_lines(path, [{"question": " ".join(WORDS[:8]), "hints": ["in the morning", "in the evening", "at noon"]}])
    option: list[str | None] = ["It came in the morning."]
    for fields, looked_for in (([], False), (["question"], True)):
        folder = tmp_path / str(len(fields))
        folder.mkdir()
        ready = Decontaminate([str(path)], fields=fields).prepare(Corpus(str(folder)), str(folder))
        note = "1 of 1 evaluation records are too short to look for; more are found if fields names the question alone"
        assert read_notes(str(folder)) == (() if looked_for else (note,))
        question: list[str | None] = [" ".join(WORDS[:8])]
        found = ready.process(pa.record_batch({"text": pa.array(question + option, pa.string())}))
        assert found.column("decontamination_reason").is_valid().to_pylist() == [looked_for, False]
