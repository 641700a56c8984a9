from typing import Any

ExternalPayload: Any

class Pipeline:
    components: Any
    @classmethod
    def FromString(cls, content: bytes) -> Pipeline: ...
