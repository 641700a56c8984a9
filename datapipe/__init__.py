"""datapipe: raw documents to pretraining data for large language models."""
