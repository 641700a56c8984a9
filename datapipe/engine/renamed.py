"""Names that recipes had before: they are refused with the new one, never taken silently."""

RENAMED_STAGES: dict[str, str] = {
    "earlier_duplicates": "cross_run_duplicates",
    "sketches": "signatures",
}

# By stage, as it is called now, and the option's earlier name.
RENAMED_OPTIONS: dict[tuple[str, str], str] = {
    ("decontamination", "kinds"): "parts",
    ("exact_duplicates", "normalise"): "normalization",
    ("near_duplicates", "sketch"): "scheme",
    ("repeated_text", "normalise"): "normalization",
    ("signatures", "sketch"): "scheme",
}
