"""Wakes that come in bursts."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

#: A burst's beginning is waited for, too: fifty pods that appear together are one change.
_FIRST_SECONDS = 0.02


class Throttle(Generic[K]):
    """Calls `do` soon after a key was given, and no more often than each `seconds` for the same key.

    Args:
        seconds: Gives those between two calls for one key.
        do: Gets the key.
    """

    def __init__(self, seconds: Callable[[], float], do: Callable[[K], None]) -> None:
        self._seconds = seconds
        self._do = do
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._next: dict[K, float] = {}
        self._closed = False

    def __call__(self, key: K) -> None:
        """Asks for a call."""
        if self._closed or key in self._timers:
            return
        now = time.monotonic()
        wait = max(_FIRST_SECONDS, self._next.get(key, 0.0) - now)
        self._timers[key] = asyncio.get_running_loop().call_later(wait, self._fire, key)

    def forget(self, key: K) -> None:
        """No call is wanted any more."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._next.pop(key, None)

    def close(self) -> None:
        """No calls are wanted any more, whoever asks."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self._next[key] = time.monotonic() + self._seconds()
        self._do(key)
