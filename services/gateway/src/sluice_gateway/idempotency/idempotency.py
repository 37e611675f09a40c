"""Of requests under one key, one runs; the others are given its result. Over replicas and restarts."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from prometheus_client import Counter
from sqlalchemy import Connection

from sluice_api.objects.pipeline import Payloads
from sluice_gateway.idempotency import table
from sluice_gateway.idempotency.keys import Keyed
from sluice_gateway.idempotency.recorded import RESPONSE, Recorded
from sluice_gateway.payloads.port import PayloadNotRetained, PayloadStore
from sluice_gateway.storage.database import Database
from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import Conflict, ServiceError

_REQUESTS = Counter(names.IDEMPOTENT_REQUESTS, "Requests under an idempotency key", ("outcome",))

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that a key is remembered.
RETENTION = 86_400.0

#: Seconds that an attempt holds its key unless it says so again, and between two times that it does. A gateway that
#: died holds its keys for as long.
LEASE, RENEWAL = 15.0, 5.0

#: Seconds that a request waits for the first one of its key, and between two looks where another replica has that.
_PATIENCE, _LOOK = 60.0, 0.2

#: Seconds between two times that expired rows are removed.
_CLEANING = 600.0


class Attempt:
    """A request that has its key, and must end as `done` or `free`."""

    def __init__(self, idempotency: "Idempotency", keyed: Keyed, name: str) -> None:
        self._idempotency = idempotency
        self._keyed = keyed
        self._name = name
        self._holding = asyncio.create_task(self._hold())
        self.run_id = ""
        """The run, once it is known; others are told it meanwhile."""

    async def done(
        self, run_id: str, response: Recorded, mode: Payloads, retention: float = RETENTION
    ) -> None:
        """Keeps the response, durably, for those that come with the same key, also where the caller goes away
        meanwhile. Where it cannot be kept, the key is free once its lease is over."""

        async def keeping() -> None:
            try:
                await self._idempotency.finish(
                    self._keyed, self._name, run_id or self._name, response, mode, retention
                )
            except ServiceError as error:
                _LOG.warning("the response to an idempotent request was not kept: %s", error.reason)
            finally:
                self._end()

        await asyncio.shield(self._idempotency.in_background(keeping()))

    def free(self) -> None:
        """Lets the key go: the next request runs. Does not wait, since the caller may have gone."""
        self._end()
        self._idempotency.let_go(self._keyed, self._name)

    def _end(self) -> None:
        self._holding.cancel()
        self._idempotency.moved(self._keyed)

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            try:
                if not await self._idempotency.hold(self._keyed, self._name, self.run_id):
                    _LOG.warning("another attempt has the idempotency key of run %s", self.run_id)
                    return
            except ServiceError as error:
                _LOG.warning("an idempotency key could not be held: %s", error.reason)


class Idempotency:
    """All keys.

    Args:
        clock: Unix seconds, about the same in every replica.
        new_id: Gives a new name.
    """

    def __init__(
        self,
        database: Database,
        payloads: PayloadStore,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        patience: float = _PATIENCE,
    ) -> None:
        self._database = database
        self._payloads = payloads
        self._clock = clock
        self._new_id = new_id
        self._patience = patience
        self._moved: dict[str, asyncio.Event] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._cleaned = 0.0

    async def begin(self, keyed: Keyed) -> Attempt | Recorded:
        """The attempt, where this request is to run; else the first one's response, waited for where it still runs.

        Raises:
            Conflict: the key was sent with another request (`IDEMPOTENCY_KEY_REUSED`), or its request still runs after
                all patience (`IDEMPOTENCY_KEY_IN_USE`).
            PayloadNotRetained: it has run, and its response was not kept.
            Unavailable: the database cannot be used; nothing runs.
        """
        self._clean()
        run_id, attempt = "", None
        try:
            async with asyncio.timeout(deadlines.cap(self._patience)):
                while True:
                    moved = self._moved.setdefault(keyed.id, asyncio.Event())
                    name = self._new_id()
                    row = await self._claim(keyed, name)
                    run_id = row.run_id
                    if row.attempt == name:
                        _REQUESTS.labels("first").inc()
                        attempt = Attempt(self, keyed, name)
                        return attempt
                    if row.content != keyed.content:
                        _REQUESTS.labels("reused").inc()
                        raise Conflict(
                            "the idempotency key was sent with another request before; use a new key",
                            reason="IDEMPOTENCY_KEY_REUSED",
                        )
                    if row.done:
                        return await self._again(keyed, row)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK):
                            await moved.wait()
        except TimeoutError:
            _REQUESTS.labels("in_use").inc()
            raise Conflict(
                "the first request with this idempotency key still runs; send it again to get its result",
                reason="IDEMPOTENCY_KEY_IN_USE",
                metadata={"run_id": run_id} if run_id else None,
            ) from None
        finally:
            if attempt is None:
                self._moved.pop(keyed.id, None)  # whoever else waits looks by itself

    async def finish(
        self,
        keyed: Keyed,
        name: str,
        run_id: str,
        response: Recorded,
        mode: Payloads,
        retention: float,
    ) -> None:
        """Keeps a response and notes that it is there."""
        kept = await self._payloads.keep(
            keyed.tenant, run_id, RESPONSE, response.content(), mode, retention=retention
        )

        def note(connection: Connection) -> bool:
            return table.finish(connection, keyed.id, name, run_id, kept=bool(kept))

        await self._database.run(note)

    async def hold(self, keyed: Keyed, name: str, run_id: str) -> bool:
        """Holds a key for another lease."""
        until = self._clock() + LEASE
        return await self._database.run(
            lambda connection: table.hold(connection, keyed.id, name, until, run_id)
        )

    def let_go(self, keyed: Keyed, name: str) -> None:
        """Frees a key in the background."""

        async def freeing() -> None:
            try:
                await self._database.run(lambda connection: table.free(connection, keyed.id, name))
            except ServiceError as error:
                _LOG.warning("an idempotency key is free only after its lease: %s", error.reason)
            self.moved(keyed)

        self.in_background(freeing())

    def moved(self, keyed: Keyed) -> None:
        """Tells those that wait in this process to look."""
        event = self._moved.pop(keyed.id, None)
        if event is not None:
            event.set()

    async def aclose(self) -> None:
        """Waits for what is done in the background."""
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _claim(self, keyed: Keyed, name: str) -> table.Row:
        now = self._clock()
        times = table.Times(now, now + LEASE, now + RETENTION)
        claiming = self.in_background(
            self._database.run(lambda connection: table.claim(connection, keyed, name, times))
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # The transaction goes on without its caller; nobody would run what it claims.
            claiming.add_done_callback(lambda _: self.let_go(keyed, name))
            raise

    async def _again(self, keyed: Keyed, row: table.Row) -> Recorded:
        try:
            if not row.kept:
                raise PayloadNotRetained("")
            recorded = Recorded.read(await self._payloads.read(keyed.tenant, row.run_id, RESPONSE))
        except PayloadNotRetained:
            _REQUESTS.labels("not_kept").inc()
            raise PayloadNotRetained(
                f"the request has run as {row.run_id}, and its response was not kept; it is not run twice",
                metadata={"run_id": row.run_id},
            ) from None
        _REQUESTS.labels("replayed").inc()
        return recorded

    def _clean(self) -> None:
        now = self._clock()
        if now - self._cleaned < _CLEANING:
            return
        self._cleaned = now

        async def cleaning() -> None:
            with contextlib.suppress(ServiceError):
                await self._database.run(lambda connection: table.remove_expired(connection, now))

        self.in_background(cleaning())

    def in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work that goes on whoever goes away."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
