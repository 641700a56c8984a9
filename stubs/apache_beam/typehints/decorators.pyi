from typing import Any

IOTypeHints: Any
