"""Pages that nobody wants to learn from, in English and Chinese: advertisements, bait and stuffed keywords.

Written for this project. `make.py` draws the bad examples of the quality classifier from here, and `planted.py` some
more pages that the classifier must remove. A page is drawn by its number alone: each run gives the same.
"""

import pathlib
import random
from collections.abc import Callable

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


def page(language: str, number: int) -> str:
    """A page of 10 to 16 sentences, each with its slots filled; the same for the same number.

    Args:
        language: "en" or "zh".
        number: which page.
    """
    draw = random.Random(f"{language} {number}")
    written = (HERE / f"low_quality_{language}.txt").read_text(encoding="utf-8").splitlines()
    sentences = draw.sample(written, draw.randint(10, 16))
    for slot, words in SLOTS.items():
        choices = words.split("|")
        theme = draw.choice(choices)
        # A page sells one thing, but its numbers differ.
        pick = (lambda theme=theme: theme) if slot not in ("number", "数") else (lambda c=choices: draw.choice(c))
        sentences = [_fill(sentence, "{" + slot + "}", pick) for sentence in sentences]
    breaks = draw.randint(2, 4)
    joiner = " " if language == "en" else ""
    return "\n".join(joiner.join(sentences[start : start + breaks]) for start in range(0, len(sentences), breaks))


def _fill(sentence: str, slot: str, pick: Callable[[], str]) -> str:
    while slot in sentence:
        sentence = sentence.replace(slot, pick(), 1)
    return sentence
