"""Work that a journal does again and again beside its writer, in a thread of its own."""

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Repeating:
    """Calls `work` now and every so many seconds until it is stopped. A failure is logged once, and tried again."""

    def __init__(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        self._name = name
        self._seconds = seconds
        self._work = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Waits for what is going on."""
        self._stopped.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        failing = False
        while not self._stopped.is_set():
            try:
                self._work()
                failing = False
            except Exception as error:  # it must go on, whatever it is
                if not failing:  # else it has been said
                    _LOG.warning("%s failed: %s: %s", self._name, type(error).__name__, error)
                failing = True
            self._stopped.wait(self._seconds)
