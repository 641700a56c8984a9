"""Pages that nobody wants to learn from, in English and Chinese: advertisements, notices and menus.

Written for this project. `make.py` draws the bad examples of the quality classifier from here, and `planted.py` some
more pages that the classifier must remove. A page is drawn by its number alone: each run gives the same.
"""

import pathlib
import random

HERE = pathlib.Path(__file__).parent / "written"
SLOTS = {
    "product": "watches|slimming pills|phone cases|mattresses|miracle creams|designer bags|vitamins|car insurance"
    "|e-books|running shoes|web hosting|loans|diet plans|sunglasses|casino chips|seo packages",
    "number": "3|5|7|9|10|12|24|48|77|99|100|365|500|999",
    "name": "Jessica|Mike|Brandon|Kelly|Amber|Steve|Tiffany|Doug",
    "货": "减肥茶|名牌手表|手机壳|面膜|保健品|男鞋|净水器|贷款"
    "|装修建材|发票|彩票软件|加盟项目|微商货源|祛斑霜|学历证书|游戏金币",
    "数": "3|5|7|8|10|15|28|30|99|100|168|365|888|999",
    "城": "北京|上海|广州|深圳|杭州|成都|武汉|郑州|南京|西安",
}
SITES = {
    "site": "example.com|this site|our shop|the Company|the Service|mysite.net|us",
    "站": "本站|我们|本公司|本网站|某某网|生活网|论坛",
}
# File of sentences, and how many of them a page has.
KINDS = {"low_quality": (10, 16), "spam": (3, 10), "notices": (2, 10)}
SEPARATORS = ("\n", " | ", " ", " - ", " · ")


def page(language: str, number: int, kind: str = "low_quality") -> str:
    """A page of sentences, each with its slots filled; the same for the same number.

    Args:
        language: "en" or "zh".
        number: which page.
        kind: of `KINDS`.
    """
    draw = random.Random(f"{language} {number}" if kind == "low_quality" else f"{kind} {language} {number}")
    written = (HERE / f"{kind}_{language}.txt").read_text(encoding="utf-8").splitlines()
    sentences = _filled(draw, draw.sample(written, draw.randint(*KINDS[kind])))
    breaks = draw.randint(2, 4)
    joiner = " " if language == "en" else ""
    return "\n".join(joiner.join(sentences[start : start + breaks]) for start in range(0, len(sentences), breaks))


def menu(language: str, number: int) -> str:
    """What stands around the text of a page: items of one to three menus."""
    draw = random.Random(f"menu {language} {number}")
    written = (HERE / f"menu_{language}.txt").read_text(encoding="utf-8").splitlines()
    items = [item for row in draw.sample(written, draw.randint(1, 3)) for item in row.split("|")]
    items = draw.sample(items, min(len(items), draw.randint(8, 40)))
    return draw.choice(SEPARATORS).join(_filled(draw, items))


def _filled(draw: random.Random, sentences: list[str]) -> list[str]:
    """Sentences with their slots filled. A page sells one thing, but its numbers and sites differ."""
    for slot, words in (SLOTS | SITES).items():
        choices = words.split("|")
        theme = None if slot in SITES else draw.choice(choices)
        if slot in ("number", "数"):
            theme = None
        sentences = [_fill(draw, sentence, slot, [theme] if theme else choices) for sentence in sentences]
    return sentences


def _fill(draw: random.Random, sentence: str, slot: str, choices: list[str]) -> str:
    while "{" + slot + "}" in sentence:
        filling = choices[0] if len(choices) == 1 else draw.choice(choices)
        sentence = sentence.replace("{" + slot + "}", filling, 1)
    return sentence
