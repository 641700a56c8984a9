"""The options that the functions of reading take are those of the stage, under the same names and defaults."""

import dataclasses

from datapipe.read.documents import ReadDocuments
from datapipe.read.options import ReadOptions


def test_the_defaults_are_those_of_the_stage() -> None:
    assert ReadDocuments().read_options() == ReadOptions()


def test_every_option_of_the_stage_arrives() -> None:
    given = {
        "source_from": "folder",
        "format": "csv",
        "text_unit": "line",
        "main_content": False,
        "wiki": {"variant": "zh-tw", "namespaces": [0, 4]},
        "post_comments": True,
        "gutenberg_notices": True,
        "encodings": ["big5"],
        "repair_encoding": True,
        "max_document_bytes": 7,
        "max_expansion": 2.0,
        "part_bytes": 8,
        "rows_per_group": 9,
        "fields": {"text": ["body"], "source": "site"},
        "normalization": {"form": "NFKC"},
    }
    options = ReadDocuments(**given).read_options()  # type: ignore[arg-type]
    unchanged = [name for name, value in dataclasses.asdict(ReadOptions()).items() if getattr(options, name) == value]
    assert unchanged == ["reserved"]
    assert (options.text_fields, options.renamed_fields) == (("body", "text"), (("source", ("site",)),))
    assert (options.wiki.variant, options.wiki.namespaces) == ("zh-tw", (0, 4))
    assert options.normalization.form == "NFKC"
