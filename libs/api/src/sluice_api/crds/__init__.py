"""Custom resource definitions, from the models of objects and statuses."""
