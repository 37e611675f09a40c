"""What every URL does with every method: HEAD like GET, OPTIONS, 405 with `Allow`, and a slash at the end."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_gateway.http.errors import MethodNotAllowed, error_response
from sluice_gateway.http.streams import EventStream

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class _Known:
    """What one route does."""

    pattern: re.Pattern[str]
    methods: frozenset[str]
    streams: bool
    """A GET has no end, so that a HEAD would wait for the first event."""
    open_ended: bool
    """The URL ends in a name that may hold slashes itself."""


class Methods:
    """Answers what no route does, before the router sees it.

    Args:
        routes: All that the application answers.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[APIRoute]) -> None:
        self._app = app
        self._known = [_known(route) for route in routes]
        self._done = {(method, route.path) for route in routes for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if (method, path) in self._done:  # most requests: neither a pattern nor anything to correct
            await self._app(scope, receive, send)
            return
        if path.endswith("/") and self._is_plain(path.rstrip("/")):
            path = path.rstrip("/")
            scope = {**scope, "path": path, "raw_path": path.encode()}
        done = self._done_at(path)
        if method in done or not done:
            await self._app(scope, receive, send)
        elif method == "HEAD" and "GET" in done and not self._streams(path):
            await self._app({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            head = {"HEAD"} if "GET" in done and not self._streams(path) else set()
            allowed = done | head | {"OPTIONS"}
            response = Response(status_code=204) if method == "OPTIONS" else _refused(method, path)
            response.headers["allow"] = ", ".join(name for name in _ORDER if name in allowed)
            await response(scope, receive, send)

    def _is_plain(self, path: str) -> bool:
        return any(not known.open_ended and known.pattern.match(path) for known in self._known)

    def _done_at(self, path: str) -> frozenset[str]:
        """What routes do at a URL; nothing where it is unknown."""
        return frozenset().union(*(known.methods for known in self._known if known.pattern.match(path)))

    def _streams(self, path: str) -> bool:
        """As the first route does that matches: it is the one that answers."""
        return next((known.streams for known in self._known if known.pattern.match(path)), False)


def _known(route: APIRoute) -> _Known:
    response_class = route.response_class
    streams = isinstance(response_class, type) and issubclass(response_class, EventStream)
    methods = frozenset(route.methods or ())
    return _Known(route.path_regex, methods, streams, route.path.endswith(":path}"))


def _without_body(send: Send) -> Send:
    async def bare(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return bare


def _refused(method: str, path: str) -> Response:
    return error_response(MethodNotAllowed(f"{path} does not do {method}"))
