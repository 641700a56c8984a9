from typing import Any

CancelJobRequest: Any
GetJobMetricsRequest: Any
GetJobStateRequest: Any
GetJobsRequest: Any
JobMessage: Any
JobMessagesRequest: Any
JobState: Any
PrepareJobRequest: Any
RunJobRequest: Any
