"""Removes documents that hold a question of an evaluation set together with its answer: AllenAI's decon, for OLMo 3.

`decontamination` takes one n-gram for a leak: right for instruction data, which is little and costs nothing to lose.
Pretraining text shares 13 tokens with a test by chance, by quoting what the test quotes, and by templates ("The
following is a multiple choice question about"). So here a question must be found nearly whole, rare n-grams weighing
more than common ones, and its answer after it, its passage around it; a short question asks for a perfect match.

The method and its constants are those of decon's SIMPLE (github.com/allenai/decon, doc/simple-details.md and
config/default.yaml, 2025). What differs, and why:

- A token is one of `token_grams`, not of cl100k: four of them say about what five of those say (as decon's own
  `simple-word.yaml` has it), and scripts without spaces are known.
- decon looks at every tenth n-gram of a document, and where one is of an evaluation set looks around. Here the rarest
  n-grams of each question are looked up everywhere: as many as any match has to hold one of, so that none is missed.
- An n-gram weighs ln(1 + records / records with it), not ln(records / records with it): what all records of a small set
  share still counts.
- A cluster goes on while there is a match within 11 n-grams, and is the same wherever it is begun.
"""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import MinLen

from datapipe.checks import Count, FilesOption, PositiveShare
from datapipe.kernels import kernel
from datapipe.mix.decontamination import folded_samples
from datapipe.read.examples import read_records, skip_reason_of
from datapipe.stage import DocumentStage, write_notes
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus, PartKind
from datapipe.text.hashes import search_sorted
from datapipe.text.normalization import fold
from datapipe.text.token_grams import QUARTERS, SHOWN, Grams, ngrams

QUESTION_GRAM, ANSWER_GRAM, PASSAGE_GRAM = 4, 3, 4  # tokens of an n-gram
MAX_GAP = 11  # n-grams from one match of a cluster to the next (`question_max_consecutive_misses`)
# A record of so few tokens has to match perfectly, and one of so many by `min_score`; between them in proportion.
PERFECT, ENOUGH = 20, 50  # `perfect_match_decay_start`, `perfect_match_decay_end`
SHORT_ANSWER = 3  # tokens of an answer that is looked for as a whole
SHORT_WINDOW, LONG_WINDOW, PASSAGE_WINDOW = (
    50,
    100,
    100,
)  # tokens; at least, and twice what is looked for if that is long
# What question, answer and passage weigh.
WEIGHTS = {(True, True): (0.7, 0.2, 0.1), (True, False): (0.75, 0.25, 0), (False, True): (0.85, 0, 0.15)}
INFORMATIVE_GRAMS, INFORMATIVE_TOKENS = 20, 4  # a question of fewer n-grams, an answer of fewer tokens, weighs less
_TOLERANCE = 1e-9  # of sums of weights in another order

LEAKS = pa.list_(pa.struct([("record", pa.string()), ("score", pa.float32()), ("text", pa.string())]))
_GRAMS = [("hashes", pa.list_(pa.uint64())), ("weights", pa.list_(pa.float64()))]
_PART_TYPE = pa.struct([("tokens", pa.int32()), ("n", pa.int8()), *_GRAMS])
# A row is a record.
INDEX = pa.schema(
    [
        ("record", pa.string()),
        ("question", _PART_TYPE),
        ("answers", pa.list_(_PART_TYPE)),
        ("passages", pa.list_(_PART_TYPE)),
    ]
)


class Question(NamedTuple):
    """A record of an evaluation set: its question, the answers that it takes, and what it asks about, if anything."""

    record: str
    question: str
    answers: tuple[str, ...] = ()
    passage: str = ""


def required_score(tokens: int, enough: float) -> float:
    """What a match has to reach: everything in a short record, `enough` in a long one.

    >>> [required_score(tokens, 0.8) for tokens in (10, 20, 35, 50, 80)]
    [1.0, 1.0, 0.9, 0.8, 0.8]
    """
    part = min(1.0, max(0.0, (tokens - PERFECT) / (ENOUGH - PERFECT)))
    return 1 - (1 - enough) * part


