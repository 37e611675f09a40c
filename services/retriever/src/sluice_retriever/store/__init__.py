"""Where vectors live: Qdrant Edge in a worker process."""
