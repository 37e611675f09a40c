"""The replicas of one model server: which gets a request, and what happens where one fails."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from prometheus_client import Counter

from sluice_api.objects.model_server import Routing
from sluice_api.snapshot import Endpoint
from sluice_inference.domain.model import Delta, Finish
from sluice_inference.domain.routing.choosing import choose
from sluice_inference.domain.routing.model import Ask, Choice, NoChoice, Rules, Standing
from sluice_inference.domain.routing.queueing import Priority, Ticket
from sluice_inference.domain.routing.retrying import Failure, RetryBudget, failure
from sluice_inference.engines import line
from sluice_inference.engines.line import Line
from sluice_inference.engines.replica import Replica, Room
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import ServiceError, Unavailable

_LOG = logging.getLogger(__name__)

_FAILURES = Counter(names.UPSTREAM_FAILURES, "Calls to upstream servers that failed", ("reason",))
_CHOICES = Counter(
    names.INFERENCE_CHOICES, "Replicas chosen, by what decided for them", ("model_server", "reason")
)
_ADAPTER_CHOICES = Counter(
    names.INFERENCE_ADAPTER_CHOICES,
    "Replicas chosen for an adapter, by whether it was in one of their slots as far as can be told",
    ("model_server", "slot"),
)
_RETRIES = Counter(
    names.INFERENCE_RETRIES,
    "Requests that failed before the first piece, by why, and whether another replica was asked",
    ("model_server", "reason", "outcome"),
)

#: The most of a server's replicas that are left alone because requests fail there. Where more fail, it is the requests.
_MOST_EJECTED = 0.5

Events = AsyncGenerator[Delta | Finish, None]


class Call(Protocol):
    """Asks one replica."""

    def __call__(self, replica: Replica) -> Events:
        """The reply's pieces, then its end. Raises `ServiceError`."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request, as far as it matters where it goes and when."""

    ask: Ask
    tenant: str = ""
    priority: Priority = Priority.INTERACTIVE
    cost: float = 1.0
    """What it costs a replica, in tokens, about."""


class Pool:
    """The replicas of one model server."""

    def __init__(
        self,
        server: str,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self.server = server
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311
        self._routing = Routing()
        self._rules = Rules()
        self._budget = RetryBudget()
        self._replicas: dict[str, Replica] = {}
        self._calls = 0
        self.is_idle = asyncio.Event()
        """No request is here."""
        self.is_idle.set()
        self._line = Line(server, self._routing.max_queued, self._give_back_for, clock)

    @property
    def replicas(self) -> Sequence[Replica]:
        """Those that may get requests, and those that drain."""
        return tuple(self._replicas.values())

    def take_over(self, endpoints: Sequence[Endpoint], room: Room, routing: Routing) -> None:
        """Has these replicas from now on. What is in flight at one that has gone goes on."""
        before, self._replicas = self._replicas, {}
        for endpoint in endpoints:
            kept = before.pop(endpoint.name, None)
            if kept is not None and kept.endpoint.url == endpoint.url:
                kept.endpoint, kept.is_draining = endpoint, endpoint.draining
            else:
                kept = Replica(self.server, endpoint, room)
            self._replicas[endpoint.name] = kept
        for gone in before.values():
            gone.is_draining = True
            gone.forget()
        self._routing = routing
        self._rules = Rules(routing.max_in_flight, routing.imbalance)
        self._line.resize(routing.max_queued)
        self.move()

    def move(self) -> None:
        """Lets requests go that wait, now that something has changed, and brings the metrics up to date."""
        self._line.move()
        now = self._clock()
        for replica in self._replicas.values():
            replica.show(now)

    async def stream(self, order: Order, call: Call) -> Events:
        """A replica's reply; another one is asked where one fails before the first piece, within bounds.

        The end tells the replica, and for how long the request waited.

        Raises:
            Unavailable: there is no replica (`NO_REPLICA`).
            ServiceError: as `call` and `Line.wait` do.
        """
        self._budget.earn()
        ask, queued = order.ask, 0.0
        tried: tuple[str, ...] = ()
        with self._here():
            while True:
                replica = self._place(ask)
                if replica is None:
                    ticket = Ticket(order.priority, order.tenant, ask, self._clock())
                    replica = await self._line.wait(ticket, order.cost, partial(self._find, ask))
                    queued += self._clock() - ticket.since
                begun = False
                try:
                    async with aclosing(call(replica)) as events:
                        async for event in events:
                            if isinstance(event, Finish):
                                replica.answered(event)
                                event = replace(event, replica=replica.name, queued_seconds=queued)
                            elif not begun:
                                begun = not event.is_silent
                            yield event
                    return
                except ServiceError as error:
                    failed = self._failed(replica, error)
                    if failed is Failure.UNKNOWN_MODEL:
                        replica.lacks(ask.adapter)
                    tried = (*tried, replica.name)
                    ask = replace(ask, tried=tried, only_ready=failed is not Failure.LOST)
                    if begun or not self._is_sent_again(failed, ask, len(tried)):
                        raise
                finally:
                    self._give_back(replica, order.ask)

    def close(self) -> None:
        """Ends its metrics."""
        for replica in self._replicas.values():
            replica.forget()
        line.forget(self.server)

    @contextmanager
    def _here(self) -> Iterator[None]:
        self._calls += 1
        self.is_idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self.is_idle.set()

    def _choose(self, ask: Ask) -> Choice | NoChoice:
        now = self._clock()
        views = [replica.view(now) for replica in self._replicas.values()]
        return choose(views, ask, self._rules, self._chance)

    def _place(self, ask: Ask) -> Replica | None:
        """A replica, taken; None where the request has to wait."""
        return None if len(self._line) else self._find(ask)

    def _find(self, ask: Ask) -> Replica | None:
        choice = self._choose(ask)
        if choice is NoChoice.FULL:
            return None
        if not isinstance(choice, Choice):
            raise Unavailable(
                f"model server {self.server!r} has no replica that takes requests", reason="NO_REPLICA"
            )
        _CHOICES.labels(self.server, choice.why).inc()
        if ask.adapter:
            _ADAPTER_CHOICES.labels(self.server, "hit" if choice.hit else "miss").inc()
        if _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("sent to %s: %s", choice.replica, choice.why)
        replica = self._replicas[choice.replica]
        replica.takes(ask)
        return replica

    def _give_back(self, replica: Replica, ask: Ask) -> None:
        replica.gives_back(ask)
        if len(self._line):
            self._line.move()

    def _give_back_for(self, replica: Replica, ticket: Ticket) -> None:
        self._give_back(replica, ticket.ask)

    def _failed(self, replica: Replica, error: ServiceError) -> Failure:
        _FAILURES.labels(error.reason).inc()
        failed, now = failure(error.reason), self._clock()
        ejected = sum(each.standing(now) is not Standing.CLOSED for each in self._replicas.values())
        replica.failed(
            failed,
            getattr(error, "retry_after", None),
            now,
            may_open=ejected + 1 <= _MOST_EJECTED * len(self._replicas),
        )
        replica.show(now)
        return failed

    def _is_sent_again(self, failed: Failure, ask: Ask, tried: int) -> bool:
        if failed is Failure.REFUSED or (failed is Failure.UNKNOWN_MODEL and not ask.adapter):
            return False
        outcome = "sent"
        if tried >= self._routing.attempts:
            outcome = "too_many"
        elif self._choose(ask) is NoChoice.NONE:
            outcome = "no_replica"
        elif failed is not Failure.LOST and not self._budget.spend():
            outcome = "no_budget"
        _RETRIES.labels(self.server, failed, outcome).inc()
        return outcome == "sent"
