"""Names that recipes had before: they are refused with the new one, never taken silently."""

RENAMED_STAGES: dict[str, str] = {
    "sketches": "signatures",
    "earlier_duplicates": "cross_run_duplicates",
}

# By stage, as it is called now, and the option's earlier name.
RENAMED_OPTIONS: dict[tuple[str, str], str] = {
    ("signatures", "sketch"): "scheme",
    ("near_duplicates", "sketch"): "scheme",
    ("exact_duplicates", "normalise"): "normalization",
    ("repeated_text", "normalise"): "normalization",
    ("decontamination", "kinds"): "parts",
    ("tokenizer", "form"): "algorithm",
    ("tokenizer", "weight"): "weight_column",
}
