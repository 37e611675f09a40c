"""The embedded engine: Qdrant Edge, in a worker process."""
