"""What of a page is taken for its content."""

import pytest
from resiliparse.parse.html import HTMLTree

from datapipe.read.formats.main_content import choose
from datapipe.read.formats.page_blocks import read_blocks, render

FIRST = "The old mill by the river grinds rye and wheat for the three villages of the valley, as it did a century ago."
SECOND = "Its wheel was repaired last summer by two carpenters, who found that most of the oak beams were still sound."
THIRD = "Visitors may watch the miller at work on the first Sunday of every month from ten in the morning until noon."
ARTICLE = f"<p>{FIRST}</p><p>{SECOND}</p><p>{THIRD}</p>"
MENU = "<ul><li><a href=/a>Local news</a></li><li><a href=/b>Weather</a></li><li><a href=/c>Sports</a></li></ul>"
OTHER = "Harvest festival moved to October because of the rain, say the organisers from the town."


def content(body: str) -> str:
    elements, blocks = read_blocks(HTMLTree.parse(f"<!doctype html><html>{body}</html>"), hidden=False)
    return render(blocks, choose(elements, blocks))


def paragraphs(*texts: str) -> str:
    return "\n\n".join(texts)


@pytest.mark.parametrize(
    "name",
    ["comments-enabled", "menu-open", "shared-layout", "overflow-hidden", "with-popup modal-ready", "has-sidebar"],
)
@pytest.mark.parametrize("page", ["<body class='{}'><div>{}</div>", "<div class='{}'><main>{}</main></div>"])
def test_a_name_that_says_of_the_whole_page_that_it_is_boilerplate_is_wrong(name: str, page: str) -> None:
    assert content(page.format(name, ARTICLE)) == paragraphs(FIRST, SECOND, THIRD)


@pytest.mark.parametrize(
    "part",
    [
        f"<nav>{MENU}</nav>",
        f"<div class=topMenu>{MENU}</div>",
        f"<div>{MENU}</div>",
        f"<aside><p>{OTHER}</p></aside>",
        f"<footer><p>{OTHER}</p></footer>",
        f"<div role=complementary><p>{OTHER}</p></div>",
        f'<section class="related-posts"><h3>More</h3><p>{OTHER}</p></section>',
        f'<div id="newsletterSignup"><p>{OTHER}</p></div>',
        f'<div class="post__author-bio"><p>{OTHER}</p></div>',
        "<p class=meta>12 May, filed under: mills</p>",
        f'<div style="display:none"><p>{OTHER}</p></div>',
        f"<div aria-hidden=true><p>{OTHER}</p></div>",
        f'<div class="hidden"><p>{OTHER}</p></div>',
        f"<figure><img src=x><figcaption>{OTHER}</figcaption></figure>",
        f"<p><a href=/x>{OTHER}</a></p>",
    ],
)
def test_boilerplate_goes(part: str) -> None:
    for page in (f"<body>{part}<div>{ARTICLE}</div>", f"<body><article>{ARTICLE}{part}</article>"):
        assert content(page) == paragraphs(FIRST, SECOND, THIRD)


@pytest.mark.parametrize(
    "part",
    [
        "<ul><li>Bring sturdy shoes.</li><li>Dogs wait outside.</li></ul>",
        "<ol><li>Cross the bridge.</li><li>Turn left.</li></ol>",
        "<table><tr><th>Day</th><th>Hours</th></tr><tr><td>Sunday</td><td>10–12</td></tr></table>",
        "<blockquote>The wheel never stops.</blockquote>",
        "<div>Two lines<br>of a verse</div>",
        "<pre>mill --start</pre>",
        f"<p>{OTHER} See <a href=/x>the plan</a>.</p>",
        "<h2>How to <a href=/x>get there</a></h2><p>Follow the river.</p>",
        "<div class='embed tweet social'><blockquote>What a wheel!</blockquote></div>",
        "<p class=article-teaser>A third of the rye is ground here.</p>",
    ],
)
def test_what_is_no_list_of_links_stays(part: str) -> None:
    _, blocks = read_blocks(HTMLTree.parse(part), hidden=False)
    for page in ("<body><h1>The mill</h1><p>{}</p>{}", "<body><main><p>{}</p>{}<p>More of it.</p></main>"):
        assert all(block.text in content(page.format(FIRST, part)) for block in blocks)


@pytest.mark.parametrize(
    "part",
    [
        "<div class=slide style='display: none'><p>{}</p></div>",
        "<div class=slide hidden><p>{}</p></div>",
        "<div class='tab hidden'><p>{}</p></div>",
        "<figure><figcaption>{}</figcaption></figure>",
        "<div class=has-ads><p>{}</p></div>",
    ],
)
def test_a_name_that_says_of_most_parts_that_they_are_boilerplate_is_wrong(part: str) -> None:
    parts = "".join(part.format(f"Number {number}: {FIRST} {SECOND}") for number in range(9))
    assert "Number 7" in content(f"<body><nav>{MENU}</nav><div><p>{THIRD}</p>{parts}</div>")


