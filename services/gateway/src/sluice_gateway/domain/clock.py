"""Time and the count of dropped events, as arguments, so that runs are testable without either."""

import time
from typing import Protocol

from prometheus_client import Counter

from sluice_servicekit import telemetry_names as names

_DROPPED = Counter(names.JOURNAL_DROPPED, "Events that a best-effort journal could not take")


class Clock(Protocol):
    """The wall clock."""

    def now(self) -> float:
        """Unix seconds."""

    def dropped(self) -> None:
        """Counts an event that the journal could not take."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def dropped(self) -> None:
        """Counts an event that the journal could not take."""
        _DROPPED.inc()
