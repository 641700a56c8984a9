from apache_beam import PTransform

class ToList(PTransform):
    def __init__(self) -> None: ...

class Count:
    class Globally(PTransform):
        def __init__(self) -> None: ...
