from typing import Any

InstructionResponse: Any
ProcessBundleResponse: Any
