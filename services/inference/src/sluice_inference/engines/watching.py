"""Looks at the replicas of a model server again and again: are they well, and what have they to do?

Only vLLM is looked at: other servers have no such paths, and someone else's would take it for an attack. Those are
judged by what becomes of requests.
"""

import asyncio
import logging
import random
import time
from contextlib import suppress

import aiohttp

from sluice_inference.domain.routing import scraped
from sluice_inference.engines.client import Client, Path
from sluice_inference.engines.pool import Pool
from sluice_inference.engines.replica import Replica

_LOG = logging.getLogger(__name__)

#: Seconds that a look may take.
_SECONDS = 2.0

#: The most of `/metrics` that is read, in bytes; a vLLM with many adapters tells 200 kB.
_MOST_BYTES = 2 << 20

#: Replicas looked at at the same time.
_AT_ONCE = 16

#: Looks for which what was seen holds.
_HOLDS = 5


class Watch:
    """Watches the replicas of a pool until it is closed."""

    def __init__(self, pool: Pool, client: Client) -> None:
        self.interval = 1.0
        """Seconds between two looks, about."""
        self._pool = pool
        self._client = client
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Looks no more."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def look(self) -> None:
        """Looks once at each replica."""
        await asyncio.gather(*(self._look_at(each) for each in self._pool.replicas if each.is_vllm))
        self._pool.move()

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # it must go on: nobody else looks
                _LOG.exception("looking at the replicas of %s failed", self._pool.server)
            await asyncio.sleep(self.interval * random.uniform(0.8, 1.2))  # noqa: S311

    async def _look_at(self, replica: Replica) -> None:
        async with self._gate:
            replica.looked(is_healthy=await self._is_healthy(replica))
            try:
                text = await self._metrics(replica)
                seen = scraped.read(text) if text else None
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                _LOG.debug("%s told nothing: %s", replica.name, type(error).__name__)
                return
            if seen is not None:
                replica.told(seen, time.monotonic(), self.interval * _HOLDS)

    async def _is_healthy(self, replica: Replica) -> bool:
        try:
            async with self._client.get(replica.endpoint.url, Path.HEALTH, _SECONDS) as response:
                # What is between us may hide the path: that says nothing of the replica.
                return response.status < 500
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _metrics(self, replica: Replica) -> str:
        """What it says; nothing where it does not say it."""
        async with self._client.get(replica.endpoint.url, Path.METRICS, _SECONDS) as response:
            if response.status != 200:
                return ""
            content = bytearray()
            async for piece in response.content.iter_chunked(1 << 16):
                content += piece
                if len(content) > _MOST_BYTES:
                    raise ValueError("more than can be read")
            return content.decode("utf-8", errors="replace")
