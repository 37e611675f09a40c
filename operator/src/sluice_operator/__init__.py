"""The operator: what custom resources say becomes what runs."""
