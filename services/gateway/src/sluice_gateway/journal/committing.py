"""Waits for a writer's commit without holding up the event loop."""

import asyncio

from sluice_gateway.journal.writer import Durable
from sluice_servicekit.errors import Unavailable

#: Seconds a caller waits for its events to be durable.
_PATIENCE = 10.0


async def committed(durable: Durable) -> None:
    """Returns once it is done.

    Raises:
        Unavailable: it failed, or takes too long (`JOURNAL_UNAVAILABLE`).
    """
    waiting = asyncio.wrap_future(durable)
    try:
        # Not `wait_for`: before Python 3.12 it loses a cancellation that comes as the future is done.
        async with asyncio.timeout(_PATIENCE):
            await waiting
    except TimeoutError:
        raise Unavailable(
            "the journal did not commit in time", reason="JOURNAL_UNAVAILABLE", retry_after=1.0
        ) from None
