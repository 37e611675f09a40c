"""Rates, budgets and runs at once, of tenants and of keys, over all replicas.

Each replica leases units from counters that all share, in blocks, and admits from what it has leased: most requests
ask nobody, and what is refused is refused from memory. Together replicas lease no more than the limit. What is used
beyond it is what runs turn out to need beyond their estimates; it is paid back from the next lease.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sluice_gateway.domain.limiting.counting import Counters, LocalCounters, Now, Want
from sluice_gateway.domain.limiting.limits import Rule, Scope, Unit, rules_of
from sluice_gateway.domain.limiting.meter import Meter
from sluice_gateway.domain.limiting.slots import Slots
from sluice_servicekit.errors import LimitExceeded, Unavailable

_LOG = logging.getLogger(__name__)

#: Seconds that a request waits for a lease, before this replica goes on alone.
_PATIENCE = 0.5

#: Seconds that a replica goes on alone, before it asks again.
_ALONE = 5.0

#: Seconds after which leased units that nobody uses go back.
_IDLE = 5.0

#: Seconds between two questions for slots, where there were none.
_SLOTS_AGAIN = 0.25

#: How often a request asks again for what others have just taken.
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one request has taken."""

    meters: tuple[Meter, ...] = ()
    slots: tuple[Slots, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How one limit stands, for a caller to read."""

    unit: Unit
    limit: int
    remaining: int
    reset: float
    """Seconds until all of it is there again."""


class Limiter:
    """The limits of this replica's callers.

    Args:
        counters: What all replicas share.
        now: Seconds since the epoch.
    """

    def __init__(self, counters: Counters, now: Now) -> None:
        self._counters = counters
        self._alone = LocalCounters(now)
        self._now = now
        self._meters: dict[tuple[str, str], Meter] = {}
        self._slots: dict[str, Slots] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._alone_until = -math.inf

    async def provide(self, scopes: Sequence[Scope], tokens: int = 0, *, run: bool = True) -> None:
        """Leases what a request needs, where this replica has too little. Waits for nothing in most cases."""
        for _ in range(_TRIES):
            now = self._now()
            meters = [
                meter for meter in self._of(scopes, now) if meter.is_worth_asking(_need(meter, tokens), now)
            ]
            slots = [s for s in self._slots_of(scopes) if run and s.is_short and now >= s.ask_again]
            if not meters and not slots:
                return
            await self._ask(meters, slots, tokens)

    def reserve(self, scopes: Sequence[Scope], tokens: int = 0, *, run: bool = True) -> Reservation:
        """Takes one request, `tokens` by estimate and, for a run, a slot.

        Raises:
            LimitExceeded: a limit stands against it (`RATE_LIMIT_EXCEEDED`, `INSUFFICIENT_QUOTA`). Nothing is taken.
        """
        now = self._now()
        meters = self._of(scopes, now)
        for meter in meters:
            need = _need(meter, tokens)
            if need and meter.balance < need:
                self._refresh(meter, now)
                raise _exceeded(meter, need, now)
        slots = self._slots_of(scopes) if run else []
        for held in slots:
            if held.is_full:
                raise LimitExceeded(
                    f"{held.limit} runs of the {_whose(held.scope)} are going on, which is the most at a time",
                    quota=f"{held.scope}/concurrency",
                    retry_after=1.0,
                )
        for meter in meters:
            meter.balance -= _need(meter, tokens)
            meter.touched = now
            if meter.is_low() and meter.may_ask(now):
                self._refresh(meter, now)
        for held in slots:
            held.take()
        return Reservation(tuple(meters), tuple(slots), tokens)

    def settle(self, reservation: Reservation, tokens: int) -> None:
        """Counts the tokens that a request took in place of their estimate."""
        for meter in reservation.meters:
            if meter.rule.unit is Unit.TOKENS:
                meter.balance += reservation.tokens - tokens

    def release(self, reservation: Reservation) -> None:
        """Gives a run's slot back."""
        for held in reservation.slots:
            held.in_use -= 1
            if held.block == 1 and held.scope not in self._asking:
                # They are few: another replica's caller may wait for this one.
                self._once(held.scope, partial(self._give_slots_back, held))

    def undo(self, reservation: Reservation) -> None:
        """Gives everything back: the request was not let in after all."""
        for meter in reservation.meters:
            meter.balance += _need(meter, reservation.tokens)
        self.release(reservation)

    def standing(self, scopes: Sequence[Scope]) -> list[Standing]:
        """Of requests and of tokens, the limit that is nearest to its end."""
        now = self._now()
        found: dict[Unit, Standing] = {}
        for meter in self._of(scopes, now):
            remaining = int(meter.remaining(now))
            standing = Standing(meter.rule.unit, meter.rule.limit, remaining, meter.reset(now))
            other = found.get(standing.unit)
            if other is None or remaining / standing.limit < other.remaining / other.limit:
                found[standing.unit] = standing
        return list(found.values())

    async def tend(self) -> None:
        """Keeps the slots in use, and gives back what has been idle; to be called every few seconds."""
        now = self._now()
        idle = [meter for meter in self._meters.values() if now - meter.touched > _IDLE and meter.balance]
        if self._is_alone():
            return
        await self._give_back(idle)
        for key, meter in list(self._meters.items()):
            if now - meter.touched > 60 and not meter.balance:
                del self._meters[key]
        for held in list(self._slots.values()):
            if held.scope not in self._asking:
                await self._once(held.scope, partial(self._give_slots_back, held))
            held.peak = held.in_use
            if not held.held and not held.in_use:
                del self._slots[held.scope]
        try:
            await self._counters.renew()
        except Unavailable:
            self._alone_now()

    async def close(self) -> None:
        """Gives everything back."""
        if going_on := {*self._background, *self._asking.values()}:
            await asyncio.wait(going_on)
        await self._give_back([meter for meter in self._meters.values() if meter.balance])
        for held in self._slots.values():
            held.peak = held.in_use = 0
            await self._give_slots_back(held)

    def _of(self, scopes: Iterable[Scope], now: float) -> list[Meter]:
        return [self._meter(scope.name, rule, now) for scope in scopes for rule in rules_of(scope.limits)]

    def _meter(self, scope: str, rule: Rule, now: float) -> Meter:
        meter = self._meters.get((scope, rule.name))
        if meter is None or meter.rule != rule:
            owed = 0.0
            if meter is not None:  # the limit has changed: back with what was leased under it
                owed = min(0.0, meter.balance)
                if meter.balance > 0:
                    self._spawn(self._give_back([meter]))
            meter = Meter(scope, rule, owed, float(rule.limit), now, touched=now)
            self._meters[scope, rule.name] = meter
        meter.roll(now)
        return meter

    def _slots_of(self, scopes: Iterable[Scope]) -> list[Slots]:
        found = []
        for scope in scopes:
            if (limit := scope.limits.concurrency) is not None:
                held = self._slots.setdefault(scope.name, Slots(scope.name, limit))
                held.limit = limit
                found.append(held)
        return found

    async def _ask(self, meters: Sequence[Meter], slots: Sequence[Slots], tokens: int) -> None:
        """Asks for all of it; what is being asked for already is only waited for."""
        asking = [
            self._once(_name(meter), partial(self._lease, meter, _need(meter, tokens))) for meter in meters
        ]
        asking += [self._once(held.scope, partial(self._hold, held)) for held in slots]
        # Shielded by being tasks of their own: a caller that leaves must not lose what was leased.
        await asyncio.wait(asking)

    def _once(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(work())
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return task

    async def _lease(self, meter: Meter, need: float) -> None:
        want = meter.want(need)
        grant = None
        if not self._is_alone():
            try:
                async with asyncio.timeout(_PATIENCE):
                    [grant] = await self._counters.move([want])
            except (Unavailable, TimeoutError):
                self._alone_now()
        meter.got(want, grant or self._alone.moved([want])[0], self._now())

    async def _hold(self, slots: Slots) -> None:
        wanted = held = min(slots.limit, slots.held + slots.block)
        if not self._is_alone():
            try:
                async with asyncio.timeout(_PATIENCE):
                    held = await self._counters.hold(slots.scope, slots.limit, wanted)
            except (Unavailable, TimeoutError):
                self._alone_now()
        slots.held = held
        if held < wanted:
            slots.ask_again = self._now() + _SLOTS_AGAIN

    def _refresh(self, meter: Meter, now: float) -> None:
        """Leases more while nobody waits."""
        if meter.may_ask(now):
            self._once(_name(meter), partial(self._lease, meter, 0.0))

    def _is_alone(self) -> bool:
        return self._now() < self._alone_until

    def _alone_now(self) -> None:
        if not self._is_alone():
            _LOG.warning(
                "the shared counters cannot be reached: this replica applies the limits alone meanwhile"
            )
        self._alone_until = self._now() + _ALONE

    async def _give_back(self, meters: Sequence[Meter]) -> None:
        if not meters:
            return
        wants = [Want(meter.scope, meter.rule, charge=-meter.balance) for meter in meters]
        for meter in meters:
            meter.balance = 0.0
        try:
            await self._counters.move(wants)
        except Unavailable:
            self._alone_now()
            for meter, want in zip(meters, wants, strict=True):
                meter.balance -= want.charge

    async def _give_slots_back(self, slots: Slots) -> None:
        keep = slots.in_use + slots.spare
        if keep >= slots.held:
            return
        slots.held = keep
        try:
            await self._counters.hold(slots.scope, slots.limit, keep)
        except Unavailable:
            self._alone_now()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _name(meter: Meter) -> str:
    return f"{meter.scope}/{meter.rule.name}"


def _whose(scope: str) -> str:
    """For people: `tenant acme`."""
    return scope.replace(":", " ", 1)


def _need(meter: Meter, tokens: int) -> int:
    return tokens if meter.rule.unit is Unit.TOKENS else 1


def _exceeded(meter: Meter, need: float, now: float) -> LimitExceeded:
    rule, quota, whose = meter.rule, _name(meter), _whose(meter.scope)
    if need > rule.limit:
        return LimitExceeded(
            f"the request may take {need:.0f} tokens, more than the {rule.limit} a {rule.span} of the {whose}; "
            "lower max_tokens or shorten it",
            quota=quota,
        )
    if rule.is_budget:
        return LimitExceeded(
            f"the {whose} has used its {rule.limit} {rule.unit} of this {rule.span}",
            reason="INSUFFICIENT_QUOTA",
            quota=quota,
            retry_after=meter.wait(need, now),
        )
    return LimitExceeded(
        f"the {whose} has used its {rule.limit} {rule.unit} a {rule.span}; try again in "
        f"{math.ceil(meter.wait(need, now))} s",
        quota=quota,
        retry_after=meter.wait(need, now),
    )
