"""Removes pages whose address stands in a list: FineWeb, DCLM and OLMo 3 begin with lists of sites to leave out.

The lists are the user's: those that these systems took (UT1's of Toulouse among them) change daily and have licences of
their own. Other filters judge what a page says; here it is judged by where it lies.
"""

import dataclasses
from typing import ClassVar, NamedTuple, Self
from urllib.parse import urlsplit

import pyarrow as pa

from datapipe.checks import ColumnOption, FilesOption
from datapipe.stage import DocumentStage
from datapipe.store import files
from datapipe.store.by_content import made_by_content
from datapipe.store.corpus import Corpus


class Listed(NamedTuple):
    """Addresses of some lists: hosts, and hosts with the beginning of a path."""

    hosts: frozenset[str]
    paths: frozenset[str]


@made_by_content
def read_lists(paths: tuple[str, ...]) -> Listed:
    """The addresses of some files, one a line, with or without `https://`; what follows `#` is no address."""
    hosts, longer = set(), set()
    for path in paths:
        with files.open_input(path) as source:
            lines = bytes(source.read()).decode(errors="replace").splitlines()
        for line in lines:
            host, path_ = split_address(line.partition("#")[0].strip())
            if host and path_:
                longer.add(f"{host}/{path_}")
            elif host:
                hosts.add(host)
    return Listed(frozenset(hosts), frozenset(longer))


def split_address(address: str) -> tuple[str, str]:
    """Host and path of an address, without `www.`, port, query and the slash at its end.

    >>> split_address("https://www.Example.org:443/a/b/?q=1"), split_address("example.org")
    (('example.org', 'a/b'), ('example.org', ''))
    """
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        host = (parts.hostname or "").removeprefix("www.").rstrip(".")
    except ValueError:  # brackets that hold no address of IPv6
        return "", ""
    return host, parts.path.strip("/")


def is_listed(address: str, listed: Listed) -> bool:
    """Whether an address, a site above its host, or the beginning of its path stands in the lists.

    >>> lists = Listed(frozenset({"bad.org"}), frozenset({"so.org/x/y"}))
    >>> [is_listed(address, lists) for address in ("http://a.bad.org/z", "so.org/x/y/z", "so.org/x", "notbad.org")]
    [True, True, False, False]
    """
    host, path = split_address(address)
    labels = host.split(".")
    if any(".".join(labels[at:]) in listed.hosts for at in range(len(labels))):
        return True
    steps = path.split("/")
    return any(f"{host}/{'/'.join(steps[:count])}" in listed.paths for count in range(1, len(steps) + 1))


@dataclasses.dataclass(eq=False)
class FilterAddresses(DocumentStage):
    """Removes documents whose address, or a site above it, is listed, with the reason "url_listed".

    A document without an address stays: of books and papers none is expected.

    Attributes:
        lists: files of sites (`example.org`, all below it too) and of beginnings of addresses (`example.org/a`), one a
            line, as UT1's `domains` and `urls`.
        column: of the address; readers of crawls, wikis and Stack Exchange write `url`.
    """

    lists: list[FilesOption] = dataclasses.field(default_factory=list)
    column: ColumnOption = "url"

    name: ClassVar[str] = "url_filter"
    writes: ClassVar[pa.Schema] = pa.schema([("url_filter_reason", pa.string())])

    def optional(self) -> tuple[str, ...]:
        """The address, where documents have one."""
        return self.named_columns()

    def skip_reason(self) -> str | None:
        """Why no document can be judged, in one line; None if they can."""
        absent = [path for path in self.lists if not files.exists(path)]
        return f"no such file: {absent[0]}" if absent else None if self.lists else "no lists of addresses given"

    def prepare(self, corpus: Corpus, folder: str) -> Self:  # noqa: ARG002 - nothing is learnt
        """The stage, once its lists have been read."""
        read_lists(tuple(self.lists))
        return self

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Judge by the column of the address; returns the column of `writes`."""
        listed = read_lists(tuple(self.lists))
        addresses = batch.column(self.column).cast(pa.string()).to_pylist()
        reasons = ["url_listed" if address and is_listed(address, listed) else None for address in addresses]
        return pa.record_batch([pa.array(reasons, pa.string())], schema=self.writes)
