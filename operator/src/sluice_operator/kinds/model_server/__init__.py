"""`ModelServer`: vLLM pods with their agents, and what they answer at."""
