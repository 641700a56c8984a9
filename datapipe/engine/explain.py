"""Why is this document in, or out? Found by whatever somebody knows of it, and told from what the stages wrote down."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datapipe.engine.marks import Spans, find_marks, merged, shared_passages
from datapipe.engine.verdicts import RULES, Failure, Verdict, document_id, failures, partner, verdict
from datapipe.store import files
from datapipe.store.corpus import LEAKS, REASON, REJECTS, ROW_BITS, Corpus, Part

Place = tuple[Part, int]  # a document: its part and its row in it

_TEXT_SHOWN = 500
_ITEMS_SHOWN = 20
_MEMBERS_SHOWN = 10
_FOUND_SHOWN = 20
MOST_SHARDS = 64  # that are searched for one document
_SHORTEST_SNIPPET = 8  # characters; less is the beginning of too many texts


class UnknownDocumentError(LookupError):
    """No document bears the id that was asked for."""


@dataclasses.dataclass(frozen=True)
class Partner:
    """The document that another is a duplicate of.

    Attributes:
        document: `part-row`.
        stage: that names it.
        similarity: None where the stage measures none.
        verdict: on the partner itself.
        path: the file that it comes from.
        shared: the share of this document's characters in passages of both.
        passages: the longest of those, the longest first.
    """

    document: str
    stage: str
    similarity: float | None
    verdict: str
    path: str
    shared: float
    passages: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What is known of a document.

    Attributes:
        document: `part-row`.
        part_kind: what the part holds.
        verdict: whether it is in, and why not.
        failed: all rules that it fails.
        partner: what it duplicates.
        members: others of its cluster, a few, with their verdicts; and how many documents the cluster has.
        cluster_size: None where it is in none.
        shards: those that hold it; None where there are too many to look.
        text: all of it.
        spans: of the text, what speaks against it.
    """

    document: str
    part_kind: str
    verdict: Verdict
    failed: tuple[Failure, ...]
    partner: Partner | None
    members: Mapping[str, str]
    cluster_size: int | None
    shards: tuple[str, ...] | None
    text: str
    spans: Spans


def find(corpus: Corpus, name: str) -> list[Place]:
    """The documents that somebody may mean by a name, in order; all by the first of these ways that finds any.

    Args:
        corpus: the corpus.
        name: a value of the user's own `id` (`input_id` in the corpus); `part-row` (`3-1207`), or the 64-bit id as a
            number; a path, or the end of one; a path with a place, `essays/one.txt:0`, which is the column `position`,
            or else a number among the documents of the file, from 0; or a piece of the text.

    Raises:
        UnknownDocumentError: if there is none.
    """
    found = [*_equal(corpus, "input_id", name)] or [*_by_number(corpus, name)] or [*_of_path(corpus, name)]
    path, colon, place = name.rpartition(":")
    if not found and colon and place.isdecimal():
        of_file = [*_of_path(corpus, path)]
        at = [
            (part, row) for part, row in of_file if read_row(part, row, ["position"])["position"].as_py() == int(place)
        ]
        found = at or of_file[int(place) : int(place) + 1]
    if not found and len(name) >= _SHORTEST_SNIPPET:
        found = [*_holding(corpus, name)]
    if not found:
        raise UnknownDocumentError(
            f"no document {name!r}: give part-row, such as 0-17, a value of the documents' own id, a file, "
            "a file with a place in it (a.jsonl:120), or a piece of the text"
        )
    return found


def _position(part: Part, row: int) -> Any:
    return read_row(part, row, ["position"])["position"].as_py()


def _equal(corpus: Corpus, column: str, value: str) -> Iterator[Place]:
    for part in corpus.parts:
        if column in part.columns:
            same = pc.equal(part.column(column).cast("string"), value).fill_null(False)
            yield from ((part, row) for row in pc.indices_nonzero(same).to_pylist())


def _by_number(corpus: Corpus, name: str) -> Iterator[Place]:
    number, dash, row_text = name.partition("-")
    if dash and number.isdecimal() and row_text.isdecimal():
        place = int(number), int(row_text)
    elif name.isdecimal():
        place = int(name) >> ROW_BITS, int(name) & (1 << ROW_BITS) - 1
    else:
        return
    yield from ((part, place[1]) for part in corpus.parts if part.number == place[0] and place[1] < part.rows)


