"""Removes, from time to time, documents whose time is over and what interrupted writes have left."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import Counter

from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

_EXPIRED = Counter(
    names.DOCUMENTS_EXPIRED, "Documents removed since their time was over", ("knowledge_base",)
)

#: Seconds that an expired document, which no search shows, stays: an ingestion that has just seen that it is
#: unchanged may be about to give it more time.
_GRACE = 60.0

#: Removes what has expired by a time, in epoch seconds; gives how many documents.
Sweep = Callable[[float], Awaitable[int]]


async def sweep(stores: Callable[[], Mapping[str, Sweep]], clock: Callable[[], float]) -> None:
    """Sweeps each knowledge base once; one that fails does not keep the others from it.

    Args:
        stores: Each knowledge base's sweep, by name.
        clock: Epoch seconds.
    """
    for name, run in stores().items():
        try:
            removed = await run(clock() - _GRACE)
        except ServiceError as error:
            _LOG.warning("knowledge base %r was not swept: %s", name, error.message)
        else:
            if removed:
                _EXPIRED.labels(name).inc(removed)
                _LOG.info("%d documents of knowledge base %r have expired and are removed", removed, name)


async def keep_sweeping(
    stores: Callable[[], Mapping[str, Sweep]], clock: Callable[[], float], seconds: float
) -> None:
    """Sweeps at intervals, until it is cancelled."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await sweep(stores, clock)
        except Exception:
            _LOG.exception("sweeping failed")
