"""How inputs are read, as the functions of this package take it: checked, frozen, apart from any stage."""

import dataclasses

from datapipe.read.formats.source import WikiOptions
from datapipe.text.normalization import Normalization

GROUP_ROWS = 2048
# What the text is called in most data sets, and in Common Crawl's of RedPajama.
TEXT_FIELDS = ("text", "content", "body", "raw_content")


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """The options of `datapipe.read.documents.ReadDocuments`, which says what they mean, ready to be used.

    Attributes:
        text_fields: the user's names for the text, of which the first that has a value is taken.
        renamed_fields: our name for a column, and the user's names for it.
        reserved: names that stages write, and that columns of the user's must leave to them.
        source_from, format, text_unit, main_content, wiki, post_comments, gutenberg_notices, normalization, encodings,
            repair_encoding, max_document_bytes, max_expansion, part_bytes, rows_per_group: as there.
    """

    text_fields: tuple[str, ...] = TEXT_FIELDS
    renamed_fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reserved: frozenset[str] = frozenset()
    source_from: str = "record"
    format: str = ""
    text_unit: str = "file"
    main_content: bool = True
    wiki: WikiOptions = dataclasses.field(default_factory=WikiOptions)
    post_comments: bool = False
    gutenberg_notices: bool = False
    normalization: Normalization = dataclasses.field(default_factory=Normalization)
    encodings: tuple[str, ...] = ()
    repair_encoding: bool = False
    max_document_bytes: int = 50_000_000
    max_expansion: float = 1000.0
    part_bytes: int = 32 << 20
    rows_per_group: int = GROUP_ROWS
