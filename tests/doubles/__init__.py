"""Doubles of servers that Sluice talks to, each held against what a real one was recorded to answer."""
