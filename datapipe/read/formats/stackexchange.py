"""Reader of Stack Exchange dumps: a question with its answers under it, best first, as LLaMA reads them.

A dump (https://archive.org/details/stackexchange) is a table a file. In `Posts.xml` answers come long after their
questions, so that a site is sorted by question before anything can be written: SQLite does it on local disk, in bounded
memory. The other tables hold no documents: each is one reject, but for comments, which are read beside posts if asked
for. LLaMA (Touvron et al. 2023, 2.1) removes HTML tags and sorts answers by score, from highest to lowest; that an
answer was accepted is said here, and `Q:` and `A:` are RedPajama's.
"""

import codecs
import contextlib
import dataclasses
import html
import itertools
import re
import sqlite3
from collections.abc import Iterator

from datapipe.read.formats.elements import Piece, pieces
from datapipe.read.formats.page import html_text
from datapipe.read.formats.source import Damage, Reject, Row, Source
from datapipe.store import files
from datapipe.store.temporary import temporary_folder

# Tables of a dump by their root elements, of which posts are documents.
TABLES = ("posts", "comments", "users", "votes", "badges", "posthistory", "postlinks", "tags", "pendingflags")
QUESTION, ANSWER = "1", "2"  # PostTypeId; others are wikis of tags, nominations and the like
HELD_BYTES = 64 << 20  # by SQLite, before it writes to disk
MAX_ANSWERS_BYTES = 8  # times max_document_bytes: of a question with all its answers as they lie in the file

_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(\w+)\b[^<>]*>\s*(?=<row\s|</|\Z)", re.DOTALL)
_ROW = re.compile(r"<row((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*/?>")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_TAG = re.compile(r"[^<>|]+")
# Tables lie in a folder named after the site, or bear its name: `beer.stackexchange.com-Posts.xml`.
_TABLE_NAME = re.compile(r"[-_. ]?posts\.xml(?:\.\w+)?$", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[\w-]+\.)+(?:com|net|org)")
_LINK = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]\([^()\s]*\)")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!<>-])")

_Columns = dict[str, str]


def table_of(start: bytes) -> str | None:
    """Which table of a Stack Exchange dump a file is by its first bytes, if it is one."""
    root = _ROOT.match(start.removeprefix(codecs.BOM_UTF8))
    name = root[1].decode().lower() if root else ""
    return name if name in TABLES else None


def read_stackexchange(source: Source) -> Iterator[Row | Reject]:
    """One record a question: title, body, then answers by score (of equal ones the older first), HTML out.

    Answers without their question are rejects; posts that are neither are passed over. Columns: `title`, `question_id`,
    `score`, `tags`, `date`, `answers` (how many), `answer_scores`, `accepted_answer` (its id, if the file holds it),
    `license`, where the dump says it, `url`, and as source the site, by the name of the file or its folder.
    """
    opened = source.opened()
    if isinstance(opened, Reject):
        yield opened
        return
    first, blocks = opened
    table = table_of(first)
    if table != "posts":
        detail = f"the table {table} of a Stack Exchange dump" if table else "no table of a Stack Exchange dump"
        yield source.reject(0, "no_posts", detail, first)
        return
    with temporary_folder() as folder, contextlib.closing(sqlite3.connect(f"{folder}/site")) as database:
        for pragma in (f"cache_size = -{HELD_BYTES >> 10}", "synchronous = OFF", "journal_mode = OFF"):
            database.execute(f"PRAGMA {pragma}")
        yield from _keep_posts(source, blocks, database)
        if source.post_comments:
            yield from _keep_comments(source, database)
        yield from _threads(source, database)


def _keep_posts(source: Source, blocks: Iterator[bytes], database: sqlite3.Connection) -> Iterator[Reject]:
    """Put the questions and answers of a file into a table; what is wrong with others."""
    database.execute(
        "CREATE TABLE posts (question INTEGER, answers INTEGER, rank INTEGER, id INTEGER, at INTEGER, raw)"
    )
    for piece in pieces(source, blocks, b"row"):
        columns = piece if isinstance(piece, Reject) else _columns(source, piece)
        if isinstance(columns, Reject):
            yield columns
        elif isinstance(piece, Piece) and columns and columns.get("PostTypeId", QUESTION) in (QUESTION, ANSWER):
            try:
                answers = columns["PostTypeId"] == ANSWER
                id_ = int(columns["Id"])
                question = int(columns["ParentId"]) if answers else id_
                score = int(columns.get("Score", 0))
                row = (question, answers, -score if answers else 0, id_, piece.position, piece.raw)
                database.execute("INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?)", row)
            except (KeyError, ValueError, OverflowError) as error:
                yield source.reject(piece.position, "malformed_row", f"{type(error).__name__}: {error}", piece.raw)


