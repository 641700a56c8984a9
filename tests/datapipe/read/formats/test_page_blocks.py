"""How the text of a page is displayed: lines, lists, tables; and what of it is not its text."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree, NodeType

from datapipe.read.formats.page_blocks import _BLOCKS, MAX_DEPTH, read_blocks, render
from datapipe.read.formats.source import Damage

# What a page may be torn into; none of it is passed over with what it holds.
SOUP = (
    *("<div>", "</div>", "<p>", "</p>", "<ul><li>", "</ul>", "<table><td>", "</table>", "<h1>", "</h1>", "<b>", "</b>"),
    *(
        "text ",
        "<",
        ">",
        "/",
        '"',
        "<!-- < -->",
        "<!--",
        "-->",
        "<x<p>",
        "</x<p>",
        "<div(<",
        "<b y<!--z>",
        "<p a='<p>'>",
    ),
)


def displayed(body: str, hidden: bool = False) -> str:
    _, blocks = read_blocks(HTMLTree.parse(f"<html><body>{body}</body></html>"), hidden)
    return render(blocks, [True] * len(blocks))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("她<b>在</b>桥<a href='/q'>上</a>等<i>你</i>。", "她在桥上等你。"),
        ("<span>春</span><span>眠</span><span>不</span><span>觉</span><span>晓</span>", "春眠不觉晓"),
        ("弟<b>は</b>犬<i>が</i>好きです。", "弟は犬が好きです。"),
        ("달<b>이</b> 밝다, <i>꽃</i>도 핀다.", "달이 밝다, 꽃도 핀다."),
        ("वर्ण <b>ग</b> और <b>घ</b>", "वर्ण ग और घ"),
        ("อักษร <b>ค</b> กับ <b>ง</b>", "อักษร ค กับ ง"),
        ("ასო <b>გ</b>", "ასო გ"),
        ("pages 12<span>–</span>19 and so on<b>…</b> for 7<i>€</i>", "pages 12–19 and so on… for 7€"),
        ("&#x4e2d;<b>&#25991;</b> caf&eacute; 1 &lt; 2 &amp;&amp; 3&nbsp;&mdash;", "中文 café 1 < 2 && 3\xa0—"),
        ("<i class=icon>\ue04b</i>Menu<i>\uf8ff</i>", "Menu"),
        ("H<sub>2</sub>O, x<sup>2</sup>, o<b>ne</b>wo<span>rd</span>", "H2O, x2, oneword"),
        ("a\n   <b> b </b>\t<i>c</i>", "a b c"),
        ("<h2>Options<a class=headerlink href='#o'>¶</a></h2>", "Options"),
        ("The sign ¶ ends a <a href='/p'>¶ paragraph</a>.", "The sign ¶ ends a ¶ paragraph."),
    ],
)
def test_single_characters_stay_but_icons(line: str, text: str) -> None:
    assert displayed(f"<p>{line}</p>") == text


@pytest.mark.parametrize(
    "ruby",
    [
        "<ruby>山<rt>やま</rt></ruby>",
        "<ruby>山<rp>(</rp><rt>やま</rt><rp>)</rp></ruby>",
        "<ruby>山<rt>やま",
        "<ruby><rb>山</rb><rtc><rt>やま</rt></rtc></ruby>",
    ],
)
def test_the_reading_of_ruby_does_not_run_into_its_word(ruby: str) -> None:
    assert displayed(f"<p>高い{ruby}").startswith("高い山")
    assert "やま" not in displayed(f"<p>高い{ruby}")


FORMULA = (
    '<math alttext="a"><semantics><mrow><mi>a</mi><mo>&lt;</mo><mfrac><mi>b</mi><mi>c</mi></mfrac></mrow>'
    '<annotation encoding="application/x-tex">a&lt;\\frac{b}{c}</annotation></semantics></math>'
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (f"<p>If {FORMULA} or {FORMULA} holds.</p>", r"If a<\frac{b}{c} or a<\frac{b}{c} holds."),
        (f'<p>If <span class="m" style="display: none;">{FORMULA}</span><img alt="x"/> holds.</p>',
         r"If a<\frac{b}{c} holds."),
        ("<p>If <math><semantics><mi>a</mi></semantics></math> holds.</p>", "If a holds."),
        ("<p>If <math><mi>a</mi></math> holds.</p>", "If a holds."),
        (f"<p>If {FORMULA.replace('<semantics>', '').replace('</semantics>', '')} holds.</p>",
         r"If a<\frac{b}{c} holds."),
    ],
)  # fmt: skip
def test_a_formula_is_its_tex(html: str, text: str) -> None:
    assert displayed(html) == text


def test_lines_and_paragraphs() -> None:
    assert displayed("<p>one<p>two") == "one\n\ntwo"
    assert displayed("<div>one</div><div>two</div>three") == "one\ntwo\nthree"
    assert displayed("one<br>two<br><br>three<hr>four") == "one\ntwo\n\nthree\nfour"
    assert displayed("<h1>title</h1>text<div>more</div>") == "title\n\ntext\nmore"
    assert displayed("<div>　　段落一<br/>　　段落二</div>") == "　　段落一\n　　段落二"
    assert displayed("<dl><dt>Quay<dd>Where boats lie.</dl>") == "Quay\nWhere boats lie."


def test_lists() -> None:
    assert displayed("<p>Take:</p><ul><li>salt</li><li>flour</li></ul><p>Mix.</p>") == (
        "Take:\n\n  • salt\n  • flour\n\nMix."
    )
    assert displayed("<ol><li>one<ul><li>deeper<li></ul><li><p>two</p><p>on</p></ol>") == (
        "  1. one\n    • deeper\n  2. two\n\n    on"
    )


def test_tables_keep_their_columns() -> None:
    table = "<table><tr><th>name<th>mark<tr><td>Li<td>优<tr><td><p>Wang</p></td><td></td><td>late</td></tr></table>"
    assert displayed(table) == "name\t\tmark\nLi\t\t优\nWang\t\t\t\tlate"
    layout = "<table><tr><td><p>one</p><p>two</p></td><td><table><tr><td>three</table></td></tr></table>"
    assert displayed(layout) == "one\n\ntwo\n\nthree"


def test_preformatted_text_keeps_its_white_space() -> None:
    code = "<pre><code>def f(x):\n    <span>return</span> x &lt; 1\n</code></pre>after"
    assert displayed(code) == "def f(x):\n    return x < 1\nafter"
    assert displayed("<pre>one<br>  two</pre>") == "one\n  two"
    assert displayed("<ul><li><pre>a\n b</pre></ul>") == "  • a\n     b"


@pytest.mark.parametrize(
    "nothing",
    [
        '<script>if (a < b && c > d) document.write("</p><p>x</p>")</script>',
        "<style>p > b {color: red}</style>",
        "<!-- <p>remark</p> -- > still -->",
        "<!--[if IE]><p>old</p><![endif]-->",
        "<noscript>Turn on scripts</noscript>",
        "<textarea><p>typed</textarea><button>Send <b>it</b></button><select><option>one</select>",
        "<label>Name: <input value=x></label>",
        "<template><p>later</p></template><svg><title>t</title><text>x</text></svg>",
        "<iframe><p>frame</p></iframe><video>no video<source></video><object>none</object>",
        '<span style="display: none">x</span><b hidden>y</b><i class="sr-only">z</i><em aria-hidden=true>w</em>',
    ],
)
def test_what_is_no_text_is_passed_over(nothing: str) -> None:
    assert displayed(f"<p>before {nothing} after") in ("before after", "before\nafter")


@settings(max_examples=300)
@given(st.lists(st.sampled_from(SOUP), max_size=30).map("".join))
@example("<div(<<!--<div>")
@example("<div(<p>a</div>b<p>c")  # once had the choice of the content go round for ever
def test_every_element_ends_whatever_names_hold(soup: str) -> None:
    tree = HTMLTree.parse(f"<body>{soup}")
    elements, blocks = read_blocks(tree, hidden=True)
    assert tree.body is not None
    for at, element in enumerate(elements):
        assert at < element.end <= len(elements)
        assert element.first <= element.stop <= len(blocks)
    assert len(elements) == sum(node.type == NodeType.ELEMENT and node.tag in _BLOCKS for node in tree.body)


def test_what_is_passed_over_ends_whatever_names_hold() -> None:
    assert displayed("<svg><x<svg></svg></svg>a<x<!--b>c") == "ac"


def test_only_what_is_kept_is_rendered() -> None:
    _, blocks = read_blocks(HTMLTree.parse("<p>a<div>b</div><table><tr><td>c<td>d<td>e</table>"), hidden=False)
    assert [block.text for block in blocks] == ["a", "b", "c", "d", "e"]
    assert render(blocks, [True, False, True, False, True]) == "a\n\nc\t\te"
    assert render(blocks, [False, False, False, False, True]) == "e"


def test_links_and_elements_of_a_block() -> None:
    elements, blocks = read_blocks(
        HTMLTree.parse("<div id=x><p>see <a href=/y><b>the</b> docs</a> &amp; more</div>"), hidden=False
    )
    (block,) = blocks
    assert (block.text, block.linked) == ("see the docs & more", len("the docs"))
    assert [(element.name, element.parent, element.first, element.stop) for element in elements] == [
        ("body", -1, 0, 1),
        ("div", 0, 0, 1),
        ("p", 1, 0, 1),
    ]


def test_a_page_too_deep_is_damaged() -> None:
    assert displayed("<div>" * (MAX_DEPTH - 1) + "x") == "x"
    with pytest.raises(Damage, match=str(MAX_DEPTH)):
        displayed("<div>" * MAX_DEPTH + "x")
