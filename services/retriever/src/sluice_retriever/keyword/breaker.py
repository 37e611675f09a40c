"""A circuit breaker: after failures in a row, nothing is tried for a while, then one call decides.

Libraries for it decorate functions, keep a registry of their own and let every waiting call through at once when the
pause is over.
"""

import time
from collections.abc import Callable


class Breaker:
    """Says whether a call is worth making. Not thread-safe.

    Args:
        failures: In a row, after which it opens.
        pause: Seconds for which it stays open.
        clock: Monotonic seconds.
    """

    def __init__(
        self, failures: int = 5, pause: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._pause = pause
        self._clock = clock
        self._failures = 0
        self._not_before = 0.0

    def lets_through(self) -> bool:
        """True where a call may be made; after a pause, to the first who asks."""
        if self._failures < self._most:
            return True
        if self._clock() < self._not_before:
            return False
        self._not_before = self._clock() + self._pause
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures = 0

    def failed(self) -> None:
        """A call was not answered."""
        self._failures += 1
        if self._failures >= self._most:
            self._not_before = self._clock() + self._pause
