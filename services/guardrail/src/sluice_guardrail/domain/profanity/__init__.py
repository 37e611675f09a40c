"""Profane words and how severe they are."""
