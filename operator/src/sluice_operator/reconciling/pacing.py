"""How long until the next pass over an object of which nothing is heard."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from sluice_operator.reconciling.reconciler import Outcome


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds."""

    resync: float = 600.0
    base: float = 1.0
    """After a first failure; doubled by each further one in a row."""
    cap: float = 120.0
    chance: Callable[[], float] = random.random
    """In [0, 1): spreads what would else come at once."""

    def wait(self, outcome: Outcome, failures: int) -> float:
        """Until the next pass, if nothing wakes the object before.

        Args:
            failures: In a row, this outcome included.
        """
        if outcome.failed:
            backoff = min(self.cap, self.base * 2.0 ** min(failures - 1, 30))
            return max(outcome.again_in or 0.0, backoff * (0.5 + self.chance() / 2))
        if outcome.again_in is not None:
            return outcome.again_in
        return self.resync * (0.9 + self.chance() / 5)
