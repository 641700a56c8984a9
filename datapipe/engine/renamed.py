"""Names that recipes had before: they are refused with the new one, never taken silently."""

RENAMED_STAGES: dict[str, str] = {
    "sketches": "signatures",
    "earlier_duplicates": "cross_run_duplicates",
}

# What stands in braces in option values.
RENAMED_VARIABLES: dict[str, str] = {"beside": "input_parent"}

# By stage, as it is called now, and the option's earlier name.
RENAMED_OPTIONS: dict[tuple[str, str], str] = {
    ("signatures", "sketch"): "scheme",
    ("near_duplicates", "sketch"): "scheme",
    ("exact_duplicates", "normalise"): "normalization",
    ("repeated_text", "normalise"): "normalization",
    ("decontamination", "kinds"): "parts",
    ("tokenizer", "form"): "algorithm",
    ("tokenizer", "weight"): "weight_column",
    ("mixture", "tokens"): "budget",
}

# Options that are another stage's now, which stands before it.
MOVED_OPTIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("upsampling", "clusters"): ("topics", "count"),
    ("upsampling", "seed"): ("topics", "seed"),
}

# Options that took one name and now take a list of them, and what became of a name.
LISTS: dict[tuple[str, str], dict[str, str]] = {("mixture", "by"): {"kind": "part_kind"}}
