from typing import Any

bz2: Any