def weigh(grams: int, answer_tokens: int | None, *, has_passage: bool) -> tuple[float, float, float]:
    """What the overlaps of question, answer and passage weigh in a score.

    A question of few n-grams says little: up to half of its weight goes to the others, and so does a short answer's to
    the passage.

    Args:
        grams: different n-grams of the question.
        answer_tokens: tokens of the answer, or None where there is none.
        has_passage: whether there is a passage.

    >>> weigh(30, 5, has_passage=False), weigh(0, 5, has_passage=False)
    ((0.75, 0.25, 0.0), (0.375, 0.625, 0.0))
    """
    has_answer = answer_tokens is not None
    question, answer, passage = WEIGHTS.get((has_answer, has_passage), (1.0, 0.0, 0.0))
    if not has_answer and not has_passage:
        return question, answer, passage
    lost = question * (0.5 - 0.5 * min(1.0, grams / INFORMATIVE_GRAMS))
    shares = has_answer + has_passage
    answer += lost / shares * has_answer
    passage += lost / shares * has_passage
    if answer_tokens is not None and has_passage:
        moved = answer * (0.5 - 0.5 * min(1.0, answer_tokens / INFORMATIVE_TOKENS))
        answer, passage = answer - moved, passage + moved
    return question - lost, float(answer), float(passage)


def question_index(questions: Sequence[Question], shortest: int) -> tuple[pa.Table, int]:
    """What evaluation records are known by.

    Args:
        questions: the records, folded. Of equal ones the first stands for all (`eval_dedup`).
        shortest: tokens of the shortest record that is looked for, its longest answer and its passage with it.

    Returns:
        The records that are looked for, with the schema `INDEX`; how many are too short.
    """
    by_content: dict[tuple[object, ...], Question] = {}
    for each in questions:
        by_content.setdefault(each[1:], each)
    distinct = list(by_content.values())
    asked = _parts([each.question for each in distinct], QUESTION_GRAM)
    answers = _parts([answer for each in distinct for answer in each.answers], ANSWER_GRAM, SHORT_ANSWER)
    passages = _parts([each.passage for each in distinct], PASSAGE_GRAM)
    ends = np.cumsum([0, *(len(each.answers) for each in distinct)])
    rows, missed = [], 0
    for at, each in enumerate(distinct):
        answers_here = [answer for answer in answers[ends[at] : ends[at + 1]] if len(answer["hashes"])]
        passages_here = [passages[at]] if len(passages[at]["hashes"]) else []
        tokens = [part["tokens"] for part in (asked[at], *passages_here)]
        tokens.append(max((answer["tokens"] for answer in answers_here), default=0))
        if sum(tokens) < shortest or not len(asked[at]["hashes"]):
            missed += 1
            continue
        rows.append({"record": each.record, "question": asked[at], "answers": answers_here, "passages": passages_here})
    return pa.Table.from_pylist(rows, INDEX), missed


def _parts(texts: list[str], n: int, whole: int = 0) -> list[dict[str, Any]]:
    """Texts as their different n-grams, weighted; one of at most `whole` tokens as a single one."""
    array = pa.array(texts, pa.string())
    sizes = -(-ngrams(array, n).sizes // QUARTERS)
    lengths = np.where(sizes <= whole, np.maximum(sizes, 1), n)
    hashes: list[npt.NDArray[np.uint64]] = [np.zeros(0, np.uint64)] * len(texts)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        grams = ngrams(array.take(pa.array(rows)), length)
        bounds = np.searchsorted(grams.documents, np.arange(len(rows) + 1))
        for place, row in enumerate(rows.tolist()):
            hashes[row] = np.unique(grams.hashes[bounds[place] : bounds[place + 1]])
    known, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *hashes]), return_counts=True)
    weights = np.log1p(len(texts) / counts)
    return [
        {"tokens": size, "n": length, "hashes": found, "weights": weights[np.searchsorted(known, found)]}
        for size, length, found in zip(sizes.tolist(), lengths.tolist(), hashes, strict=True)
    ]


class _Part(NamedTuple):
    """A question, answer or passage: its n-grams sorted, what each weighs, and what all do."""

    tokens: int
    n: int
    hashes: npt.NDArray[np.uint64]
    weights: npt.NDArray[np.float64]
    total: float


@dataclasses.dataclass(frozen=True)
class Questions:
    """The index of evaluation records, as it is searched.

    Attributes:
        records: their names.
        questions, answers, passages: of each record.
        firsts: where each record's n-grams begin in `hashes` and `weights`, shape (records + 1,).
        hashes: the n-grams of all questions, sorted within each.
        weights: what each of them weighs.
        required: what matched n-grams of each question have to weigh, shape (records,).
        seeds: n-grams of which each match has at least one, sorted.
        seed_firsts: where the records of each seed begin in `seed_records`, shape (seeds + 1,).
        seed_records: the records.
    """

    records: list[str]
    questions: list[_Part]
    answers: list[list[_Part]]
    passages: list[list[_Part]]
    firsts: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    weights: npt.NDArray[np.float64]
    required: npt.NDArray[np.float64]
    seeds: npt.NDArray[np.uint64]
    seed_firsts: npt.NDArray[np.int64]
    seed_records: npt.NDArray[np.int64]


