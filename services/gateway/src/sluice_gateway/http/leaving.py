"""Callers that go away: what was done for them ends."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from fastapi import Request

from sluice_gateway.domain.outcome import RunFailedError
from sluice_servicekit.errors import Cancelled

T = TypeVar("T")


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What the work gives; it is cancelled when the caller goes away.

    Raises:
        Cancelled: the caller has gone away.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled("the caller went away")
        return working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            with suppress(asyncio.CancelledError, RunFailedError):
                await working


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