def _keep_comments(source: Source, database: sqlite3.Connection) -> Iterator[Reject]:
    """Put the comments of the table beside into a table of their own."""
    database.execute("CREATE TABLE comments (post INTEGER, at INTEGER, text)")
    folder, slash, name = source.path.rpartition("/")
    beside = re.sub("posts", lambda word: "comments" if word[0].islower() else "Comments", name, flags=re.IGNORECASE)
    path = f"{folder}{slash}{beside}"
    if beside == name or not files.exists(path):
        return
    comments = dataclasses.replace(source, path=path, name=source.name.removesuffix(name) + beside)
    for piece in pieces(comments, comments.blocks(), b"row"):
        columns = piece if isinstance(piece, Reject) else _columns(comments, piece)
        if isinstance(columns, Reject):
            yield columns
        elif isinstance(piece, Piece) and columns:
            try:
                row = (int(columns["PostId"]), piece.position, columns["Text"])
                database.execute("INSERT INTO comments VALUES (?, ?, ?)", row)
            except (KeyError, ValueError, OverflowError) as error:
                yield comments.reject(piece.position, "malformed_row", f"{type(error).__name__}: {error}", piece.raw)
    database.execute("CREATE INDEX of_post ON comments (post, at)")


def _columns(source: Source, piece: Piece) -> _Columns | Reject | None:
    """The attributes of a row; None for what stands before the first one."""
    raw = piece.raw.strip()
    if not raw.startswith(b"<row"):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return source.reject(piece.position, "invalid_utf8", str(error), raw)
    row = _ROW.match(text)
    if not row:
        reason = "truncated_file" if piece.last else "malformed_row"
        return source.reject(piece.position, reason, "no end of the row", raw)
    if text[row.end() :].strip() not in ("", "</row>") and not piece.last:
        return source.reject(piece.position, "malformed_row", "bytes that are no row after it", raw)
    found = _ATTRIBUTE.findall(row[1])
    return {name: html.unescape(double or single) for name, double, single in found}


def _threads(source: Source, database: sqlite3.Connection) -> Iterator[Row | Reject]:
    """Each question with its answers, in the order of their ids."""
    site, domain = _site(source.name)
    rows = database.execute("SELECT * FROM posts ORDER BY question, answers, rank, id, at")
    for _, posts in itertools.groupby(rows, key=lambda row: row[0]):
        question: Piece | None = None
        answers: list[Piece] = []
        size = 0
        for _, is_answer, _, id_, at, raw in posts:
            piece = Piece(at, raw, last=True)
            size += len(raw)
            if is_answer and question is None:
                yield source.reject(at, "no_question", f"answer {id_} without its question", raw)
            elif not is_answer and question is not None:
                yield source.reject(at, "duplicate_question", f"a second question {id_}", raw)
            elif is_answer and size > MAX_ANSWERS_BYTES * source.max_document_bytes:
                yield source.reject(at, "too_large", f"answer {id_}: the answers before have {size} bytes", raw)
            elif is_answer:
                answers.append(piece)
            else:
                question = piece
        if question is not None:
            try:
                yield _thread(source, database, question, answers, site, domain)
            except Damage as damage:
                yield source.reject(question.position, damage.reason, damage.detail, question.raw)


def _thread(
    source: Source, database: sqlite3.Connection, question: Piece, answers: list[Piece], site: str, domain: str
) -> Row:
    def body(columns: _Columns) -> str:
        # What HTML makes of a reference to NUL.
        text = html_text(columns.get("Body", "").replace("\0", "\ufffd"), main_content=False).strip()
        if source.post_comments:
            found = database.execute("SELECT text FROM comments WHERE post = ? ORDER BY at", (int(columns["Id"]),))
            text += "".join(f"\n\nComment: {_comment_text(comment)}" for (comment,) in found)
        return text

    asked = _known_columns(source, question)
    replies = [_known_columns(source, answer) for answer in answers]
    replies = [reply for reply in replies if reply.get("Body", "").strip()]  # of some posts nothing is left
    accepted = asked.get("AcceptedAnswerId")
    title = asked.get("Title", "").strip()
    parts = [f"Q: {title}\n\n{body(asked)}" if title else f"Q: {body(asked)}"]
    parts += [f"A{' (accepted)' if reply['Id'] == accepted else ''}: {body(reply)}" for reply in replies]
    columns = {
        "text": "\n\n".join(parts),
        "title": title or None,
        "question_id": int(asked["Id"]),
        "score": int(asked.get("Score", 0)),
        "tags": _TAG.findall(asked.get("Tags", "")),
        "date": asked.get("CreationDate"),
        "answers": len(replies),
        "answer_scores": [int(reply.get("Score", 0)) for reply in replies],
        "accepted_answer": int(accepted) if accepted in [reply["Id"] for reply in replies] else None,
        "license": asked.get("ContentLicense"),
        "url": f"https://{domain}/q/{asked['Id']}" if domain else None,
        "source": site,
    }
    return Row(question.position, columns, question.raw)


def _known_columns(source: Source, piece: Piece) -> _Columns:
    columns = _columns(source, piece)
    assert isinstance(columns, dict), columns
    return columns


def _comment_text(markdown: str) -> str:
    """A comment, which is a little Markdown: links as their labels, escaped characters as they are."""
    return _ESCAPED.sub(r"\1", _LINK.sub(r"\1", markdown)).strip()


def _site(name: str) -> tuple[str, str]:
    """The site whose posts a file of this name holds, and its domain, if it is one.

    >>> _site("dump/beer.stackexchange.com/Posts.xml"), _site("meta.beer-Posts.xml.zst")
    (('beer.stackexchange.com', 'beer.stackexchange.com'), ('meta.beer', ''))
    """
    *folders, file = name.split("/")
    site = _TABLE_NAME.sub("", file) or (folders[-1] if folders else "")
    return site, site if _DOMAIN.fullmatch(site) else ""
