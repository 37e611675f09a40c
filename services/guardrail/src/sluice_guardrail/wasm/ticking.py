"""The clock that ends calls: it moves an engine's epoch on while something runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

#: Seconds between two ticks; a call ends at most one later than it must, and what the interpreter's lock takes.
PERIOD = 0.002


class Ticker:
    """Ticks by wall clock while calls run, and sleeps when none does. Thread-safe.

    The ticking thread needs the interpreter's lock and may get it late, so it makes good what it missed; and a call
    that begins makes it good first, so that it is not ended by time that passed before it.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._changed = threading.Condition()
        self._running = 0
        self._since = 0.0
        self._ticks = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="epoch", daemon=True)
        self._thread.start()

    @contextmanager
    def ticks_of(self, seconds: float) -> Iterator[int]:
        """Ticks for the length of the block; gives the number of ticks that are certainly no less than `seconds`."""
        with self._changed:
            if not self._running:
                self._since, self._ticks = time.monotonic(), 0
            self._catch_up()
            self._running += 1
            self._changed.notify_all()
        try:
            yield ceil(seconds / PERIOD) + 1
        finally:
            with self._changed:
                self._running -= 1

    def close(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running or self._closed)
                if self._closed:
                    return
                self._catch_up()
            time.sleep(PERIOD)

    def _catch_up(self) -> None:
        due = int((time.monotonic() - self._since) / PERIOD)
        for _ in range(due - self._ticks):
            self._tick()
        self._ticks = max(due, self._ticks)
