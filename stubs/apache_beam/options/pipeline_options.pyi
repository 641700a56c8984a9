from collections.abc import Sequence
from typing import Any

class PipelineOptions:
    def __init__(self, flags: Sequence[str] | None = None, **options: Any) -> None: ...
