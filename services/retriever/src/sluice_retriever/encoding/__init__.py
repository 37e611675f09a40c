"""The embedding model: text to vectors."""
