"""Dumps of Stack Exchange: questions with their answers."""

import html
import pathlib
from collections.abc import Callable

import pytest

from datapipe.read import formats
from datapipe.read.formats import Reject, Row, Source
from datapipe.read.formats.stackexchange import table_of
from tests.helpers import Read


@pytest.fixture
def read(read_as: Callable[[str], Read]) -> Read:
    return read_as("stackexchange")


def row(**columns: object) -> str:
    return "  <row " + " ".join(f'{name}="{html.escape(str(value))}"' for name, value in columns.items()) + " />\n"


def question(id_: int, **columns: object) -> str:
    return row(Id=id_, PostTypeId=1, Score=3, Body=f"<p>Why {id_}?</p>", Title=f"On {id_}", **columns)


def answer(id_: int, to: int, score: int) -> str:
    body = f"<p>Because of <em>{id_}</em>.</p>\n<pre><code>if a &lt; b:\n    x\n</code></pre>"
    return row(Id=id_, PostTypeId=2, ParentId=to, Score=score, Body=body)


def table(*rows: str, name: str = "posts") -> bytes:
    return f'\ufeff<?xml version="1.0" encoding="utf-8"?>\r\n<{name}>\r\n{"".join(rows)}</{name}>\r\n'.encode()


def test_a_post_of_which_nothing_is_left_is_no_answer(read: Read) -> None:
    empty = row(Id=3, PostTypeId=2, ParentId=1, Score=5, Body="")
    unscored = row(Id=4, PostTypeId=2, ParentId=1, Body="<p>Late.</p>")
    (thread,) = read(table(empty, unscored, question(1, AcceptedAnswerId=3)))
    assert thread.columns["text"] == "Q: On 1\n\nWhy 1?\n\nA: Late."
    assert (thread.columns["answers"], thread.columns["accepted_answer"]) == (1, None)


def test_answers_stand_under_their_question_best_first_and_the_accepted_is_marked(read: Read) -> None:
    tagged = {"Tags": "<ale><hops>", "CreationDate": "2019-01-02T03:04:05.000", "ContentLicense": "CC BY-SA 4.0"}
    posts = [answer(2, 1, -1), question(1, AcceptedAnswerId=5, **tagged), answer(4, 9, 2), answer(5, 1, 7)]
    posts += [
        answer(3, 1, 9),
        answer(6, 1, 7),
        question(9, Tags="|new|form|", AcceptedAnswerId=77),
        row(Id=8, PostTypeId=5),
    ]
    first, second = read(table(*posts))
    assert first.columns["text"].startswith(
        "Q: On 1\n\nWhy 1?\n\nA: Because of 3.\n\nif a < b:\n    x\n\nA (accepted): "
    )
    assert [line for line in first.columns["text"].splitlines() if "Because" in line] == [
        "A: Because of 3.",
        "A (accepted): Because of 5.",
        "A: Because of 6.",
        "A: Because of 2.",
    ]
    del first.columns["text"]
    assert first.columns == {
        "title": "On 1",
        "question_id": 1,
        "score": 3,
        "tags": ["ale", "hops"],
        "date": "2019-01-02T03:04:05.000",
        "answers": 4,
        "answer_scores": [9, 7, 7, -1],
        "accepted_answer": 5,
        "license": "CC BY-SA 4.0",
        "url": None,
        "source": "file",
    }
    assert (second.columns["tags"], second.columns["accepted_answer"]) == (["new", "form"], None)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (answer(2, 77, 1), "no_question"),
        (question(1), "duplicate_question"),
        ('<row Id="2" PostTypeId="2" ParentId="1" Body="no end\n', "malformed_row"),
        (row(Id="two", PostTypeId=1), "malformed_row"),
        (row(Id=2, PostTypeId=2), "malformed_row"),
        (row(Id=10**30, PostTypeId=1), "malformed_row"),
        (question(2, X="x" * 20_000), "too_large"),
    ],
)
def test_a_bad_row_is_one_reject_and_the_others_are_read(read: Read, bad: str, reason: str) -> None:
    found = read(table(question(1), bad, question(3)), max_document_bytes=10_000)
    rejects = [record for record in found if isinstance(record, Reject)]
    assert [reject.reason for reject in rejects] == [reason]
    assert [record.columns["question_id"] for record in found if isinstance(record, Row)] == [1, 3]


def test_an_attribute_in_single_quotes_over_lines_and_an_unknown_byte(read: Read) -> None:
    first, second, third = read(
        b"<posts><row Id='1' PostTypeId='1'\n Title='\"a\" &amp;amp; b' Body='&lt;p&gt;x&amp;#x0;y&lt;/p&gt;'/>"
        b"<row Id='2' PostTypeId='1' Body='\xff'/><row Id='3' Post"
    )
    assert (first.reason, second.reason) == ("invalid_utf8", "truncated_file")
    assert third.columns["text"] == 'Q: "a" &amp; b\n\nx\ufffdy'


@pytest.mark.parametrize("name", ["comments", "users", "PostHistory", "posts2"])
def test_other_tables_are_one_reject(read: Read, name: str) -> None:
    (reject,) = read(table(question(1), name=name))
    assert (reject.reason, "no table" in reject.detail) == ("no_posts", name == "posts2")


def test_tables_are_known_by_their_root() -> None:
    assert table_of(table(question(1))) == "posts"
    assert table_of(table(name="tags")) == "tags"
    assert table_of(b"<posts><post>a blog</post></posts>") is None
    assert table_of(b"<p>text") is None


@pytest.mark.parametrize(
    ("name", "site", "url"),
    [
        ("in/beer.stackexchange.com/Posts.xml", "beer.stackexchange.com", "https://beer.stackexchange.com/q/1"),
        ("in/meta.beer-Posts.xml", "meta.beer", None),
    ],
)
def test_the_site_and_its_comments_by_the_name_of_the_file(
    tmp_path: pathlib.Path, name: str, site: str, url: str | None
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(table(question(1), answer(2, 1, 0)))
    comment = row(Id=1, PostId=2, Text="See [the \\[first\\] page](http://a.example/x).", Score=1)
    path.with_name(path.name.replace("Posts", "Comments")).write_bytes(table(comment, row(Id=2), name="comments"))
    for comments in (False, True):
        found = list(formats.read(Source(str(path), name, post_comments=comments), "stackexchange"))
        (thread,) = [record for record in found if isinstance(record, Row)]
        assert (thread.columns["source"], thread.columns["url"]) == (site, url)
        assert thread.columns["text"].endswith("\n\nComment: See the [first] page.") == comments
        assert [record.reason for record in found if isinstance(record, Reject)] == ["malformed_row"] * comments
