from typing import Any

from apache_beam import PipelineResult
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api.beam_runner_api_pb2 import Pipeline

class FnApiRunner:
    _num_workers: int
    def __init__(self) -> None: ...
    def run_via_runner_api(self, pipeline_proto: Pipeline, options: PipelineOptions) -> PipelineResult: ...
    def _get_bundle_manager(self, bundle_context_manager: Any) -> Any: ...
