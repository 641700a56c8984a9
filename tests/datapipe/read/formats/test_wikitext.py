"""Wikitext as readers see it."""

import random
import re
import time

import pytest

from datapipe.read.formats.wiki_words import VARIANTS
from datapipe.read.formats.wikitext import Wiki, plain_text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        # Links
        (
            "[[Estonia]]n and [[Land|lands]], [[:Category:Rivers|rivers]], [[:Category:Seas]]",
            "Estonian and lands, rivers, Seas",
        ),
        (
            "A [[wikt:word]], [[s:de:Faust|Faust]], [[#Section]], [[Mercury (planet)|]].",
            "A word, Faust, Section, Mercury.",
        ),
        ("[[de:Berlin]][[zh-min-nan:Berlin]]x[[:fr:Berlin]]", "xBerlin"),
        (
            "[https://a.example label here] [http://a.example] [mailto:x@y write] [//a.example b] [1]",
            "label here write b [1]",
        ),
        ("[[File:A.jpg|thumb|220px|A [[river|stream]] ([[x]]) {{nowrap|y}}]]Text", "Text"),
        (
            ("[[ファイル:A.jpg|サムネイル]][[Datei:B.png]][[ File:c.svg|x]]Text[[Catégorie:C]][[ Kategorie : "
            "D]][[分類:E]]"),
            "Text",
        ),
        ("A [[link without end\n\nnext", "A link without end\n\nnext"),
        ("A [[File:x.jpg|thumb|no end\n\nnext", "A\nnext"),
        # Templates
        (
            "A{{sfn|B|2016|p=2}} {{convert|1,500|km2|sqmi|abbr=on}}, {{cvt|10|to|20|m}}, {{convert|5|ft|3|in|m}}.",
            "A 1,500 km², 10 to 20 m, 5 ft 3 in.",
        ),
        ("{{lang|de|Straße}} {{lang-fr|rue}} {{transl|ru|ulitsa}} {{Langx|es|calle}}", "Straße rue ulitsa calle"),
        (
            "{{nihongo|Tokyo|東京|Tōkyō}}; {{zh|c=北京|p=Běijīng}}; {{ruby|東|ひがし}}; {{仮リンク|川|en|River}}",
            "Tokyo (東京, Tōkyō); 北京, Běijīng; 東（ひがし）; 川",
        ),
        (
            "{{frac|3|4}}, {{val|1200|0.5|u=kg}}, {{formatnum:12345.6}}, {{US$|5000}}, {{as of|2010|3}}",
            "3/4, 1,200 ± 0.5 kg, 12,345.6, US$5,000, As of March 2010",
        ),
        ("{{Infobox|a={{b|c}}|d=\n{| x\n| y\n|}\n}}Text {{{1|default}}}{{!}}", "Text default|"),
        ("{{quote|'''A''' word.|by = B}}{{PAGENAME}} is {{unknown|text}}here", "A word.Berlin is here"),
        ("Text {{no end|a\n| b = c\n\nmore", "Text\n\nmore"),
        ("Text }} more ]] and |} too", "Text more and |} too"),
        ("A{{Navbox|list={{hlist|a|{{small|b}}}}}} (B;{{x}}; c)", "A (B; c)"),
        # Elements
        ('A<ref name="x" />B<ref>{{cite|a}}</ref>C<ref group=n>no end\n\nD', "ABC\n\nD"),
        (
            "<!-- a\n[[b]] -->A<nowiki>[[x]] '''y'''</nowiki><br/>B<span style='display:none'>z</span><sub>2</sub>",
            "A[[x]] '''y'''\nB2",
        ),
        ("<gallery>\nA.jpg|a\n</gallery><math>x^{-2} &lt; \\frac{a}{b}</math>", "x^{-2} < \\frac{a}{b}"),
        ("<syntaxhighlight lang=c>\nif (a) {\n  {{x}};\n}\n</syntaxhighlight>", "if (a) {\n  {{x}};\n}"),
        # Tables
        ("A\n{| class=wikitable\n|-\n! b !! c\n|-\n| d\n{|\n| nested\n|}\n|}\nB", "A\n\nB"),
        ("A\n:{| x\n| {{yes|b}} || c\n|}\nB\n<table><tr><td>[[c]]</td></tr></table>D", "A\n\nB\n\nD"),
        # Lines
        ("== A ==\n=== B ===\ntext\n== References ==\n{{reflist}}\n== C ==\n* d", "A\n\nB\n\ntext\n\nC\n\n  • d"),
        ("* a\n** b\n# c\n# d\n* {{x}}\n; t : e\n: f\n----\n__NOTOC__ g", "  • a\n    • b\n  1. c\n  2. d\nt: e\nf\ng"),
        # An apostrophe before italics; an item that goes on, with others below it.
        ("L'homme et l'''été'', ''a''; d''''ami'''.\nA '''b''' l'''c''.", "L'homme et l'été, a; d'ami.\nA b l'c."),
        (
            "# a\n#: more\n#* under\n# b\n#: {{x}}\n# c\n: no\n# d",
            "  1. a\nmore\n    • under\n  2. b\n  3. c\nno\n  1. d",
        ),
        ("''a'' '''b''' '''''c''''' l''''d''''", "a b c l'd'"),
        ("A ({{lang|x}}; 1900) (, {{x}} , ) ( ) [ ] 「」（、生年）b , c。", "A (1900)（生年）b, c。"),
        ("AT&amp;T&nbsp;x &lt;b&gt; &#91;y&#93; &mdash;", "AT&T x <b> [y] —"),
    ],
)  # fmt: skip
def test_what_is_shown(wikitext: str, text: str) -> None:
    assert plain_text(wikitext, "Berlin") == text


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        ("zh-cn", "软件和鼠标：A，公元前，里根"),
        ("zh-tw", "軟體和滑鼠：A，公元前，雷根"),
        ("zh-hk", "軟件和滑鼠：A，公元前，雷根"),
    ],
)
def test_variants_of_chinese(variant: str, text: str) -> None:
    wikitext = (
        "-{zh-hans:软件;zh-hant:軟件;zh-tw:軟體;}-和-{zh-cn:鼠标; zh-tw:滑鼠}-：-{A}-，"
        "-{H|zh-cn:x;zh-tw:y}--{T|zh-cn:x}--{}--{R|公元前}-，-{A|zh-cn:里根;zh-tw:雷根;}-"
    )
    assert plain_text(wikitext, wiki=Wiki(variants=VARIANTS[variant])) == text


