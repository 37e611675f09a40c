"""Generation by the extractive engine or an OpenAI-compatible server."""
