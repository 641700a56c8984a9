from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo
from apache_beam.transforms.environments import Environment

class FnApiRunner:
    def __init__(
        self, default_environment: Environment | None = None, *, provision_info: ExtendedProvisionInfo | None = None
    ) -> None: ...
