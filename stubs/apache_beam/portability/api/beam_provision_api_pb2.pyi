from typing import Any

class ProvisionInfo:
    def __init__(self, pipeline_options: Any = None) -> None: ...
