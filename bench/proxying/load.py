"""Requests at a fixed rate, and as many as fit with a few at a time."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import aiohttp

Json = dict[str, Any]

#: Seconds after which a request counts as lost.
_TIMEOUT = 60.0


@dataclass
class Load:
    """What became of requests."""

    latencies: list[float] = field(default_factory=list)
    """Milliseconds from the moment at which each should have left."""
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def asked(self) -> int:
        """All requests."""
        return sum(self.outcomes.values())

    @property
    def refused(self) -> int:
        """Those without an answer."""
        return self.asked - self.outcomes["200"]


@dataclass(frozen=True)
class Request:
    """What is asked, again and again."""

    url: str
    body: Mapping[str, Any]
    durable: bool = False
    """Is a run that is posted and then waited for."""


async def at_rate(request: Request, rate: float, count: int) -> Load:
    """An open loop: requests leave on time, whether or not earlier ones were answered, and late ones count from when
    they were due."""
    load = Load()
    async with _session() as session:
        started = time.perf_counter() + 0.1
        tasks = [
            asyncio.create_task(_due(session, request, started + index / rate, load))
            for index in range(count)
        ]
        await asyncio.gather(*tasks)
        load.seconds = time.perf_counter() - started
    return load


async def closed(request: Request, count: int, workers: int) -> Load:
    """A closed loop of a few workers: as fast as it goes."""
    load = Load()
    turns: Iterator[int] = iter(range(count))
    async with _session() as session:
        started = time.perf_counter()

        async def work() -> None:
            for _ in islice(turns, None):
                await _ask(session, request, time.perf_counter(), load)

        await asyncio.gather(*(work() for _ in range(workers)))
        load.seconds = time.perf_counter() - started
    return load


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Milliseconds at p50, p95, p99."""
    ordered = sorted(values) or [float("nan")]
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
    }


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"authorization": "Bearer sk-bench"}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    return aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)


async def _due(session: aiohttp.ClientSession, request: Request, due: float, load: Load) -> None:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await _ask(session, request, due, load)


async def _ask(session: aiohttp.ClientSession, request: Request, due: float, load: Load) -> None:
    try:
        async with session.post(request.url, json=request.body) as reply:
            content = await reply.read()
            status = str(reply.status)
        if request.durable and status == "202":
            status = await _ended(session, reply.url.join(reply.url.__class__(reply.headers["location"])))
    except (aiohttp.ClientError, TimeoutError) as error:
        load.outcomes[type(error).__name__] += 1
        return
    load.outcomes[status] += 1
    if status == "200" and content:
        load.latencies.append(1000 * (time.perf_counter() - due))


async def _ended(session: aiohttp.ClientSession, run: Any) -> str:
    """Follows a run to its end; `200` where it has answered."""
    while True:
        async with session.get(run) as reply:
            state = (await reply.json())["state"]
        if state != "running":
            return "200" if state in ("answered", "degraded") else state
        await asyncio.sleep(0.01)
