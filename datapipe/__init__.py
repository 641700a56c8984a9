"""datapipe: raw documents to pretraining data for large language models, on Apache Beam.

The public stages, in the order in which data flows; each is a `PTransform` with its options as fields. Its module is
imported when its name is first asked for: a worker that reads documents need not load faiss.
"""

import importlib
from typing import Any

_MODULES = {
    "ReadDocuments": "datapipe.documents",
    "FindDuplicateIds": "datapipe.duplicate_ids",
    "IdentifyLanguage": "datapipe.language",
    "FilterLanguage": "datapipe.language_filter",
    "RemoveLines": "datapipe.lines",
    "MeasureText": "datapipe.measurements",
    "ApplyRules": "datapipe.rules",
    "ScoreQuality": "datapipe.quality",
    "ScorePerplexity": "datapipe.perplexity",
    "FilterPerplexity": "datapipe.perplexity_filter",
    "ScoreSafety": "datapipe.safety",
    "FilterSafety": "datapipe.safety_filter",
    "FilterQuality": "datapipe.quality_filter",
    "FindExactDuplicates": "datapipe.exact_duplicates",
    "SketchDocuments": "datapipe.sketches",
    "FindEarlierDuplicates": "datapipe.earlier_duplicates",
    "FindNearDuplicates": "datapipe.near_duplicates",
    "FindRepeatedText": "datapipe.repeated_text",
    "CutRepeatedText": "datapipe.cut_repeated_text",
    "EmbedDocuments": "datapipe.embeddings",
    "FindSemanticDuplicates": "datapipe.semantic_duplicates",
    "WeighClusters": "datapipe.upsampling",
    "MaskPersonalData": "datapipe.personal_data",
    "ReadInstructions": "datapipe.instructions",
    "Decontaminate": "datapipe.decontamination",
    "TrainTokenizer": "tokenizer_training.train",
    "CountTokens": "datapipe.tokens",
    "MixSources": "datapipe.mixture",
    "WriteShards": "datapipe.shards",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
