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
# A second writer's words for the same thing: with the sentences in another order, too far from the original for MinHash.
REWRITTEN_ENGLISH = (
    ("are all that a good loaf", "is everything a good loaf"),
    ("quite the same", "exactly the same"),
    ("long elastic threads", "long stretchy threads"),
    ("feels smooth", "becomes smooth"),
    ("gives off", "produces"),
    ("thousands of small bubbles", "thousands of little bubbles"),
    ("work quickly", "work fast"),
    ("for a whole night", "overnight"),
    ("grow once more", "grow again"),
    ("turns brown because", "browns because"),
    ("for an hour", "one hour"),
)
REWRITTEN_CHINESE = (
    ("常常能看到", "经常可以见到"),
    ("每天仍然有人和车", "每天还是有人和车"),
    ("没有用一根钢筋", "没用一根钢筋"),
    ("互相挤在一起", "彼此挤在一起"),
    ("人们不禁要问", "人们不由得要问"),
    ("就在拱的形状里", "就藏在拱的形状中"),
    ("很不怕压，却很怕拉", "不怕受压，只怕受拉"),
    ("变成了沿着弧线传递的", "变成沿弧线传递的"),
    ("只要桥台不移动", "只要桥台不动"),
    ("先在河上搭一座木架", "首先在河面搭一个木架"),
    ("最后放进正中间的那块石头", "最后把正中间那块石头放进去"),
    ("就可以拆掉了", "便可以拆除"),
    ("表示他对自己的手艺有信心", "表明他相信自己的手艺"),
    ("已经非常接近", "已经十分接近"),
)

CAFE = """Le café de la place
Chaque matin, vers sept heures, la patronne ouvre les volets du café et sort les chaises sur la place. Les premiers clients
sont les éboueurs, qui boivent debout, puis viennent les lycéens et, plus tard, les retraités qui lisent le journal jusqu'à
midi. Personne n'est pressé, et le chien de la boulangère dort toujours sous la même table.
L'été dernier, un touriste a demandé le mot de passe du réseau sans fil. La patronne lui a répondu qu'il n'y en avait pas,
mais que les gens assis autour de lui connaissaient presque tout et qu'il suffisait de leur parler. Il est resté trois
heures. En partant, il a dit qu'il reviendrait, et au mois de septembre il était déjà de retour avec sa famille."""

COOKIES = """We value your privacy
We use cookies
Accept all
Reject all
Manage preferences
Home
About us
Privacy policy
Terms of use
Cookie policy
This website uses cookies to improve your experience. By using this site you agree to our use of cookies.
Necessary
Analytics
Marketing
Save and close
Sitemap
Contact
All rights reserved"""
MENU_CHINESE = "\n".join(
    "首页 新闻 国内 国际 财经 体育 娱乐 科技 汽车 房产 教育 健康 旅游 图片 视频 论坛 登录 注册 帮助 关于我们 联系我们 网站地图 "
    "隐私政策 版权声明 广告服务 设为首页 加入收藏 返回顶部 上一页 下一页".split()
)
LOREM = """Our new restaurant
Welcome to the home page of our restaurant. The menu of the week and the opening hours will be found on this page soon.
Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua.
Please come back in a few days, when the designer of the page has put the real text in the place of this one. We are
looking forward to your visit, and to cooking for you and your family. The kitchen is open every day except on Monday."""
HASHES = """# # We # love # the # summer # and # the # sea # that # we # have # with # friends # of # the # beach # #
# # The # sun # and # the # sand # are # all # that # we # want # to # have # with # you # in # this # life # #
# # Be # happy # and # tell # the # world # that # it # is # good # to # be # here # with # all # of # us # #"""
BULLETS = """- apples and pears of the new harvest
- bread that was baked this morning
- butter with salt and butter without
- cheese to grate, and a piece of the soft one
- coffee, and the filters that go with it
- eggs, a dozen, and some milk to have with them
- flour and yeast for the cake of the children
- onions, carrots and a head of garlic
- rice, lentils and a tin of tomatoes
- soap, and a brush for the kitchen floor"""
BULLETS_CHINESE = """• 新鲜的苹果和梨子
• 今天早上烤的面包
• 一斤鸡蛋和两盒牛奶
• 做蛋糕用的面粉和酵母
• 洋葱、胡萝卜和大蒜
• 大米、绿豆和一袋红枣
• 孩子们爱吃的酸奶
• 洗衣服用的肥皂
• 厨房里的一把新刷子
• 给奶奶买的红茶"""
SOUP = """the quick soup of der die das und le chat est sur τη μηχανή и ещё один раз het huis van jou não sei porque kaikki
on hyvin teşekkürler çok güzel minden nap egy új dziękuję bardzo za wszystko þetta er ekki mál mulțumesc frumos tack så
mycket för děkuju moc ačiū labai paldies liels aitäh sulle hvala lijepo faleminderit shumë go raibh maith agat diolch yn
fawr eskerrik asko gràcies per tot terima kasih banyak salamat po asante sana ngiyabonga kakhulu mahalo nui loa"""


