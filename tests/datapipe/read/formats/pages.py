# ruff: noqa: E501
"""Web pages written for these tests, each with sentences that are its content and others that are not.

They imitate what crawls hold: news with navigation, documentation with code and tables, forum threads, a Chinese page with
its own encoding, pages without any semantic element, and broken markup.
"""

from typing import NamedTuple


class Page(NamedTuple):
    """A page, what an extraction must hold, and what it must not."""

    name: str
    html: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]


PAGES = (
    Page(
        "news",
        """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Harbour bridge reopens | Coast Daily</title>
        <script>var tracker = {"id": 17}; document.write("tracking pixel");</script><style>p {color: red}</style></head>
        <body><header><a href="/">Coast Daily</a><nav><ul><li><a href="/local">Local</a></li><li><a href="/sport">Sport</a>
        </li><li><a href="/subscribe">Subscribe now for one euro</a></li></ul></nav></header>
        <div class="cookie-banner">We use cookies to improve your experience. <button>Accept all cookies</button></div>
        <main><article><h1>Harbour bridge reopens after nine months</h1><p class="byline">By Ines Duarte</p>
        <p>The harbour bridge reopened to traffic on Monday, nine months after a cargo ship damaged its northern pier.</p>
        <p>Engineers replaced four of the twelve bearings and strengthened the foundations with steel piles. The work cost
        eleven million euros, a fifth less than first estimated.</p>
        <p>“We had feared a second winter of detours,” said the mayor, who crossed the bridge on foot with schoolchildren
        before the first buses followed.</p></article></main>
        <aside><h3>Most read</h3><ul><li><a href="/1">Ten cafés with a view</a></li><li><a href="/2">Lottery numbers</a></li>
        </ul></aside><footer>© 2024 Coast Daily. <a href="/privacy">Privacy policy</a> <a href="/terms">Terms of use</a>
        </footer></body></html>""",
        (
            "Harbour bridge reopens after nine months",
            "nine months after a cargo ship damaged its northern pier",
            "a fifth less than first estimated",
            "who crossed the bridge on foot with schoolchildren",
        ),
        ("tracking pixel", "color: red", "Accept all cookies", "Subscribe now", "Lottery numbers", "Privacy policy"),
    ),
    Page(
        "documentation",
        """<html><head><title>Sorting — Manual</title></head><body><div class="sidebar"><ul><li><a href="a">Installation</a>
        </li><li><a href="b">Frequently asked questions</a></li></ul></div><div class="content" role="main">
        <h1>Sorting tables</h1><p>The function <code>sort_rows</code> orders the rows of a table by one or more columns.</p>
        <pre><code>rows = sort_rows(table, by="age")
for row in rows:
    print(row)</code></pre>
        <h2>Options</h2><table><tr><th>Name</th><th>Meaning</th></tr><tr><td>by</td><td>the column to sort by</td></tr>
        <tr><td>stable</td><td>whether equal rows keep their order</td></tr></table>
        <ul><li>Missing values come last.</li><li>Strings compare by code point.</li></ul>
        <p>Sorting takes time proportional to the number of rows times its logarithm, and no memory beyond the index.</p>
        </div><div class="footer">Built with DocTool 4.2. <a href="x">Edit this page</a></div></body></html>""",
        (
            "orders the rows of a table by one or more columns",
            'rows = sort_rows(table, by="age")\nfor row in rows:\n    print(row)',
            "whether equal rows keep their order",
            "Missing values come last.",
            "no memory beyond the index",
        ),
        ("Frequently asked questions", "Built with DocTool"),
    ),
    Page(
        "chinese",
        """<html><head><meta charset="utf-8"><title>古镇修复工程完工_地方新闻</title></head><body>
        <div id="nav"><a href="/">首页</a> <a href="/news">新闻</a> <a href="/bbs">论坛</a> <a href="/login">登录注册</a></div>
        <div class="main"><h1>古镇修复工程历时三年完工</h1><div class="info">2023年5月12日 来源：地方新闻网</div>
        <div class="article-content"><p>　　历时三年的古镇修复工程于本周全部完工，三十六座明清时期的老宅重新向游客开放。</p>
        <p>　　据介绍，修复工作坚持“修旧如旧”的原则，工匠们采用传统的榫卯工艺，尽可能保留了原有的木构件和砖雕。</p>
        <p>　　当地居民表示，工程不仅改善了排水和消防条件，也让许多年轻人愿意回到镇上开设茶馆和书店。</p></div>
        <div class="share">分享到：<a>微信</a> <a>微博</a></div></div>
        <div class="footer">版权所有 未经许可不得转载 <a href="/icp">备案号12345678</a></div></body></html>""",
        (
            "古镇修复工程历时三年完工",
            "三十六座明清时期的老宅重新向游客开放",
            "尽可能保留了原有的木构件和砖雕",
            "开设茶馆和书店",
        ),
        ("登录注册", "备案号12345678"),
    ),
    Page(
        "forum",
        """<html><body><ul class="menu"><li><a href="/">Board index</a></li><li><a href="/faq">Board rules</a></li></ul>
        <h2>My bread does not rise</h2>
        <div class="post"><p class="author">rye_fan</p><div class="postbody">I have tried three kinds of flour, and the dough
        stays flat every time. The kitchen is rather cold, about sixteen degrees. What am I doing wrong?</div></div>
        <div class="post"><p class="author">oldbaker</p><div class="postbody">Sixteen degrees is too cold for yeast to work
        in an hour. Give the dough a whole night in the kitchen, or put the bowl into the oven with only the lamp switched
        on.<br><br>And do not add the salt together with the yeast.</div></div>
        <div class="post"><p class="author">rye_fan</p><div class="postbody">The lamp did it, thank you! The loaf rose to
        twice its size and the crust is perfect.</div></div>
        <div class="footer"><a href="/imprint">Imprint</a> Powered by BoardSoft</div></body></html>""",
        (
            "stays flat every time",
            "Sixteen degrees is too cold for yeast to work",
            "do not add the salt together with the yeast",
            "twice its size and the crust is perfect",
        ),
        ("Powered by BoardSoft", "Board rules"),
    ),
    Page(
        "plain",
        """<title>Notes</title><h1>On sharpening knives</h1>A whetstone of grain 1000 is enough for kitchen knives.<p>Soak it
        for ten minutes, then draw the blade over the stone at an angle of fifteen degrees.<p>Turn the blade after ten
        strokes. A burr that can be felt with the thumb shows that the edge has been reached.<p>Finish on a finer stone
        &amp; strop the edge on leather &mdash; that removes the burr.""",
        (
            "On sharpening knives",
            "at an angle of fifteen degrees",
            "A burr that can be felt with the thumb",
            "a finer stone & strop the edge on leather — that removes the burr",
        ),
        ("&amp;", "<p>"),
    ),
    Page(
        "broken",
        """<html><body><div><div class="nav"><a href=x>Home<a href=y>Contact us today</a></div><p>The lake freezes only in
        the coldest winters, and then skaters come from <b>all the villages around.<p>In 1963 the ice was so thick that a
        <i>lorry crossed from shore to shore.</b></i> Nobody has dared to do so since.<table><tr><td>Year<td>Days of
        ice<tr><td>1963<td>81<tr><td>1985<td>44</table><script>if (a < b) { alert("not text"); }</script>
        <p>Records are kept by the school of the largest village, <!-- hidden remark --> whose pupils measure the ice every
        morning""",
        (
            "The lake freezes only in the coldest winters",
            "lorry crossed from shore to shore",
            "Nobody has dared to do so since",
            "whose pupils measure the ice every morning",
        ),
        ("not text", "hidden remark"),
    ),
    Page(
        "recipe_blog",
        """<html><head><title>Lentil soup</title></head><body><div class="top-bar"><form><input name="q" value="search box">
        <input type="submit" value="Search"></form></div><div class="wrapper"><div class="ad">Advertisement: buy two pans, pay
        for one</div><div class="entry"><h1>Red lentil soup</h1><p>This soup is ready in half an hour and keeps for three
        days. It grows thicker overnight: add a little water when warming it.</p><h2>Ingredients</h2><ul><li>250 g red
        lentils</li><li>1 onion</li><li>2 carrots</li></ul><h2>Method</h2><ol><li>Fry the onion gently until it is soft.</li>
        <li>Add the lentils, the carrots and a litre of water, and simmer for twenty minutes.</li><li>Season with lemon juice
        and cumin.</li></ol></div><div class="comments"><h3>2 comments</h3><p>Lovely, I added chilli!</p></div>
        <div class="related"><h3>You may also like</h3><a href="/p">Pumpkin soup in ten steps</a></div></div>
        <footer>Newsletter: <a href="/n">Sign up here</a></footer></body></html>""",
        (
            "ready in half an hour and keeps for three days",
            "250 g red lentils",
            "Fry the onion gently until it is soft",
            "simmer for twenty minutes",
        ),
        ("search box", "buy two pans", "Pumpkin soup in ten steps", "Sign up here"),
    ),
)
