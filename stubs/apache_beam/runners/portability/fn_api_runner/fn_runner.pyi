from typing import Any

class BundleManager:
    bundle_context_manager: Any
    _progress_frequency: Any
    _cache_token_generator: Any
    def __init__(self, bundle_context_manager: Any, progress_frequency: Any, cache_token_generator: Any) -> None: ...
    def process_bundle(self, *inputs_and_outputs: Any) -> Any: ...
