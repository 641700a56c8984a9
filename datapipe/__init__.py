"""datapipe: raw documents to pretraining data for large language models, on Apache Beam.

The public stages, in the order in which data flows; each is a `PTransform` with its options as fields. Its module is
imported when its name is first asked for: a worker that reads documents need not load faiss.
"""

import importlib
from typing import Any

_MODULES = {
    "ReadDocuments": "datapipe.read.documents",
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
    "FindExactDuplicates": "datapipe.dedup.exact_duplicates",
    "SketchDocuments": "datapipe.dedup.sketches",
    "FindEarlierDuplicates": "datapipe.dedup.earlier_duplicates",
    "FindNearDuplicates": "datapipe.dedup.near_duplicates",
    "FindRepeatedText": "datapipe.dedup.repeated_text",
    "CutRepeatedText": "datapipe.dedup.cut_repeated_text",
    "EmbedDocuments": "datapipe.dedup.embeddings",
    "FindSemanticDuplicates": "datapipe.dedup.semantic_duplicates",
    "WeighClusters": "datapipe.mix.upsampling",
    "MaskPersonalData": "datapipe.filters.personal_data",
    "ReadInstructions": "datapipe.read.instructions",
    "Decontaminate": "datapipe.mix.decontamination",
    "TrainTokenizer": "tokenizer_training.train",
    "CountTokens": "datapipe.mix.tokens",
    "MixSources": "datapipe.mix.mixture",
    "WriteShards": "datapipe.mix.shards",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
