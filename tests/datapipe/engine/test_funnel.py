"""The funnel adds up: what entered a step left it or has a reason."""

import pathlib

import pyarrow as pa

from datapipe.engine.funnel import (
    RULES_FAILED,
    RULES_REMOVED,
    RuleCount,
    Totals,
    count_funnel,
    count_rules,
    render_funnel,
)
from datapipe.filters.rules import ApplyRules
from datapipe.store.corpus import Corpus
from datapipe.store.record import Done, Skipped
from tests.helpers import CorpusOf, add_columns, done

Stages = dict[str, Done | Skipped]


def small_corpus(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> tuple[Corpus, Stages]:
    (part,) = corpus_of(["a", "bb", "ccc", "dddd"], bytes=pa.array([1, 2, 3, 4], pa.int64()))
    part = add_columns(part, tmp_path / "one", one_reason=pa.array(["short", None, None, None]))
    part = add_columns(part, tmp_path / "two", two_reason=pa.array(["late", "odd", None, None]))
    stages: Stages = {
        "documents": done("text", "bytes", rejects={"malformed_json": 2}),
        "one": done("one_reason"),
        "two": done("two_reason"),
        "three": Skipped("no examples"),
    }
    return Corpus(str(tmp_path), (part,)), stages


def test_a_document_counts_for_the_first_stage_that_removed_it(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    funnel = count_funnel(*small_corpus(corpus_of, tmp_path))
    one, two = funnel.steps
    assert funnel.read == Totals(4, 10, None)
    assert one.removed == {"short": Totals(1, 1, None)}
    assert two.removed == {"odd": Totals(1, 2, None)}
    assert two.left == funnel.kept == funnel.copies == Totals(2, 7, None)
    assert funnel.rejects == {"documents": {"malformed_json": 2}}


def test_copies_and_tokens_are_counted(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    corpus, stages = small_corpus(corpus_of, tmp_path)
    part = add_columns(corpus.parts[0], tmp_path / "tokens", tokens=pa.array([10, 20, 30, 40], pa.int32()))
    part = add_columns(part, tmp_path / "mixture", mixture_copies=pa.array([None, None, 3, 1], pa.int32()))
    funnel = count_funnel(Corpus(str(tmp_path), (part,)), stages)
    assert funnel.kept == Totals(2, 7, 70)
    assert funnel.copies == Totals(4, 13, 130)
    assert funnel.steps[0].removed["short"].tokens == 10


def test_the_table_names_every_reason_with_its_count(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    table = render_funnel(count_funnel(*small_corpus(corpus_of, tmp_path)))
    assert "rejected: malformed_json" in table
    assert [line.split() for line in table.splitlines() if "- odd" in line] == [["-", "odd", "1", "2", "-"]]


def test_what_is_cut_out_of_texts_is_counted_and_gone_for_later_stages(
    corpus_of: CorpusOf, tmp_path: pathlib.Path
) -> None:
    (part,) = corpus_of(["a", "bb", "ccc", "dddd"], bytes=pa.array([1, 2, 3, 4], pa.int64()))
    cuts = {"one_cut_bytes": pa.array([1, 1, 1, None], pa.int64()), "one_reason": pa.array(["short", None, None, None])}
    part = add_columns(part, tmp_path / "one", **cuts)
    part = add_columns(part, tmp_path / "two", two_reason=pa.array([None, "odd", None, None]))
    stages: Stages = {"documents": done("text", "bytes", rejects={}), "one": done(*cuts), "two": done("two_reason")}
    funnel = count_funnel(Corpus(str(tmp_path), (part,)), stages)
    one, two = funnel.steps
    assert (one.entered.bytes, one.cut_bytes, one.left.bytes) == (10, 2, 7)  # of what it removed it cut nothing
    assert two.removed == {"odd": Totals(1, 1, None)}
    assert funnel.kept == funnel.copies == Totals(2, 6, None)
    assert "cut out of texts" in render_funnel(funnel)


def test_counts_what_each_rule_alone_removes() -> None:
    assert ApplyRules.writes.names == [RULES_REMOVED, RULES_FAILED]
    counts = count_rules(pa.array([["a", "b"], ["b"], [], ["b", "a"]]))
    assert counts == {"a": RuleCount(2, 1, 0), "b": RuleCount(3, 2, 1)}


def test_rules_are_counted_by_what_they_alone_remove(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    corpus, stages = small_corpus(corpus_of, tmp_path)
    stages["rules"] = done("rules_reason", "rules_failed")
    failed = [["a"], ["a"], ["b", "a"], ["b"]]  # the first two documents never came so far
    removed = pa.array([names[0] for names in failed])
    part = add_columns(corpus.parts[0], tmp_path / "rules", rules_reason=removed, rules_failed=pa.array(failed))
    funnel = count_funnel(Corpus(str(tmp_path), (part,)), stages)
    assert funnel.rules == {"a": RuleCount(1, 0, 0), "b": RuleCount(2, 2, 1)}
    assert funnel.as_json()["rules"]["b"] == {"failed": 2, "first": 2, "only": 1}
    assert {name: amount.documents for name, amount in funnel.steps[2].removed.items()} == {"b": 2}
    assert [line.split() for line in render_funnel(funnel).splitlines()][-2:] == [
        ["a", "1", "0", "0"],
        ["b", "2", "2", "1"],
    ]


def test_what_was_masked_is_summed(corpus_of: CorpusOf, tmp_path: pathlib.Path) -> None:
    corpus, stages = small_corpus(corpus_of, tmp_path)
    counts = {"masked_email": [1, 0, None, 1], "masked_ip": [0, 0, 0, 0]}
    columns = {name: pa.array(values, pa.int32()) for name, values in counts.items()}
    part = add_columns(corpus.parts[0], tmp_path / "personal_data", **columns)
    stages["personal_data"] = done(*columns)
    funnel = count_funnel(Corpus(str(tmp_path), (part,)), stages)
    assert funnel.masked == {"email": 2}
    assert render_funnel(funnel).splitlines()[-1].split() == ["email", "2"]
