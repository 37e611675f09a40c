"""The requests of one model server that wait for a replica."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from prometheus_client import Counter, Gauge, Histogram

from sluice_inference.domain.routing.queueing import FairQueue, Pace, Priority, Ticket
from sluice_inference.engines.replica import Replica
from sluice_servicekit import deadlines
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, ResourceExhausted, ServiceError
from sluice_servicekit.metrics import LATENCY_BUCKETS

_QUEUED = Gauge(names.INFERENCE_QUEUED, "Requests that wait for a replica", ("model_server", "priority"))
_SECONDS = Histogram(
    names.INFERENCE_QUEUE_SECONDS,
    "Time that requests waited for a replica that had to",
    ("model_server", "priority"),
    buckets=LATENCY_BUCKETS,
)
_REFUSED = Counter(
    names.INFERENCE_QUEUE_REFUSED,
    "Requests that no replica was found for in time",
    ("model_server", "reason"),
)

#: Seconds that a caller is told to wait, at least and at most.
_SOONEST, _LATEST = 1.0, 60.0


class Line:
    """Who waits, in the order in which they go.

    Args:
        give_back: Called with a replica that was taken for a request that then left.
    """

    def __init__(
        self,
        server: str,
        most: int,
        give_back: Callable[[Replica, Ticket], None],
        clock: Callable[[], float],
    ) -> None:
        self._server = server
        self._clock = clock
        self._give_back = give_back
        self._queue = FairQueue(most)
        self._pace = Pace()
        self._places: dict[Ticket, tuple[asyncio.Future[Replica], Callable[[], Replica | None]]] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def resize(self, most: int) -> None:
        """So many may wait from now on."""
        self._queue.most = most

    async def wait(self, ticket: Ticket, cost: float, place: Callable[[], Replica | None]) -> Replica:
        """The replica that the request has got, taken for it.

        Args:
            cost: Of the request, in any unit.
            place: Finds a replica and takes it; None where all are as busy as they may be.

        Raises:
            ResourceExhausted: too many wait (`QUEUE_FULL`), or it would be its turn too late (`QUEUE_TOO_SLOW`).
            DeadlineExceeded: its time has run out here (`QUEUE_TIMEOUT`).
            ServiceError: as `place` does.
        """
        self._put(ticket, cost)
        future: asyncio.Future[Replica] = asyncio.get_running_loop().create_future()
        self._places[ticket] = future, place
        self._show(ticket.priority)
        self.move()
        try:
            async with asyncio.timeout(deadlines.remaining()):
                return await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(future.result(), ticket)
            if not isinstance(error, TimeoutError):
                raise
            self._refuse("QUEUE_TIMEOUT")
            raise DeadlineExceeded(
                "no replica of the model server was free in time", reason="QUEUE_TIMEOUT"
            ) from None
        finally:
            self._places.pop(ticket, None)
            self._queue.leave(ticket)
            self._show(ticket.priority)
            waited = self._clock() - ticket.since
            _SECONDS.labels(self._server, ticket.priority.name.lower()).observe(waited)

    def move(self) -> None:
        """Lets go whoever can go: a replica has room, or has come, or has gone."""
        full: set[tuple[str, tuple[str, ...]]] = set()

        def fits(ticket: Ticket) -> bool:
            future, place = self._places[ticket]
            if future.done():  # its caller leaves
                return True
            if (alike := (ticket.ask.adapter, ticket.ask.tried)) in full:
                return False
            try:
                replica = place()
            except ServiceError as error:
                future.set_exception(error)
                return True
            if replica is None:
                full.add(alike)
                return False
            future.set_result(replica)
            return True

        while (ticket := self._queue.take(fits)) is not None:
            del self._places[ticket]
            self._pace.took(self._clock())
        if not self._queue:
            self._pace.rested()

    def _put(self, ticket: Ticket, cost: float) -> None:
        left = self._queue.put(ticket, cost)
        if left is not None:
            error = self._full()
            self._refuse("QUEUE_FULL")
            if left is ticket:
                raise error
            future, _ = self._places.pop(left)
            if not future.done():
                future.set_exception(error)
        seconds, remaining = self._pace.seconds(self._queue.ahead_of(ticket) + 1), deadlines.remaining()
        if seconds is not None and remaining is not None and seconds > remaining:
            self._queue.leave(ticket)
            self._refuse("QUEUE_TOO_SLOW")
            raise ResourceExhausted(
                f"{remaining:.1f} s are left, and about {seconds:.1f} s go by until a replica is free",
                reason="QUEUE_TOO_SLOW",
                retry_after=_bounded(seconds),
            )

    def _full(self) -> ResourceExhausted:
        seconds = self._pace.seconds(len(self._queue))
        return ResourceExhausted(
            "too many requests wait for the model server",
            reason="QUEUE_FULL",
            retry_after=_bounded(_SOONEST if seconds is None else seconds),
        )

    def _refuse(self, reason: str) -> None:
        _REFUSED.labels(self._server, reason).inc()

    def _show(self, priority: Priority) -> None:
        _QUEUED.labels(self._server, priority.name.lower()).set(self._queue.waiting(priority))


def _bounded(seconds: float) -> float:
    return min(_LATEST, max(_SOONEST, seconds))


def forget(server: str) -> None:
    """Ends the metrics of a model server that has gone."""
    for priority in Priority:
        with suppress(KeyError):
            _QUEUED.remove(server, priority.name.lower())
