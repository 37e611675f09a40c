"""How many retries and hedges the gateway may make, so that a service in trouble is not asked more than it was before.

A token bucket for each service that a step calls: every first attempt puts in a share of a token, every further one
takes one out (gRPC's A6 and Finagle's `RetryBudget` do the same).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Share:
    """Further attempts that a bucket allows."""

    ratio: float
    """For each first attempt."""
    per_second: float = 0.0
    """Besides, for services that are asked seldom."""
    reserve: float = 2.0
    """At the start, and the most that is saved."""


_SAVED_SECONDS = 10.0


def retry_share(ratio: float, per_second: float) -> Share:
    """Retries: a share, and so many a second besides, ten seconds of which are saved up."""
    return Share(ratio, per_second, reserve=max(1.0, _SAVED_SECONDS * per_second))


RETRIES = retry_share(0.1, 10.0)
HEDGES = Share(ratio=0.05)


class Bucket:
    """Tokens: one for a further attempt."""

    def __init__(self, share: Share, clock: Callable[[], float]) -> None:
        self._share = share
        self._clock = clock
        self._tokens = share.reserve
        self._filled = clock()

    def asked(self) -> None:
        """Counts a first attempt."""
        self._tokens = min(self._share.reserve, self._tokens + self._share.ratio)

    def take(self) -> bool:
        """Takes a token for a further attempt; false where there is none."""
        now = self._clock()
        gained = max(0.0, now - self._filled) * self._share.per_second
        self._filled = now
        # Sums of tenths fall short of a whole by a rounding error.
        self._tokens = min(self._share.reserve, self._tokens + gained + 1e-9)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(slots=True)
class Budgets:
    """The gateway's buckets, by what a step calls. Not for use by several threads."""

    retries: Share = RETRIES
    hedges: Share = HEDGES
    clock: Callable[[], float] = time.monotonic
    _retries: dict[str, Bucket] = field(default_factory=dict)
    _hedges: dict[str, Bucket] = field(default_factory=dict)

    def asked(self, target: str) -> None:
        """Counts a first attempt at a step."""
        self._bucket(self._retries, self.retries, target).asked()
        self._bucket(self._hedges, self.hedges, target).asked()

    def may_retry(self, target: str) -> bool:
        """Takes a retry from the budget; false where it is used up."""
        return self._bucket(self._retries, self.retries, target).take()

    def may_hedge(self, target: str) -> bool:
        """Takes a hedge from the budget; false where it is used up."""
        return self._bucket(self._hedges, self.hedges, target).take()

    def _bucket(self, buckets: dict[str, Bucket], share: Share, target: str) -> Bucket:
        if target not in buckets:
            buckets[target] = Bucket(share, self.clock)
        return buckets[target]
