"""Limits that all services share."""

#: The largest gRPC message where nothing else is set: a document of the largest size fits in.
MAX_MESSAGE_BYTES = 40 << 20
