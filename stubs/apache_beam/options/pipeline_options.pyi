from collections.abc import Sequence
from typing import Any, TypeVar

_View = TypeVar("_View", bound=PipelineOptions)

class PipelineOptions:
    def __init__(self, flags: Sequence[str] | None = None, **options: Any) -> None: ...
    def view_as(self, cls: type[_View]) -> _View: ...
