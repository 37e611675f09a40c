"""What is done before anybody is asked who they are: keys that a token needs are fetched while nothing else waits."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

#: Takes the `Authorization` header.
Prepare = Callable[[str | None], Awaitable[None]]


class Preparing:
    """ASGI middleware: prepares each request."""

    def __init__(self, app: ASGIApp, prepare: Prepare) -> None:
        self._app = app
        self._prepare = prepare

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization")
            await self._prepare(None if given is None else given.decode("latin-1"))
        await self._app(scope, receive, send)


def prepared(servicer: object, prepare: Prepare) -> Any:
    """The servicer, each of whose calls is prepared first."""
    return _Prepared(servicer, prepare)


class _Prepared:
    def __init__(self, servicer: object, prepare: Prepare) -> None:
        self._servicer = servicer
        self._prepare = prepare

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._servicer, name)

        async def streamed(request: Any, context: Any) -> Any:
            await self._prepare(_authorization(context))
            async with aclosing(method(request, context)) as responses:
                async for response in responses:
                    yield response

        async def called(request: Any, context: Any) -> Any:
            await self._prepare(_authorization(context))
            return await method(request, context)

        return streamed if inspect.isasyncgenfunction(method) else called


def _authorization(context: Any) -> str | None:
    return next((value for key, value in context.invocation_metadata() or () if key == "authorization"), None)
