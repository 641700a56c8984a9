"""Measure documents: every number that the rule filters of the field ask of a text.

Measurements and decisions are separate stages, so that a new threshold (`rules.py`) recomputes no measurement. Nothing
is removed here. What is measured stands in `text/measures.py`.
"""

import dataclasses
from typing import ClassVar

import pyarrow as pa

from datapipe.checks import Language, check_known
from datapipe.stage import DocumentStage, Parts
from datapipe.store.corpus import PartKind
from datapipe.text import words
from datapipe.text.measures import DEFINITIONS, MAX_STOP_WORDS, SCHEMA
from datapipe.text.measuring import measure_text


@dataclasses.dataclass(eq=False)
class MeasureText(DocumentStage):
    """Writes the measurements of `MEASUREMENTS` of every document, in its own language's terms.

    Empty and null text measures 0 throughout. `stop_words` is null where the language has no list, the Chinese
    measures where the language is not Chinese. The language is the stage `language`'s ISO 639-1 code; "code" is source
    code; null or "und" is unknown.

    Attributes:
        words: the word definition: "auto", "unicode", "whitespace", "characters" or "rjieba"; see `text/words.py`.
        definition: whose Gopher measures: "datapipe", "datatrove", "dolma" or "dclm"; see `text/measures.py`. With
            dolma and dclm "auto" words are white-space tokens, as theirs.
        stop_words: lists that replace or extend `words.STOP_WORDS`, by language; at most 64 words each.
        prose_only: whether listings, tables, headings and other marked-up lines are left out of all measures, see
            `text/prose.py`; null leaves them out with the definition "datapipe" alone, since the others' systems judge
            them like text. Source code is measured whole.

    Raises:
        ValueError: if an option has none of these values.
        parts: what it works on: "document", "instruction"; of dialogues, before `chat`, what is said.
    """

    words: str = "auto"
    definition: str = "datapipe"
    stop_words: dict[Language, list[str]] = dataclasses.field(default_factory=dict)
    prose_only: bool | None = None
    parts: Parts = dataclasses.field(default_factory=lambda: ["document"])

    name: ClassVar[str] = "measurements"
    version: ClassVar[int] = 9
    writes: ClassVar[pa.Schema] = SCHEMA

    def check(self) -> None:
        """Check how the options go together."""
        for option, known in (("words", ("auto", *words.DEFINITIONS)), ("definition", tuple(DEFINITIONS))):
            check_known(f"measurements: unknown {option}", getattr(self, option), known)
        for language, listed in self.stop_words.items():
            if not 0 < len(set(listed)) <= MAX_STOP_WORDS:
                raise ValueError(
                    f"measurements: stop_words.{language} must list 1 to {MAX_STOP_WORDS} words, got {listed!r}"
                )

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("text", "language")

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Measure the columns `text` and `language`; returns the columns of `writes`."""
        prose_only = self.definition == "datapipe" if self.prose_only is None else self.prose_only
        return measure_text(
            batch.column("text"), batch.column("language"), self.words, self.definition, self.stop_words, prose_only
        )
