"""Destroys the keys whose time has come, and what is kept in plain for longer than the journal."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Connection, delete, select, tuple_

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.payloads import run_keys
from sluice_gateway.payloads.tables import PAYLOADS, RUN_KEYS
from sluice_gateway.storage.database import Database

_LOG = logging.getLogger(__name__)

#: Runs in one transaction.
_BATCH = 200

#: Seconds between two sweeps.
_INTERVAL = 60.0

_DAY = 86400.0


class Sweeper:
    """Sweeps a store of payloads.

    Args:
        plain_days: Days that payloads in plain are kept, as the journal is; 0 keeps them.
        now: Unix seconds.
    """

    def __init__(self, database: Database, plain_days: int = 0, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._plain_days = plain_days
        self._now = now

    async def sweep(self) -> int:
        """How many runs' keys were destroyed: all that are due, a bounded number at a time."""
        destroyed = removed = 0
        while count := await self._database.run(self._destroy_some):
            destroyed += count
        while self._plain_days and (count := await self._database.run(self._remove_some)):
            removed += count
        if destroyed or removed:
            await self._database.scrub()
        return destroyed

    @asynccontextmanager
    async def sweeping(self, seconds: float = _INTERVAL) -> AsyncIterator[None]:
        """Sweeps now and again for the length of the block."""

        async def repeat() -> None:
            while True:
                try:
                    await self.sweep()
                except Exception as error:  # whatever it is: reads refuse what has expired all the same
                    _LOG.warning("payloads could not be swept: %s", type(error).__name__)
                await asyncio.sleep(seconds)

        repeating = asyncio.create_task(repeat())
        try:
            yield
        finally:
            repeating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await repeating

    def _destroy_some(self, connection: Connection) -> int:
        # Of several replicas each takes others; one whose life becomes longer just now is left alone.
        due = (
            select(RUN_KEYS.c.tenant, RUN_KEYS.c.run_id)
            .where(RUN_KEYS.c.expires <= int(self._now() * 1000))
            .order_by(RUN_KEYS.c.expires)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        found = connection.execute(due).all()
        for tenant, run_id in found:
            run_keys.forget(connection, tenant, run_id)
        return len(found)

    def _remove_some(self, connection: Connection) -> int:
        place = (PAYLOADS.c.tenant, PAYLOADS.c.run_id, PAYLOADS.c.name)
        due = (
            select(*place)
            .where(PAYLOADS.c.mode == Payloads.FULL)
            .where(PAYLOADS.c.kept < int((self._now() - (self._plain_days + 1) * _DAY) * 1000))
            .limit(_BATCH)
        )
        return connection.execute(delete(PAYLOADS).where(tuple_(*place).in_(due))).rowcount
