"""datapipe: raw documents to pretraining data for large language models, on Apache Beam.

Runs, for scripts and notebooks: `datapipe.run`, `open` and `clean`.

The public stages, in the order in which data flows; each is a `PTransform` with its options as fields. Its module is
imported when its name is first asked for: a worker that reads documents need not load faiss.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datapipe.dedup.cross_run_duplicates import FindCrossRunDuplicates
    from datapipe.dedup.cut_repeated_text import CutRepeatedText
    from datapipe.dedup.duplicate_ids import FindDuplicateIds
    from datapipe.dedup.embeddings import EmbedDocuments
    from datapipe.dedup.exact_duplicates import FindExactDuplicates
    from datapipe.dedup.held_out import HoldOut
    from datapipe.dedup.near_duplicates import FindNearDuplicates
    from datapipe.dedup.repeated_text import FindRepeatedText
    from datapipe.dedup.semantic_duplicates import FindSemanticDuplicates
    from datapipe.dedup.signatures import ComputeSignatures
    from datapipe.filters.column_filter import FilterColumns
    from datapipe.filters.control_tokens import CheckControlTokens
    from datapipe.filters.language import IdentifyLanguage
    from datapipe.filters.language_filter import FilterLanguage
    from datapipe.filters.lines import RemoveLines
    from datapipe.filters.measurements import MeasureText
    from datapipe.filters.passage_filter import CutSentences
    from datapipe.filters.passages import ScorePassages
    from datapipe.filters.perplexity import ScorePerplexity
    from datapipe.filters.perplexity_filter import FilterPerplexity
    from datapipe.filters.personal_data import MaskPersonalData
    from datapipe.filters.quality import ScoreQuality
    from datapipe.filters.quality_filter import FilterQuality
    from datapipe.filters.rules import ApplyRules
    from datapipe.filters.safety import ScoreSafety
    from datapipe.filters.safety_filter import FilterSafety
    from datapipe.filters.url_filter import FilterAddresses
    from datapipe.mix.caps import CapGroups
    from datapipe.mix.chat import RenderDialogues
    from datapipe.mix.chat_tokens import EncodeDialogues
    from datapipe.mix.contaminated_tokens import FindContaminatedTokens
    from datapipe.mix.decontamination import Decontaminate
    from datapipe.mix.evaluation_questions import FindEvaluationQuestions
    from datapipe.mix.glm_samples import WriteGLMSamples
    from datapipe.mix.held_out_shards import WriteHeldOutShards
    from datapipe.mix.mixture import MixSources
    from datapipe.mix.packing import PackDialogues
    from datapipe.mix.shards import WriteShards
    from datapipe.mix.tokens import CountTokens
    from datapipe.mix.topics import FindTopics
    from datapipe.mix.upsampling import WeighDocuments
    from datapipe.read.documents import ReadDocuments
    from datapipe.read.instructions import ReadInstructions
    from datapipe.runs import Run, clean, open, run  # noqa: A004 - `datapipe.open`
    from tokenizer_training.extended_tokenizer import ExtendTokenizer
    from tokenizer_training.pruned_tokenizer import PruneTokenizer
    from tokenizer_training.tokenizer import TrainTokenizer

# The module of each name. A stage lies in the file of its own name, by which recipes have it: `datapipe.engine.stages`.
MODULES = {
    "run": "datapipe.runs",
    "open": "datapipe.runs",
    "clean": "datapipe.runs",
    "Run": "datapipe.runs",
    "ReadDocuments": "datapipe.read.documents",
    "ReadInstructions": "datapipe.read.instructions",
    "FilterColumns": "datapipe.filters.column_filter",
    "FilterAddresses": "datapipe.filters.url_filter",
    "FindDuplicateIds": "datapipe.dedup.duplicate_ids",
    "IdentifyLanguage": "datapipe.filters.language",
    "FilterLanguage": "datapipe.filters.language_filter",
    "RemoveLines": "datapipe.filters.lines",
    "MeasureText": "datapipe.filters.measurements",
    "ApplyRules": "datapipe.filters.rules",
    "ScoreQuality": "datapipe.filters.quality",
    "ScorePerplexity": "datapipe.filters.perplexity",
    "FilterPerplexity": "datapipe.filters.perplexity_filter",
    "ScoreSafety": "datapipe.filters.safety",
    "FilterSafety": "datapipe.filters.safety_filter",
    "FilterQuality": "datapipe.filters.quality_filter",
    "ScorePassages": "datapipe.filters.passages",
    "CutSentences": "datapipe.filters.passage_filter",
    "HoldOut": "datapipe.dedup.held_out",
    "FindExactDuplicates": "datapipe.dedup.exact_duplicates",
    "ComputeSignatures": "datapipe.dedup.signatures",
    "FindCrossRunDuplicates": "datapipe.dedup.cross_run_duplicates",
    "FindNearDuplicates": "datapipe.dedup.near_duplicates",
    "FindRepeatedText": "datapipe.dedup.repeated_text",
    "CutRepeatedText": "datapipe.dedup.cut_repeated_text",
    "EmbedDocuments": "datapipe.dedup.embeddings",
    "Decontaminate": "datapipe.mix.decontamination",
    "FindEvaluationQuestions": "datapipe.mix.evaluation_questions",
    "FindContaminatedTokens": "datapipe.mix.contaminated_tokens",
    "FindSemanticDuplicates": "datapipe.dedup.semantic_duplicates",
    "FindTopics": "datapipe.mix.topics",
    "WeighDocuments": "datapipe.mix.upsampling",
    "CheckControlTokens": "datapipe.filters.control_tokens",
    "MaskPersonalData": "datapipe.filters.personal_data",
    "TrainTokenizer": "tokenizer_training.tokenizer",
    "ExtendTokenizer": "tokenizer_training.extended_tokenizer",
    "PruneTokenizer": "tokenizer_training.pruned_tokenizer",
    "RenderDialogues": "datapipe.mix.chat",
    "EncodeDialogues": "datapipe.mix.chat_tokens",
    "CountTokens": "datapipe.mix.tokens",
    "CapGroups": "datapipe.mix.caps",
    "MixSources": "datapipe.mix.mixture",
    "WriteShards": "datapipe.mix.shards",
    "WriteHeldOutShards": "datapipe.mix.held_out_shards",
    "PackDialogues": "datapipe.mix.packing",
    "WriteGLMSamples": "datapipe.mix.glm_samples",
}
# In the order of the data, and as literals: type checkers and editors read this list, and no other.
__all__ = [  # noqa: RUF022
    "run",
    "open",
    "clean",
    "Run",
    "ReadDocuments",
    "ReadInstructions",
    "FilterColumns",
    "FilterAddresses",
    "FindDuplicateIds",
    "IdentifyLanguage",
    "FilterLanguage",
    "RemoveLines",
    "MeasureText",
    "ApplyRules",
    "ScoreQuality",
    "ScorePerplexity",
    "FilterPerplexity",
    "ScoreSafety",
    "FilterSafety",
    "FilterQuality",
    "ScorePassages",
    "CutSentences",
    "HoldOut",
    "FindExactDuplicates",
    "ComputeSignatures",
    "FindCrossRunDuplicates",
    "FindNearDuplicates",
    "FindRepeatedText",
    "CutRepeatedText",
    "EmbedDocuments",
    "Decontaminate",
    "FindEvaluationQuestions",
    "FindContaminatedTokens",
    "FindSemanticDuplicates",
    "FindTopics",
    "WeighDocuments",
    "CheckControlTokens",
    "MaskPersonalData",
    "TrainTokenizer",
    "ExtendTokenizer",
    "PruneTokenizer",
    "RenderDialogues",
    "EncodeDialogues",
    "CountTokens",
    "CapGroups",
    "MixSources",
    "WriteShards",
    "WriteHeldOutShards",
    "PackDialogues",
    "WriteGLMSamples",
]


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
