from typing import Any

GetJobsRequest: Any
JobState: Any
