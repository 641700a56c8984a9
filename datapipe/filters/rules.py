"""Judge documents by the rules of the field: a named threshold on a measurement, by language.

`measurements.py` measures, `rule_sets.py` lists the rules, `judging.py` compares; this is the stage that decides, on a
few numbers a document, so that another threshold costs no second pass over the text. A document is judged by its own
language's rules: no English rule ever removes a Chinese page.
"""

import dataclasses
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from datapipe.checks import Share
from datapipe.filters.judging import judge
from datapipe.filters.measurements import MeasureText
from datapipe.filters.rule_sets import DOCUMENT_RULES, Rule, RuleSets, Thresholds
from datapipe.stage import DocumentStage, Parts
from datapipe.store.corpus import PartKind


@dataclasses.dataclass(eq=False)
class ApplyRules(DocumentStage):
    """Names the first rule that a document fails, and all of them.

    `rules_reason` is the first failed rule's name, null for a document that passes; `rules_failed` lists every failed
    rule, so that what a rule alone removes can be counted (`engine/funnel.py`).

    Attributes:
        rule_sets: the names of `RULE_SETS` that judge a language, in place of those in `LANGUAGE_SETS`; "default" for
            languages not named, "code" for source code. An empty list judges nothing.
        thresholds: by language, thresholds in place of those of the rules; null switches a rule off. Those of "default"
            hold for all languages that take its sets.
        min_language_score: a document whose `language_score` is lower is not judged by stop words and the length of
            words: it may well be in a language that the model does not know, and takes for another. FineWeb's least
            score of English, 0.65. Nor is one that mixes languages (`language_mixed`).

    Raises:
        ValueError: if a set or rule is unknown, is not among those that judge the language, can never fire, or has a
            threshold that is no number.
        parts: what it works on: "document", "instruction"; of dialogues, before `chat`, what is said.
    """

    rule_sets: RuleSets = dataclasses.field(default_factory=dict)
    thresholds: Thresholds = dataclasses.field(default_factory=dict)
    min_language_score: Share = 0.65
    parts: Parts = dataclasses.field(default_factory=lambda: ["document"])

    name: ClassVar[str] = "rules"
    version: ClassVar[int] = 7
    writes: ClassVar[pa.Schema] = pa.schema([("rules_reason", pa.string()), ("rules_failed", pa.list_(pa.string()))])

    def check(self) -> None:
        """Check how the options go together."""
        DOCUMENT_RULES.check(self.rule_sets, self.thresholds)

    def part_kinds(self) -> tuple[PartKind, ...]:
        """Those that the options name."""
        return tuple(self.parts)

    def requires(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return ("language", *MeasureText.writes.names)

    def optional(self) -> tuple[str, ...]:
        """Without `language_score`, all languages are sure; without `language_mixed`, no document mixes them."""
        return ("language_score", "language_mixed")

    def rules_of(self, language: str) -> dict[str, Rule]:
        """The rules that judge a language, by name, in order."""
        return DOCUMENT_RULES.rules_of(language, self.rule_sets, self.thresholds)

    def process(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Judge a batch that has the columns of `requires`; returns those of `writes`."""
        failed = judge(batch, self.rule_sets, self.thresholds, self.min_language_score)
        starts, any_ = pa.array(failed.offsets[:-1]), pc.greater(pc.list_value_length(failed), 0)
        first = failed.values.take(pc.if_else(any_, starts, None))
        return pa.RecordBatch.from_arrays([first, failed], schema=self.writes)