def make_questions(index: pa.Table, min_score: float) -> Questions:
    """The index that `question_index` returns, as it is searched.

    Args:
        index: with the schema `INDEX`.
        min_score: what a long record's match has to reach.
    """
    questions = [_part(row) for row in index.column("question").to_pylist()]
    answers, passages = ([[*map(_part, row)] for row in index.column(name).to_pylist()] for name in INDEX.names[2:])
    question_share = max(0.0, (min_score - WEIGHTS[True, True][1] - WEIGHTS[True, True][2]) / WEIGHTS[True, True][0])
    required, seeds, records = [], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for number, question in enumerate(questions):
        required.append(required_score(question.tokens, question_share) * question.total - _TOLERANCE)
        # As many of the rarest as what the others weigh is too little.
        rarest = np.lexsort((question.hashes, -question.weights))
        without = question.total - np.cumsum(question.weights[rarest])
        chosen = question.hashes[rarest[: np.searchsorted(-without, -required[-1], "right") + 1]]
        seeds.append(chosen)
        records.append(np.full(len(chosen), number, np.int64))
    all_seeds, all_records = np.concatenate(seeds), np.concatenate(records)
    order = np.lexsort((all_records, all_seeds))
    distinct, seed_firsts = np.unique(all_seeds[order], return_index=True)
    return Questions(
        index.column("record").to_pylist(),
        questions,
        answers,
        passages,
        np.cumsum([0, *(len(question.hashes) for question in questions)]),
        np.concatenate([np.zeros(0, np.uint64), *(question.hashes for question in questions)]),
        np.concatenate([np.zeros(0), *(question.weights for question in questions)]),
        np.array(required, np.float64),
        distinct,
        np.append(seed_firsts, len(order)),
        all_records[order],
    )


def _part(row: dict[str, Any]) -> _Part:
    weights = np.array(row["weights"], np.float64)
    return _Part(row["tokens"], row["n"], np.array(row["hashes"], np.uint64), weights, float(weights.sum()))


@kernel
def _find_clusters(
    grams: npt.NDArray[np.uint64],
    documents: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
    seed_firsts: npt.NDArray[np.int64],
    seed_records: npt.NDArray[np.int64],
    firsts: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    weights: npt.NDArray[np.float64],
    required: npt.NDArray[np.float64],
    found: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
) -> int:
    """Write record, first and last n-gram of each cluster that weighs enough, and its weight; how many there are."""
    last_of = np.full(len(required), -1, np.int64)  # the last n-gram of a record's last cluster
    seen_in = np.full(len(hashes), -1, np.int64)  # the last cluster that an n-gram of a record was matched in
    clusters = 0
    count = 0
    for place in range(len(grams)):
        if slots[place] < 0:
            continue
        for seed in range(seed_firsts[slots[place]], seed_firsts[slots[place] + 1]):
            record = seed_records[seed]
            if last_of[record] >= place:
                continue
            weight = 0.0
            first = last = place
            for step in (-1, 1):
                at = place
                missed = 0
                while 0 <= at < len(grams) and documents[at] == documents[place] and missed < MAX_GAP:
                    gram = firsts[record] + search_sorted(hashes[firsts[record] : firsts[record + 1]], grams[at])
                    if gram == firsts[record + 1] or hashes[gram] != grams[at]:
                        missed += 1
                    else:
                        missed = 0
                        first = min(first, at)
                        last = max(last, at)
                        if seen_in[gram] != clusters:
                            seen_in[gram] = clusters
                            weight += weights[gram]
                    at += step
            clusters += 1
            last_of[record] = last
            if weight >= required[record]:
                if count < len(found):
                    found[count, 0], found[count, 1], found[count, 2] = record, first, last
                    shares[count] = weight
                count += 1
    return count


class Leak(NamedTuple):
    """A record found in a text: how surely, and the passage, from the question to the end of its answer."""

    record: str
    score: float
    text: str


