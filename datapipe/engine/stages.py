"""The stages that a recipe can name, in the order in which data flows. To add one, see CONTRIBUTING.md.

A stage is imported when a recipe, or a record of a run, names it: all of them take a tenth of a second, and a recipe
has a few. So what must be known of all is said here: their names, which `datapipe.MODULES` holds, since a stage lies in
a file of its name; and their columns.
"""

import datapipe
from datapipe.stage import Stage
from datapipe.store.schemas import DOCUMENT_SCHEMA
from datapipe.text.measures import MEASUREMENTS

_CLASSES = {module.rpartition(".")[2]: made for made, module in datapipe.MODULES.items() if module != "datapipe.runs"}
NAMES = tuple(_CLASSES)

# What each stage writes, for names that a column of the user's must leave to them.
COLUMNS: dict[str, tuple[str, ...]] = {
    "documents": tuple(DOCUMENT_SCHEMA.names),
    "instructions": (*DOCUMENT_SCHEMA.names, "messages", "tools"),
    "column_filter": ("column_filter_reason",),
    "url_filter": ("url_filter_reason",),
    "duplicate_ids": ("duplicate_ids_of", "duplicate_ids_reason"),
    "language": (
        "language",
        "language_score",
        "language_share",
        "language_second",
        "language_second_score",
        "language_second_share",
        "language_mixed",
        "language_script",
        "language_code_share",
    ),
    "language_filter": ("language_filter_reason",),
    "lines": ("text", "lines_removed_count", "lines_removed_characters", "lines_cut_bytes", "lines_reason"),
    "measurements": tuple(MEASUREMENTS),
    "rules": ("rules_reason", "rules_failed"),
    "quality": ("quality_score",),
    "perplexity": ("perplexity",),
    "perplexity_filter": ("perplexity_bucket", "perplexity_filter_reason"),
    "safety": ("safety_words", "safety_words_per_line", "safety_flagged_share", "safety_score"),
    "safety_filter": ("safety_filter_reason",),
    "quality_filter": ("quality_filter_score", "quality_filter_reason"),
    "passages": ("passages_sentence_scores", "passages_sentence", "passages_paragraph"),
    "passage_filter": ("text", "passage_filter_cut_bytes", "passage_filter_reason"),
    "held_out": ("held_out_reason",),
    "exact_duplicates": ("exact_duplicates_of", "exact_duplicates_size", "exact_duplicates_reason"),
    "signatures": ("signature",),
    "cross_run_duplicates": (
        "cross_run_duplicates_of",
        "cross_run_duplicates_similarity",
        "cross_run_duplicates_reason",
    ),
    "near_duplicates": (
        "near_duplicates_cluster",
        "near_duplicates_of",
        "near_duplicates_similarity",
        "near_duplicates_size",
        "near_duplicates_reason",
    ),
    "repeated_text": ("repeated_text_spans",),
    "cut_repeated_text": (
        "text",
        "cut_repeated_text_characters",
        "cut_repeated_text_cut_bytes",
        "cut_repeated_text_reason",
    ),
    "embeddings": ("embeddings_vector", "embeddings_words"),
    "decontamination": ("decontamination_reason", "decontamination_match", "decontamination_leaks"),
    "evaluation_questions": ("evaluation_questions_reason", "evaluation_questions_leaks"),
    "contaminated_tokens": ("contaminated_tokens_reason", "contaminated_tokens_leaks"),
    "semantic_duplicates": ("semantic_duplicates_of", "semantic_duplicates_similarity", "semantic_duplicates_reason"),
    "topics": ("topic", "topic_x", "topic_y"),
    "upsampling": ("upsampling_weight",),
    "control_tokens": ("text", "bytes", "control_tokens_spelt", "control_tokens_reason"),
    "personal_data": (
        "text",
        "bytes",
        "messages",
        "masked_secret",
        "masked_email",
        "masked_iban",
        "masked_ip",
        "masked_chinese_id",
        "masked_bank_card",
        "masked_phone",
    ),
    "chat": ("text", "bytes", "pieces", "chat_spelt", "chat_reason"),
    "chat_tokens": ("input_ids", "labels"),
    "tokens": ("tokens",),
    "caps": ("caps_reason",),
    "mixture": ("mixture_copies", "mixture_phases", "mixture_reason"),
}
# The first stage of all that writes a column, but for `text`, which several write again.
WRITERS: dict[str, str] = {column: stage for stage in reversed(COLUMNS) for column in COLUMNS[stage]}


def stage_class(name: str) -> type[Stage]:
    """The class of a stage in NAMES."""
    made: type[Stage] = getattr(datapipe, _CLASSES[name])
    return made


def all_stages() -> tuple[type[Stage], ...]:
    """The classes of all stages, in the order in which data flows."""
    return tuple(map(stage_class, NAMES))
