"""Models that read a question with a passage. They run in worker processes."""
