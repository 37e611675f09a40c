"""Requests that wait for a replica: the most urgent first, and fairly between tenants. Pure.

Start-time fair queueing (Goyal, Vin and Cheng 1996): each request gets a tag, the virtual time at which its tenant
would be served if all tenants were served alike, by what requests cost. A tenant that asks a lot pushes its own tags
into the future and nobody else's. Where the queue is full, the last in this order leaves: never the newcomer of a
tenant that asks little because another one has filled the queue.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from sluice_inference.domain.routing.model import Ask

#: Tickets that have left and may still lie about.
_SLACK = 64


class Priority(IntEnum):
    """How urgent a request is; the number is what vLLM is told."""

    INTERACTIVE = 0
    BATCH = 1
    BACKGROUND = 2


@dataclass(eq=False, slots=True)
class Ticket:
    """A request that waits."""

    priority: Priority
    tenant: str
    ask: Ask
    since: float
    """When it came, in seconds."""
    tag: float = 0.0
    number: int = 0
    is_waiting: bool = field(default=True)

    @property
    def place(self) -> tuple[int, float, int]:
        """Smaller goes first."""
        return self.priority, self.tag, self.number


class FairQueue:
    """Tickets in their order."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[tuple[int, float, int], Ticket]] = []
        self._waiting = {priority: 0 for priority in Priority}
        self._numbers = itertools.count()
        #: By priority: the virtual time, and the tag that each tenant's next ticket has at least.
        self._now = {priority: 0.0 for priority in Priority}
        self._next: dict[tuple[Priority, str], float] = {}

    def __len__(self) -> int:
        return sum(self._waiting.values())

    def waiting(self, priority: Priority) -> int:
        """Of one priority."""
        return self._waiting[priority]

    def ahead_of(self, ticket: Ticket) -> int:
        """Those that go before it."""
        return sum(other.is_waiting and other.place < ticket.place for _, other in self._heap)

    def put(self, ticket: Ticket, cost: float) -> Ticket | None:
        """Takes a ticket in; gives the one that leaves for it where the queue is full: maybe itself.

        Args:
            cost: Of the request, in any unit, above 0.
        """
        key = ticket.priority, ticket.tenant
        ticket.tag = max(self._now[ticket.priority], self._next.get(key, 0.0))
        ticket.number = next(self._numbers)
        last = None
        if len(self) >= self.most:
            last = max((other for _, other in self._heap if other.is_waiting), key=_place, default=ticket)
            if ticket.place >= last.place:
                return ticket
            self.leave(last)
        self._next[key] = ticket.tag + cost
        self._waiting[ticket.priority] += 1
        heapq.heappush(self._heap, (ticket.place, ticket))
        return last

    def leave(self, ticket: Ticket) -> None:
        """It waits no longer."""
        if ticket.is_waiting:
            ticket.is_waiting = False
            self._waiting[ticket.priority] -= 1
            if not len(self):
                self._heap.clear()
                self._next.clear()
            elif len(self._heap) > 2 * len(self) + _SLACK:
                self._heap = [entry for entry in self._heap if entry[1].is_waiting]
                heapq.heapify(self._heap)
                self._next = {key: tag for key, tag in self._next.items() if tag > self._now[key[0]]}

    def take(self, fits: Callable[[Ticket], bool]) -> Ticket | None:
        """The first ticket that fits, which leaves; None where none does."""
        passed: list[tuple[tuple[int, float, int], Ticket]] = []
        found = None
        while self._heap and found is None:
            entry = heapq.heappop(self._heap)
            if not entry[1].is_waiting:
                continue
            if fits(entry[1]):
                found = entry[1]
            else:
                passed.append(entry)
        for entry in passed:
            heapq.heappush(self._heap, entry)
        if found is not None:
            self._now[found.priority] = max(self._now[found.priority], found.tag)
            self.leave(found)
        return found


def _place(ticket: Ticket) -> tuple[int, float, int]:
    return ticket.place


class Pace:
    """How fast a queue moves, from the moments at which tickets are taken while others wait."""

    _WEIGHT = 0.1

    def __init__(self) -> None:
        self._last: float | None = None
        self._seconds: float | None = None

    def took(self, now: float) -> None:
        """A ticket was taken."""
        if self._last is not None:
            seconds = now - self._last
            before = seconds if self._seconds is None else self._seconds
            self._seconds = before + self._WEIGHT * (seconds - before)
        self._last = now

    def rested(self) -> None:
        """Nobody waits: the time until the next ticket is taken says nothing."""
        self._last = None

    def seconds(self, tickets: int) -> float | None:
        """The time until so many tickets have been taken; None where that is not known yet."""
        return None if self._seconds is None else tickets * self._seconds
