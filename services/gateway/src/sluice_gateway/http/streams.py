"""Responses of server-sent events that a GET gives."""

from fastapi.responses import StreamingResponse


class EventStream(StreamingResponse):
    """Names the media type to OpenAPI, and tells `methods` that there is no HEAD."""

    media_type = "text/event-stream"
