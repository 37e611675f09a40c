"""Who may have the next free place: by priority, and fairly between tenants where places are few. Pure."""

import math
from collections import Counter
from enum import StrEnum

from sluice_gateway.domain.admission.priority import CEILING, Priority

#: Seconds after which a tenant that asks nothing more leaves its share to others.
_ACTIVE = 10.0

#: The part of the limit that is kept for tenants with less than their share, where there are several.
_KEPT = 0.1


class Shed(StrEnum):
    """Why a run was refused."""

    LIMIT = "limit"
    """All places are taken."""
    PRIORITY = "priority"
    """The places left are for more urgent runs."""
    SHARE = "share"
    """The places left are for tenants that have fewer."""
    DEADLINE = "deadline"
    """It would not have finished in time."""
    RATE = "rate"
    """A tenant's or a key's limit stands against it."""


class Shares:
    """Counts runs and says whether one more may start."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._of_tenant: Counter[str] = Counter()
        self._asked: dict[str, float] = {}

    def refusal(self, tenant: str, priority: Priority, limit: int, now: float) -> Shed | None:
        """Why a run may not start now; None where it may."""
        self._asked.pop(tenant, None)
        self._asked[tenant] = now  # at the end: the longest silent come first
        if self.in_flight >= limit:
            return Shed.LIMIT
        if self.in_flight >= max(1, math.floor(limit * CEILING[priority])):
            return Shed.PRIORITY
        active = self._active(now)
        if active > 1:
            share = max(1, limit // active)
            kept = math.ceil(limit * _KEPT)
            if self._of_tenant[tenant] >= share and self.in_flight >= limit - kept:
                return Shed.SHARE
        return None

    def enter(self, tenant: str) -> None:
        """A run starts."""
        self.in_flight += 1
        self._of_tenant[tenant] += 1

    def leave(self, tenant: str) -> None:
        """A run ends."""
        self.in_flight -= 1
        self._of_tenant[tenant] -= 1
        if self._of_tenant[tenant] <= 0:
            del self._of_tenant[tenant]

    def _active(self, now: float) -> int:
        for tenant, asked in list(self._asked.items()):
            if now - asked <= _ACTIVE:
                break
            if tenant not in self._of_tenant:
                del self._asked[tenant]
        return len(self._asked)
