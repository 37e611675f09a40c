"""`/healthz`: whether a restart would help; `/readyz`: whether this process does the work."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from sluice_servicekit.addresses import parse_address

#: Streams tell at least a bookmark each minute, and begin anew after at most five.
SILENCE_SECONDS = 300.0


@dataclass(slots=True)
class Health:
    """What the probe looks at; ages are in seconds."""

    pass_limit: float
    """How long ago the last pass may have ended while there are objects: twice the time between two."""
    leads: bool = False
    """A standby is well as long as it answers."""
    ready: bool = False
    """All that is watched has been listed."""
    objects: Callable[[], int] = lambda: 0
    pass_age: Callable[[], float] = lambda: 0.0
    silence: Callable[[], tuple[float, str]] = lambda: (0.0, "")
    """Of the watch stream that has told nothing for the longest time, and its name."""

    def problem(self) -> str:
        """What is wrong; empty where nothing is."""
        if not self.leads:
            return ""
        age, stream = self.silence()
        if age > SILENCE_SECONDS:
            return f"the watch of {stream} has told nothing for {age:.0f} s"
        if self.objects() and self.pass_age() > self.pass_limit:
            return f"the last pass ended {self.pass_age():.0f} s ago"
        return ""


@asynccontextmanager
async def probe(listen: str, health: Health) -> AsyncIterator[int]:
    """Answers for the length of the block, from the loop that does the work: one that hangs does not answer.

    Args:
        listen: `host:port`; nothing is served when empty.

    Yields:
        The port.
    """
    if not listen:
        yield 0
        return

    async def healthz(_: web.Request) -> web.Response:
        problem = health.problem()
        told = {
            "leads": health.leads,
            "lastPassSecondsAgo": round(health.pass_age(), 1),
            "watchSilenceSeconds": round(health.silence()[0], 1),
            "problem": problem,
        }
        return web.json_response(told, status=503 if problem else 200)

    async def readyz(_: web.Request) -> web.Response:
        works = health.leads and health.ready
        return web.json_response(
            {"leads": health.leads, "listed": health.ready}, status=200 if works else 503
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        host, port = parse_address(listen)
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
