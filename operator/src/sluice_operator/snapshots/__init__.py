"""The runtime snapshot: compiled from custom resources, served, and who has it."""