def find_questions(texts: pa.Array | pa.ChunkedArray, questions: Questions, min_score: float) -> list[list[Leak]]:
    """The evaluation records that each text holds, in the order of the records.

    Args:
        texts: strings, folded, shape (documents,).
        questions: the index.
        min_score: what a long record's match has to reach.
    """
    leaks: list[dict[int, Leak]] = [{} for _ in range(len(texts))]
    if not len(questions.seeds):
        return [[] for _ in leaks]
    grams = ngrams(texts, QUESTION_GRAM)
    slots = np.minimum(np.searchsorted(questions.seeds, grams.hashes), len(questions.seeds) - 1)
    slots = np.where(questions.seeds[slots] == grams.hashes, slots, -1)
    found, weights = _clusters(grams, slots, questions)
    document, before, text = -1, 0, _Text("")
    for (record, first, last), weight in zip(found.tolist(), weights.tolist(), strict=True):
        if grams.documents[first] != document:
            document = int(grams.documents[first])
            before, text = int(np.searchsorted(grams.documents, document)), _Text(texts[document].as_py())
        leak = _judge(questions, record, text, first - before, last - before, weight, min_score)
        known = leaks[document].get(record)
        if leak and (known is None or known.score < leak.score):
            leaks[document][record] = leak
    return [[of_text[record] for record in sorted(of_text)] for of_text in leaks]


