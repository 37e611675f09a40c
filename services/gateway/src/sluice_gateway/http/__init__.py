"""The gateway over HTTP, one module for each resource."""