def _of_path(corpus: Corpus, path: str) -> Iterator[Place]:
    """The documents of a file, which may be named from a folder above that of the inputs, or from one below it."""
    for part in corpus.parts:
        if path and "path" in part.columns:
            column = part.column("path")
            same = pc.or_(pc.is_in(column, pa.array(_endings(path))), pc.ends_with(column, "/" + path.lstrip("/")))
            yield from ((part, row) for row in pc.indices_nonzero(same.fill_null(False)).to_pylist())


def _endings(path: str) -> list[str]:
    """A path, and what is left of it without each of its folders.

    >>> _endings("docs/a/b.txt")
    ['docs/a/b.txt', 'a/b.txt', 'b.txt']
    """
    folders = path.split("/")
    return ["/".join(folders[at:]) for at in range(len(folders))]


def _holding(corpus: Corpus, snippet: str) -> Iterator[Place]:
    for part in corpus.parts:
        start = 0
        for batch in part.read(["text"], kept_only=False):
            holds = pc.match_substring(batch.column("text"), snippet).fill_null(False)
            yield from ((part, start + row) for row in pc.indices_nonzero(holds).to_pylist())
            start += len(batch)


def find_rejects(corpus: Corpus, name: str) -> list[dict[str, Any]]:
    """The rejects of a file, or those at a place in it: input records that were no documents."""
    path, colon, place = name.rpartition(":")
    wanted = [(name, None), (path, int(place))] if colon and place.isdecimal() else [(name, None)]
    found = []
    for file in files.list_folder(corpus.folder(REJECTS)):
        if file.endswith(".parquet"):
            with files.open_columns(file, ["file", "position", "reason", "detail"]) as source:
                table = pq.read_table(source, columns=["file", "position", "reason", "detail"])
            found += [
                row
                for row in table.to_pylist()
                if any(
                    (row["file"] in _endings(path) or row["file"].endswith("/" + path))
                    and place in (None, row["position"])
                    for path, place in wanted
                )
            ]
    return found


def read_row(part: Part, row: int, names: list[str] | None = None) -> dict[str, pa.Scalar]:
    """Columns of one document, read from the row group that it stands in."""
    (batch,) = part.pick([*part.columns] if names is None else names, [row])
    return {name: batch.column(name)[0] for name in batch.schema.names[1:]}


def look_up(corpus: Corpus, place: Place | str) -> dict[str, Any]:
    """Every column of one document as a plain value, long ones cut and ids of partners written as `part-row`.

    Raises:
        UnknownDocumentError: if a name is that of none.
    """
    part, row = find(corpus, place)[0] if isinstance(place, str) else place
    scalars = read_row(part, row)
    decided = next((name for name in part.decisions if scalars[name].is_valid), None)
    said = f"removed by {decided.removesuffix(REASON)}: {scalars[decided]}" if decided else "kept"
    document = document_id(part.number << ROW_BITS | row)
    return {"document": document, "part_kind": part.kind, "verdict": said, **dict(_columns(part, scalars))}


def explain(corpus: Corpus, options: Mapping[str, Mapping[str, Any]], place: Place) -> Explanation:
    """What is known of a document.

    Args:
        corpus: of a finished run.
        options: of its stages, by name: see `RunRecord.options`.
        place: of the document.
    """
    part, row = place
    document = document_id(part.number << ROW_BITS | row)
    plain = {name: scalar.as_py() for name, scalar in read_row(part, row).items()}
    decided = verdict(plain, part.decisions, options)
    failed = tuple(failures(plain, options.get(RULES, {})))
    text = plain["text"] or ""
    of = _partner(corpus, options, decided, plain, text)
    members, size = _cluster(corpus, document, plain)
    return Explanation(
        document=document,
        part_kind=part.kind,
        verdict=decided,
        failed=failed,
        partner=of,
        members=members,
        cluster_size=size,
        shards=_shards(corpus, document) if decided.kept else (),
        text=text,
        spans=_spans(decided, failed, plain, text, of, corpus),
    )


def place_of(corpus: Corpus, id_: int) -> Place | None:
    """Where a document with an id stands; None where it is in no part, as one of another run."""
    return next(((part, id_ & (1 << ROW_BITS) - 1) for part in corpus.parts if part.number == id_ >> ROW_BITS), None)


def _partner(
    corpus: Corpus, options: Mapping[str, Mapping[str, Any]], decided: Verdict, plain: Mapping[str, Any], text: str
) -> Partner | None:
    place = None if decided.partner is None else place_of(corpus, decided.partner)
    if place is None or decided.partner is None:
        return None
    theirs = {name: scalar.as_py() for name, scalar in read_row(*place).items()}
    spans = shared_passages(text, theirs["text"] or "")
    passages = sorted((text[start:end] for start, end in spans), key=len, reverse=True)
    return Partner(
        document=document_id(decided.partner),
        stage=decided.stage,
        similarity=plain.get(f"{decided.stage}_similarity"),
        verdict=str(verdict(theirs, place[0].decisions, options)),
        path=theirs.get("path") or "",
        shared=sum(map(len, passages)) / max(1, len(text)),
        passages=tuple(passages[:3]),
    )


