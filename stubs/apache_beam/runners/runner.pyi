from apache_beam import PipelineResult as PipelineResult
