from typing import Any

JobServiceStub: Any
