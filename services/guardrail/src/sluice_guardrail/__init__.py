"""The input and output gates."""