def test_what_a_script_calls_an_element_says_nothing() -> None:
    posts = "".join(f"<div class=message-body><p>{text}</p></div>" for text in (FIRST, SECOND, THIRD))
    page = f"<body><div class=block><p>{OTHER}</p></div><div class='thread js-replyNewMessage'>{posts}</div>"
    assert content(page).endswith(paragraphs(FIRST, SECOND, THIRD))


def test_comments_of_readers_go_in_several_languages() -> None:
    remarks = "".join(f"<div><p>Number {number}: {OTHER}</p></div>" for number in range(40))
    for name in ("comments", "comment-list", "kommentare", "commentaires", "comentarios", "reacties", "yorumlar"):
        assert content(f"<body><article>{ARTICLE}</article><div class={name}>{remarks}</div>") == paragraphs(
            FIRST, SECOND, THIRD
        )
        assert "Number" not in content(f"<body><div class=post>{ARTICLE}<section id={name}>{remarks}</section></div>")
    assert "Number 7" in content(f"<body><div class=post-commentary><p>{FIRST}</p>{remarks}</div>")


def test_comments_are_the_content_of_a_thread() -> None:
    posts = f"<div class=post><div class=comment-body><p>{FIRST}</p></div></div>"
    posts += f"<div class=post><div class=comment-body><p>{SECOND}</p></div></div>"
    assert content(f"<body>{MENU}<h1>Mills</h1><div class=thread>{posts}</div>").endswith(paragraphs(FIRST, SECOND))


def test_a_notice_on_cookies_may_be_longer_than_the_article() -> None:
    notice = "".join(f"<p>Number {number}: {OTHER}</p>" for number in range(40))
    for attributes in ("id=CookieDialogBody", "class=gdpr-consent"):
        page = f"<body><div>{ARTICLE}</div><div {attributes}>{notice}</div>"
        assert content(page) == paragraphs(FIRST, SECOND, THIRD)


def test_teasers_beside_the_content_go() -> None:
    teasers = "".join(
        f"<div class=card><h3><a href=/{n}>A headline that many readers will click</a></h3><p>{OTHER}</p></div>"
        for n in range(9)
    )
    page = f"<body><div class=column><div class=article-body>{ARTICLE}</div></div><div class=column>{teasers}</div>"
    assert content(page) == paragraphs(FIRST, SECOND, THIRD)


def test_title_and_lead_beside_the_content_stay() -> None:
    lead = "A mill that is older than the bridge beside it still turns, and nobody wants it to stop."
    page = f"<body><div>{MENU}</div><header><h1>The mill turns on</h1><p>{lead}</p><p>By a writer</p></header>"
    assert content(f"{page}<div class=entry-content>{ARTICLE}</div>") == paragraphs(lead, FIRST, SECOND, THIRD)
    assert content(f"<body><h1>The mill turns on</h1><div class=entry-content>{ARTICLE}</div>") == paragraphs(
        "The mill turns on", FIRST, SECOND, THIRD
    )


def test_text_as_full_of_links_as_that_of_an_encyclopaedia_is_content() -> None:
    part = (
        "<h2>Part {0} <a href=/e>[change the source]</a></h2><p><a href=/x>Mill {0}</a> is a <a href=/x>water mill</a>"
    )
    part += " in the <a href=/x>province of the lower valley</a> of the <a href=/x>river</a>.</p>"
    body = "".join(map(part.format, range(9)))
    page = f"<body><nav>{MENU}</nav><div id=bodyContent><div>From the free encyclopaedia</div><div>{body}</div></div>"
    assert "Part 0 [change the source]\n\nMill 0 is a water mill in the province of the lower valley" in content(page)
    assert "Mill 8 is" in content(page)


def test_headings_go_with_what_stood_below_them() -> None:
    page = f"<body><article><p>{FIRST}</p><h2>Repairs</h2><p>{SECOND}</p><h2>Read on</h2>{MENU}<h2>More</h2></article>"
    assert content(page) == paragraphs(FIRST, "Repairs", SECOND)


def test_several_posts_of_a_page_stay_together() -> None:
    post = "<article class=post><div class=post-content><p>{}</p></div></article>"
    posts = "".join(map(post.format, (FIRST, SECOND, THIRD)))
    assert content(f"<body><nav>{MENU}</nav><main>{posts}</main>") == paragraphs(FIRST, SECOND, THIRD)


def test_small_pages_stay_whole() -> None:
    assert content("<body><p>Only a few words.</p>") == "Only a few words."
    assert content("<body><main><h2>Hours</h2><ul><li>Monday: closed</li><li>Friday: ten to four</li></ul></main>") == (
        "Hours\n\n  • Monday: closed\n  • Friday: ten to four"
    )
    assert content("<body><p><a href=/x>Nothing but a link</a></p>") == "Nothing but a link"
    assert content("<body><script>x</script><div id=app></div>") == ""


def test_little_text_of_ideographs_is_much() -> None:
    news = "古桥昨日修复完工，桥面重新铺上青石板，行人可以从桥上走过。"
    article = f"<div class=article><p>{news}</p><p>居民都说，这座桥有三百多年历史。</p></div>"
    page = f"<body><div class=nav>首页 新闻 体育 财经</div>{article}<div class=footer>版权所有 备案号</div>"
    assert content(page) == paragraphs(news, "居民都说，这座桥有三百多年历史。")
