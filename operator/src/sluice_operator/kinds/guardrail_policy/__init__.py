"""`GuardrailPolicy`: in the snapshot or not, and why."""
