from collections.abc import Sequence
from typing import Any, TypeVar

_View = TypeVar("_View", bound=PipelineOptions)

class PipelineOptions:
    def __init__(self, flags: Sequence[str] | None = None, **options: Any) -> None: ...
    def view_as(self, cls: type[_View]) -> _View: ...
    def get_all_options(self, **how: Any) -> dict[str, Any]: ...

class AzureOptions(PipelineOptions):
    azure_connection_string: str | None
    blob_service_endpoint: str | None
    azure_managed_identity_client_id: str | None

class GoogleCloudOptions(PipelineOptions):
    no_auth: bool

class StandardOptions(PipelineOptions):
    runner: str | None

class PortableOptions(PipelineOptions):
    job_endpoint: str | None
