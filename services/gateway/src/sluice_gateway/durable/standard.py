"""The Standard executor put together: what the gateway's process opens and closes."""

import asyncio
import importlib
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

from sluice_gateway.durable.execution import StandardBody
from sluice_gateway.durable.leases import Lease, Leases
from sluice_gateway.durable.locks import ExecutorLocks
from sluice_gateway.durable.port import Engine
from sluice_gateway.settings import GatewaySettings
from sluice_gateway.storage.database import Database
from sluice_servicekit.errors import Unavailable

_LOG = logging.getLogger(__name__)

#: The version of the runs' definition: raise it where the order or the names of steps change. Runs of another version
#: are executed on by replicas of that version, and taken over by those of this one when there are none left.
DEFINITION = "1"

_LOCKS = "executors"

_FILE = "durable.sqlite"

#: Seconds that whoever needs the engine waits for it to open.
_PATIENCE = 10.0

#: Seconds after which opening is tried again where the database is away.
_AGAIN = 2.0

_SECONDS_OF_A_DAY = 86_400.0


class Standard:
    """Opens the engine behind everything else: it takes a second to load, in which the gateway can answer already. On
    SQLite it is opened once somebody needs it, or where an earlier process has left runs."""

    def __init__(
        self, settings: GatewaySettings, database: Database, body: StandardBody, version: str = DEFINITION
    ) -> None:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", settings.instance)[:200]
        self._own = Lease(f"{name}-{uuid.uuid4().hex[:12]}", version)
        self._settings = settings
        self._database = database
        self._body = body
        self._engine: Engine | None = None
        self._opened = asyncio.Event()
        self._wanted = asyncio.Event()
        if settings.database_url.get_secret_value() or self._file.exists():
            self._wanted.set()

    def has_runs(self) -> bool:
        """False where nobody has ever started one here."""
        return self._wanted.is_set()

    async def engine(self) -> Engine:
        """The engine, once it is open.

        Raises:
            Unavailable: it does not open in time.
        """
        self._wanted.set()
        if self._engine is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._opened.wait()
        if self._engine is None:
            raise Unavailable("durable runs are starting", reason="DURABLE_STARTING", retry_after=1.0)
        return self._engine

    @asynccontextmanager
    async def going_on(self, seed: Callable[[str], Awaitable[None]]) -> AsyncIterator[None]:
        """Executes runs and takes over those of dead replicas, for the length of the block.

        Args:
            seed: Notes in a run's plan what its steps have given; see `StandardRuns.seed`.
        """
        closed = asyncio.Event()
        task = asyncio.create_task(self._keep_open(seed, closed))
        try:
            yield
        finally:
            closed.set()
            self._wanted.set()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_open(self, seed: Callable[[str], Awaitable[None]], closed: asyncio.Event) -> None:
        await self._wanted.wait()
        while not closed.is_set():
            try:
                await self._open(seed, closed)
            except Exception:  # whatever it is, questions are answered all the same
                _LOG.exception("durable runs cannot be executed now")
                await asyncio.sleep(_AGAIN)

    async def _open(self, seed: Callable[[str], Awaitable[None]], closed: asyncio.Event) -> None:
        settings = self._settings
        dbos_engine = await asyncio.to_thread(importlib.import_module, "sluice_gateway.durable.dbos_engine")
        opening = importlib.import_module("sluice_gateway.durable.dbos_opening")
        recovery = importlib.import_module("sluice_gateway.durable.recovery")
        async with AsyncExitStack() as stack:
            locks = ExecutorLocks(settings.data_dir / _LOCKS, self._own.executor)
            stack.enter_context(closing(locks))
            leases = Leases(self._database, self._own)
            await leases.renew()  # before anything can be executed under this name
            engine = dbos_engine.DbosEngine(
                opening.EngineSettings(
                    self._file,
                    settings.database_url.get_secret_value(),
                    self._own.executor,
                    self._own.version,
                    settings.max_durable_runs,
                ),
                self._body,
            )
            await stack.enter_async_context(engine.opened())
            keep = settings.durable_retention_days * _SECONDS_OF_A_DAY
            recovering = recovery.Recovery(engine, leases, self._own, locks, seed, keep)
            await stack.enter_async_context(recovering.going_on())
            self._engine = engine
            self._opened.set()
            stack.callback(self._forget)
            await closed.wait()

    @property
    def _file(self) -> Path:
        return self._settings.data_dir / _FILE

    def _forget(self) -> None:
        self._engine = None
        self._opened.clear()
