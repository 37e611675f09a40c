"""Lets runs in, or refuses them at once: deadline, limits of tenants and keys, the adaptive limit, shares."""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from weakref import WeakValueDictionary

from prometheus_client import Counter, Gauge

from sluice_gateway.domain.admission.baselines import Sample
from sluice_gateway.domain.admission.gradient import GradientLimit
from sluice_gateway.domain.admission.learning import Cohort, Learner
from sluice_gateway.domain.admission.priority import Priority, less_urgent
from sluice_gateway.domain.admission.shares import Shares, Shed
from sluice_gateway.domain.limiting.estimate import estimated
from sluice_gateway.domain.limiting.limiter import Limiter, Reservation, Standing
from sluice_gateway.domain.limiting.limits import Scope
from sluice_gateway.domain.model import Principal, RunRequest
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.run import RunState
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import DeadlineExceeded, LimitExceeded, ResourceExhausted, ServiceError

_IN_FLIGHT = Gauge(names.RUNS_IN_FLIGHT, "Runs that are going on")
_LIMIT = Gauge(names.RUNS_LIMIT, "Runs that may go on at the same time, as learnt from how long they take")
_SHED = Counter(
    names.RUNS_SHED, "Runs that were refused, by why and how urgent they were", ("reason", "priority")
)

#: The lowest that the limit goes unless told otherwise, and the part of the highest that it starts with.
LOWEST = 8
_START = 8

#: Seconds that a caller is told to wait, at least and at most; and by how much they differ, so that not all come back
#: at the same time.
_SOONEST, _LATEST, _SPREAD = 1.0, 30.0, 2.0

#: Ends that say that something had too much to do. One that is away has nothing to do.
_OVERLOADED = ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "TOO_MANY")

_MESSAGES = {
    Shed.LIMIT: "too many runs are going on",
    Shed.PRIORITY: "too many runs are going on: the places left are for more urgent ones",
    Shed.SHARE: "too many runs of this tenant are going on",
}

ScopesOf = Callable[[Principal], Sequence[Scope]]


def no_scopes(_: Principal) -> Sequence[Scope]:
    """Nobody is limited."""
    return ()


class Ticket:
    """One run's place. Entered while the run goes on; what is never entered is given back when it is forgotten."""

    def __init__(
        self,
        admission: "Admission",
        request: RunRequest,
        run_id: str,
        reservation: Reservation,
        cohort: Cohort,
    ) -> None:
        self.run_id = run_id
        self.tenant = request.principal.tenant
        self.kind = _kind(request)
        self.reservation = reservation
        self.cohort = cohort
        self.started = admission.clock()
        self.is_settled = False
        self._admission: Admission | None = admission

    def __enter__(self) -> None:
        self.started = self._admission.clock() if self._admission is not None else self.started

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._admission is not None:
            self._admission._left(self)  # noqa: SLF001 - the two are one
            self._admission = None

    def __del__(self) -> None:
        if self._admission is not None:  # its caller left before the run began; any thread may collect it
            self._admission._forgotten.append(self)  # noqa: SLF001
            self._admission = None