def _essay(name: str) -> str:
    return (HERE / "documents" / "essays" / f"{name}.txt").read_text(encoding="utf-8")


def _one_line_a_paragraph(text: str) -> str:
    """A text as written above, without its breaks inside paragraphs: those come after fewer than 100 characters."""
    lines = text.split("\n")
    for index in range(len(lines) - 1):
        lines[index] += " " if len(lines[index]) > 100 else "\n"
    return "".join(lines)


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

    def document(self, identifier: str, text: str, file: str = "planted.jsonl") -> Record:
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
        records = [{"id": None, "file": f"essays/{essay}.txt", "position": 0}]
        for number, text in enumerate(texts, 1):
            records.append(self.document(f"planted-{name.replace(' ', '-')}-{number}", text))
        self.case(name, stage, reason, records, kept=1)


def _duplicates(planted: Planted) -> None:
    for language, essay in (("en", "tides"), ("zh", "tea")):
        text = _essay(essay)
        planted.copies(f"exact copy {language}", "exact_duplicates", "exact_duplicate", essay, text, text)
    cafe = _one_line_a_paragraph(CAFE)
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
    for name, reason, text in (
        ("boilerplate cookies", "fineweb_short_lines", COOKIES),
        ("boilerplate menu zh", "zh_terminal_punctuation", MENU_CHINESE),
        ("boilerplate lorem ipsum", "c4_lorem_ipsum", _one_line_a_paragraph(LOREM)),
        ("repeated line en", "gopher_duplicate_lines", "The door of the house is open and it is cold.\n" * 50),
        ("repeated line zh", "zh_duplicate_lines", "今天的天气很好，我们一起去公园吧。\n" * 50),
        ("repeated words en", "gopher_top_2gram", "This is the page of the best. " + "very good " * 80 + "to have."),
        ("repeated words zh", "zh_top_2gram", "我们的产品。" + "质量很好" * 80 + "。欢迎来买。"),
        ("random letters", "", _random_text("abcdefghijklmnopqrstuvwxyz", 150, 2, 9, " ")),
        ("keyboard mash", "", _random_text("asdfjkl;asdfjklhgfdsahjkl", 120, 4, 12, " ")),
        ("random characters zh", "", _random_text(_characters(), 40, 6, 12, "，") + "。"),
        ("too short en", "gopher_min_words", "The meeting of the club is on Friday. Bring a friend."),
        ("too short zh", "map_neo_min_characters", "今天下午三点开会。请大家准时到。"),
        ("symbols", "gopher_hash_ratio", HASHES),
        ("ellipses", "gopher_ellipsis_ratio", "... the ... end ... of ... it ... is ... that ... we ... have ... " * 8),
        ("bullets en", "gopher_bullet_lines", BULLETS),
        ("bullets zh", "map_neo_bullet_lines", BULLETS_CHINESE),
        ("long line of code", "code_max_line_length", _long_line()),
        ("minified script", "code_max_line_length", _minified()),
    ):
        planted.one(name, "rules", reason, text)


def _characters() -> str:
    """The rarer half of the characters of GB 2312, which no text has side by side."""
    return "".join(bytes((high, low)).decode("gb2312") for high in range(0xD8, 0xF7) for low in range(0xA1, 0xFF))


def _long_line() -> str:
    numbers = ", ".join(str(number * 7919 % 104729) for number in range(800))
    return f"import math\n\nTABLE = [{numbers}]\n\n\ndef look_up(index):\n    return math.sqrt(TABLE[index % len(TABLE)])\n"


