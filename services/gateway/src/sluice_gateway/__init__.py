"""The gateway: the run, its journal, and the OpenAI-compatible API."""