def _clusters(
    grams: Grams, slots: npt.NDArray[np.int64], questions: Questions
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Record, first and last n-gram of each cluster that may be a question, by documents, and what it weighs."""
    of_seeds = (questions.seed_firsts, questions.seed_records)
    of_records = (questions.firsts, questions.hashes, questions.weights, questions.required)
    found, weights = np.empty((1024, 3), np.int64), np.empty(1024)
    while True:
        count = _find_clusters(grams.hashes, grams.documents, slots, *of_seeds, *of_records, found, weights)
        if count <= len(found):
            return found[:count], weights[:count]
        found, weights = np.empty((count, 3), np.int64), np.empty(count)


class _Text:
    """A text in which questions were found, and its n-grams of any length."""

    def __init__(self, text: str) -> None:
        self._array = pa.array([text])
        self._grams: dict[int, Grams] = {}

    def grams(self, n: int) -> Grams:
        if n not in self._grams:
            self._grams[n] = ngrams(self._array, n)
        return self._grams[n]

    def overlap(self, part: _Part, first: int, last: int) -> tuple[float, int]:
        """How much of a part, by weight, lies between two places of the text, and the byte after what does."""
        grams = self.grams(part.n)
        low, high = np.searchsorted(grams.places, (first + QUARTERS * part.n, last + 1)).tolist()
        at = np.minimum(np.searchsorted(part.hashes, grams.hashes[low:high]), len(part.hashes) - 1)
        of_part = part.hashes[at] == grams.hashes[low:high]
        share = float(part.weights[np.unique(at[of_part])].sum()) / part.total
        return share, int(grams.ends[low:high][of_part].max(initial=0))


def _judge(
    questions: Questions, record: int, text: _Text, first: int, last: int, weight: float, min_score: float
) -> Leak | None:
    """What a cluster comes to with the answer after it and the passage around it; None: it is no leak.

    Args:
        questions: the index.
        record: the number of the record.
        text: that the cluster is in.
        first, last: its n-grams, of the text's.
        weight: what its n-grams weigh.
        min_score: what a long record's match has to reach.
    """
    question, passages = questions.questions[record], questions.passages[record]
    grams = text.grams(QUESTION_GRAM)
    begin = int(grams.places[first]) - QUARTERS * QUESTION_GRAM
    # A cluster may go on into the answer: that is looked for from where the question alone would end.
    end = min(int(grams.places[last]), begin + QUARTERS * question.tokens)
    passage = 0.0
    for part in passages:
        window = QUARTERS * max(PASSAGE_WINDOW, 2 * part.tokens)
        passage, _ = text.overlap(part, begin - window, end + window)
    best = Leak("", -1.0, "")
    for answer in questions.answers[record] or (None,):
        overlap, stop, tokens = 0.0, 0, question.tokens + sum(part.tokens for part in passages)
        if answer is not None:
            window = SHORT_WINDOW if answer.tokens <= SHORT_ANSWER else max(LONG_WINDOW, 2 * answer.tokens)
            overlap, stop = text.overlap(answer, end, end + QUARTERS * window)
            tokens += answer.tokens
        weights = weigh(len(question.hashes), answer.tokens if answer else None, has_passage=bool(passages))
        overlaps = (weight / question.total, overlap, passage)
        score = min(1.0, sum(map(operator.mul, weights, overlaps)))
        if score >= required_score(tokens, min_score) - _TOLERANCE and score > best.score:
            shown = grams.data[grams.begins[first] : max(grams.ends[last], stop)][:SHOWN]
            best = Leak(questions.records[record], score, shown.tobytes().decode(errors="ignore"))
    return best if best.record else None


def _folded(questions: Sequence[Question]) -> list[Question]:
    """The records as texts are folded in which they are looked for."""
    texts = [text for each in questions for text in (each.question, each.passage, *each.answers)]
    folded = iter(fold(pa.array(texts, pa.string())).to_pylist())
    return [
        each._replace(question=next(folded), passage=next(folded), answers=tuple(next(folded) for _ in each.answers))
        for each in questions
    ]


@made_by_content
def _load_questions(path: str, min_score: float) -> Questions:
    with files.open_columns(path) as source:
        return make_questions(pq.read_table(source), min_score)


@dataclasses.dataclass(eq=False)
class FindEvaluationQuestions(DocumentStage):
    """Mark documents that hold a question of an evaluation set and its answer.

    Attributes:
        evaluation: files, folders and globs of evaluation records. None: there is nothing to do.
        questions: the names of the field that asks; of several the first that a record has counts.
        answers: the same of the one that answers; each string in it, at any depth, is an answer. Without one a question
            has to be found alone.
        passages: the same of the one that the question is about.
        min_score: of the overlaps of question, answer and passage, weighted .7, .2 and .1: what records of 50 tokens
            have to reach; shorter ones more, and those of 20 tokens all of 1. 0.8 is decon's; lower finds more.
        shortest: records of fewer tokens, the longest answer and the passage with it, are not looked for: decon leaves
            out those under 20 tokens of cl100k; here 8, since they must match perfectly.
        parts: the kinds of parts that are looked at: "document", "instruction".
    """

    evaluation: list[FilesOption] = dataclasses.field(default_factory=list)
    questions: Annotated[list[str], MinLen(1)] = dataclasses.field(
        default_factory=lambda: ["question", "problem", "prompt", "query", "instruction", "input", "text"]
    )
    answers: list[str] = dataclasses.field(
        default_factory=lambda: ["answer", "answers", "canonical_solution", "solution", "output", "response", "target"]
    )
    passages: list[str] = dataclasses.field(default_factory=lambda: ["passage", "context", "document"])
    min_score: PositiveShare = 0.8
    shortest: Count = 8
    parts: Annotated[list[PartKind], MinLen(1)] = dataclasses.field(default_factory=lambda: ["document", "instruction"])
    index: str = dataclasses.field(default="", init=False)

    name: ClassVar[str] = "evaluation_questions"
    version: ClassVar[int] = 2
    writes: ClassVar[pa.Schema] = pa.schema(
        [("evaluation_questions_reason", pa.string()), ("evaluation_questions_leaks", LEAKS)]
    )

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text",)

    def skip_reason(self) -> str | None:
        """Why there is nothing to do, if so."""
        return skip_reason_of(self.evaluation)

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - it learns from files alone
        """Write the index of the evaluation sets into the folder and return the transform that looks for them.

        Raises:
            ValueError: if a record has none of the fields `questions`.
        """
        found = []
        for record in read_records(self.evaluation):
            asked = record.first_of(self.questions)
            if not asked:
                raise ValueError(f"{record.place}: no text in a field {' or '.join(self.questions)}")
            passage = "\n".join(record.first_of(self.passages))
            found.append(Question(record.name, "\n".join(asked), tuple(record.first_of(self.answers)), passage))
        ready = self.ready(index=files.join(folder, "questions.parquet"))
        index, missed = question_index(_folded(found), self.shortest)
        files.write_table(ready.index, index)
        if missed:
            write_notes(folder, [f"{missed} of {len(found)} evaluation records are too short to look for"])
        return ready

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Which records stand in each document."""
        if not self.index:
            raise ValueError("evaluation_questions: prepare it first: it has no questions to look for")
        questions = _load_questions(self.index, self.min_score)
        found = find_questions(folded_samples(batch.column("text")), questions, self.min_score)
        reasons = ["evaluation_question" if leaks else None for leaks in found]
        lists = [[leak._asdict() for leak in leaks] or None for leaks in found]
        return pa.record_batch([pa.array(reasons, pa.string()), pa.array(lists, LEAKS)], schema=self.writes)