class Admission:
    """Decides which runs may start; told of each end, it learns how many.

    Args:
        highest: The most runs at the same time, however quick they are.
        lowest: The least that the limit falls to; with `highest` the same, the limit is fixed.
        limiter: The limits of tenants and keys.
        scopes: Gives a principal's limits.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        highest: int,
        lowest: int = LOWEST,
        limiter: Limiter | None = None,
        scopes: ScopesOf = no_scopes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        lowest = min(lowest, highest)
        start = float(max(lowest, highest // _START))
        self._learner = Learner(GradientLimit(lowest, highest, start), clock())
        self._shares = Shares()
        self._limiter = limiter
        self._scopes = scopes
        self._tickets: WeakValueDictionary[str, Ticket] = WeakValueDictionary()
        self._forgotten: deque[Ticket] = deque()
        _LIMIT.set(self.limit)

    @property
    def limit(self) -> int:
        """Runs that may go on at the same time."""
        return self._learner.limit

    @property
    def in_flight(self) -> int:
        """Runs that go on."""
        return self._shares.in_flight

    async def prepare(self, request: RunRequest) -> None:
        """Leases what the request will need of its limits, where too little is at hand; to be called before `admit`."""
        self._clear()
        if self._limiter is not None and (scopes := self._scopes(request.principal)):
            await self._limiter.provide(scopes, estimated(request))

    def admit(self, request: RunRequest, run_id: str, seconds_left: float | None = None) -> Ticket:
        """A place for a run. Neither waits nor asks anybody.

        Args:
            seconds_left: Until its deadline; None where it has none.

        Raises:
            DeadlineExceeded: it would not finish in time (`DEADLINE_TOO_SHORT`).
            LimitExceeded: a limit of its tenant or key stands against it.
            ResourceExhausted: too many runs are going on (`TOO_MANY_RUNS`).
        """
        self._clear()
        priority = less_urgent(request.priority, request.principal.priority)
        kind = _kind(request)
        shed, refusal = self._refusal(request, kind, priority, seconds_left)
        if refusal is None:
            try:
                reservation = self._reserve(request.principal, estimated(request))
            except LimitExceeded as error:
                shed, refusal = Shed.RATE, error
        if refusal is not None:
            _SHED.labels(shed, priority).inc()
            raise refusal
        self._shares.enter(request.principal.tenant)
        _IN_FLIGHT.set(self.in_flight)
        cohort = self._learner.started(self.in_flight, self.clock())
        ticket = Ticket(self, request, run_id, reservation, cohort)
        self._tickets[run_id] = ticket
        return ticket

    async def call(self, principal: Principal, tokens: int = 0) -> None:
        """Counts a call that is no run: a search, a text to screen, documents.

        Raises:
            LimitExceeded: a limit of its tenant or key stands against it.
        """
        if self._limiter is not None and (scopes := self._scopes(principal)):
            await self._limiter.provide(scopes, tokens, run=False)
            try:
                self._limiter.reserve(scopes, tokens, run=False)
            except LimitExceeded:
                _SHED.labels(Shed.RATE, principal.priority).inc()
                raise

    def standing(self, principal: Principal) -> list[Standing]:
        """How a principal's limits stand."""
        return [] if self._limiter is None else self._limiter.standing(self._scopes(principal))

    def run_ended(self, ended: EndedRun) -> None:
        """Settles the tokens; learns from the time that the run took. See `RunObserver`."""
        ticket = self._tickets.get(ended.run_id)
        if ticket is None or ticket.is_settled:
            return
        ticket.is_settled = True
        if self._limiter is not None:
            self._limiter.settle(ticket.reservation, _tokens(ended, ticket.reservation.tokens))
        self._learner.ended(
            ticket.cohort,
            Sample(ticket.kind, self.clock() - ticket.started) if _was_generated(ended) else None,
            failed=ended.state is RunState.FAILED and any(word in ended.reason for word in _OVERLOADED),
            now=self.clock(),
        )
        _LIMIT.set(self.limit)

    def _refusal(
        self, request: RunRequest, kind: str, priority: Priority, seconds_left: float | None
    ) -> tuple[Shed | None, ServiceError | None]:
        quickest = self._learner.quickest(kind)
        if seconds_left is not None and seconds_left < quickest:
            return Shed.DEADLINE, DeadlineExceeded(
                f"{seconds_left:.2f} s are left, and runs take {quickest:.2f} s at least just now; give it more time",
                reason="DEADLINE_TOO_SHORT",
            )
        shed = self._shares.refusal(request.principal.tenant, priority, self.limit, self.clock())
        if shed is None:
            return None, None
        wait = min(_LATEST, max(_SOONEST, self._learner.typical(kind))) + random.uniform(0, _SPREAD)  # noqa: S311
        return shed, ResourceExhausted(_MESSAGES[shed], reason="TOO_MANY_RUNS", retry_after=wait)

    def _reserve(self, principal: Principal, tokens: int) -> Reservation:
        if self._limiter is None:
            return Reservation()
        return self._limiter.reserve(self._scopes(principal), tokens)

    def _clear(self) -> None:
        while self._forgotten:
            self._left(self._forgotten.popleft())

    def _left(self, ticket: Ticket) -> None:
        self._tickets.pop(ticket.run_id, None)
        self._shares.leave(ticket.tenant)
        _IN_FLIGHT.set(self.in_flight)
        if not ticket.is_settled:
            self._learner.ended(ticket.cohort, None, failed=False, now=self.clock())
        if self._limiter is None:
            return
        if ticket.is_settled:
            self._limiter.release(ticket.reservation)
        else:
            self._limiter.undo(ticket.reservation)


def _was_generated(ended: EndedRun) -> bool:
    """False for an answer that nobody wrote just now: it says nothing of how much there is to do."""
    return ended.state in (RunState.ANSWERED, RunState.DEGRADED) and ended.usage.completion_tokens > 0


def _kind(request: RunRequest) -> str:
    """Runs that may be compared."""
    return f"{request.pipeline}/{'stream' if request.stream else 'whole'}"


def _tokens(ended: EndedRun, reserved: int) -> int:
    """What a run is charged. Where a caller left, or the output gate withheld what had been written, and nobody
    counted, its estimate stands: leaving early must not be a way around a budget."""
    used = ended.usage.prompt_tokens + ended.usage.completion_tokens
    uncounted = ended.state is RunState.CANCELLED or ended.blocked_at == "guard_output"
    return reserved if not used and uncounted else used
