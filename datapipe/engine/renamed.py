"""Names that recipes had before: they are refused with the new one, never taken silently."""

RENAMED_STAGES: dict[str, str] = {}

# By stage, as it is called now, and the option's earlier name.
RENAMED_OPTIONS: dict[tuple[str, str], str] = {
    ("decontamination", "kinds"): "parts",
}
