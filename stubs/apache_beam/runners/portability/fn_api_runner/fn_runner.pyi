from apache_beam.portability.api.beam_provision_api_pb2 import ProvisionInfo

class ExtendedProvisionInfo:
    def __init__(self, provision_info: ProvisionInfo | None = None) -> None: ...
