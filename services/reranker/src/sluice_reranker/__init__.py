"""Second-stage ranking."""
