"""Work that the gateway does again and again."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def repeated(work: Callable[[], Awaitable[None]], seconds: float) -> AsyncIterator[None]:
    """Does the work every so many seconds, for the length of the block. What fails is logged and tried again."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:  # the next time may go better
                _LOG.exception("what is done every %s s failed", seconds)

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await repeating
