from apache_beam import PTransform

class ReadFromText(PTransform):
    def __init__(self, file_pattern: str) -> None: ...

class WriteToText(PTransform):
    def __init__(self, file_path_prefix: str, file_name_suffix: str = "") -> None: ...
