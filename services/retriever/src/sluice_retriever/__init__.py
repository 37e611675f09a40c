"""Knowledge bases: ingestion and the staged query."""
