from typing import Self

class Environment: ...

class EmbeddedPythonGrpcEnvironment(Environment):
    @classmethod
    def default(cls) -> Self: ...

class SubprocessSDKEnvironment(Environment):
    @classmethod
    def from_command_string(cls, command_string: str) -> Self: ...
