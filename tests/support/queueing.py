"""A service of so many workers behind an admission, in simulated time: arrivals at random, work that takes a while."""

import heapq
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sluice_gateway.domain.admission.admission import Admission, Ticket
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.model import Message, Principal, RunRequest, Usage
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.run import RunState
from sluice_servicekit.errors import ServiceError


@dataclass(frozen=True)
class Load:
    """What a tenant asks from one time to another."""

    tenant: str
    rate: float
    """Runs in a second."""
    start: float
    end: float
    priority: Priority = Priority.INTERACTIVE


@dataclass(frozen=True)
class Asked:
    """One run and what became of it."""

    load: Load
    at: float
    seconds: float | None = None
    """None where it was refused."""
    refused: str = ""


@dataclass
class Simulation:
    """Runs the loads through the admission; `service` seconds a run, spread evenly by a half, or log-normally."""

    workers: int
    service: float
    seed: int = 0
    highest: int = 256
    sigma: float = 0.0
    """Of the logarithm of the seconds of a run; the longest of them are many times the median."""
    now: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admission = Admission(self.highest, clock=lambda: self.now)
        self._random = random.Random(self.seed)
        self._ids = itertools.count()
        self._busy = 0
        self._later = (float("inf"), self.service)
        self._waiting: list[tuple[Ticket, Asked]] = []
        self._ends: list[tuple[float, int, Ticket, Asked]] = []

    def becomes(self, service: float, at: float) -> None:
        """From then on runs take so long."""
        self._later = (at, service)

    def run(self, loads: Sequence[Load]) -> list[Asked]:
        """All that was asked, in the order it ended or was refused."""
        for load in heapq.merge(*(self._arrivals(load) for load in loads), key=lambda asked: asked.at):
            self._until(load.at)
            self._arrive(load)
        self._until(float("inf"))
        return self.asked

    def _arrivals(self, load: Load) -> Iterator[Asked]:
        at = load.start
        while (at := at + self._random.expovariate(load.rate)) < load.end:
            yield Asked(load, at)

    def _arrive(self, asked: Asked) -> None:
        principal = Principal(asked.load.tenant, priority=asked.load.priority)
        request = RunRequest("default", principal, (Message("user", "?"),))
        try:
            ticket = self.admission.admit(request, str(next(self._ids)))
        except ServiceError as error:
            self.asked.append(replace(asked, refused=error.reason))
            return
        ticket.__enter__()
        self._waiting.append((ticket, asked))
        self._begin()

    def _begin(self) -> None:
        while self._busy < self.workers and self._waiting:
            self._busy += 1
            if self.now >= self._later[0]:
                self.service = self._later[1]
            ticket, asked = self._waiting.pop(0)
            takes = self.service * (
                self._random.lognormvariate(0, self.sigma) if self.sigma else self._random.uniform(0.5, 1.5)
            )
            heapq.heappush(self._ends, (self.now + takes, next(self._ids), ticket, asked))

    def _until(self, time: float) -> None:
        while self._ends and self._ends[0][0] <= time:
            self.now, _, ticket, asked = heapq.heappop(self._ends)
            self._busy -= 1
            took = self.now - asked.at
            principal = Principal(asked.load.tenant)
            ended = EndedRun(
                ticket.run_id, principal, "default", "1", RunState.ANSWERED, "", took, Usage(10, 10)
            )
            self.admission.run_ended(ended)
            ticket.__exit__(None, None, None)
            self.asked.append(replace(asked, seconds=took))
            self._begin()
        if time != float("inf"):
            self.now = max(self.now, time)