def test_names_of_a_wiki_s_own_namespaces() -> None:
    assert plain_text("[[Datoteko:x.jpg|a]]b[[Aro:c]]", wiki=Wiki(frozenset({"datoteko"}), frozenset({"aro"}))) == "b"


def test_brackets_at_random_leave_the_words_and_take_no_time() -> None:
    marks = [
        "{{",
        "}}",
        "[[",
        "]]",
        "\n{|",
        "\n|}",
        "-{",
        "}-",
        "{{{",
        "}}}",
        "|",
        "<ref>",
        "</ref>",
        "'''",
        "(",
        ")",
        "\n",
    ]
    for seed in range(300):
        draw = random.Random(seed)
        plain_text("".join(draw.choice([*marks, "word "]) for _ in range(200)))
    for mark in [
        *marks,
        "<ref>\n\n",
        "<nowiki>",
        "<span style='display:none'>",
        "<!--",
        "{{a|",
        "[[a|",
        "\n{|\n|",
        "<table>",
    ]:
        begin = time.process_time()
        plain_text("word " + mark * 20_000 + " end")
        assert time.process_time() - begin < 5, mark
    shown = plain_text("one [[two {{three| four ]] five\n\nsix")
    assert re.findall(r"\w+", shown)[0] == "one"
    assert shown.endswith("six")
