from typing import Self

class Environment: ...

class SubprocessSDKEnvironment(Environment):
    @classmethod
    def from_command_string(cls, command_string: str) -> Self: ...
