"""Who is to be reconciled: bursts of events become one pass."""

import asyncio
import time
from collections.abc import Callable


class _Flag:
    __slots__ = ("event", "since")

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.since = 0.0


class Wakeups:
    """One flag for each custom resource that somebody waits for, by its uid.

    Args:
        delayed: Told, for each wakeup, the seconds until a pass began.
    """

    def __init__(
        self,
        delayed: Callable[[float], None] = lambda seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flags: dict[str, _Flag] = {}
        self._delayed = delayed
        self._clock = clock

    def wake(self, uid: str) -> None:
        """Has the object reconciled soon. One that nobody waits for is reconciled at its start anyway."""
        flag = self._flags.get(uid)
        if flag is not None and not flag.event.is_set():
            flag.since = self._clock()
            flag.event.set()

    def clear(self, uid: str) -> None:
        """To be called before a pass reads anything, so that no change is lost."""
        flag = self._flag(uid)
        if flag.event.is_set():
            self._delayed(self._clock() - flag.since)
            flag.event.clear()

    def forget(self, uid: str) -> None:
        """The object is gone; who waits for it goes on."""
        flag = self._flags.pop(uid, None)
        if flag is not None:
            flag.event.set()

    async def wait(self, uid: str, seconds: float) -> bool:
        """Returns once the object is woken, else after `seconds`; true where it was woken."""
        return await within(self._flag(uid).event, seconds)

    def _flag(self, uid: str) -> _Flag:
        flag = self._flags.get(uid)
        if flag is None:
            flag = self._flags[uid] = _Flag()
        return flag


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Returns once an event is set, else after `seconds`; true where it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
