"""Content that a policy does not want."""
