from collections.abc import Iterable
from typing import Any

def consolidate(metrics: Iterable[Any]) -> Iterable[Any]: ...
