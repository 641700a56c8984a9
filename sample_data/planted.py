"""Makes the planted records: every way in which a document can be bad, each with what must become of it.

`make.py` takes natural text from packages; everything here was written for this project. `files()` gives the files, and
among them `planted.json`: a list of cases, of each of which the pipeline must remove all records but `kept`, at `stage`
and for `reason`. A record is known by its file and its position there: the byte at which it begins in the decompressed
file. The essays of `documents/essays/` are the originals of the duplicates.
"""

import gzip
import json
import pathlib
import random
import unicodedata
from typing import Any

import low_quality
import zstandard

HERE = pathlib.Path(__file__).parent
Record = dict[str, Any]

NEAR_ENGLISH = (("four hundred books", "five hundred books"), ("asked again.", "asked ever again."))
NEAR_CHINESE = (("王师傅总是", "李师傅总是"), ("二十多年来", "三十多年来"))
# Another writer's words for the same thing; with the sentences in another order, too far for MinHash.
REWRITTEN_ENGLISH = (
    ("are all that a good loaf", "is everything a good loaf"),
    ("long elastic threads", "long stretchy threads"),
    ("work quickly", "work fast"),
    ("for a whole night", "overnight"),
    ("grow once more", "grow again"),
    ("for an hour", "one hour"),
)
REWRITTEN_CHINESE = (
    ("常常能看到", "经常可以见到"),
    ("互相挤在一起", "彼此挤在一起"),
    ("很不怕压，却很怕拉", "不怕受压，只怕受拉"),
    ("只要桥台不移动", "只要桥台不动"),
    ("最后放进正中间的那块石头", "最后把正中间那块石头放进去"),
    ("就可以拆掉了", "便可以拆除"),
    ("表示他对自己的手艺有信心", "表明他相信自己的手艺"),
)


def _essay(name: str) -> str:
    return (HERE / "documents" / "essays" / f"{name}.txt").read_text(encoding="utf-8")


def _written(name: str) -> str:
    return (HERE / "written" / f"{name}.txt").read_text(encoding="utf-8").strip()


def _changed(text: str, changes: tuple[tuple[str, str], ...]) -> str:
    """A text with each change made once.

    Raises:
        ValueError: if the text does not hold what is to be changed.
    """
    for old, new in changes:
        if old not in text:
            raise ValueError(f"there is no {old!r} to change")
        text = text.replace(old, new, 1)
    return text


def _backwards(text: str, full_stop: str) -> str:
    """A text with the sentences of each paragraph in reverse order."""
    paragraphs = text.strip().split("\n\n")
    for index, paragraph in enumerate(paragraphs[1:], 1):
        sentences = paragraph.removesuffix(full_stop.strip()).split(full_stop)
        paragraphs[index] = full_stop.join(reversed(sentences)) + full_stop.strip()
    return "\n\n".join(paragraphs)


def _random_text(alphabet: str, words: int, shortest: int, longest: int, joiner: str) -> str:
    draw = random.Random(alphabet)
    return joiner.join("".join(draw.choices(alphabet, k=draw.randint(shortest, longest))) for _ in range(words))


