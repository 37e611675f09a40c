"""How the caller's limits stand, on every answer: OpenAI's `x-ratelimit-*` headers."""

from collections.abc import Callable, Iterable, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_gateway.domain.limiting.limiter import Standing
from sluice_gateway.domain.model import Principal

#: Where a request keeps who has asked.
PRINCIPAL = "principal"


class RateLimits:
    """Puts the headers on answers to whoever is known and limited."""

    def __init__(self, app: ASGIApp, standing: Callable[[Principal], Iterable[Standing]]) -> None:
        self._app = app
        self._standing = standing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and (who := state.get(PRINCIPAL)) is not None:
                message["headers"] = [*message["headers"], *headers(self._standing(who))]
            await send(message)

        await self._app(scope, receive, with_headers)


def headers(standings: Iterable[Standing]) -> Iterator[tuple[bytes, bytes]]:
    """Limit, what remains, and when all of it is there again."""
    for standing in standings:
        for name, value in (
            ("limit", str(standing.limit)),
            ("remaining", str(standing.remaining)),
            ("reset", duration(standing.reset)),
        ):
            yield f"x-ratelimit-{name}-{standing.unit}".encode(), value.encode()


def duration(seconds: float) -> str:
    """As OpenAI writes durations: `120ms`, `1s`, `6m0s`, `23h59m59s`."""
    if seconds < 1:
        return f"{round(max(0.0, seconds) * 1000)}ms"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}m"] if hours or minutes else []
    return "".join([*parts, f"{rest}s"])
