from typing import Any

IOTypeHints: Any
get_signature: Any