def _minified() -> str:
    functions = (f"function f{n}(a,b){{return a+b*{n}||f{n - 1 if n else n}(b,a)}}" for n in range(60))
    return "!function(w){" + "".join(functions) + "w.f=f59}(window);\n"


def _rejects(planted: Planted) -> None:
    """Records that are no documents, each between two good ones that must be read all the same."""
    good = "The ferry to the island leaves at nine, and the last boat back is at six in the evening."
    records: list[tuple[str, str, bytes]] = [
        ("invalid bytes", "invalid_utf8", b'{"id": "planted-invalid-bytes", "text": "The caf\xe9 \xff\xfe is open."}'),
        ("malformed json", "malformed_json", b'{"id": "planted-malformed-json", "text": "The record ends here'),
        ("not an object", "not_an_object", b'["a list", "of strings"]'),
        ("no text", "missing_text", b'{"id": "planted-no-text", "body": "The text stands in another field."}'),
        ("text is null", "missing_text", b'{"id": "planted-text-is-null", "text": null}'),
        ("text is a number", "text_not_string", b'{"id": "planted-text-is-a-number", "text": 42}'),
        ("text is a list", "text_not_string", b'{"id": "planted-text-is-a-list", "text": ["The", "words"]}'),
        ("empty text", "empty_text", b'{"id": "planted-empty-text", "text": ""}'),
        ("blank text", "empty_text", b'{"id": "planted-blank-text", "text": " \\n\\t "}'),
        ("nul bytes", "nul_byte", b'{"id": "planted-nul-bytes", "text": "T\\u0000h\\u0000e\\u0000 \\u0000e\\u0000n\\u0000d"}'),
        ("lone surrogate", "lone_surrogate", b'{"id": "planted-lone-surrogate", "text": "half of an emoji: \\ud83d"}'),
    ]
    for name, reason, line in records:
        planted.case(name, "documents", reason, [planted.add("damaged.jsonl", line)])
    planted.case(
        "good record among damaged ones", "rules", "gopher_min_words", [planted.document("planted-good", good, "damaged.jsonl")]
    )  # fmt: skip
    gb18030 = json.dumps({"id": "planted-gb18030", "text": _essay("birds")}, ensure_ascii=False).encode("gb18030")
    planted.case("gb18030", "documents", "invalid_utf8", [planted.add("gb18030.jsonl", gb18030)])

    lines = b"".join(
        json.dumps({"id": f"planted-cut-{number}", "text": f"{good} This is boat number {number} of the day."}).encode() + b"\n"
        for number in range(20)
    )
    for file, reason, data in (
        ("latin1.txt", "invalid_utf8", "Die Gäste fühlten sich wohl, obwohl es draußen stürmte.\n".encode("latin-1")),
        ("empty.txt", "empty_text", b""),
        ("not-parquet.parquet", "corrupt_file", b"This file is not what its name says.\n"),
        ("letter.doc", "unknown_format", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 an old letter"),
    ):
        planted.files[file] = data
        planted.case(f"file {file}", "documents", reason, [{"file": file, "position": 0}])
    for file, data in (
        ("cut.jsonl.gz", gzip.compress(lines, mtime=0)),
        ("cut.jsonl.zst", zstandard.ZstdCompressor().compress(lines)),
    ):
        planted.files[file] = data[: len(data) // 2]
        planted.case(f"file {file}", "documents", "truncated_file", [{"file": file, "position": None}])


def files() -> dict[str, bytes]:
    """The planted files by their path in this folder, `planted.json` last."""
    planted = Planted()
    _duplicates(planted)
    _bad_by_rule(planted)
    planted.one("languages mixed", "language_filter", "", SOUP)
    for language in ("en", "zh"):
        for number in range(1, 5):
            # Pages from 1,000 on are no examples of the classifier.
            text = low_quality.page(language, 1000 + number)
            planted.one(f"advertisement {language} {number}", "quality_filter", "", text)
    planted.one("advertisement in capitals", "quality_filter", "", low_quality.page("en", 2000).upper())
    _rejects(planted)
    listed = "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in planted.cases) + "\n]\n"
    return {f"documents/{file}": data for file, data in planted.files.items()} | {"planted.json": listed.encode()}
