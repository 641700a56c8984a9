"""Pages go by where they lie."""

import pathlib

import pyarrow as pa
import pytest

from datapipe.engine.run import Outcome
from datapipe.filters.url_filter import FilterAddresses
from tests.helpers import run_recipe, write_lines

DOMAINS = "bad.org\n12.5.179.24\nhttps://www.worse.example/\n# of no use\n\n"
URLS = "so.org/x/y\nshop.example/~joe\n"


def judged(folder: pathlib.Path, addresses: list[str | None], column: str = "url") -> list[str | None]:
    for name, content in (("domains", DOMAINS), ("urls", URLS)):
        (folder / name).write_text(content, encoding="utf-8")
    lists = [str(folder / "domains"), str(folder / "urls")]
    batch = pa.record_batch({"text": ["a"] * len(addresses), column: pa.array(addresses, pa.string())})
    (found,) = [batch] | FilterAddresses(lists, column)
    return [str(reason) if reason else None for reason in found.column("url_filter_reason").to_pylist()]


@pytest.mark.parametrize(
    ("address", "listed"),
    [
        ("https://bad.org", True),
        ("http://WWW.Bad.org:8080/a?b#c", True),
        ("https://deep.under.bad.org/a", True),
        ("https://notbad.org/", False),
        ("https://bad.org.example/", False),
        ("http://12.5.179.24/meth", True),
        ("https://worse.example/x", True),
        ("https://so.org/x/y", True),
        ("https://so.org/x/y/z.html?q=1", True),
        ("https://so.org/x/yz", False),
        ("https://so.org/x", False),
        ("https://sub.so.org/x/y", False),
        ("https://shop.example/~joe/", True),
        ("http://[broken", False),
        ("", False),
        (None, False),
    ],
)
def test_sites_all_below_them_and_beginnings_of_addresses(
    address: str | None, listed: bool, tmp_path: pathlib.Path
) -> None:
    assert judged(tmp_path, [address]) == ["url_listed" if listed else None]


def test_the_address_may_be_called_otherwise(tmp_path: pathlib.Path) -> None:
    assert judged(tmp_path, ["bad.org", "good.org"], column="site") == ["url_listed", None]


def test_without_lists_nothing_is_judged_and_it_is_said(tmp_path: pathlib.Path) -> None:
    assert FilterAddresses([]).skip_reason() == "no lists of addresses given"
    assert FilterAddresses([str(tmp_path / "none")]).skip_reason() == f"no such file: {tmp_path / 'none'}"


def test_in_a_run_documents_without_an_address_stay(tmp_path: pathlib.Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "list").write_text("bad.org", encoding="utf-8")
    write_lines(tmp_path / "in" / "a.jsonl", [{"text": "a", "url": "https://bad.org/1"}, {"text": "b"}])
    write_lines(tmp_path / "in" / "b.jsonl", [{"text": "c"}])
    recipe = f"stages:\n  - documents\n  - url_filter: {{lists: [{tmp_path / 'list'}]}}\n"
    outcome: Outcome = run_recipe(recipe, tmp_path, [str(tmp_path / "in")])
    assert outcome.funnel.kept.documents == 2