class Planted:
    """The files under way, and the list of cases that goes with them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cases: list[Record] = []

    def add(self, file: str, line: bytes) -> Record:
        """Append a line to a file and return where it stands."""
        before = self.files.get(file, b"")
        self.files[file] = before + line + b"\n"
        return {"file": file, "position": len(before)}

    def document(self, identifier: str, text: str, file: str = "documents/planted.jsonl") -> Record:
        """Append a document in JSON and return where it stands."""
        line = json.dumps({"id": identifier, "text": text}, ensure_ascii=False).encode()
        return {"id": identifier, **self.add(file, line)}

    def case(self, name: str, stage: str, reason: str, records: list[Record], kept: int = 0) -> None:
        """State what becomes of some records."""
        self.cases.append({"case": name, "stage": stage, "reason": reason, "kept": kept, "records": records})

    def one(self, name: str, stage: str, reason: str, text: str) -> None:
        """A document that must go, as a case of its own."""
        self.case(name, stage, reason, [self.document(f"planted-{name.replace(' ', '-')}", text)])

    def copies(self, name: str, stage: str, reason: str, essay: str, *texts: str) -> None:
        """Documents that repeat an essay in some way: with it, all but one must go."""
        records = [{"id": None, "file": f"documents/essays/{essay}.txt", "position": 0}]
        for number, text in enumerate(texts, 1):
            records.append(self.document(f"planted-{name.replace(' ', '-')}-{number}", text))
        self.case(name, stage, reason, records, kept=1)


def _duplicates(planted: Planted) -> None:
    for language, essay in (("en", "tides"), ("zh", "tea")):
        text = _essay(essay)
        planted.copies(f"exact copy {language}", "exact_duplicates", "exact_duplicate", essay, text, text)
    cafe = _written("french")
    twins = [
        planted.document("planted-same-text-composed", cafe),
        planted.document("planted-same-text-decomposed", unicodedata.normalize("NFD", cafe).replace("\n", "\r\n")),
        planted.document("planted-same-text-invisible", cafe.replace(" place", " \u200bplace")),
    ]
    planted.case("same text after normalisation", "exact_duplicates", "exact_duplicate", twins, kept=1)

    library, market = _essay("library"), _essay("market")
    planted.copies(
        "near copy en", "near_duplicates", "near_duplicate", "library",
        _changed(library, NEAR_ENGLISH[:1]), _changed(library, NEAR_ENGLISH[1:]),
    )  # fmt: skip
    planted.copies(
        "near copy zh", "near_duplicates", "near_duplicate", "market",
        _changed(market, NEAR_CHINESE[:1]), _changed(market, NEAR_CHINESE[1:]),
    )  # fmt: skip

    rewritten = _backwards(_changed(_essay("bread"), REWRITTEN_ENGLISH), ". ")
    planted.copies("rewritten copy en", "semantic_duplicates", "semantic_duplicate", "bread", rewritten)
    rewritten = _backwards(_changed(_essay("bridge"), REWRITTEN_CHINESE), "。")
    planted.copies("rewritten copy zh", "semantic_duplicates", "semantic_duplicate", "bridge", rewritten)


def _bad_by_rule(planted: Planted) -> None:
    """Documents that a rule filter must see. The reason is the first failed rule."""
    # But for this one: half of it is whole sentences, and what they say tells.
    planted.one("boilerplate cookies", "quality_filter", "low_quality", _written("cookies"))
    for name, reason, text in (
        ("boilerplate menu zh", "zh_terminal_punctuation", _written("menu")),
        ("boilerplate lorem ipsum", "c4_lorem_ipsum", _written("placeholder")),
        ("repeated line en", "gopher_duplicate_lines", "The door of the house is open and it is cold.\n" * 50),
        ("repeated line zh", "zh_duplicate_lines", "今天的天气很好，我们一起去公园吧。\n" * 50),
        ("repeated words en", "gopher_top_2gram", "This is the page of the best. " + "very good " * 80 + "to have."),
        ("repeated words zh", "zh_top_2gram", "我们的产品。" + "质量很好" * 80 + "。欢迎来买。"),
        ("random characters zh", "zh_stop_words", _random_text(_characters(), 40, 6, 12, "，") + "。"),
        ("too short en", "gopher_min_words", "The meeting of the club is on Friday. Bring a friend."),
        ("too short zh", "map_neo_min_characters", "今天下午三点在楼上的会议室开会。请大家准时到。"),
        ("symbols", "gopher_hash_ratio", _written("hashes")),
        ("ellipses", "gopher_ellipsis_ratio", _written("ellipses")),
        ("bullets en", "gopher_bullet_lines", _written("bullets")),
        ("bullets zh", "map_neo_bullet_lines", _written("bullets_chinese")),
        ("long line of code", "code_max_line_length", _long_line()),
        ("minified script", "code_max_line_length", _minified()),
    ):
        planted.one(name, "rules", reason, text)


def _characters() -> str:
    """The rarer half of the characters of GB 2312, which no text has side by side."""
    return "".join(bytes((high, low)).decode("gb2312") for high in range(0xD8, 0xF7) for low in range(0xA1, 0xFF))


def _long_line() -> str:
    numbers = ", ".join(str(number * 7919 % 104729) for number in range(800))
    function = "def look_up(index):\n    return math.sqrt(TABLE[index % len(TABLE)])\n"
    return f"import math\n\nTABLE = [{numbers}]\n\n\n{function}"


def _minified() -> str:
    functions = [f"function f{n}(a,b){{var c=a+b*{n};return c>{n}?f{n // 2}(b,c):[a,b,c]}}" for n in range(120)]
    blocks = ["".join(functions[start : start + 20]) for start in range(0, 120, 20)]
    return (
        "!function(w){\n"
        + "\n".join(f"w.m{n}=function(){{{block}}};" for n, block in enumerate(blocks))
        + "\n}(window);\n"
    )


def _rejects(planted: Planted) -> None:
    """Records and files that are no documents, and a good record among them that must be read all the same."""
    records: list[tuple[str, str, bytes]] = [
        ("invalid bytes", "invalid_utf8", b'{"id": "planted-invalid-bytes", "text": "The caf\xe9 \xff\xfe is open."}'),
        ("malformed json", "malformed_json", b'{"id": "planted-malformed-json", "text": "The record ends here'),
        ("not an object", "not_an_object", b'["a list", "of strings"]'),
        ("no text", "missing_text", b'{"id": "planted-no-text", "page": "The text stands in another field."}'),
        ("text is null", "missing_text", b'{"id": "planted-text-is-null", "text": null}'),
        ("text is a number", "text_not_string", b'{"id": "planted-text-is-a-number", "text": 42}'),
        ("text is a list", "text_not_string", b'{"id": "planted-text-is-a-list", "text": ["The", "words"]}'),
        ("empty text", "empty_text", b'{"id": "planted-empty-text", "text": ""}'),
        ("blank text", "empty_text", b'{"id": "planted-blank-text", "text": " \\n\\t "}'),
        (
            "nul bytes",
            "nul_byte",
            b'{"id": "planted-nul-bytes", "text": "T\\u0000h\\u0000e\\u0000 \\u0000e\\u0000n\\u0000d"}',
        ),
        ("lone surrogate", "lone_surrogate", b'{"id": "planted-lone-surrogate", "text": "half of an emoji: \\ud83d"}'),
    ]
    for name, reason, line in records[:2]:
        planted.case(name, "documents", reason, [planted.add("documents/damaged.jsonl", line)])
    record = planted.document("planted-good", _written("ferry"), "documents/damaged.jsonl")
    planted.case("good record among damaged ones", "documents", "malformed_json", [record], kept=1)
    for name, reason, line in records[2:]:
        planted.case(name, "documents", reason, [planted.add("documents/damaged.jsonl", line)])
    gb18030 = json.dumps({"id": "planted-gb18030", "text": _essay("birds")}, ensure_ascii=False).encode("gb18030")
    planted.case("gb18030", "documents", "invalid_utf8", [planted.add("documents/gb18030.jsonl", gb18030)])

    for file, reason, data in (
        ("latin1.txt", "invalid_utf8", "Die Gäste fühlten sich wohl, obwohl es draußen stürmte.\n".encode("latin-1")),
        ("empty.txt", "empty_text", b""),
        ("not-parquet.parquet", "corrupt_file", b"This file is not what its name says.\n"),
        ("letter.doc", "unknown_format", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 an old letter"),
    ):
        planted.files[f"documents/{file}"] = data
        planted.case(f"file {file}", "documents", reason, [{"file": f"documents/{file}", "position": 0}])


def _cut_files(planted: Planted, records: list[Record]) -> None:
    """Compressed files that end too soon: what stands before the cut must still be read."""
    half = len(records) // 2
    lines = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records]
    # A block a record: Zstandard gives back whole blocks only, and one takes 128 KiB unless it is told otherwise.
    stream = zstandard.ZstdCompressor().compressobj()
    blocks = [stream.compress(line) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for line in lines[half:]]
    for file, data in (
        ("cut.jsonl.gz", gzip.compress(b"".join(lines[:half]), mtime=0)),
        ("cut.jsonl.zst", b"".join(blocks) + stream.flush()),
    ):
        planted.files[f"documents/{file}"] = data[: len(data) * 4 // 5]
        # Where exactly reading ends depends on the reader's buffer.
        planted.case(f"file {file}", "documents", "truncated_file", [{"file": f"documents/{file}", "position": None}])


def _instructions(planted: Planted) -> None:
    """The records planted among those of `instructions/`, which were written by hand."""
    for name, stage, reason, file, identifier, kept in (
        (
            "evaluation question in an instruction en",
            "decontamination",
            "evaluation_overlap",
            "alpaca",
            "planted-leak-en",
            0,
        ),
        (
            "evaluation question in an instruction zh",
            "decontamination",
            "evaluation_overlap",
            "alpaca",
            "planted-leak-zh",
            0,
        ),
        (
            "twelve tokens of an evaluation question",
            "decontamination",
            "evaluation_overlap",
            "alpaca",
            "planted-twelve-tokens",
            1,
        ),
        ("empty answer", "instructions", "empty_answer", "prompts", "planted-empty-answer", 0),
        ("neither question nor answer", "instructions", "no_instruction_shape", "prompts", "planted-no-shape", 0),
        ("chat markup in a question", "chat", "chat_markup_in_text", "prompts", "planted-forged-turn", 0),
    ):
        path = f"instructions/{file}.jsonl"
        data = (HERE / path).read_bytes()
        position = data.rindex(b"\n", 0, data.index(identifier.encode())) + 1
        planted.case(name, stage, reason, [{"id": identifier, "file": path, "position": position}], kept)


def files(records: list[Record]) -> dict[str, bytes]:
    """The planted files by their path in this folder, `planted.json` last.

    Args:
        records: natural ones, to fill the files that are cut.
    """
    planted = Planted()
    _duplicates(planted)
    _bad_by_rule(planted)
    for name, reason, text in (
        ("random letters", "no_text_letter_pairs", _random_text("abcdefghijklmnopqrstuvwxyz", 150, 2, 9, " ") + "."),
        ("keyboard mash", "no_text_letter_pairs", _random_text("asdfjkl;asdfjklhgfdsahjkl", 120, 4, 12, " ") + "."),
        ("languages mixed", "fineweb_terminal_punctuation", _written("languages")),
    ):
        planted.one(name, "rules", reason, text)
    for language in ("en", "zh"):
        for number, drawn in enumerate((2, 3, 4, 6), 1):
            # Pages from 1,000 on are no examples of the classifier; these pass the rules.
            text = low_quality.page(language, 1000 + drawn)
            planted.one(f"advertisement {language} {number}", "quality_filter", "low_quality", text)
    lines = low_quality.page("en", 2000).split("\n")
    loud = "\n".join(line.upper() if index % 2 else line for index, line in enumerate(lines))
    planted.one("advertisement in capitals", "quality_filter", "low_quality", loud)
    _rejects(planted)
    _cut_files(planted, records)
    _instructions(planted)
    listed = "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in planted.cases) + "\n]\n"
    return planted.files | {"planted.json": listed.encode()}
