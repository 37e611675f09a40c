"""What has been used under a rule, and how much more may be taken. Pure; times are seconds since the epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sluice_gateway.domain.limiting.limits import Rule


@dataclass(frozen=True, slots=True)
class Used:
    """What counted as used at a time."""

    units: float = 0.0
    at: float = 0.0

    def as_of(self, rule: Rule, now: float) -> "Used":
        """What still counts. A clock that runs behind gives nothing back twice."""
        now = max(now, self.at)
        if rule.is_budget:
            units = self.units if self.at >= rule.start(now) else 0.0
        else:
            units = max(0.0, self.units - (now - self.at) * rule.rate)
        return Used(units, now)

    def free(self, rule: Rule) -> float:
        """What may still be taken; never negative."""
        return max(0.0, rule.limit - self.units)


@dataclass(frozen=True, slots=True)
class Want:
    """What a replica asks of the counter that all share."""

    scope: str
    rule: Rule
    take: float = 0.0
    """Units to be leased: as many of them as are free."""
    charge: float = 0.0
    """Units that were used without a lease; negative for leased ones that were not used."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What it got."""

    units: float
    free: float
    """What is left for all."""


def counted(used: Used, want: Want, now: float) -> tuple[Used, Grant]:
    """The counter after a replica's wish, and what that replica gets."""
    before = used.as_of(want.rule, now)
    charged = Used(max(0.0, before.units + want.charge), before.at)
    units = min(want.take, charged.free(want.rule))
    after = Used(charged.units + units, charged.at)
    return after, Grant(units, after.free(want.rule))


class Counters(Protocol):
    """The counters that replicas share."""

    async def move(self, wants: Sequence[Want]) -> list[Grant]:
        """Takes and charges, all in one transaction.

        Raises:
            Unavailable: they cannot be reached.
        """

    async def hold(self, scope: str, limit: int, slots: int) -> int:
        """Holds so many of a scope's slots for runs, or as many as other replicas leave; gives how many. They are held
        until `renew` is not called for a while.

        Raises:
            Unavailable: they cannot be reached.
        """

    async def renew(self) -> None:
        """Keeps all slots that are held.

        Raises:
            Unavailable: they cannot be reached.
        """


class LocalCounters:
    """Counters of one process alone: for one replica, for tests, and while a database is away."""

    def __init__(self, clock: "Now") -> None:
        self._now = clock
        self._used: dict[tuple[str, str], Used] = {}

    async def move(self, wants: Sequence[Want]) -> list[Grant]:
        """As `Counters.move`; never waits."""
        return self.moved(wants)

    def moved(self, wants: Sequence[Want]) -> list[Grant]:
        """The same without a task."""
        grants = []
        for want in wants:
            key = (want.scope, want.rule.name)
            self._used[key], grant = counted(self._used.get(key, Used()), want, self._now())
            grants.append(grant)
        return grants

    async def hold(self, scope: str, limit: int, slots: int) -> int:
        """As many as are asked for: nobody else holds any."""
        return min(slots, limit)

    async def renew(self) -> None:
        """Nothing expires."""


class Now(Protocol):
    """A clock: seconds since the epoch."""

    def __call__(self) -> float: ...
