"""Takes over what dead replicas have left, and forgets what ended long ago.

Rules, in order:

1. A run that is being executed by none of the executors with a good lease goes back to the queue. Executors on
   the same data folder are known to be dead at once, by their lock.
2. A run that waits for a version which no living executor has becomes one of this version: steps that have finished
   keep their outputs by name, and the others run in the order of this version.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from sluice_gateway.durable.dbos_engine import DbosEngine
from sluice_gateway.durable.leases import LEASE, RENEWAL, Lease, Leases
from sluice_gateway.durable.locks import ExecutorLocks
from sluice_servicekit.errors import ServiceError

_LOG = logging.getLogger(__name__)

#: Runs that are deleted in one transaction, and seconds between two looks for such runs.
_BATCH, _SWEEP = 200, 600.0

#: Seconds between two batches: others want the database too.
_PAUSE = 0.2


class Recovery:
    """Keeps this process's lease and looks for runs that nobody executes.

    Args:
        seed: Notes in a run's plan what its steps have given, before they are deleted from the engine.
        keep_seconds: How long runs that are over are kept.
    """

    def __init__(
        self,
        engine: DbosEngine,
        leases: Leases,
        own: Lease,
        locks: ExecutorLocks,
        seed: Callable[[str], Awaitable[None]],
        keep_seconds: float,
    ) -> None:
        self._engine = engine
        self._leases = leases
        self._own = own
        self._locks = locks
        self._seed = seed
        self._keep_seconds = keep_seconds
        self._good_since = 0.0
        self._renewed = float("-inf")

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Renews and looks for the length of the block. The lease is good when the block is entered."""
        living = await self._renew()
        tasks = [asyncio.create_task(self._look(living)), asyncio.create_task(self._forget())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(ServiceError):
                await self._leases.release()

    async def _look(self, living: Sequence[Lease]) -> None:
        while True:
            try:
                await self._take_over(living)
                await asyncio.sleep(RENEWAL)
                living = await self._renew()
            except ServiceError as error:
                _LOG.warning("the lease cannot be renewed: %s", error.message)
                await asyncio.sleep(RENEWAL)
            except Exception:  # whatever it is, the next look may work
                _LOG.exception("the runs of other replicas cannot be looked at")
                await asyncio.sleep(RENEWAL)

    async def _renew(self) -> list[Lease]:
        living = await self._leases.renew()
        now = time.monotonic()
        if now - self._renewed > LEASE:
            self._good_since = now
        self._renewed = now
        return living

    async def _take_over(self, living: Sequence[Lease]) -> None:
        tables = self._engine.tables
        gone = set(self._locks.dead()) - {self._own.executor}
        executors = {lease.executor for lease in living} - gone
        # After an outage of the database all leases have run out, those of the living too: they need time to renew.
        trusts_leases = time.monotonic() - self._good_since >= LEASE
        for run_id, dead in await asyncio.to_thread(tables.orphans, executors):
            if (trusts_leases or dead in gone) and await asyncio.to_thread(tables.take, run_id, dead):
                _LOG.info("took over the run %s from %s", run_id, dead)
        for executor in gone:
            self._locks.forget(executor)
        if not trusts_leases:
            return
        versions = {lease.version for lease in living if lease.executor in executors}
        for run_id in await asyncio.to_thread(tables.outdated, versions):
            await self._seed(run_id)
            if await asyncio.to_thread(tables.adopt, run_id, self._own.version, versions):
                _LOG.info("the run %s goes on as one of version %s", run_id, self._own.version)

    async def _forget(self) -> None:
        while True:
            try:
                forgotten = await self._engine.forget(time.time() - self._keep_seconds, _BATCH)
            except Exception:
                _LOG.exception("runs that are over cannot be deleted")
                forgotten = 0
            await asyncio.sleep(_PAUSE if forgotten == _BATCH else _SWEEP)
