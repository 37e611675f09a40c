"""What becomes of a ranker's scores before the best candidates leave. Pure."""
