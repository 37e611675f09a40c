"""Ranking, free of transport."""
