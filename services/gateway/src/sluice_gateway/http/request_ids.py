"""`x-request-id` on every response: the caller's own, or a new one."""

import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"

_HEADER = HEADER.encode()

#: What may be sent back and written to a log as it came.
_KNOWN = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestId:
    """Puts `x-request-id` on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        request_id = given if _KNOWN.fullmatch(given) else uuid.uuid4().hex.encode()

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (_HEADER, request_id)]
            await send(message)

        await self._app(scope, receive, with_id)