def _cluster(corpus: Corpus, document: str, plain: Mapping[str, Any]) -> tuple[dict[str, str], int | None]:
    """A few others of the document's cluster of duplicates, with what became of them, and how many it has."""
    column = next(
        (
            name
            for name in ("near_duplicates_cluster", "exact_duplicates_of", "cross_run_duplicates_of")
            if plain.get(name) is not None
        ),
        None,
    )
    sizes = [plain[name] for name in ("near_duplicates_size", "exact_duplicates_size") if plain.get(name)]
    if column is None:
        if not sizes:
            return {}, None
        number, _, row = document.partition("-")  # the survivor of exact duplicates names no other
        column, wanted = "exact_duplicates_of", int(number) << ROW_BITS | int(row)
    else:
        wanted = plain[column]
    members: dict[str, str] = {}
    for part in corpus.parts:
        if column not in part.columns or len(members) >= _MEMBERS_SHOWN:
            continue
        same = pc.equal(part.column(column), pa.scalar(wanted, pa.uint64())).fill_null(False)
        for row in pc.indices_nonzero(same).to_pylist()[:_MEMBERS_SHOWN]:
            name = document_id(part.number << ROW_BITS | row)
            if name != document:
                values = read_row(part, row, [*part.decisions])
                decided = next((key for key in part.decisions if values[key].is_valid), None)
                members[name] = f"removed: {values[decided]}" if decided else "kept"
    return members, max(sizes, default=len(members) + 1)


def _shards(corpus: Corpus, document: str) -> tuple[str, ...] | None:
    """The shards that hold a document, by name."""
    found = []
    for folder in ("shards", "held_out_shards"):
        paths = [path for path in files.list_folder(corpus.folder(folder)) if path.endswith(".parquet")]
        if len(paths) > MOST_SHARDS:
            return None
        for path in paths:
            with files.open_columns(path, ["id"]) as source:
                ids = pq.read_table(source, columns=["id"]).column("id")
            if pc.index(ids, document).as_py() >= 0:
                found.append(f"{folder}/{path.rpartition('/')[2]}")
    return tuple(found)


def _spans(
    decided: Verdict,
    failed: tuple[Failure, ...],
    plain: Mapping[str, Any],
    text: str,
    of: Partner | None,
    corpus: Corpus,
) -> Spans:
    """What of the text speaks against it."""
    if decided.stage == RULES:
        first = [failure.measurement for failure in failed if failure.rule == decided.reason]
        return merged([span for measurement in first for span in find_marks(measurement, text)])
    if of is not None:
        place = place_of(corpus, partner(decided.stage, plain) or 0)
        return shared_passages(text, read_row(*place, ["text"])["text"].as_py() or "") if place else []
    leaks = plain.get(f"{decided.stage}{LEAKS}") or ()
    passages = [leak["text"] for leak in leaks if leak["text"]]
    return merged([(at, at + len(passage)) for passage in passages if (at := text.find(passage)) >= 0])


def _readable(value: Any, kind: pa.DataType) -> Any:
    """A value with the ids in it, at any depth, as `part-row`."""
    if value is None:
        return None
    if kind == pa.uint64():  # the type of ids, and of nothing else that a stage writes
        return document_id(value)
    if pa.types.is_struct(kind):
        return {field.name: _readable(value[field.name], field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_readable(item, kind.value_type) for item in value]
    return value


def _columns(part: Part, scalars: Mapping[str, pa.Scalar]) -> Iterator[tuple[str, Any]]:
    for name, scalar in scalars.items():
        # The user's own columns may be of any type.
        value = scalar.as_py() if name in part.user_columns else _readable(scalar.as_py(), scalar.type)
        if isinstance(value, str) and len(value) > _TEXT_SHOWN:
            value = f"{value[:_TEXT_SHOWN]}… ({len(value):,} characters)"
        if isinstance(value, bytes):
            value = f"{len(value)} bytes"
        if isinstance(value, list) and len(value) > _ITEMS_SHOWN:
            nested = pa.types.is_nested(scalar.type.value_type)
            value = [*value[:_ITEMS_SHOWN], f"… ({len(value)})"] if nested else f"{len(value)} numbers"
        yield name, value
