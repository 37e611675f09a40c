"""The API server behind five methods."""
