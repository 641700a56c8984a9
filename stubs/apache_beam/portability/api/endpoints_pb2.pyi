from typing import Any

ApiServiceDescriptor: Any
